use std::collections::BTreeMap;

use portolan_api::identity::v1::{
    CollectionIds, CreateInvitationRequest, CreateInvitationResponse, CreatePasswordResetRequest,
    CreatePasswordResetResponse, DeleteInvitationRequest, DeleteInvitationResponse, DeleteMemberRequest,
    DeleteMemberResponse, ListMemberCollectionsRequest, ListMemberCollectionsResponse, ListTeamRequest,
    ListTeamResponse, TeamMember, UpdateMemberCollectionsRequest, UpdateMemberCollectionsResponse,
    UpdateMemberRoleRequest, UpdateMemberRoleResponse, UpdateScopeRolesRequest, UpdateScopeRolesResponse,
    team_service_server::TeamService,
};
use portolan_authz::Caller;
use portolan_ids::{CollectionId, UserId};
use tonic::{Request, Response};

use super::{Rpc, RpcResult};
use crate::{
    invitations::{self, Invite},
    members, resets,
};

/// In a list of its own: the member sees no collection.
const NO_COLLECTION: i32 = -1;

#[tonic::async_trait]
impl TeamService for Rpc {
    async fn create_invitation(
        &self,
        request: Request<CreateInvitationRequest>,
    ) -> RpcResult<CreateInvitationResponse> {
        let (caller, request) = Caller::split(request)?;
        let invite = Invite {
            email: request.invitee_email,
            name: request.invitee_name,
            role: request.invitee_role,
            mapping: request.scope_role_mapping.into_iter().collect(),
            website: request.website_host_name,
        };
        let invited = invitations::create(&self.deps, &caller, invite).await?;
        Ok(Response::new(CreateInvitationResponse {
            final_invite_code: invited.link,
            invitee_role: invited.role,
            scope_role_mapping: invited.scope_roles.into_iter().collect(),
        }))
    }

    async fn delete_invitation(
        &self,
        request: Request<DeleteInvitationRequest>,
    ) -> RpcResult<DeleteInvitationResponse> {
        let (caller, request) = Caller::split(request)?;
        invitations::delete(&self.deps, &caller, &request.email).await?;
        Ok(Response::new(DeleteInvitationResponse {}))
    }

    async fn list_team(&self, request: Request<ListTeamRequest>) -> RpcResult<ListTeamResponse> {
        let (caller, _) = Caller::split(request)?;
        let team = members::list(&self.deps, caller.account_id).await?;
        let members = team.into_iter().map(|member| TeamMember {
            id: member.id.into(),
            login: member.login,
            name: member.name,
            role: member.role,
            scope_role_mapping: member.scope_roles.into_iter().collect(),
            is_invitation: member.is_invitation.then_some(true),
        });
        Ok(Response::new(ListTeamResponse { members: members.collect() }))
    }

    async fn delete_member(&self, request: Request<DeleteMemberRequest>) -> RpcResult<DeleteMemberResponse> {
        let (caller, request) = Caller::split(request)?;
        members::delete(&self.deps, &caller, &request.email).await?;
        Ok(Response::new(DeleteMemberResponse {}))
    }

    async fn update_member_role(
        &self,
        request: Request<UpdateMemberRoleRequest>,
    ) -> RpcResult<UpdateMemberRoleResponse> {
        let (caller, request) = Caller::split(request)?;
        let mapping = request.scope_role_mapping.into_iter().collect();
        members::update_role(&self.deps, &caller, &request.email, &request.user_role, &mapping).await?;
        Ok(Response::new(UpdateMemberRoleResponse {}))
    }

    async fn update_scope_roles(
        &self,
        request: Request<UpdateScopeRolesRequest>,
    ) -> RpcResult<UpdateScopeRolesResponse> {
        let (caller, request) = Caller::split(request)?;
        let mapping = request.scope_role_mapping.into_iter().collect();
        members::update_scope_roles(&self.deps, &caller, &request.email, &mapping).await?;
        Ok(Response::new(UpdateScopeRolesResponse {}))
    }

    async fn update_member_collections(
        &self,
        request: Request<UpdateMemberCollectionsRequest>,
    ) -> RpcResult<UpdateMemberCollectionsResponse> {
        let (caller, request) = Caller::split(request)?;
        let lists = request.user_collection_map.into_iter();
        let lists: BTreeMap<_, Vec<_>> =
            lists.map(|(user, list)| (UserId(user), list.ids.into_iter().map(CollectionId).collect())).collect();
        members::update_collections(&self.deps, &caller, &lists).await?;
        Ok(Response::new(UpdateMemberCollectionsResponse {}))
    }

    async fn list_member_collections(
        &self,
        request: Request<ListMemberCollectionsRequest>,
    ) -> RpcResult<ListMemberCollectionsResponse> {
        let (caller, _) = Caller::split(request)?;
        let lists = members::list_collections(&self.deps, caller.account_id).await?;
        let ids = |list: Option<Vec<CollectionId>>| match list {
            Some(list) if list.is_empty() => vec![NO_COLLECTION],
            list => list.unwrap_or_default().into_iter().map(CollectionId::get).collect(),
        };
        let lists = lists.into_iter().map(|(user, list)| (user.get(), CollectionIds { ids: ids(list) }));
        let collections = lists.collect();
        Ok(Response::new(ListMemberCollectionsResponse { collections }))
    }

    async fn create_password_reset(
        &self,
        request: Request<CreatePasswordResetRequest>,
    ) -> RpcResult<CreatePasswordResetResponse> {
        let (caller, request) = Caller::split(request)?;
        let reset = resets::create_for_member(&self.deps, &caller, &request.user_email).await?;
        Ok(Response::new(CreatePasswordResetResponse { password_reset_token: reset.token, reset_url: reset.url }))
    }
}
