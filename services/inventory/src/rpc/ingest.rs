use portolan_api::inventory::{v1 as pb, v1::ingest_service_server::IngestService};
use portolan_authz::Caller;
use portolan_log::Rejected;
use tonic::{Request, Response};

use crate::{
    ingest::rejected,
    rpc::{Answer, Rpc},
};

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
impl IngestService for Rpc {
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
}
