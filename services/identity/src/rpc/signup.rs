use portolan_api::{
    Error, Reason,
    identity::v1::{
        ApiKeysLeft, FinishOidcLoginRequest, FinishOidcLoginResponse, LoginResult, ResetPasswordRequest,
        ResetPasswordResponse, SendPasswordResetLinkRequest, SendPasswordResetLinkResponse, SignUpRequest,
        SignUpResponse, StartOidcLoginRequest, StartOidcLoginResponse, signup_service_server::SignupService,
    },
};
use portolan_authz::RequestInfo;
use tonic::{Request, Response};

use super::{Rpc, RpcResult};
use crate::{oidc, resets, signup};

#[tonic::async_trait]
impl SignupService for Rpc {
    async fn sign_up(&self, request: Request<SignUpRequest>) -> RpcResult<SignUpResponse> {
        let address = address(&request);
        let SignUpRequest { email, password, invitation_code } = request.into_inner();
        let opened = signup::sign_up(&self.deps, &email, &password, &invitation_code, &address).await?;
        Ok(Response::new(SignUpResponse {
            code: None,
            login_result: Some(LoginResult { redirect: opened.redirect }),
            access_token: opened.access_token,
            session: opened.session,
        }))
    }

    async fn send_password_reset_link(
        &self,
        request: Request<SendPasswordResetLinkRequest>,
    ) -> RpcResult<SendPasswordResetLinkResponse> {
        let address = address(&request);
        resets::request(&self.deps, &request.into_inner().forgot_password_email, &address).await?;
        Ok(Response::new(SendPasswordResetLinkResponse {}))
    }

    async fn reset_password(&self, request: Request<ResetPasswordRequest>) -> RpcResult<ResetPasswordResponse> {
        let address = address(&request);
        let ResetPasswordRequest { reset_password_token, new_password, revoke_api_keys } = request.into_inner();
        let (token, password) = (&reset_password_token, &new_password);
        let left = resets::redeem(&self.deps, token, password, revoke_api_keys, &address).await?;
        let api_keys_left = (!left.is_empty()).then_some(ApiKeysLeft { api_keys: left });
        Ok(Response::new(ResetPasswordResponse { code: None, api_keys_left }))
    }

    async fn start_oidc_login(&self, request: Request<StartOidcLoginRequest>) -> RpcResult<StartOidcLoginResponse> {
        let StartOidcLoginRequest { redirect_url, invitation_code } = request.into_inner();
        let begun = oidc::begin(&self.deps, &redirect_url, &invitation_code).await?;
        Ok(Response::new(StartOidcLoginResponse { location: begun.location, login_state: begun.state }))
    }

    async fn finish_oidc_login(&self, request: Request<FinishOidcLoginRequest>) -> RpcResult<FinishOidcLoginResponse> {
        let address = address(&request);
        let FinishOidcLoginRequest { code, state, error, login_state } = request.into_inner();
        if !error.is_empty() {
            return Err(Error::new(Reason::OidcLoginFailed).into());
        }
        let (opened, path) = oidc::finish(&self.deps, &code, &state, &login_state, &address).await?;
        Ok(Response::new(FinishOidcLoginResponse {
            location: format!("{path}#access_token={}", opened.access_token),
            access_token: opened.access_token,
            session: opened.session,
            login_state: String::new(),
        }))
    }
}

fn address<T>(request: &Request<T>) -> String {
    request.extensions().get::<RequestInfo>().map(|info| info.client_address.clone()).unwrap_or_default()
}
