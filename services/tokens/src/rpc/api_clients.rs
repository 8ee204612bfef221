use std::collections::HashMap;

use portolan_api::tokens::v1::{
    ApiClient, ClientKey, CreateApiClientRequest, CreateApiClientResponse, CreateClientKeyRequest,
    CreateClientKeyResponse, DeleteApiClientRequest, DeleteApiClientResponse, DisableClientKeyRequest,
    DisableClientKeyResponse, EnableClientKeyRequest, EnableClientKeyResponse, GetApiClientRequest,
    GetApiClientResponse, ListApiClientsRequest, ListApiClientsResponse, ListClientKeysRequest, ListClientKeysResponse,
    NamedId, RefreshClientKeySecretRequest, RefreshClientKeySecretResponse, UpdateApiClientRequest,
    UpdateApiClientResponse, UpdateClientKeyRequest, UpdateClientKeyResponse,
    api_clients_service_server::ApiClientsService,
};
use portolan_authz::Caller;
use portolan_ids::{AccountId, ApiClientId, NamedCollectionId};
use tonic::{Request, Response};

use super::{Given, Rpc, RpcResult, iso};
use crate::{
    api_clients::{self, Filter, Listed, Patch},
    client_keys,
    profiles::{self, Issued, IssuedMembers, Profile, Which, Within},
    workspaces::{self, Page},
};

type Result<T, E = portolan_api::Error> = std::result::Result<T, E>;

#[tonic::async_trait]
impl ApiClientsService for Rpc {
    async fn list_api_clients(&self, request: Request<ListApiClientsRequest>) -> RpcResult<ListApiClientsResponse> {
        let (caller, request) = Caller::split(request)?;
        let account_id = workspaces::resolve(&self.deps, &caller, &request.managed_user_id).await?;
        let page = Page::read(request.page, request.per_page)?;
        let filter = Filter {
            legacy_only: false,
            project_id: request.project_id.map(Into::into),
            cert_bundle_ids: request.cert_bundle_ids.into_iter().map(Into::into).collect(),
        };
        let (found, count) = api_clients::list(&self.deps, account_id, &filter, page).await?;
        let ids = found.iter().flat_map(|listed| listed.client.auth.collection_ids.clone()).collect();
        let names = workspaces::collection_names(&self.deps, account_id, ids).await?;
        let data = found.into_iter().map(|listed| wire(listed, &names)).collect();
        Ok(Response::new(ListApiClientsResponse { data, count, page: page.number, per_page: page.per_page }))
    }

    async fn create_api_client(&self, request: Request<CreateApiClientRequest>) -> RpcResult<CreateApiClientResponse> {
        let (caller, request) = Caller::split(request)?;
        let account_id = workspaces::resolve(&self.deps, &caller, &request.managed_user_id).await?;
        let given = Given(&request.given);
        let patch = Patch {
            name: Some(request.name),
            description: given.single("description", request.description),
            project_id: given.single("project_id", request.project_id.map(Into::into)),
            api_portal_id: given.single("api_portal_id", request.api_portal_id.map(Into::into)),
            email: given.single("email", request.email),
            api_policy_id: given.single("api_policy_id", request.api_policy_id.map(Into::into)),
            mtls_enabled: given.single("mtls_enabled", request.mtls_enabled),
            validation_formula: given.single("validation_formula", request.validation_formula),
            cert_bundle_ids: given
                .list("cert_bundle_ids", request.cert_bundle_ids.into_iter().map(Into::into).collect()),
            auth: auth_patch!(
                given,
                request,
                given.single("auth_type", request.auth_type),
                given.list("api_collection_ids", request.api_collection_ids.into_iter().map(Into::into).collect())
            ),
        };
        let client = api_clients::create(&self.deps, &caller, account_id, patch).await?;
        Ok(Response::new(CreateApiClientResponse { data: Some(self.client(account_id, client.id).await?) }))
    }

    async fn get_api_client(&self, request: Request<GetApiClientRequest>) -> RpcResult<GetApiClientResponse> {
        let (caller, request) = Caller::split(request)?;
        let (account_id, id) = self.which_client(&caller, &request.managed_user_id, &request.api_client_id).await?;
        Ok(Response::new(GetApiClientResponse { data: Some(self.client(account_id, id).await?) }))
    }

