//! What other services ask of uploads.

use portolan_api::imports::v1::uploads_service_server::UploadsService;
use portolan_api::imports::v1::{
    DeleteUploadsRequest, DeleteUploadsResponse, GetSpecificationRequest, GetSpecificationResponse,
    RedactUploadsRequest, RedactUploadsResponse, Specification,
};
use tonic::{Request, Response};

use super::RpcResult;
use crate::{Deps, Error, maintenance, store};

pub struct Uploads {
    pub deps: Deps,
}

#[tonic::async_trait]
impl UploadsService for Uploads {
    async fn redact_uploads(&self, request: Request<RedactUploadsRequest>) -> RpcResult<RedactUploadsResponse> {
        let request = request.into_inner();
        let uploads = maintenance::redact(&self.deps, request.account_id, request.collection_id).await?;
        Ok(Response::new(RedactUploadsResponse { uploads }))
    }

    async fn delete_uploads(&self, request: Request<DeleteUploadsRequest>) -> RpcResult<DeleteUploadsResponse> {
        let request = request.into_inner();
        let uploads = maintenance::delete(&self.deps, request.account_id, request.collection_id).await?;
        Ok(Response::new(DeleteUploadsResponse { uploads }))
    }

    async fn get_specification(
        &self,
        request: Request<GetSpecificationRequest>,
    ) -> RpcResult<GetSpecificationResponse> {
        let request = request.into_inner();
        let found = store::specifications::get(&self.deps.db, request.account_id, request.collection_id).await;
        let specification = found.map_err(Error::from)?.map(|found| Specification {
            name: found.name,
            content: found.content,
            updated_at: found.updated_at,
        });
        Ok(Response::new(GetSpecificationResponse { specification }))
    }
}
