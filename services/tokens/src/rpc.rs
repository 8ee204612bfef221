pub(crate) mod check;
pub(crate) mod edge;

use portolan_api::tokens::v1::{
    ApiKey, CreateApiKeyRequest, CreateApiKeyResponse, CreateFirstApiKeyRequest, CreateFirstApiKeyResponse,
    DeleteApiKeyRequest, DeleteApiKeyResponse, ListApiKeysRequest, ListApiKeysResponse, VerifyApiKeyRequest,
    VerifyApiKeyResponse, tokens_service_server::TokensService,
};
use portolan_authz::Caller;
use tonic::{Request, Response, Status};

use crate::{
    Deps,
    api_keys::{self, Owner},
};

mod organization_tokens;

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
        if let Some(feature) = api_keys::Utility::parse(&request.token_utility)?.plan_feature() {
            self.deps.peers.check_limit(caller.account_id, feature, 1).await?;
        }
        let (key, secret) = api_keys::create(&self.deps, &caller, &request.token_utility).await?;
        Ok(Response::new(CreateApiKeyResponse { api_token_list: vec![render(key, secret)] }))
    }

    async fn list_api_keys(&self, request: Request<ListApiKeysRequest>) -> RpcResult<ListApiKeysResponse> {
        let (caller, _) = Caller::split(request)?;
        let keys = api_keys::list(&self.deps, &caller).await?;
        let masked = keys.into_iter().map(|key| {
            let text = format!("{}*********{}", key.start, key.end);
            render(key, Some(text))
        });
        Ok(Response::new(ListApiKeysResponse { api_token_list: masked.collect() }))
    }

    async fn delete_api_key(&self, request: Request<DeleteApiKeyRequest>) -> RpcResult<DeleteApiKeyResponse> {
        let (caller, request) = Caller::split(request)?;
        let api_token_deleted = api_keys::delete(&self.deps, &caller, request.api_token_id).await?;
        Ok(Response::new(DeleteApiKeyResponse { api_token_deleted }))
    }

    async fn verify_api_key(&self, request: Request<VerifyApiKeyRequest>) -> RpcResult<VerifyApiKeyResponse> {
        let key = api_keys::verify(&self.deps, &request.into_inner().key).await?;
        let mut response =
            VerifyApiKeyResponse { id: key.id, account_id: key.account_id, user_id: key.user_id, utility: 0 };
        response.set_utility(key.utility.into());
        Ok(Response::new(response))
    }

    async fn create_first_api_key(
        &self,
        request: Request<CreateFirstApiKeyRequest>,
    ) -> RpcResult<CreateFirstApiKeyResponse> {
        let CreateFirstApiKeyRequest { account_id, user_id, username } = request.into_inner();
        let key = api_keys::create_first(&self.deps, Owner { account_id, user_id, username }).await?;
        Ok(Response::new(CreateFirstApiKeyResponse { key }))
    }
}

fn render(key: api_keys::ApiKey, text: Option<String>) -> ApiKey {
    ApiKey {
        id: key.id,
        key: text,
        utility: key.utility.name().to_owned(),
        user_id: key.user_id,
        name: key.utility.name().to_lowercase(),
        account_id: key.account_id,
        timestamp: key.created_at,
        username: key.username,
    }
}
