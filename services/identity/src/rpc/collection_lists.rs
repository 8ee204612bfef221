use portolan_api::identity::v1::{
    ForgetCollectionsRequest, ForgetCollectionsResponse, collection_lists_service_server::CollectionListsService,
};
use tonic::{Request, Response};

use super::{Rpc, RpcResult};
use crate::grants;

#[tonic::async_trait]
impl CollectionListsService for Rpc {
    async fn forget_collections(
        &self,
        request: Request<ForgetCollectionsRequest>,
    ) -> RpcResult<ForgetCollectionsResponse> {
        let ForgetCollectionsRequest { account_id, collection_ids } = request.into_inner();
        grants::forget_collections(&self.deps, account_id, &collection_ids).await?;
        Ok(Response::new(ForgetCollectionsResponse {}))
    }
}
