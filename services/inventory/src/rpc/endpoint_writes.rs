use portolan_api::inventory::{v1 as pb, v1::endpoint_write_service_server::EndpointWriteService};
use portolan_authz::Caller;
use tonic::{Request, Response};

use crate::{
    demerge, endpoints,
    rpc::{Answer, Rpc, convert, groups::endpoint},
};

#[tonic::async_trait]
impl EndpointWriteService for Rpc {
    async fn delete_endpoints(
        &self,
        request: Request<pb::DeleteEndpointsRequest>,
    ) -> Answer<pb::DeleteEndpointsResponse> {
        let (caller, request) = Caller::split(request)?;
        let endpoints = request.api_list.into_iter().map(endpoint).collect();
        endpoints::delete(&self.deps, &caller, endpoints).await?;
        Ok(Response::new(pb::DeleteEndpointsResponse {}))
    }

    async fn demerge_endpoint(
        &self,
        request: Request<pb::DemergeEndpointRequest>,
    ) -> Answer<pb::DemergeEndpointResponse> {
        let (caller, request) = Caller::split(request)?;
        let (url, method) = (request.url.as_deref(), request.method.as_deref());
        demerge::demerge(&self.deps, &caller, request.api_collection_id, url, method).await?;
        Ok(Response::new(pb::DemergeEndpointResponse {}))
    }

    async fn demerge_endpoints(
        &self,
        request: Request<pb::DemergeEndpointsRequest>,
    ) -> Answer<pb::DemergeEndpointsResponse> {
        let (caller, request) = Caller::split(request)?;
        let ids = request.api_info_key_list.into_iter().map(endpoint).collect();
        let (demerged, failures) = demerge::demerge_many(&self.deps, &caller, ids).await?;
        let failures = failures.into_iter().map(|(id, error)| pb::DemergeFailure {
            id: Some(convert::endpoint_id(id)),
            reason: portolan_api::Error::from(error).text(),
        });
        let demerged = i32::try_from(demerged).unwrap_or(i32::MAX);
        Ok(Response::new(pb::DemergeEndpointsResponse { demerged, failures: failures.collect() }))
    }

    async fn undo_demerged_endpoints(
        &self,
        request: Request<pb::UndoDemergedEndpointsRequest>,
    ) -> Answer<pb::UndoDemergedEndpointsResponse> {
        let (caller, request) = Caller::split(request)?;
        let ids = request.merged_urls.into_iter().map(endpoint).collect();
        demerge::undo(&self.deps, &caller, ids).await?;
        Ok(Response::new(pb::UndoDemergedEndpointsResponse {}))
    }

    async fn list_demerged_endpoints(
        &self,
        request: Request<pb::ListDemergedEndpointsRequest>,
    ) -> Answer<pb::ListDemergedEndpointsResponse> {
        let (caller, _) = Caller::split(request)?;
        let found = demerge::list_demerged(&self.deps, &caller).await?;
        let merged_urls = found.into_iter().map(convert::endpoint_id).collect();
        Ok(Response::new(pb::ListDemergedEndpointsResponse { merged_urls }))
    }
}