    async fn update_api_client(&self, request: Request<UpdateApiClientRequest>) -> RpcResult<UpdateApiClientResponse> {
        let (caller, request) = Caller::split(request)?;
        let (account_id, id) = self.which_client(&caller, &request.managed_user_id, &request.api_client_id).await?;
        let given = Given(&request.given);
        let patch = Patch {
            name: Some(request.name),
            description: given.single("description", request.description),
            project_id: given.single("project_id", request.project_id.map(Into::into)),
            email: given.single("email", request.email),
            api_policy_id: given.single("api_policy_id", request.api_policy_id.map(Into::into)),
            auth: auth_patch!(
                given,
                request,
                None,
                Some(request.api_collection_ids.into_iter().map(Into::into).collect())
            ),
            ..Patch::default()
        };
        api_clients::update(&self.deps, &caller, account_id, id.into(), patch).await?;
        Ok(Response::new(UpdateApiClientResponse { data: Some(self.client(account_id, id).await?) }))
    }

    async fn delete_api_client(&self, request: Request<DeleteApiClientRequest>) -> RpcResult<DeleteApiClientResponse> {
        let (caller, request) = Caller::split(request)?;
        let (account_id, id) = self.which_client(&caller, &request.managed_user_id, &request.api_client_id).await?;
        api_clients::delete(&self.deps, &caller, account_id, id.into()).await?;
        Ok(Response::new(DeleteApiClientResponse { success: true }))
    }

    async fn list_client_keys(&self, request: Request<ListClientKeysRequest>) -> RpcResult<ListClientKeysResponse> {
        let (caller, request) = Caller::split(request)?;
        let (account_id, id) = self.which_client(&caller, &request.managed_user_id, &request.api_client_id).await?;
        let page = Page::read(request.page, request.per_page)?;
        let (keys, count) = client_keys::list(&self.deps, account_id, id, page).await?;
        let data = keys.into_iter().map(|profile| key(profile, None)).collect();
        Ok(Response::new(ListClientKeysResponse { data, count, page: page.number, per_page: page.per_page }))
    }

    async fn create_client_key(&self, request: Request<CreateClientKeyRequest>) -> RpcResult<CreateClientKeyResponse> {
        let (caller, request) = Caller::split(request)?;
        let (account_id, id) = self.which_client(&caller, &request.managed_user_id, &request.api_client_id).await?;
        let patch = client_keys::Patch {
            name: Some(request.name),
            ip_allow_list: Some(request.ip_allow_list),
            ip_deny_list: Some(request.ip_deny_list),
        };
        let shown = client_keys::create(&self.deps, &caller, account_id, id, request.active, patch).await?;
        Ok(Response::new(CreateClientKeyResponse { data: Some(key(shown.profile, shown.issued)) }))
    }

    async fn update_client_key(&self, request: Request<UpdateClientKeyRequest>) -> RpcResult<UpdateClientKeyResponse> {
        let (caller, request) = Caller::split(request)?;
        let which = (&*request.managed_user_id, &*request.api_client_id, &*request.api_key_id);
        let which = self.which_key(&caller, which).await?;
        let given = Given(&request.given);
        let patch = client_keys::Patch {
            name: given.single("name", request.name),
            ip_allow_list: given.list("ip_allow_list", request.ip_allow_list),
            ip_deny_list: given.list("ip_deny_list", request.ip_deny_list),
        };
        let profile = client_keys::update(&self.deps, &caller, which, patch).await?;
        Ok(Response::new(UpdateClientKeyResponse { data: Some(key(profile, None)) }))
    }

    async fn enable_client_key(&self, request: Request<EnableClientKeyRequest>) -> RpcResult<EnableClientKeyResponse> {
        let (caller, request) = Caller::split(request)?;
        let which = (&*request.managed_user_id, &*request.api_client_id, &*request.api_key_id);
        let which = self.which_key(&caller, which).await?;
        profiles::set_active(&self.deps, &caller, which, true).await?;
        Ok(Response::new(EnableClientKeyResponse { success: true }))
    }

