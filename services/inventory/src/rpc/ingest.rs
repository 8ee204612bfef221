use portolan_api::inventory::v1::{self as pb, ingest_service_server::IngestService};
use portolan_authz::Caller;
use portolan_log::Rejected;
use tonic::{Request, Response};

use super::{Answer, status};
use crate::Deps;
use crate::ingest::rejected;

/// The handlers of ingest.
pub struct Ingest {
    deps: Deps,
}

impl Ingest {
    pub fn new(deps: Deps) -> Self {
        Self { deps }
    }
}

fn message(record: Rejected) -> pb::RejectedRecord {
    pb::RejectedRecord {
        partition: record.partition,
        offset: record.offset,
        reason: record.reason,
        record_bytes: i64::try_from(record.value.len()).unwrap_or(i64::MAX),
        account_id: record.account_id,
        created_at: record.created_at,
    }
}

#[tonic::async_trait]
impl IngestService for Ingest {
    async fn list_rejected_records(
        &self,
        request: Request<pb::ListRejectedRecordsRequest>,
    ) -> Answer<pb::ListRejectedRecordsResponse> {
        let (caller, request) = Caller::split(request)?;
        let page = rejected::list(&self.deps, &caller, request.page_size, &request.page_token).await;
        let (records, next_page_token) = page.map_err(status)?;
        let records = records.into_iter().map(message).collect();
        Ok(Response::new(pb::ListRejectedRecordsResponse { records, next_page_token }))
    }

    async fn replay_rejected_record(
        &self,
        request: Request<pb::ReplayRejectedRecordRequest>,
    ) -> Answer<pb::ReplayRejectedRecordResponse> {
        let (caller, request) = Caller::split(request)?;
        let place = rejected::replay(&self.deps, &caller, request.partition, request.offset).await;
        let (partition, offset) = place.map_err(status)?;
        Ok(Response::new(pb::ReplayRejectedRecordResponse { partition, offset }))
    }
}
