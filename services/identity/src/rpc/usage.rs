//! The counts that billing asks to be made anew.

use portolan_api::{
    Error,
    identity::v1::{
        RecountUsageRequest, RecountUsageResponse, RecountedUsage, identity_usage_service_server::IdentityUsageService,
    },
};
use tonic::{Request, Response};

use super::{Rpc, RpcResult};
use crate::store;

#[tonic::async_trait]
impl IdentityUsageService for Rpc {
    async fn recount_usage(&self, request: Request<RecountUsageRequest>) -> RpcResult<RecountUsageResponse> {
        let account_id = request.into_inner().account_id;
        let recounts = portolan_meter::recount(&self.deps.db, account_id.into(), store::COUNT_USAGE).await;
        let counts = recounts.map_err(Error::from)?.into_iter().map(|recount| RecountedUsage {
            feature: recount.feature,
            kept: recount.kept,
            counted: recount.counted,
            settled_version: recount.settled_version,
            count: recount.count,
            version: recount.version,
        });
        Ok(Response::new(RecountUsageResponse { counts: counts.collect() }))
    }
}
