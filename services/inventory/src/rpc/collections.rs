//! Collections.

use portolan_api::inventory::{v1 as pb, v1::collection_service_server::CollectionService};
use portolan_authz::Caller;
use portolan_ids::NamedCollectionId;
use tonic::{Request, Response};

use crate::{
    Error, access, collections,
    collections::TagChange,
    model::collections::{Collection, CollectionName},
    redaction,
    rpc::{Answer, Rpc, convert},
    runner,
};

impl Rpc {
    async fn activation(
        &self,
        caller: &Caller,
        refs: Vec<pb::CollectionRef>,
        ids: Vec<i32>,
        is_deactivated: bool,
    ) -> Result<Vec<pb::ApiCollection>, Error> {
        let ids = ids.into_iter().chain(refs.iter().map(|named| named.id)).map(Into::into).collect();
        let (changed, job_ids) = collections::update_deactivated(&self.deps, caller, ids, is_deactivated).await?;
        runner::follow_up(&self.deps, caller.account_id, &job_ids).await;
        Ok(changed.into_iter().map(convert::collection).collect())
    }
}

#[tonic::async_trait]
impl CollectionService for Rpc {
    async fn create_collection(
        &self,
        request: Request<pb::CreateCollectionRequest>,
    ) -> Answer<pb::CreateCollectionResponse> {
        let (caller, request) = Caller::split(request)?;
        let name = CollectionName::parse(request.collection_name)?;
        let collection = collections::create(&self.deps, &caller, name).await?;
        Ok(Response::new(pb::CreateCollectionResponse { api_collections: vec![convert::collection(collection)] }))
    }

    async fn list_collections(
        &self,
        request: Request<pb::ListCollectionsRequest>,
    ) -> Answer<pb::ListCollectionsResponse> {
        let (caller, request) = Caller::split(request)?;
        let (name, host) = (request.name_regex.as_deref(), request.host_name_regex.as_deref());
        let found = collections::list_matching(&self.deps, &caller, name, host).await?;
        Ok(Response::new(pb::ListCollectionsResponse {
            api_collections: found.into_iter().map(convert::collection).collect(),
        }))
    }

    async fn list_basic_collections(
        &self,
        request: Request<pb::ListBasicCollectionsRequest>,
    ) -> Answer<pb::ListBasicCollectionsResponse> {
        let (caller, _) = Caller::split(request)?;
        let found = collections::list(&self.deps, &caller).await?;
        Ok(Response::new(pb::ListBasicCollectionsResponse {
            api_collections: found.into_iter().map(convert::basic_collection).collect(),
        }))
    }

    async fn get_collection(&self, request: Request<pb::GetCollectionRequest>) -> Answer<pb::GetCollectionResponse> {
        let (caller, request) = Caller::split(request)?;
        let found = collections::get(&self.deps, &caller, request.api_collection_id.into()).await?;
        let api_collections = found.into_iter().map(convert::collection).collect();
        Ok(Response::new(pb::GetCollectionResponse { api_collections }))
    }

    async fn name_collections(
        &self,
        request: Request<pb::NameCollectionsRequest>,
    ) -> Answer<pb::NameCollectionsResponse> {
        let pb::NameCollectionsRequest { account_id, ids } = request.into_inner();
        let ids: Vec<NamedCollectionId> = ids.into_iter().map(Into::into).collect();
        let existing = collections::existing(&self.deps, account_id.into(), &ids).await?;
        let name = |known: Collection| pb::CollectionName {
            id: known.id.get().into(),
            scopes: known.scopes(),
            name: known.name,
        };
        let collections = existing.into_iter().map(name).collect();
        Ok(tonic::Response::new(pb::NameCollectionsResponse { collections }))
    }

    async fn list_collections_of_hosts(
        &self,
        request: Request<pb::ListCollectionsOfHostsRequest>,
    ) -> Answer<pb::ListCollectionsOfHostsResponse> {
        let (caller, request) = Caller::split(request)?;
        let found = collections::collections_of_hosts(&self.deps, &caller, request.device_host_names).await;
        let api_collections = found?.into_iter().map(convert::basic_collection).collect();
        Ok(Response::new(pb::ListCollectionsOfHostsResponse { api_collections }))
    }

