use portolan_api::billing::v1::{
    CheckLimitRequest, CheckLimitResponse, Entitlement, GetEntitlementsRequest, GetEntitlementsResponse,
    RecordUsageEventsRequest, RecordUsageEventsResponse, ReportCountsRequest, ReportCountsResponse,
    check_limit_response, metering_service_server::MeteringService,
};
use tonic::{Request, Response};

use super::{Rpc, RpcResult, small};
use crate::entitlements::{self, Verdict};
use crate::usage::{self, Count, Event, event_key};

#[tonic::async_trait]
impl MeteringService for Rpc {
    async fn record_usage_events(
        &self,
        request: Request<RecordUsageEventsRequest>,
    ) -> RpcResult<RecordUsageEventsResponse> {
        let now = self.deps.clock.now();
        let events: Vec<_> = request
            .into_inner()
            .events
            .into_iter()
            .map(|event| Event {
                account_id: event.account_id.into(),
                key: event_key(&event.source, &event.id),
                feature: event.feature,
                value: event.value,
                time: if event.time == 0 { now } else { event.time },
            })
            .collect();
        let counted = usage::record(&self.deps, &events).await?;
        let accepted = counted.iter().filter(|is_new| **is_new).count();
        let duplicates = small(counted.len() - accepted);
        Ok(Response::new(RecordUsageEventsResponse { accepted: small(accepted), duplicates }))
    }

    async fn report_counts(&self, request: Request<ReportCountsRequest>) -> RpcResult<ReportCountsResponse> {
        let counts = request.into_inner().counts.into_iter().map(|count| Count {
            account_id: count.account_id.into(),
            feature: count.feature,
            count: count.count,
            version: count.version,
        });
        usage::report(&self.deps, counts.collect()).await?;
        Ok(Response::new(ReportCountsResponse {}))
    }

    async fn check_limit(&self, request: Request<CheckLimitRequest>) -> RpcResult<CheckLimitResponse> {
        let CheckLimitRequest { account_id, feature, wanted, usage } = request.into_inner();
        let verdict = entitlements::check(&self.deps, account_id.into(), &feature, wanted, usage).await?;
        let (verdict, room) = match verdict {
            Verdict::Allowed { room } => (check_limit_response::Verdict::Allowed, room),
            Verdict::NotInPlan => (check_limit_response::Verdict::NotInPlan, 0),
            Verdict::LimitExceeded => (check_limit_response::Verdict::LimitExceeded, 0),
        };
        Ok(Response::new(CheckLimitResponse { verdict: verdict.into(), room }))
    }

    async fn get_entitlements(&self, request: Request<GetEntitlementsRequest>) -> RpcResult<GetEntitlementsResponse> {
        let state = entitlements::state(&self.deps, request.into_inner().account_id.into()).await?;
        let entitlements = state.features.iter().map(|feature| Entitlement {
            feature: feature.feature.clone(),
            is_granted: feature.is_granted,
            usage_limit: feature.limit,
            usage: feature.usage,
            overage_first_detected: feature.overage_first_detected,
        });
        Ok(Response::new(GetEntitlementsResponse {
            entitlements: entitlements.collect(),
            organization_id: state.organization_id.into(),
            plan_id: state.plan.plan_id.into(),
            version: state.version,
            grace_s: state.plan.grace_s,
            expired: state.plan.expired,
        }))
    }
}
