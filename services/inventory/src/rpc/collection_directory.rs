//! Names of collections, for other services.

use portolan_api::inventory::{v1 as pb, v1::collection_directory_service_server::CollectionDirectoryService};
use tonic::Request;

use crate::{
    collections,
    rpc::{Answer, Rpc},
};

#[tonic::async_trait]
impl CollectionDirectoryService for Rpc {
    async fn name_collections(
        &self,
        request: Request<pb::NameCollectionsRequest>,
    ) -> Answer<pb::NameCollectionsResponse> {
        let pb::NameCollectionsRequest { account_id, ids } = request.into_inner();
        let named = collections::names(&self.deps, account_id, &ids).await?;
        let collections = named.into_iter().map(|(id, name)| pb::CollectionName { id, name }).collect();
        Ok(tonic::Response::new(pb::NameCollectionsResponse { collections }))
    }
}
