//! Ingest, and the room that imports take for the endpoints they are about to add.

use std::time::Duration;

use portolan_api::inventory::{v1 as pb, v1::ingest_service_server::IngestService};
use portolan_authz::Caller;
use portolan_engine::{Method, template::RawEndpoint};
use portolan_ids::CollectionId;
use portolan_log::Rejected;
use tonic::{Request, Response};

use crate::{
    Error, ingest,
    ingest::rejected,
    reservations,
    reservations::{Candidates, Wanted},
    rpc::{Answer, Rpc},
    store,
};

/// A call that waits for ingest ends after this: whoever waits for longer asks again.
const WAIT_MAX: Duration = Duration::from_secs(5);

#[tonic::async_trait]
impl IngestService for Rpc {
    async fn get_ingest_positions(
        &self,
        request: Request<pb::GetIngestPositionsRequest>,
    ) -> Answer<pb::GetIngestPositionsResponse> {
        let request = request.into_inner();
        let awaited = request.awaited_offsets.into_iter().map(|(partition, offset)| (i64::from(partition), offset));
        let wait = Duration::from_millis(request.wait_ms.into()).min(WAIT_MAX);
        let positions = ingest::positions_at(&self.deps, request.account_id.into(), &awaited.collect(), wait).await?;
        let next_offsets = positions
            .into_iter()
            .filter_map(|(partition, offset)| Some((i32::try_from(partition).ok()?, offset)))
            .collect();
        Ok(Response::new(pb::GetIngestPositionsResponse { next_offsets }))
    }

    async fn list_rejected_records(
        &self,
        request: Request<pb::ListRejectedRecordsRequest>,
    ) -> Answer<pb::ListRejectedRecordsResponse> {
        let (caller, request) = Caller::split(request)?;
        let page = rejected::list(&self.deps, &caller, request.page_size, &request.page_token).await;
        let (records, next_page_token) = page?;
        let records = records.into_iter().map(message).collect();
        Ok(Response::new(pb::ListRejectedRecordsResponse { records, next_page_token }))
    }

    async fn replay_rejected_record(
        &self,
        request: Request<pb::ReplayRejectedRecordRequest>,
    ) -> Answer<pb::ReplayRejectedRecordResponse> {
        let (caller, request) = Caller::split(request)?;
        let place = rejected::replay(&self.deps, &caller, request.partition, request.offset).await;
        let (partition, offset) = place?;
        Ok(Response::new(pb::ReplayRejectedRecordResponse { partition, offset }))
    }

    async fn recount_usage(&self, request: Request<pb::RecountUsageRequest>) -> Answer<pb::RecountUsageResponse> {
        let account_id = request.into_inner().account_id;
        let recounts = portolan_meter::recount(&self.deps.db, account_id.into(), store::usage::COUNT_USAGE).await;
        let counts = recounts.map_err(Error::from)?.into_iter().map(|recount| pb::RecountedUsage {
            feature: recount.feature,
            kept: recount.kept,
            counted: recount.counted,
            settled_version: recount.settled_version,
            count: recount.count,
            version: recount.version,
        });
        Ok(Response::new(pb::RecountUsageResponse { counts: counts.collect() }))
    }

    async fn reserve_endpoints(
        &self,
        request: Request<pb::ReserveEndpointsRequest>,
    ) -> Answer<pb::ReserveEndpointsResponse> {
        let request = request.into_inner();
        let mut candidates = Candidates::new();
        for candidate in request.candidates {
            let (collection_id, raw) = raw(candidate)?;
            candidates.entry(collection_id).or_default().push(raw);
        }
        let reserved = reservations::reserve(
            &self.deps,
            request.account_id.into(),
            &request.reservation_id,
            Wanted::New(&candidates),
        );
        reserved.await?;
        Ok(Response::new(pb::ReserveEndpointsResponse {}))
    }

    async fn settle_reservation(
        &self,
        request: Request<pb::SettleReservationRequest>,
    ) -> Answer<pb::SettleReservationResponse> {
        let request = request.into_inner();
        let positions = request.next_offsets.into_iter().map(|(partition, offset)| (i64::from(partition), offset));
        let positions = positions.collect();
        reservations::settle(&self.deps, &request.reservation_id, &positions).await?;
        Ok(Response::new(pb::SettleReservationResponse {}))
    }
}

fn message(record: Rejected) -> pb::RejectedRecord {
    pb::RejectedRecord {
        partition: record.partition,
        offset: record.offset,
        reason: record.reason,
        record_bytes: i64::try_from(record.value.len()).unwrap_or(i64::MAX),
        account_id: record.account_id.map(Into::into),
        created_at: record.created_at,
    }
}

fn raw(candidate: pb::EndpointCandidate) -> Result<(CollectionId, RawEndpoint), Error> {
    let bodies = serde_json::from_str(&candidate.body_names);
    let raw = RawEndpoint {
        method: Method::parse(&candidate.method),
        url: candidate.url,
        pinned: candidate.pinned,
        addresses: std::collections::BTreeSet::new(),
        proven: candidate.proven,
        never_merge: false,
        bodies: bodies.map_err(|error| Error::Internal(format!("names of a body: {error}")))?,
    };
    Ok((candidate.collection_id.into(), raw))
}
