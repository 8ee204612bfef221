use portolan_api::identity::v1::{
    CreateRoleRequest, CreateRoleResponse, CustomRole, DeleteRoleRequest, DeleteRoleResponse,
    ListAssignableRolesRequest, ListAssignableRolesResponse, ListRolesRequest, ListRolesResponse, UpdateRoleRequest,
    UpdateRoleResponse, roles_service_server::RolesService,
};
use portolan_authz::Caller;
use portolan_ids::CollectionId;
use tonic::{Request, Response};

use super::{Rpc, RpcResult};
use crate::roles::{self, RoleInput};

#[tonic::async_trait]
impl RolesService for Rpc {
    async fn create_role(&self, request: Request<CreateRoleRequest>) -> RpcResult<CreateRoleResponse> {
        let (caller, request) = Caller::split(request)?;
        let input = RoleInput {
            name: request.role_name,
            base_role: request.base_role,
            collection_ids: Some(request.api_collection_ids.into_iter().map(Into::into).collect()),
            features: Some(request.allowed_features_for_user),
            opens_threat_protection: Some(request.threat_protection_enabled),
            is_default: Some(request.default_invite_role),
        };
        roles::create(&self.deps, &caller, input).await?;
        Ok(Response::new(CreateRoleResponse {}))
    }

    async fn update_role(&self, request: Request<UpdateRoleRequest>) -> RpcResult<UpdateRoleResponse> {
        let (caller, request) = Caller::split(request)?;
        let input = RoleInput {
            name: request.role_name,
            base_role: request.base_role,
            collection_ids: request.api_collection_ids.map(|list| list.ids.into_iter().map(CollectionId).collect()),
            features: request.allowed_features_for_user.map(|list| list.names),
            opens_threat_protection: request.threat_protection_enabled,
            is_default: request.default_invite_role,
        };
        roles::update(&self.deps, &caller, input).await?;
        Ok(Response::new(UpdateRoleResponse {}))
    }

    async fn delete_role(&self, request: Request<DeleteRoleRequest>) -> RpcResult<DeleteRoleResponse> {
        let (caller, request) = Caller::split(request)?;
        roles::delete(&self.deps, &caller, &request.role_name).await?;
        Ok(Response::new(DeleteRoleResponse {}))
    }

    async fn list_roles(&self, request: Request<ListRolesRequest>) -> RpcResult<ListRolesResponse> {
        let (caller, _) = Caller::split(request)?;
        let roles = roles::list(&self.deps, caller.account_id).await?;
        let roles = roles.into_iter().map(|role| CustomRole {
            base_role: role.base_role.name().to_owned(),
            name: role.name,
            api_collection_ids: role.collection_ids.into_iter().map(Into::into).collect(),
            default_invite_role: role.is_default,
            allowed_features_for_user: role.features,
            threat_protection_enabled: role.opens_threat_protection,
        });
        Ok(Response::new(ListRolesResponse { roles: roles.collect() }))
    }

    async fn list_assignable_roles(
        &self,
        request: Request<ListAssignableRolesRequest>,
    ) -> RpcResult<ListAssignableRolesResponse> {
        let (caller, _) = Caller::split(request)?;
        let roles = caller.grant.base_role.assignable().iter().map(|role| role.name().to_owned());
        Ok(Response::new(ListAssignableRolesResponse { user_role_hierarchy: roles.collect() }))
    }
}
