use portolan_api::identity::v1::{
    ForgetCollectionsRequest, ForgetCollectionsResponse, collection_lists_service_server::CollectionListsService,
};
use portolan_ids::CollectionId;
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
        let collection_ids: Vec<_> = collection_ids.into_iter().map(CollectionId).collect();
        grants::forget_collections(&self.deps, account_id.into(), &collection_ids).await?;
        Ok(Response::new(ForgetCollectionsResponse {}))
    }
}
