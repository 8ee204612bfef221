//! The counts that billing asks to be made anew, and the endpoints that imports are about to add.

use portolan_api::inventory::{v1 as pb, v1::inventory_usage_service_server::InventoryUsageService};
use portolan_engine::{Method, template::RawEndpoint};
use tonic::{Request, Response};

use crate::{
    Error, reservations,
    reservations::{Candidates, Wanted},
    rpc::{Answer, Rpc},
    store,
};

fn raw(candidate: pb::EndpointCandidate) -> Result<(i32, RawEndpoint), Error> {
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
    Ok((candidate.collection_id, raw))
}

#[tonic::async_trait]
impl InventoryUsageService for Rpc {
    async fn recount_usage(&self, request: Request<pb::RecountUsageRequest>) -> Answer<pb::RecountUsageResponse> {
        let account_id = request.into_inner().account_id;
        let recounts = portolan_meter::recount(&self.deps.db, account_id, store::usage::COUNT_USAGE).await;
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
        let reserved =
            reservations::reserve(&self.deps, request.account_id, &request.reservation_id, Wanted::New(&candidates));
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