    async fn update_collection_description(
        &self,
        request: Request<pb::UpdateCollectionDescriptionRequest>,
    ) -> Answer<pb::UpdateCollectionDescriptionResponse> {
        let (caller, request) = Caller::split(request)?;
        let (id, text) = (request.api_collection_id.into(), request.description);
        let updated = collections::update_description(&self.deps, &caller, id, text, request.is_system_prompt).await;
        updated?;
        Ok(Response::new(pb::UpdateCollectionDescriptionResponse {}))
    }

    async fn rename_collection(
        &self,
        request: Request<pb::RenameCollectionRequest>,
    ) -> Answer<pb::RenameCollectionResponse> {
        let (caller, request) = Caller::split(request)?;
        let name = CollectionName::parse(request.collection_name)?;
        collections::rename(&self.deps, &caller, request.api_collection_id.into(), name).await?;
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
        let ids = convert::collections_named(request.api_collection_ids);
        let job_ids = collections::update_tags(&self.deps, &caller, ids, change).await?;
        runner::follow_up(&self.deps, caller.account_id, &job_ids).await;
        Ok(Response::new(pb::UpdateCollectionTagsResponse {}))
    }

    async fn toggle_test_scope(
        &self,
        request: Request<pb::ToggleTestScopeRequest>,
    ) -> Answer<pb::ToggleTestScopeResponse> {
        let (caller, request) = Caller::split(request)?;
        let ids = convert::collections_named(request.api_collection_ids);
        let is_out = !request.current_is_out_of_testing_scope_val;
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

    async fn redact_collection(
        &self,
        request: Request<pb::RedactCollectionRequest>,
    ) -> Answer<pb::RedactCollectionResponse> {
        let (caller, request) = Caller::split(request)?;
        let job_id = redaction::update(&self.deps, &caller, request.api_collection_id.into(), request.redacted).await?;
        runner::follow_up(&self.deps, caller.account_id, job_id.as_slice()).await;
        Ok(Response::new(pb::RedactCollectionResponse { job_id: job_id.map(Into::into) }))
    }

    async fn delete_collection(
        &self,
        request: Request<pb::DeleteCollectionRequest>,
    ) -> Answer<pb::DeleteCollectionResponse> {
        let (caller, request) = Caller::split(request)?;
        let id = request.api_collection_id.into();
        access::writable(&self.deps, &caller, id).await?;
        let job_ids = collections::delete(&self.deps, &caller, vec![id]).await?;
        let job_id = job_ids.into_iter().next().unwrap_or_default().into();
        Ok(Response::new(pb::DeleteCollectionResponse { job_id }))
    }

    async fn delete_collections(
        &self,
        request: Request<pb::DeleteCollectionsRequest>,
    ) -> Answer<pb::DeleteCollectionsResponse> {
        let (caller, request) = Caller::split(request)?;
        let named = request.api_collections.iter().map(|collection| collection.id);
        let ids = request.api_collection_ids.into_iter().chain(named).map(Into::into).collect();
        let job_ids = collections::delete(&self.deps, &caller, ids).await?;
        let job_ids: Vec<String> = job_ids.into_iter().map(Into::into).collect();
        Ok(Response::new(pb::DeleteCollectionsResponse { job_id: job_ids.last().cloned(), job_ids }))
    }

    async fn ensure_import_target(
        &self,
        request: Request<pb::EnsureImportTargetRequest>,
    ) -> Answer<pb::EnsureImportTargetResponse> {
        let (caller, request) = Caller::split(request)?;
        let (id, name) = (request.api_collection_id.map(Into::into), request.collection_name);
        let target = collections::import_target(&self.deps, &caller, id, name, request.clean_name, request.tags).await;
        let target = target?.map(convert::import_target);
        Ok(Response::new(pb::EnsureImportTargetResponse { target }))
    }
}
