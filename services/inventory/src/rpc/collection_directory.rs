//! Names of collections, for other services.

use portolan_api::inventory::v1::{self as pb, collection_directory_service_server::CollectionDirectoryService};
use tonic::Request;

use super::{Answer, status};
use crate::{Deps, collections};

/// The handlers.
pub struct CollectionDirectory {
    deps: Deps,
}

impl CollectionDirectory {
    pub fn new(deps: Deps) -> Self {
        Self { deps }
    }
}

#[tonic::async_trait]
impl CollectionDirectoryService for CollectionDirectory {
    async fn name_collections(
        &self,
        request: Request<pb::NameCollectionsRequest>,
    ) -> Answer<pb::NameCollectionsResponse> {
        let pb::NameCollectionsRequest { account_id, ids } = request.into_inner();
        let named = collections::names(&self.deps, account_id, &ids).await.map_err(status)?;
        let collections = named.into_iter().map(|(id, name)| pb::CollectionName { id, name }).collect();
        Ok(tonic::Response::new(pb::NameCollectionsResponse { collections }))
    }
}
