use portolan_api::inventory::{v1 as pb, v1::access_type_service_server::AccessTypeService};
use portolan_authz::Caller;
use portolan_engine::AccessType;
use tonic::{Request, Response};

use crate::{
    access_types,
    rpc::{Answer, Rpc, convert},
};

#[tonic::async_trait]
impl AccessTypeService for Rpc {
    async fn apply_access_types(
        &self,
        request: Request<pb::ApplyAccessTypesRequest>,
    ) -> Answer<pb::ApplyAccessTypesResponse> {
        let (caller, _) = Caller::split(request)?;
        let job_id = access_types::apply(&self.deps, &caller).await?;
        Ok(Response::new(pb::ApplyAccessTypesResponse { job_id }))
    }

    async fn reset_collection_access_types(
        &self,
        request: Request<pb::ResetCollectionAccessTypesRequest>,
    ) -> Answer<pb::ResetCollectionAccessTypesResponse> {
        let (caller, _) = Caller::split(request)?;
        let job_id = access_types::reset_collections(&self.deps, &caller).await?;
        let message = "Access types of the collections are being derived in the background".to_owned();
        let response = Some(pb::StartedJob { started: true, message, job_id });
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
}
