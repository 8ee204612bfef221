use portolan_api::tokens::v1::{
    CreateAccessTokenRequest, CreateAccessTokenResponse, oauth_service_server::OauthService,
};
use portolan_authz::RequestInfo;
use tonic::{Request, Response};

use super::{Rpc, RpcResult};
use crate::oauth;

#[tonic::async_trait]
impl OauthService for Rpc {
    async fn create_access_token(
        &self,
        request: Request<CreateAccessTokenRequest>,
    ) -> RpcResult<CreateAccessTokenResponse> {
        let address = request.extensions().get::<RequestInfo>().map(|info| info.client_address.clone());
        let CreateAccessTokenRequest { grant_type, client_id, client_secret, authorization } = request.into_inner();
        let request = oauth::Request { grant_type, client_id, client_secret, authorization };
        let made = oauth::create(&self.deps, request, &address.unwrap_or_default()).await?;
        Ok(Response::new(CreateAccessTokenResponse {
            access_token: made.token,
            token_type: "bearer".to_owned(),
            expires_in: made.expires_in,
        }))
    }
}
