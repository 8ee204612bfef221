use portolan_api::billing::v1::{
    FeatureUsage, GetUsageRequest, GetUsageResponse, billing_service_server::BillingService,
};
use portolan_authz::Caller;
use tonic::{Request, Response, Status};

use crate::{Deps, usage};

pub(crate) struct Rpc {
    deps: Deps,
}

impl Rpc {
    pub(crate) fn new(deps: Deps) -> Self {
        Self { deps }
    }
}

#[tonic::async_trait]
impl BillingService for Rpc {
    async fn get_usage(&self, request: Request<GetUsageRequest>) -> Result<Response<GetUsageResponse>, Status> {
        let (caller, _) = Caller::split(request)?;
        let measured = usage::measure(&self.deps, caller.account_id).await?;
        let usage = measured.into_iter().map(|usage::FeatureUsage { feature, usage, recorded_at }| FeatureUsage {
            feature: feature.to_owned(),
            usage,
            recorded_at,
        });
        Ok(Response::new(GetUsageResponse { usage: usage.collect() }))
    }
}
