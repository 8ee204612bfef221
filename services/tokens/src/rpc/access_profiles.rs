use portolan_api::tokens::v1::{
    AccessProfile, AccessProfileItem, CreateAccessProfileRequest, CreateAccessProfileResponse,
    CreateLegacyClientRequest, CreateLegacyClientResponse, DisableAccessProfileRequest, DisableAccessProfileResponse,
    EnableAccessProfileRequest, EnableAccessProfileResponse, LegacyClient, ListAccessProfilesRequest,
    ListAccessProfilesResponse, ListLegacyClientsRequest, ListLegacyClientsResponse, RefreshAccessProfileSecretRequest,
    RefreshAccessProfileSecretResponse, UpdateAccessProfileRequest, UpdateAccessProfileResponse,
    access_profiles_service_server::AccessProfilesService,
};
use portolan_authz::Caller;
use tonic::{Request, Response};

use super::{Given, Rpc, RpcResult, iso};
use crate::{
    access_profiles::{self, Patch},
    api_clients::{self, Client, Filter},
    profiles::{self, IssuedMembers, Profile, Shown, Which, Within},
    workspaces::{self, Page},
};

const SUCCESS: &str = "success";
const MASKED: &str = "********";

#[tonic::async_trait]
impl AccessProfilesService for Rpc {
    async fn list_access_profiles(
        &self,
        request: Request<ListAccessProfilesRequest>,
    ) -> RpcResult<ListAccessProfilesResponse> {
        let (caller, request) = Caller::split(request)?;
        let account_id = workspaces::resolve(&self.deps, &caller, &request.managed_user_id).await?;
        let page = Page::read(request.page, request.per_page)?;
        let found = access_profiles::list(&self.deps, account_id, request.api_client_id.map(Into::into), page).await?;
        Ok(Response::new(ListAccessProfilesResponse { result: found.into_iter().map(item).collect() }))
    }

    async fn create_access_profile(
        &self,
        request: Request<CreateAccessProfileRequest>,
    ) -> RpcResult<CreateAccessProfileResponse> {
        let (caller, request) = Caller::split(request)?;
        let account_id = workspaces::resolve(&self.deps, &caller, &request.managed_user_id).await?;
        let given = Given(&request.given);
        let patch = Patch {
            name: Some(request.name),
            ip_allow_list: given.list("ip_allow_list", request.ip_allow_list),
            auth: auth_patch!(
                given,
                request,
                given.single("auth_type", request.auth_type),
                given.list("api_collection_ids", request.api_collection_ids.into_iter().map(Into::into).collect())
            ),
        };
        let client = Some(request.api_client_id.as_str()).filter(|text| !text.is_empty());
        let shown = access_profiles::create(&self.deps, &caller, account_id, client, patch).await?;
        let access_profile = Some(self.access_profile(shown, &request.managed_user_id));
        Ok(Response::new(CreateAccessProfileResponse { access_profile }))
    }

    async fn update_access_profile(
        &self,
        request: Request<UpdateAccessProfileRequest>,
    ) -> RpcResult<UpdateAccessProfileResponse> {
        let (caller, request) = Caller::split(request)?;
        let which = self.legacy(&caller, &request.managed_user_id, &request.api_access_profile_id).await?;
        let given = Given(&request.given);
        let patch = Patch {
            name: given.single("name", request.name),
            ip_allow_list: given.list("ip_allow_list", request.ip_allow_list),
            auth: auth_patch!(
                given,
                request,
                given.single("auth_type", request.auth_type),
                given.list("api_collection_ids", request.api_collection_ids.into_iter().map(Into::into).collect())
            ),
        };
        let shown = access_profiles::update(&self.deps, &caller, which, patch).await?;
        let access_profile = Some(self.access_profile(shown, &request.managed_user_id));
        Ok(Response::new(UpdateAccessProfileResponse { access_profile }))
    }

    async fn enable_access_profile(
        &self,
        request: Request<EnableAccessProfileRequest>,
    ) -> RpcResult<EnableAccessProfileResponse> {
        let (caller, request) = Caller::split(request)?;
        let path = (&*request.managed_user_id, &*request.api_access_profile_id);
        let successor = self.switch(&caller, path, true).await?;
        Ok(Response::new(EnableAccessProfileResponse { result: SUCCESS.to_owned(), success: true, successor }))
    }

    async fn disable_access_profile(
        &self,
        request: Request<DisableAccessProfileRequest>,
    ) -> RpcResult<DisableAccessProfileResponse> {
        let (caller, request) = Caller::split(request)?;
        let path = (&*request.managed_user_id, &*request.api_access_profile_id);
        let successor = self.switch(&caller, path, false).await?;
        Ok(Response::new(DisableAccessProfileResponse { result: SUCCESS.to_owned(), success: true, successor }))
    }

    async fn refresh_access_profile_secret(
        &self,
        request: Request<RefreshAccessProfileSecretRequest>,
    ) -> RpcResult<RefreshAccessProfileSecretResponse> {
        let (caller, request) = Caller::split(request)?;
        let which = self.legacy(&caller, &request.managed_user_id, &request.api_access_profile_id).await?;
        let shown = profiles::refresh(&self.deps, &caller, which).await?;
        let mut profile = self.access_profile(shown, &request.managed_user_id);
        profile.successor += "/refresh_secret";
        Ok(Response::new(RefreshAccessProfileSecretResponse { access_profile: Some(profile) }))
    }

