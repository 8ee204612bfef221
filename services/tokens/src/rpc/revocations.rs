use portolan_api::tokens::v1::{
    ListLiveKeysRequest, ListLiveKeysResponse, RevokeCredentialsRequest, RevokeCredentialsResponse,
    revocation_service_server::RevocationService,
};
use portolan_ids::{AccountId, UserId};
use tonic::{Request, Response};

use super::{Rpc, RpcResult};
use crate::revocations::{self, Ended};

#[tonic::async_trait]
impl RevocationService for Rpc {
    async fn revoke_credentials(
        &self,
        request: Request<RevokeCredentialsRequest>,
    ) -> RpcResult<RevokeCredentialsResponse> {
        let owners = request.into_inner().owners.into_iter().map(|owner| Ended {
            account_id: owner.account_id.into(),
            user_id: (owner.user_id != 0).then_some(owner.user_id.into()),
            ended_at: owner.ended_at,
        });
        let revoked = revocations::revoke(&self.deps, &owners.collect::<Vec<_>>()).await?;
        Ok(Response::new(RevokeCredentialsResponse { revoked }))
    }

    async fn list_live_keys(&self, request: Request<ListLiveKeysRequest>) -> RpcResult<ListLiveKeysResponse> {
        let owners =
            request.into_inner().owners.into_iter().map(|owner| (AccountId(owner.account_id), UserId(owner.user_id)));
        let api_keys = revocations::live_keys(&self.deps, &owners.collect::<Vec<_>>()).await?;
        Ok(Response::new(ListLiveKeysResponse { api_keys }))
    }
}
