use portolan_api::{
    Reason,
    inventory::{v1 as pb, v1::group_service_server::GroupService},
};
use portolan_authz::Caller;
use tonic::{Request, Response};

use crate::{
    Error, collections, groups,
    groups::preview,
    model::{
        collections::CollectionName,
        conditions::{Written, endpoint_named},
        endpoints::EndpointId,
    },
    rpc::{Answer, Rpc, convert},
    runner,
};

impl Rpc {
    async fn all(&self, caller: &Caller) -> Result<Vec<pb::ApiCollection>, Error> {
        let all = collections::list(&self.deps, caller).await?;
        Ok(all.into_iter().map(convert::collection).collect())
    }
}

/// Conditions as the domain reads them; data that are no JSON are refused there.
pub fn written(conditions: Vec<pb::GroupCondition>) -> Vec<Written> {
    let read = |condition: pb::GroupCondition| Written {
        kind: condition.r#type.unwrap_or_default(),
        operator: condition.operator.unwrap_or_default(),
        data: condition.data.and_then(|data| serde_json::from_str(&data).ok()).unwrap_or_default(),
        ..Written::default()
    };
    conditions.into_iter().map(read).collect()
}

/// The endpoints of a list, each as the conditions of a group will read it.
fn endpoints(list: Option<pb::GroupEndpointList>) -> Result<Option<Vec<EndpointId>>, Error> {
    let Some(list) = list else { return Ok(None) };
    let read = |(index, key): (usize, pb::EndpointKey)| {
        endpoint_named(key.api_collection_id.into(), &key.url, &key.method).map_err(|detail| {
            portolan_api::Error::new(Reason::EndpointInvalid).with("index", index).with("detail", detail).into()
        })
    };
    list.endpoints.into_iter().enumerate().map(read).collect::<Result<_, Error>>().map(Some)
}

/// An endpoint as a caller names it; methods are stored in upper case.
pub fn endpoint(key: pb::EndpointKey) -> EndpointId {
    EndpointId { collection_id: key.api_collection_id.into(), url: key.url, method: key.method.to_ascii_uppercase() }
}

#[tonic::async_trait]
impl GroupService for Rpc {
    async fn create_group(&self, request: Request<pb::CreateGroupRequest>) -> Answer<pb::CreateGroupResponse> {
        let (caller, request) = Caller::split(request)?;
        let name = CollectionName::parse(request.collection_name)?;
        let (made, job_id) = groups::create(&self.deps, &caller, name, written(request.conditions)).await?;
        runner::run_inline(&self.deps, caller.account_id, &job_id).await;
        let group = collections::get(&self.deps, &caller, made.id).await?.unwrap_or(made);
        Ok(Response::new(pb::CreateGroupResponse {
            api_collections: vec![convert::collection(group)],
            job_id: job_id.into(),
        }))
    }

    async fn update_group(&self, request: Request<pb::UpdateGroupRequest>) -> Answer<pb::UpdateGroupResponse> {
        let (caller, request) = Caller::split(request)?;
        let (id, conditions) = (request.api_collection_id.into(), written(request.conditions));
        let job_id = groups::update(&self.deps, &caller, id, conditions).await?;
        runner::run_inline(&self.deps, caller.account_id, &job_id).await;
        Ok(Response::new(pb::UpdateGroupResponse { job_id: job_id.into() }))
    }

    async fn add_group_endpoints(
        &self,
        request: Request<pb::AddGroupEndpointsRequest>,
    ) -> Answer<pb::AddGroupEndpointsResponse> {
        let (caller, request) = Caller::split(request)?;
        let list = endpoints(request.api_list)?;
        let name = request.collection_name;
        let job_id = groups::add_endpoints(&self.deps, &caller, name, list).await?;
        runner::follow_up(&self.deps, caller.account_id, job_id.as_slice()).await;
        let api_collections = self.all(&caller).await?;
        Ok(Response::new(pb::AddGroupEndpointsResponse { api_collections, job_id: job_id.map(Into::into) }))
    }

    async fn remove_group_endpoints(
        &self,
        request: Request<pb::RemoveGroupEndpointsRequest>,
    ) -> Answer<pb::RemoveGroupEndpointsResponse> {
        let (caller, request) = Caller::split(request)?;
        let list = endpoints(request.api_list)?;
        let name = request.collection_name;
        let job_id = groups::remove_endpoints(&self.deps, &caller, name, list).await?;
        runner::follow_up(&self.deps, caller.account_id, job_id.as_slice()).await;
        let api_collections = self.all(&caller).await?;
        Ok(Response::new(pb::RemoveGroupEndpointsResponse { api_collections, job_id: job_id.map(Into::into) }))
    }

    async fn share_group(&self, request: Request<pb::ShareGroupRequest>) -> Answer<pb::ShareGroupResponse> {
        let (caller, request) = Caller::split(request)?;
        groups::share(&self.deps, &caller, request.api_collection_id.into(), request.shared).await?;
        Ok(Response::new(pb::ShareGroupResponse {}))
    }

    async fn compute_group(&self, request: Request<pb::ComputeGroupRequest>) -> Answer<pb::ComputeGroupResponse> {
        let (caller, request) = Caller::split(request)?;
        let job_id = groups::compute(&self.deps, &caller, request.collection_name).await?;
        runner::run_inline(&self.deps, caller.account_id, &job_id).await;
        Ok(Response::new(pb::ComputeGroupResponse { job_id: job_id.into() }))
    }

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
