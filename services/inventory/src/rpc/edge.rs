//! The feed for the edge.

use portolan_api::inventory::{v1 as pb, v1::edge_feed_service_server::EdgeFeedService};
use tonic::{Request, Response};

use crate::{
    feed,
    rpc::{Answer, Rpc},
};

#[tonic::async_trait]
impl EdgeFeedService for Rpc {
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
                account_id: change.account_id,
                api_collection_id: change.collection_id,
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
