use portolan_api::inventory::{v1 as pb, v1::group_preview_service_server::GroupPreviewService};
use portolan_authz::Caller;
use tonic::{Request, Response};

use crate::{
    groups::preview,
    rpc::{Answer, Rpc, convert, groups::written},
};

#[tonic::async_trait]
impl GroupPreviewService for Rpc {
    async fn list_matching_endpoints(
        &self,
        request: Request<pb::ListMatchingEndpointsRequest>,
    ) -> Answer<pb::ListMatchingEndpointsResponse> {
        let (caller, request) = Caller::split(request)?;
        let (conditions, skip) = (written(request.conditions), request.skip_tags_mismatch);
        let found = preview::list(&self.deps, &caller, conditions, skip).await?;
        let data = pb::MatchingEndpoints {
            endpoints: found.activity.into_iter().map(convert::activity).collect(),
            api_info_list: found.endpoints.into_iter().map(convert::endpoint).collect(),
        };
        Ok(Response::new(pb::ListMatchingEndpointsResponse { data: Some(data), api_count: found.count }))
    }

    async fn count_matching_endpoints(
        &self,
        request: Request<pb::CountMatchingEndpointsRequest>,
    ) -> Answer<pb::CountMatchingEndpointsResponse> {
        let (caller, request) = Caller::split(request)?;
        let count = preview::count(&self.deps, &caller, written(request.conditions)).await;
        Ok(Response::new(pb::CountMatchingEndpointsResponse { api_count: count? }))
    }
}
