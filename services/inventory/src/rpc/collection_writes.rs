use portolan_api::inventory::{v1 as pb, v1::collection_write_service_server::CollectionWriteService};
use portolan_authz::Caller;
use tonic::{Request, Response};

use crate::{
    Error, access, collections,
    collections::TagChange,
    model::collections::CollectionName,
    redaction,
    rpc::{Answer, Rpc, convert},
    runner,
};

impl Rpc {
    async fn activation(
        &self,
        caller: &Caller,
        refs: Vec<pb::CollectionRef>,
        mut ids: Vec<i32>,
        is_deactivated: bool,
    ) -> Result<Vec<pb::ApiCollection>, Error> {
        ids.extend(refs.iter().map(|named| named.id));
        let (changed, job_ids) = collections::update_deactivated(&self.deps, caller, ids, is_deactivated).await?;
        runner::follow_up(&self.deps, caller.account_id, &job_ids).await;
        Ok(changed.into_iter().map(convert::collection).collect())
    }
}

#[tonic::async_trait]
impl CollectionWriteService for Rpc {
    async fn rename_collection(
        &self,
        request: Request<pb::RenameCollectionRequest>,
    ) -> Answer<pb::RenameCollectionResponse> {
        let (caller, request) = Caller::split(request)?;
        let name = CollectionName::parse(request.collection_name)?;
        collections::rename(&self.deps, &caller, request.api_collection_id, name).await?;
        Ok(Response::new(pb::RenameCollectionResponse {}))
    }

    async fn update_collection_tags(
        &self,
        request: Request<pb::UpdateCollectionTagsRequest>,
    ) -> Answer<pb::UpdateCollectionTagsResponse> {
        let (caller, request) = Caller::split(request)?;
        let change = match (request.reset_env_types, request.env_type) {
            (true, _) => TagChange::Reset,
            (false, Some(list)) => {
                TagChange::Toggle(list.tags.into_iter().map(|tag| (tag.key_name, tag.value)).collect())
            }
            // The documented members alone ask for no change.
            (false, None) => return Ok(Response::new(pb::UpdateCollectionTagsResponse {})),
        };
        let job_ids = collections::update_tags(&self.deps, &caller, request.api_collection_ids, change).await?;
        runner::follow_up(&self.deps, caller.account_id, &job_ids).await;
        Ok(Response::new(pb::UpdateCollectionTagsResponse {}))
    }

    async fn toggle_test_scope(
        &self,
        request: Request<pb::ToggleTestScopeRequest>,
    ) -> Answer<pb::ToggleTestScopeResponse> {
        let (caller, request) = Caller::split(request)?;
        let (ids, is_out) = (request.api_collection_ids, !request.current_is_out_of_testing_scope_val);
        collections::update_test_scope(&self.deps, &caller, ids, is_out).await?;
        Ok(Response::new(pb::ToggleTestScopeResponse { success: true }))
    }

    async fn deactivate_collections(
        &self,
        request: Request<pb::DeactivateCollectionsRequest>,
    ) -> Answer<pb::DeactivateCollectionsResponse> {
        let (caller, request) = Caller::split(request)?;
        let changed = self.activation(&caller, request.api_collections, request.api_collection_ids, true).await;
        Ok(Response::new(pb::DeactivateCollectionsResponse { api_collections: changed? }))
    }

    async fn activate_collections(
        &self,
        request: Request<pb::ActivateCollectionsRequest>,
    ) -> Answer<pb::ActivateCollectionsResponse> {
        let (caller, request) = Caller::split(request)?;
        let changed = self.activation(&caller, request.api_collections, request.api_collection_ids, false).await;
        Ok(Response::new(pb::ActivateCollectionsResponse { api_collections: changed? }))
    }

    async fn delete_collection(
        &self,
        request: Request<pb::DeleteCollectionRequest>,
    ) -> Answer<pb::DeleteCollectionResponse> {
        let (caller, request) = Caller::split(request)?;
        let id = request.api_collection_id;
        access::writable(&self.deps, &caller, id).await?;
        let job_ids = collections::delete(&self.deps, &caller, vec![id]).await?;
        let job_id = job_ids.into_iter().next().unwrap_or_default();
        Ok(Response::new(pb::DeleteCollectionResponse { job_id }))
    }

    async fn redact_collection(
        &self,
        request: Request<pb::RedactCollectionRequest>,
    ) -> Answer<pb::RedactCollectionResponse> {
        let (caller, request) = Caller::split(request)?;
        let job_id = redaction::update(&self.deps, &caller, request.api_collection_id, request.redacted).await?;
        runner::follow_up(&self.deps, caller.account_id, job_id.as_slice()).await;
        Ok(Response::new(pb::RedactCollectionResponse { job_id }))
    }
}
