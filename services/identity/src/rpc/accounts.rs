use portolan_api::identity::v1::{
    AccountSettings, AddAdministratorRequest, AddAdministratorResponse, Administrator, CreateAccountRequest,
    CreateAccountResponse, GetAdminSettingsRequest, GetAdminSettingsResponse, GetLastLoginRequest,
    GetLastLoginResponse, GetOrganizationRequest, GetOrganizationResponse, GetPushKeyRequest, GetPushKeyResponse,
    ListAdministratorsRequest, ListAdministratorsResponse, RemoveAdministratorRequest, RemoveAdministratorResponse,
    SaveSubscriptionRequest, SaveSubscriptionResponse, SubscriptionState, SwitchAccountRequest, SwitchAccountResponse,
    UpdateNamesRequest, UpdateNamesResponse, UpdatePartnerIpsRequest, UpdatePartnerIpsResponse,
    UpdatePrivateCidrsRequest, UpdatePrivateCidrsResponse, accounts_service_server::AccountsService,
};
use portolan_api::{Error, Reason};
use portolan_authz::Caller;
use tonic::{Request, Response};

use super::{Rpc, RpcResult};
use crate::{accounts, administrators, model::organizations::By, organizations, push, settings, users};

#[tonic::async_trait]
impl AccountsService for Rpc {
    async fn create_account(&self, request: Request<CreateAccountRequest>) -> RpcResult<CreateAccountResponse> {
        let (caller, request) = Caller::split(request)?;
        let opened = accounts::create(&self.deps, &caller, &request.new_account_name).await?;
        Ok(Response::new(CreateAccountResponse { access_token: opened.access_token, session: opened.session }))
    }

    async fn switch_account(&self, request: Request<SwitchAccountRequest>) -> RpcResult<SwitchAccountResponse> {
        let (caller, request) = Caller::split(request)?;
        let opened = accounts::switch(&self.deps, &caller, request.new_account_id.into()).await?;
        Ok(Response::new(SwitchAccountResponse { access_token: opened.access_token, session: opened.session }))
    }

    async fn update_names(&self, request: Request<UpdateNamesRequest>) -> RpcResult<UpdateNamesResponse> {
        let (caller, request) = Caller::split(request)?;
        accounts::update_names(&self.deps, &caller, &request.username, &request.organization).await?;
        Ok(Response::new(UpdateNamesResponse {}))
    }

    async fn get_last_login(&self, request: Request<GetLastLoginRequest>) -> RpcResult<GetLastLoginResponse> {
        let (caller, _) = Caller::split(request)?;
        let last_login_ts = users::get(&self.deps, caller.account_id, caller.user_id).await?.last_login_at;
        Ok(Response::new(GetLastLoginResponse { last_login_ts }))
    }

    async fn save_subscription(
        &self,
        request: Request<SaveSubscriptionRequest>,
    ) -> RpcResult<SaveSubscriptionResponse> {
        let (caller, request) = Caller::split(request)?;
        let subscription = request.subscription.unwrap_or_default();
        let keys = subscription.keys.unwrap_or_default();
        push::subscribe(&self.deps, &caller, &subscription.endpoint, &keys.p256dh, &keys.auth).await?;
        Ok(Response::new(SaveSubscriptionResponse { subscription: Some(SubscriptionState { complete: true }) }))
    }

    async fn get_organization(&self, request: Request<GetOrganizationRequest>) -> RpcResult<GetOrganizationResponse> {
        let (caller, _) = Caller::split(request)?;
        let found = organizations::find(&self.deps, &By::Id(caller.organization_id.clone())).await?;
        let (organization, accounts) = found.ok_or(Error::new(Reason::OrganizationNotFound))?;
        Ok(Response::new(GetOrganizationResponse {
            id: organization.id.into(),
            public_id: organization.public_id,
            name: organization.name,
            sub_domain: organization.sub_domain,
            accounts: accounts.into_iter().map(Into::into).collect(),
            state: organization.state.name().to_owned(),
        }))
    }

    async fn list_administrators(
        &self,
        request: Request<ListAdministratorsRequest>,
    ) -> RpcResult<ListAdministratorsResponse> {
        let (caller, _) = Caller::split(request)?;
        let found = administrators::list(&self.deps, &caller).await?.into_iter().map(|known| Administrator {
            user_id: known.user_id.into(),
            login: known.login,
            name: known.name,
            since: known.since,
        });
        Ok(Response::new(ListAdministratorsResponse { administrators: found.collect() }))
    }

    async fn add_administrator(
        &self,
        request: Request<AddAdministratorRequest>,
    ) -> RpcResult<AddAdministratorResponse> {
        let (caller, request) = Caller::split(request)?;
        administrators::add(&self.deps, &caller, &request.email).await?;
        Ok(Response::new(AddAdministratorResponse {}))
    }

    async fn remove_administrator(
        &self,
        request: Request<RemoveAdministratorRequest>,
    ) -> RpcResult<RemoveAdministratorResponse> {
        let (caller, request) = Caller::split(request)?;
        administrators::remove(&self.deps, &caller, request.user_id.into()).await?;
        Ok(Response::new(RemoveAdministratorResponse {}))
    }

    async fn get_push_key(&self, _: Request<GetPushKeyRequest>) -> RpcResult<GetPushKeyResponse> {
        Ok(Response::new(GetPushKeyResponse { public_key: self.deps.push.public_key.clone() }))
    }

    async fn update_private_cidrs(
        &self,
        request: Request<UpdatePrivateCidrsRequest>,
    ) -> RpcResult<UpdatePrivateCidrsResponse> {
        let (caller, request) = Caller::split(request)?;
        let list = settings::set_private_cidrs(&self.deps, &caller, &request.private_cidr_list).await?;
        Ok(Response::new(UpdatePrivateCidrsResponse { private_cidr_list: list }))
    }

    async fn update_partner_ips(
        &self,
        request: Request<UpdatePartnerIpsRequest>,
    ) -> RpcResult<UpdatePartnerIpsResponse> {
        let (caller, request) = Caller::split(request)?;
        let list = settings::set_partner_ips(&self.deps, &caller, &request.partner_ip_list).await?;
        Ok(Response::new(UpdatePartnerIpsResponse { partner_ip_list: list }))
    }

    async fn get_admin_settings(
        &self,
        request: Request<GetAdminSettingsRequest>,
    ) -> RpcResult<GetAdminSettingsResponse> {
        let (caller, _) = Caller::split(request)?;
        let settings = settings::get(&self.deps, caller.account_id).await?;
        Ok(Response::new(GetAdminSettingsResponse {
            account_settings: Some(AccountSettings {
                private_cidr_list: settings.private_cidrs,
                partner_ip_list: settings.partner_ips,
            }),
        }))
    }
}
