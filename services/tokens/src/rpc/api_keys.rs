use portolan_api::{
    Reason,
    tokens::v1::{
        CreateSlackWebhookRequest, CreateSlackWebhookResponse, DeleteSlackWebhookRequest, DeleteSlackWebhookResponse,
        NotifyAccountRequest, NotifyAccountResponse, RecordApiKeyUseRequest, RecordApiKeyUseResponse,
        RevokeLeakedKeyRequest, RevokeLeakedKeyResponse, RotateApiKeyRequest, RotateApiKeyResponse,
        SlackWebhook as WireWebhook, api_keys_service_server::ApiKeysService,
    },
};
use portolan_authz::{Caller, RequestInfo};
use tonic::{Request, Response};

use super::{Rpc, RpcResult, render};
use crate::{api_keys, leaked_keys, slack_webhooks};

#[tonic::async_trait]
impl ApiKeysService for Rpc {
    async fn rotate_api_key(&self, request: Request<RotateApiKeyRequest>) -> RpcResult<RotateApiKeyResponse> {
        let (caller, request) = Caller::split(request)?;
        let grace_s = request.grace_period_seconds.unwrap_or_default();
        let (key, secret, previous_valid_until) =
            api_keys::rotate(&self.deps, &caller, request.api_key_id.into(), grace_s).await?;
        Ok(Response::new(RotateApiKeyResponse { api_key: Some(render(key, secret)), previous_valid_until }))
    }

    async fn revoke_leaked_key(&self, request: Request<RevokeLeakedKeyRequest>) -> RpcResult<RevokeLeakedKeyResponse> {
        let info = request.extensions().get::<RequestInfo>().cloned().unwrap_or_default();
        let revoked = leaked_keys::revoke(&self.deps, &info, request.into_inner().key.trim()).await?;
        let kind = revoked.map(|revoked| revoked.name().to_owned());
        Ok(Response::new(RevokeLeakedKeyResponse { revoked: kind.is_some(), kind }))
    }

    async fn create_slack_webhook(
        &self,
        request: Request<CreateSlackWebhookRequest>,
    ) -> RpcResult<CreateSlackWebhookResponse> {
        let (caller, request) = Caller::split(request)?;
        let made = slack_webhooks::create(&self.deps, &caller, &request.url, request.name.as_deref()).await?;
        let webhook =
            WireWebhook { id: made.id.into(), name: made.name, url: made.shown, create_time: made.created_at };
        Ok(Response::new(CreateSlackWebhookResponse { slack_webhook: Some(webhook) }))
    }

    async fn delete_slack_webhook(
        &self,
        request: Request<DeleteSlackWebhookRequest>,
    ) -> RpcResult<DeleteSlackWebhookResponse> {
        let (caller, request) = Caller::split(request)?;
        if !slack_webhooks::delete(&self.deps, &caller, request.slack_webhook_id.into()).await? {
            return Err(portolan_api::Error::new(Reason::NotFound).into());
        }
        Ok(Response::new(DeleteSlackWebhookResponse {}))
    }

    async fn record_api_key_use(&self, request: Request<RecordApiKeyUseRequest>) -> RpcResult<RecordApiKeyUseResponse> {
        let RecordApiKeyUseRequest { account_id, api_key_id, used_at } = request.into_inner();
        api_keys::record_use(&self.deps, account_id.into(), api_key_id.into(), used_at).await?;
        Ok(Response::new(RecordApiKeyUseResponse {}))
    }

    async fn notify_account(&self, request: Request<NotifyAccountRequest>) -> RpcResult<NotifyAccountResponse> {
        let NotifyAccountRequest { notice, message_id } = request.into_inner();
        let delivered = slack_webhooks::notify(&self.deps, &notice.unwrap_or_default(), &message_id).await?;
        Ok(Response::new(NotifyAccountResponse { delivered }))
    }
}
