use portolan_api::identity::v1::{
    RecordAuditEventsRequest, RecordAuditEventsResponse, audit_service_server::AuditService,
};
use tonic::{Request, Response, Status};

use super::{Rpc, RpcResult};
use crate::audit;

#[tonic::async_trait]
impl AuditService for Rpc {
    async fn record_audit_events(
        &self,
        request: Request<RecordAuditEventsRequest>,
    ) -> RpcResult<RecordAuditEventsResponse> {
        let events = request.into_inner().events;
        if events.len() > audit::EVENTS_MAX {
            return Err(Status::invalid_argument("too many events at once"));
        }
        let appended = audit::record(&self.deps.db, events).await?;
        Ok(Response::new(RecordAuditEventsResponse { appended }))
    }
}
