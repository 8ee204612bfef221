use portolan_api::identity::v1::{
    NotifyAccountRequest, NotifyAccountResponse, notifications_service_server::NotificationsService,
};
use tonic::{Request, Response};

use super::{Rpc, RpcResult};
use crate::push;

#[tonic::async_trait]
impl NotificationsService for Rpc {
    async fn notify_account(&self, request: Request<NotifyAccountRequest>) -> RpcResult<NotifyAccountResponse> {
        let NotifyAccountRequest { notice, message_id } = request.into_inner();
        let queued = push::notify(&self.deps, &notice.unwrap_or_default(), &message_id).await?;
        Ok(Response::new(NotifyAccountResponse { queued }))
    }
}