    async fn list_legacy_clients(
        &self,
        request: Request<ListLegacyClientsRequest>,
    ) -> RpcResult<ListLegacyClientsResponse> {
        let (caller, request) = Caller::split(request)?;
        let account_id = workspaces::resolve(&self.deps, &caller, &request.managed_user_id).await?;
        let page = Page::read(request.page, request.per_page)?;
        let filter =
            Filter { legacy_only: true, project_id: request.project_id.map(Into::into), cert_bundle_ids: Vec::new() };
        let (found, _) = api_clients::list(&self.deps, account_id, &filter, page).await?;
        let result = found.into_iter().map(|listed| legacy_client(listed.client)).collect();
        Ok(Response::new(ListLegacyClientsResponse { result }))
    }

    async fn create_legacy_client(
        &self,
        request: Request<CreateLegacyClientRequest>,
    ) -> RpcResult<CreateLegacyClientResponse> {
        let (caller, request) = Caller::split(request)?;
        let account_id = workspaces::resolve(&self.deps, &caller, &request.managed_user_id).await?;
        let project_id = Some(request.project_id.as_str()).filter(|text| !text.is_empty());
        let client = api_clients::create_legacy(&self.deps, &caller, account_id, request.name, project_id).await?;
        Ok(Response::new(CreateLegacyClientResponse { result: Some(legacy_client(client)) }))
    }
}

impl Rpc {
    async fn legacy(
        &self,
        caller: &Caller,
        managed_user_id: &str,
        profile_id: &str,
    ) -> Result<Which, portolan_api::Error> {
        let account_id = workspaces::resolve(&self.deps, caller, managed_user_id).await?;
        Ok(Which { account_id, id: workspaces::id(profile_id)?, within: Within::Legacy })
    }

    /// Enables or disables a profile, and answers where the second generation does it.
    async fn switch(
        &self,
        caller: &Caller,
        (managed_user_id, profile_id): (&str, &str),
        is_active: bool,
    ) -> Result<String, portolan_api::Error> {
        let which = self.legacy(caller, managed_user_id, profile_id).await?;
        let profile = profiles::set_active(&self.deps, caller, which, is_active).await?;
        let verb = if is_active { "enable" } else { "disable" };
        Ok(format!("{}/{verb}", successor(&profile, managed_user_id)))
    }

    fn access_profile(&self, shown: Shown, managed_user_id: &str) -> AccessProfile {
        let Shown { profile, issued } = shown;
        let successor = successor(&profile, managed_user_id);
        let IssuedMembers { secret, oauth_client_id, oauth_client_secret } = IssuedMembers::of(issued);
        let auth_type = profile.auth_type().name().to_owned();
        let is_hidden = !self.deps.rules.show_jwt_secret && profile.auth.jwt_method.as_deref() == Some("hmac");
        AccessProfile {
            id: profile.id.into(),
            name: profile.name,
            api_client_id: profile.client_id.into(),
            api_collection_ids: profile.auth.collection_ids.into_iter().map(Into::into).collect(),
            active: profile.active,
            auth_type,
            secret,
            oauth_client_id,
            oauth_client_secret,
            jwt_method: profile.auth.jwt_method,
            jwt_secret: profile.auth.jwt_secret.map(|text| if is_hidden { MASKED.to_owned() } else { text }),
            oidc_issuer: profile.auth.oidc_issuer,
            oidc_jwks_uri: profile.auth.oidc_jwks_uri,
            access_profile_claim: profile.auth.access_profile_claim,
            required_claims: profile.auth.required_claims,
            allowed_issuers: profile.auth.allowed_issuers,
            ip_allow_list: profile.ip_allow_list,
            allow_preflight: profile.auth.allow_preflight.then_some(true),
            created_at: iso(profile.created_at),
            updated_at: iso(profile.updated_at),
            successor,
        }
    }
}

/// Where the second generation has the same profile.
fn successor(profile: &Profile, managed_user_id: &str) -> String {
    let mut path = "/api/v2".to_owned();
    if !managed_user_id.is_empty() {
        path += &format!("/managed_users/{}", super::path_segment(managed_user_id));
    }
    path + &format!("/api_clients/{}/api_keys/{}", profile.client_id, profile.id)
}

fn item(profile: Profile) -> AccessProfileItem {
    AccessProfileItem {
        id: profile.id.into(),
        auth_type: profile.auth_type().name().to_owned(),
        name: profile.name,
        api_client_id: profile.client_id.into(),
        api_collection_ids: profile.auth.collection_ids.into_iter().map(Into::into).collect(),
        active: profile.active,
        created_at: iso(profile.created_at),
        updated_at: iso(profile.updated_at),
    }
}

fn legacy_client(client: Client) -> LegacyClient {
    LegacyClient {
        id: client.id.into(),
        name: client.name,
        created_at: iso(client.created_at),
        updated_at: iso(client.updated_at),
        project_id: client.project_id.map(Into::into),
    }
}
