//! Endpoints, their access types, and the feed of those that the edge enforces.

use portolan_api::inventory::{v1 as pb, v1::endpoint_service_server::EndpointService};
use portolan_authz::Caller;
use portolan_engine::AccessType;
use tonic::{Request, Response};

use crate::{
    access_types, collections, demerge, endpoints, feed,
    model::endpoints::EndpointId,
    rpc::{Answer, Rpc, convert, convert::endpoint_named, groups::endpoint},
};

#[tonic::async_trait]
impl EndpointService for Rpc {
    async fn list_endpoints(&self, request: Request<pb::ListEndpointsRequest>) -> Answer<pb::ListEndpointsResponse> {
        let (caller, request) = Caller::split(request)?;
        let answer = if request.api_collection_ids.is_empty() {
            let id = convert::collection_named(request.api_collection_id);
            let (redacted, list) = endpoints::list(&self.deps, &caller, id).await?;
            let api_infos = list.into_iter().map(convert::endpoint).collect();
            pb::ListEndpointsResponse {
                api_info_list: Some(pb::ApiInfoList { api_infos }),
                redacted: Some(redacted),
                api_info_list_by_collection: None,
            }
        } else {
            let ids = convert::collections_named(request.api_collection_ids);
            let lists = endpoints::list_many(&self.deps, &caller, ids).await?;
            let lists = lists.into_iter().map(|(id, list)| {
                (id.into(), pb::ApiInfoList { api_infos: list.into_iter().map(convert::endpoint).collect() })
            });
            pb::ListEndpointsResponse {
                api_info_list_by_collection: Some(pb::ApiInfoLists { lists: lists.collect() }),
                ..pb::ListEndpointsResponse::default()
            }
        };
        Ok(Response::new(answer))
    }

    async fn list_endpoint_keys(
        &self,
        request: Request<pb::ListEndpointKeysRequest>,
    ) -> Answer<pb::ListEndpointKeysResponse> {
        let (caller, request) = Caller::split(request)?;
        let id = convert::collection_named(request.api_collection_id);
        let skip = usize::try_from(request.skip).unwrap_or_default();
        let keys = endpoints::list_keys(&self.deps, &caller, id, skip).await?;
        let list_of_endpoints_in_collection = keys.into_iter().map(convert::endpoint_id).collect();
        Ok(Response::new(pb::ListEndpointKeysResponse { list_of_endpoints_in_collection }))
    }

    async fn get_endpoint(&self, request: Request<pb::GetEndpointRequest>) -> Answer<pb::GetEndpointResponse> {
        let (caller, request) = Caller::split(request)?;
        let id = endpoint_named(request.api_collection_id, request.url, request.method);
        let found = endpoints::get(&self.deps, &caller, &id).await?;
        Ok(Response::new(pb::GetEndpointResponse { api_info: found.map(convert::endpoint) }))
    }

    async fn count_endpoints(&self, request: Request<pb::CountEndpointsRequest>) -> Answer<pb::CountEndpointsResponse> {
        let account_id = request.into_inner().account_id;
        let endpoints = collections::count_endpoints(&self.deps, account_id.into()).await?;
        Ok(Response::new(pb::CountEndpointsResponse { endpoints }))
    }

    async fn list_owned_endpoints(
        &self,
        request: Request<pb::ListOwnedEndpointsRequest>,
    ) -> Answer<pb::ListOwnedEndpointsResponse> {
        let (caller, request) = Caller::split(request)?;
        let id = convert::collection_named(request.api_collection_id);
        let (_, mut list) = endpoints::list(&self.deps, &caller, id).await?;
        list.retain(|endpoint| endpoint.id.collection_id == id);
        let api_info_list = list.into_iter().map(convert::endpoint).collect();
        Ok(Response::new(pb::ListOwnedEndpointsResponse { api_info_list }))
    }

    async fn update_endpoint_description(
        &self,
        request: Request<pb::UpdateEndpointDescriptionRequest>,
    ) -> Answer<pb::UpdateEndpointDescriptionResponse> {
        let (caller, request) = Caller::split(request)?;
        let id =
            EndpointId { collection_id: request.api_collection_id.into(), url: request.url, method: request.method };
        endpoints::update_description(&self.deps, &caller, &id, request.description).await?;
        Ok(Response::new(pb::UpdateEndpointDescriptionResponse {}))
    }

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
        demerge::demerge(&self.deps, &caller, request.api_collection_id.into(), url, method).await?;
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

    async fn apply_access_types(
        &self,
        request: Request<pb::ApplyAccessTypesRequest>,
    ) -> Answer<pb::ApplyAccessTypesResponse> {
        let (caller, _) = Caller::split(request)?;
        let job_id = access_types::apply(&self.deps, &caller).await?;
        Ok(Response::new(pb::ApplyAccessTypesResponse { job_id: job_id.into() }))
    }

    async fn reset_collection_access_types(
        &self,
        request: Request<pb::ResetCollectionAccessTypesRequest>,
    ) -> Answer<pb::ResetCollectionAccessTypesResponse> {
        let (caller, _) = Caller::split(request)?;
        let job_id = access_types::reset_collections(&self.deps, &caller).await?;
        let message = "Access types of the collections are being derived in the background".to_owned();
        let response = Some(pb::StartedJob { started: true, message, job_id: job_id.into() });
        Ok(Response::new(pb::ResetCollectionAccessTypesResponse { response }))
    }

    async fn list_access_types(
        &self,
        request: Request<pb::ListAccessTypesRequest>,
    ) -> Answer<pb::ListAccessTypesResponse> {
        let (caller, request) = Caller::split(request)?;
        let found = access_types::list_by_urls(&self.deps, &caller, request.urls).await?;
        let api_infos = found.into_iter().map(|(id, types)| pb::EndpointAccess {
            url: id.url.clone(),
            access_type: AccessType::effective(&types).map(|known| known.name().to_owned()),
            api_access_types: types.iter().map(|known| known.name().to_owned()).collect(),
            id: Some(convert::endpoint_id(id)),
        });
        let response = Some(pb::EndpointAccessTypes { api_infos: api_infos.collect() });
        Ok(Response::new(pb::ListAccessTypesResponse { response }))
    }

    async fn list_edge_endpoints(
        &self,
        request: Request<pb::ListEdgeEndpointsRequest>,
    ) -> Answer<pb::ListEdgeEndpointsResponse> {
        let request = request.into_inner();
        let after = request.after_version;
        let (changes, complete) = feed::changes(&self.deps, after, request.page_size).await?;
        let last_version = changes.last().map_or(after, |change| change.version);
        let endpoints = changes.into_iter().map(|change| {
            let (host, path) = change.host_and_path();
            pb::EdgeEndpoint {
                version: change.version,
                endpoint_id: change.endpoint_id,
                account_id: change.account_id.into(),
                api_collection_id: change.collection_id.into(),
                host,
                method: if change.removed { String::new() } else { change.method },
                path,
                active: change.active,
                removed: change.removed,
            }
        });
        Ok(Response::new(pb::ListEdgeEndpointsResponse { endpoints: endpoints.collect(), last_version, complete }))
    }
}
