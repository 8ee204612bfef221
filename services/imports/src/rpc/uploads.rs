//! What other services ask of uploads.

use portolan_api::imports::v1::uploads_service_server::UploadsService;
use portolan_api::imports::v1::{
    DeleteUploadsRequest, DeleteUploadsResponse, GetSpecificationRequest, GetSpecificationResponse,
    RedactUploadsRequest, RedactUploadsResponse, Specification,
};
use tonic::{Request, Response};

use super::{Rpc, RpcResult};
use crate::maintenance;
use crate::postman::specification;

#[tonic::async_trait]
impl UploadsService for Rpc {
    async fn redact_uploads(&self, request: Request<RedactUploadsRequest>) -> RpcResult<RedactUploadsResponse> {
        let request = request.into_inner();
        let uploads = maintenance::redact(&self.deps, request.account_id.into(), request.collection_id.into()).await?;
        Ok(Response::new(RedactUploadsResponse { uploads }))
    }

    async fn delete_uploads(&self, request: Request<DeleteUploadsRequest>) -> RpcResult<DeleteUploadsResponse> {
        let request = request.into_inner();
        let uploads = maintenance::delete(&self.deps, request.account_id.into(), request.collection_id.into()).await?;
        Ok(Response::new(DeleteUploadsResponse { uploads }))
    }

    async fn get_specification(
        &self,
        request: Request<GetSpecificationRequest>,
    ) -> RpcResult<GetSpecificationResponse> {
        let request = request.into_inner();
        let found = specification::find(&self.deps, request.account_id.into(), request.collection_id.into()).await?;
        let specification =
            found.map(|found| Specification { name: found.name, content: found.content, updated_at: found.updated_at });
        Ok(Response::new(GetSpecificationResponse { specification }))
    }
}
