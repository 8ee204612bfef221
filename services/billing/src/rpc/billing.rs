use portolan_api::billing::v1::{
    FeatureUsage, GetUsageRequest, GetUsageResponse, IngestUsageEventsRequest, IngestUsageEventsResponse, RejectedItem,
    UsageDifference, UsageRefresh, UsageWindow, billing_service_server::BillingService,
};
use portolan_authz::Caller;
use portolan_ids::AccountId;
use tonic::{Request, Response};

use super::{Rpc, RpcResult, small};
use crate::{cloud_events, readings, refresh::Refresh};

#[tonic::async_trait]
impl BillingService for Rpc {
    async fn get_usage(&self, request: Request<GetUsageRequest>) -> RpcResult<GetUsageResponse> {
        let (caller, request) = Caller::split(request)?;
        let wish = readings::Wish {
            feature: request.feature.filter(|feature| !feature.is_empty()),
            account_id: request.account_id.map(AccountId),
            start: request.start_time,
            end: request.end_time,
            grain: request.grain,
            page_size: request.page_size,
            page_token: request.page_token.unwrap_or_default(),
        };
        let reading = readings::read(&self.deps, &caller, &wish).await?;
        let usage = reading.features.into_iter().map(|feature| FeatureUsage {
            usage: feature.usage,
            recorded_at: feature.recorded_at,
            organization_usage: feature.state.usage,
            usage_limit: feature.state.limit,
            is_granted: feature.state.is_granted,
            overage_first_detected: feature.state.overage_first_detected,
            feature: feature.state.feature,
        });
        let windows = reading.windows.into_iter().map(|window| UsageWindow {
            feature: window.feature,
            start_time: window.start,
            value: window.value,
            events: window.events,
        });
        Ok(Response::new(GetUsageResponse {
            usage: usage.collect(),
            windows: windows.collect(),
            last_refresh: reading.last_refresh.map(refresh),
            next_page_token: reading.next_page_token,
        }))
    }

    async fn ingest_usage_events(
        &self,
        request: Request<IngestUsageEventsRequest>,
    ) -> RpcResult<IngestUsageEventsResponse> {
        let (caller, request) = Caller::split(request)?;
        let events = request.events.into_iter().map(|event| cloud_events::CloudEvent {
            specversion: event.specversion,
            id: event.id,
            source: event.source,
            kind: event.r#type,
            time: event.time,
            data: event.data,
        });
        let ingested = cloud_events::ingest(&self.deps, caller.account_id, &events.collect::<Vec<_>>()).await?;
        let rejected =
            ingested.rejected.into_iter().map(|(index, reason)| RejectedItem { index: small(index), reason });
        Ok(Response::new(IngestUsageEventsResponse {
            accepted: small(ingested.accepted),
            duplicates: small(ingested.duplicates),
            rejected: rejected.collect(),
        }))
    }
}

fn refresh(refresh: Refresh) -> UsageRefresh {
    let differences = refresh.differences.into_iter().map(|difference| UsageDifference {
        account_id: difference.account_id.into(),
        feature: difference.feature,
        recorded: difference.recorded,
        counted: difference.counted,
    });
    UsageRefresh {
        state: refresh.state.to_owned(),
        requested_at: refresh.requested_at,
        finished_at: refresh.finished_at,
        differences: differences.collect(),
    }
}
