use portolan_api::{
    Reason,
    identity::v1::{
        FindOrganizationRequest, FindOrganizationResponse, GetAccountSettingsRequest, GetAccountSettingsResponse,
        OrganizationRecord, OrganizationState, ResolveManagedUserRequest, ResolveManagedUserResponse,
        directory_service_server::DirectoryService, find_organization_request::By as WireBy,
    },
};
use tonic::{Request, Response};

use super::{Rpc, RpcResult};
use crate::{
    managed_users,
    model::organizations::{By, State},
    organizations, settings,
};

#[tonic::async_trait]
impl DirectoryService for Rpc {
    async fn find_organization(
        &self,
        request: Request<FindOrganizationRequest>,
    ) -> RpcResult<FindOrganizationResponse> {
        let by = match request.into_inner().by {
            Some(WireBy::Id(id)) => By::Id(id.into()),
            Some(WireBy::PublicId(id)) => By::PublicId(id),
            Some(WireBy::SubDomain(name)) => By::SubDomain(name),
            Some(WireBy::AccountId(id)) => By::Account(id.into()),
            None => return Ok(Response::new(FindOrganizationResponse::default())),
        };
        let found = organizations::find(&self.deps, &by).await?;
        let Some((organization, account_ids)) = found else {
            return Ok(Response::new(FindOrganizationResponse::default()));
        };
        let admin_email = organizations::admin_email(&self.deps, &organization.id).await?;
        let organization = Some(OrganizationRecord {
            state: wire_state(organization.state).into(),
            id: organization.id.into(),
            public_id: organization.public_id,
            name: organization.name,
            sub_domain: organization.sub_domain,
            account_ids: account_ids.into_iter().map(Into::into).collect(),
            admin_email,
        });
        Ok(Response::new(FindOrganizationResponse { organization }))
    }

    async fn get_account_settings(
        &self,
        request: Request<GetAccountSettingsRequest>,
    ) -> RpcResult<GetAccountSettingsResponse> {
        let settings = settings::get(&self.deps, request.into_inner().account_id.into()).await?;
        Ok(Response::new(GetAccountSettingsResponse {
            private_cidr_list: settings.private_cidrs,
            partner_ip_list: settings.partner_ips,
        }))
    }

    async fn resolve_managed_user(
        &self,
        request: Request<ResolveManagedUserRequest>,
    ) -> RpcResult<ResolveManagedUserResponse> {
        let ResolveManagedUserRequest { vendor_account_id, managed_user_id } = request.into_inner();
        let found = managed_users::find(&self.deps, vendor_account_id.into(), &managed_user_id).await?;
        let account_id = found.ok_or(portolan_api::Error::new(Reason::ManagedUserNotFound))?.id;
        Ok(Response::new(ResolveManagedUserResponse { account_id: account_id.into() }))
    }
}

fn wire_state(state: State) -> OrganizationState {
    match state {
        State::Active => OrganizationState::Active,
        State::Suspended => OrganizationState::Suspended,
        State::NotActivated => OrganizationState::NotActivated,
    }
}