    async fn disable_client_key(
        &self,
        request: Request<DisableClientKeyRequest>,
    ) -> RpcResult<DisableClientKeyResponse> {
        let (caller, request) = Caller::split(request)?;
        let which = (&*request.managed_user_id, &*request.api_client_id, &*request.api_key_id);
        let which = self.which_key(&caller, which).await?;
        profiles::set_active(&self.deps, &caller, which, false).await?;
        Ok(Response::new(DisableClientKeyResponse { success: true }))
    }

    async fn refresh_client_key_secret(
        &self,
        request: Request<RefreshClientKeySecretRequest>,
    ) -> RpcResult<RefreshClientKeySecretResponse> {
        let (caller, request) = Caller::split(request)?;
        let which = (&*request.managed_user_id, &*request.api_client_id, &*request.api_key_id);
        let which = self.which_key(&caller, which).await?;
        let shown = profiles::refresh(&self.deps, &caller, which).await?;
        Ok(Response::new(RefreshClientKeySecretResponse { data: Some(key(shown.profile, shown.issued)) }))
    }
}

impl Rpc {
    async fn which_client(
        &self,
        caller: &Caller,
        managed_user_id: &str,
        client_id: &str,
    ) -> Result<(AccountId, ApiClientId)> {
        let account_id = workspaces::resolve(&self.deps, caller, managed_user_id).await?;
        Ok((account_id, workspaces::id(client_id)?))
    }

    async fn which_key(&self, caller: &Caller, path: (&str, &str, &str)) -> Result<Which> {
        let (account_id, client_id) = self.which_client(caller, path.0, path.1).await?;
        Ok(Which { account_id, id: workspaces::id(path.2)?, within: Within::Client(client_id) })
    }

    async fn client(&self, account_id: AccountId, id: ApiClientId) -> Result<ApiClient> {
        let listed = api_clients::get(&self.deps, account_id, id.into()).await?;
        let ids = listed.client.auth.collection_ids.clone();
        let names = workspaces::collection_names(&self.deps, account_id, ids).await?;
        Ok(wire(listed, &names))
    }
}

fn wire(listed: Listed, names: &HashMap<NamedCollectionId, String>) -> ApiClient {
    let client = listed.client;
    let named = |id: &NamedCollectionId| Some(NamedId { id: id.get(), name: names.get(id)?.clone() });
    ApiClient {
        id: client.id.into(),
        name: client.name,
        description: client.description,
        active_api_keys_count: listed.active_keys,
        total_api_keys_count: listed.keys,
        created_at: iso(client.created_at),
        updated_at: iso(client.updated_at),
        logo: None,
        logo_2x: None,
        is_legacy: client.is_legacy,
        email: client.email,
        auth_type: client.auth.auth_type.map(|kind| kind.name().to_owned()),
        api_token: None,
        mtls_enabled: client.mtls_enabled,
        validation_formula: client.validation_formula,
        cert_bundle_ids: client.cert_bundle_ids.into_iter().map(Into::into).collect(),
        allow_preflight: client.auth.allow_preflight.then_some(true),
        api_policies: client
            .api_policy_id
            .map(|id| NamedId { id: id.into(), name: format!("Policy {id}") })
            .into_iter()
            .collect(),
        // A collection that was deleted since is no longer reachable.
        api_collections: client.auth.collection_ids.iter().filter_map(named).collect(),
    }
}

fn key(profile: Profile, issued: Option<Issued>) -> ClientKey {
    let IssuedMembers { secret, oauth_client_id, oauth_client_secret } = IssuedMembers::of(issued);
    let auth_token = secret.unwrap_or_else(|| profile.masked_secret());
    ClientKey {
        id: profile.id.into(),
        auth_type: profile.auth_type().name().to_owned(),
        name: profile.name,
        ip_allow_list: profile.ip_allow_list,
        ip_deny_list: profile.ip_deny_list,
        active: profile.active,
        active_since: profile.active_since.map(iso),
        auth_token,
        oauth_client_id,
        oauth_client_secret,
    }
}
