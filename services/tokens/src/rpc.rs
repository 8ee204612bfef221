use portolan_api::{
    KeyUtility,
    tokens::v1::{
        ApiKey, CreateApiKeyRequest, CreateApiKeyResponse, CreateFirstApiKeyRequest, CreateFirstApiKeyResponse,
        DeleteApiKeyRequest, DeleteApiKeyResponse, ListApiKeysRequest, ListApiKeysResponse, VerifyApiKeyRequest,
        VerifyApiKeyResponse, tokens_service_server::TokensService,
    },
};
use portolan_authz::Caller;
use tonic::{Request, Response, Status};

use crate::{
    Deps,
    api_keys::{self as keys, Owner},
    slack_webhooks::{self, SlackWebhook},
};

/// The settings of authentication that a request gives; requests of both generations name them alike.
macro_rules! auth_patch {
    ($given:ident, $request:ident, $auth_type:expr, $collection_ids:expr) => {
        crate::model::auth_settings::AuthPatch {
            auth_type: $auth_type,
            collection_ids: $collection_ids,
            jwt_method: $given.single("jwt_method", $request.jwt_method),
            jwt_secret: $given.single("jwt_secret", $request.jwt_secret),
            oidc_issuer: $given.single("oidc_issuer", $request.oidc_issuer),
            oidc_jwks_uri: $given.single("oidc_jwks_uri", $request.oidc_jwks_uri),
            access_profile_claim: $given.single("access_profile_claim", $request.access_profile_claim),
            required_claims: $given.list("required_claims", $request.required_claims),
            allowed_issuers: $given.list("allowed_issuers", $request.allowed_issuers),
            allow_preflight: $given.single("allow_preflight", $request.allow_preflight),
        }
    };
}

mod access_profiles;
mod api_clients;
mod api_keys;
pub(crate) mod check;
pub(crate) mod edge;
mod oauth;
mod organization_tokens;
mod revocations;

#[derive(Clone)]
pub(crate) struct Rpc {
    deps: Deps,
}

impl Rpc {
    pub(crate) fn new(deps: Deps) -> Self {
        Self { deps }
    }
}

type RpcResult<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl TokensService for Rpc {
    async fn create_api_key(&self, request: Request<CreateApiKeyRequest>) -> RpcResult<CreateApiKeyResponse> {
        let (caller, request) = Caller::split(request)?;
        if let Some(feature) = keys::Utility::parse(&request.token_utility)?.plan_feature() {
            self.deps.peers.check_limit(caller.account_id, feature, 1).await?;
        }
        let (key, secret) = keys::create(&self.deps, &caller, &request.token_utility, request.expires_at).await?;
        Ok(Response::new(CreateApiKeyResponse { api_token_list: vec![render(key, secret)] }))
    }

    async fn list_api_keys(&self, request: Request<ListApiKeysRequest>) -> RpcResult<ListApiKeysResponse> {
        let (caller, _) = Caller::split(request)?;
        let keys = keys::list(&self.deps, &caller).await?;
        let masked = keys.into_iter().map(|key| {
            let text = key.masked();
            render(key, Some(text))
        });
        let webhooks = slack_webhooks::list(&self.deps, &caller).await?.into_iter().map(render_webhook);
        Ok(Response::new(ListApiKeysResponse { api_token_list: masked.chain(webhooks).collect() }))
    }

    async fn delete_api_key(&self, request: Request<DeleteApiKeyRequest>) -> RpcResult<DeleteApiKeyResponse> {
        let (caller, request) = Caller::split(request)?;
        let id = request.api_token_id;
        let api_token_deleted = keys::delete(&self.deps, &caller, id.into()).await?
            || slack_webhooks::delete(&self.deps, &caller, id.into()).await?;
        Ok(Response::new(DeleteApiKeyResponse { api_token_deleted }))
    }

    async fn verify_api_key(&self, request: Request<VerifyApiKeyRequest>) -> RpcResult<VerifyApiKeyResponse> {
        let keys::FoundKey { key, valid_until } = keys::verify(&self.deps, &request.into_inner().key).await?;
        let mut response = VerifyApiKeyResponse {
            id: key.id.into(),
            account_id: key.account_id.into(),
            user_id: key.user_id.into(),
            utility: 0,
            valid_until,
        };
        response.set_utility(utility(key.utility));
        Ok(Response::new(response))
    }

    async fn create_first_api_key(
        &self,
        request: Request<CreateFirstApiKeyRequest>,
    ) -> RpcResult<CreateFirstApiKeyResponse> {
        let CreateFirstApiKeyRequest { account_id, user_id, username } = request.into_inner();
        let key =
            keys::create_first(&self.deps, Owner { account_id: account_id.into(), user_id: user_id.into(), username })
                .await?;
        Ok(Response::new(CreateFirstApiKeyResponse { key }))
    }
}

fn utility(utility: keys::Utility) -> KeyUtility {
    match utility {
        keys::Utility::Burp => KeyUtility::Burp,
        keys::Utility::Cicd => KeyUtility::Cicd,
        keys::Utility::ExternalApi => KeyUtility::ExternalApi,
    }
}

fn render(key: keys::ApiKey, text: Option<String>) -> ApiKey {
    ApiKey {
        id: key.id.into(),
        key: text,
        utility: key.utility.name().to_owned(),
        user_id: key.user_id.into(),
        name: key.utility.name().to_lowercase(),
        account_id: key.account_id.into(),
        timestamp: key.created_at,
        username: key.username,
        expires_at: key.expires_at,
        last_used_at: Some(key.last_used_at).filter(|at| *at > 0),
    }
}

/// A webhook as the documentation lists it: as a token whose key is its address.
fn render_webhook(webhook: SlackWebhook) -> ApiKey {
    ApiKey {
        id: webhook.id.into(),
        key: Some(webhook.shown),
        utility: "SLACK".to_owned(),
        user_id: webhook.user_id.into(),
        name: webhook.name,
        account_id: webhook.account_id.into(),
        timestamp: webhook.created_at,
        username: webhook.username,
        expires_at: None,
        last_used_at: None,
    }
}

/// The names of the members that a request gave. A call over gRPC that names none gives those that it set.
struct Given<'r>(&'r [String]);

impl Given<'_> {
    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|given| given == name)
    }

    /// The inner `None` is a member that is null.
    fn single<T>(&self, name: &str, value: Option<T>) -> Option<Option<T>> {
        (self.has(name) || value.is_some()).then_some(value)
    }

    fn list<T>(&self, name: &str, list: Vec<T>) -> Option<Vec<T>> {
        (self.has(name) || !list.is_empty()).then_some(list)
    }
}

/// ISO 8601 with milliseconds.
fn iso(unix_ms: i64) -> String {
    const FORMAT: &[time::format_description::BorrowedFormatItem<'_>] =
        time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    let moment = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000);
    moment.ok().and_then(|moment| moment.format(FORMAT).ok()).unwrap_or_default()
}

/// A text as one segment of a path.
fn path_segment(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode = |byte: u8| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds() {
        assert_eq!(iso(1_739_349_704_005), "2025-02-12T08:41:44.005Z");
        assert_eq!(path_segment("Ea/b c"), "Ea%2Fb%20c");
    }
}
