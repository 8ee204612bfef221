use portolan_api::{
    Error, Reason,
    identity::v1::{
        AddUserCollectionRequest, AddUserCollectionResponse, AuthenticateRequest, AuthenticateResponse,
        CountAccountsRequest, CountAccountsResponse, GetGrantRequest, GetGrantResponse, GetMeRequest, GetMeResponse,
        GetUserRequest, GetUserResponse, ListVerificationKeysRequest, ListVerificationKeysResponse, LoginRequest,
        LoginResponse, LoginResult, LogoutRequest, LogoutResponse, User, VerificationKey, authenticate_request,
        identity_service_server::IdentityService,
    },
};
use portolan_authz::{Audience, Caller, Credential, RequestInfo, Scope};
use tonic::{Request, Response};

use super::{Rpc, RpcResult};
use crate::{authentication, grants, sessions, signing, store, users};

#[tonic::async_trait]
impl IdentityService for Rpc {
    async fn login(&self, request: Request<LoginRequest>) -> RpcResult<LoginResponse> {
        let info = request.extensions().get::<RequestInfo>().cloned().unwrap_or_default();
        let LoginRequest { username, password } = request.into_inner();
        let opened = sessions::open(&self.deps, &username, &password, &info.client_address).await?;
        Ok(Response::new(LoginResponse {
            code: None,
            login_result: Some(LoginResult { redirect: opened.redirect }),
            access_token: opened.access_token,
            session: opened.session,
        }))
    }

    async fn logout(&self, request: Request<LogoutRequest>) -> RpcResult<LogoutResponse> {
        let (caller, request) = Caller::split(request)?;
        let logout_url = sessions::close(&self.deps, &caller, request.redirect_url.as_deref()).await?;
        let session = (!caller.credential.is_key()).then(String::new);
        Ok(Response::new(LogoutResponse { logout_url, session }))
    }

    async fn get_me(&self, request: Request<GetMeRequest>) -> RpcResult<GetMeResponse> {
        let (caller, _) = Caller::split(request)?;
        let profile = users::profile(&self.deps, &caller).await?;
        Ok(Response::new(GetMeResponse {
            user: Some(User {
                id: profile.user.id.into(),
                login: profile.user.login,
                name: profile.user.name,
                role: profile.role,
                accounts: profile.accounts.into_iter().map(|(id, name)| (id.get(), name)).collect(),
                active_account: caller.account_id.into(),
                scope_role_mapping: profile.scope_roles.into_iter().collect(),
                organization_id: profile.organization_id.into(),
                organization_name: profile.organization_name,
                last_login_ts: profile.user.last_login_at,
            }),
        }))
    }

    async fn authenticate(&self, request: Request<AuthenticateRequest>) -> RpcResult<AuthenticateResponse> {
        let info = request.extensions().get::<RequestInfo>().cloned().unwrap_or_default();
        let AuthenticateRequest { credential, scope, client_address, service } = request.into_inner();
        let audience = Audience { service: &service, speaker: &info.speaker };
        let credential = match credential.ok_or(Error::new(Reason::Unauthenticated))? {
            authenticate_request::Credential::ApiKey(key) => Credential::ApiKey(key),
            authenticate_request::Credential::CapabilitiesToken(token) => Credential::CapabilitiesToken(token),
            authenticate_request::Credential::OrganizationToken(token) => Credential::OrganizationToken(token),
            authenticate_request::Credential::Session(session) => {
                Credential::Session { session: session.session, access_token: session.access_token }
            }
        };
        let (caller_token, expires_at) =
            authentication::authenticate(&self.deps, &credential, Scope::parse(&scope), &client_address, audience)
                .await?;
        Ok(Response::new(AuthenticateResponse { caller_token, expires_at }))
    }

    async fn get_grant(&self, request: Request<GetGrantRequest>) -> RpcResult<GetGrantResponse> {
        let GetGrantRequest { account_id, user_id, scope } = request.into_inner();
        // From the database: who asks has looked into the cache, and fills it with what was read after that.
        let grant = grants::read(&self.deps, account_id.into(), user_id.into(), Scope::parse(&scope)).await?;
        Ok(Response::new((&grant).into()))
    }

    async fn list_verification_keys(
        &self,
        _: Request<ListVerificationKeysRequest>,
    ) -> RpcResult<ListVerificationKeysResponse> {
        let keys = store::list_signing_keys(&self.deps.db, signing::VALID_KEYS).await?;
        let keys = keys.into_iter().map(|key| VerificationKey { id: key.id, public_key: key.public_key });
        Ok(Response::new(ListVerificationKeysResponse { keys: keys.collect() }))
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> RpcResult<GetUserResponse> {
        let GetUserRequest { account_id, user_id } = request.into_inner();
        let user = users::get(&self.deps, account_id.into(), user_id.into()).await?;
        Ok(Response::new(GetUserResponse { login: user.login, name: user.name }))
    }

    async fn add_user_collection(
        &self,
        request: Request<AddUserCollectionRequest>,
    ) -> RpcResult<AddUserCollectionResponse> {
        let AddUserCollectionRequest { account_id, user_id, collection_id } = request.into_inner();
        grants::add_collection(&self.deps, account_id.into(), user_id.into(), collection_id.into()).await?;
        Ok(Response::new(AddUserCollectionResponse {}))
    }

    async fn count_accounts(&self, request: Request<CountAccountsRequest>) -> RpcResult<CountAccountsResponse> {
        let accounts = store::count_sibling_accounts(&self.deps.db, request.into_inner().account_id.into()).await?;
        Ok(Response::new(CountAccountsResponse { accounts }))
    }
}
