use portolan_api::identity::v1::{
    AuditEvent, AuditRecord, ListAuditEventsRequest, ListAuditEventsResponse, RecordAuditEventsRequest,
    RecordAuditEventsResponse, audit_log_service_server::AuditLogService, audit_service_server::AuditService,
};
use portolan_authz::Caller;
use tonic::{Request, Response, Status};

use super::{Rpc, RpcResult};
use crate::{
    audit::{self, Filter},
    model::audit::{Event, Link},
};

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
        let events = events.into_iter().map(event).collect();
        let appended = audit::record(&self.deps.db, &self.deps.audit, events).await?;
        Ok(Response::new(RecordAuditEventsResponse { appended }))
    }
}

#[tonic::async_trait]
impl AuditLogService for Rpc {
    async fn list_audit_events(&self, request: Request<ListAuditEventsRequest>) -> RpcResult<ListAuditEventsResponse> {
        let (caller, request) = Caller::split(request)?;
        let ListAuditEventsRequest { actor, action, start_ts, end_ts, page_size, page_token } = request;
        let filter = Filter { actor, action, start_s: start_ts, end_s: end_ts };
        let (links, next_page_token) =
            audit::list(&self.deps.db, caller.account_id, &filter, page_size, &page_token).await?;
        let audit_events = links.into_iter().map(record).collect();
        Ok(Response::new(ListAuditEventsResponse { audit_events, next_page_token }))
    }
}

fn event(wire: AuditEvent) -> Event {
    let AuditEvent { event_id, account_id, user_id, credential, credential_id, client_address, request_id, .. } = wire;
    let AuditEvent { scope, action, outcome, reason, resource, resource_id, before, after, time_ms, count, .. } = wire;
    Event {
        event_id,
        account_id: account_id.into(),
        user_id: user_id.into(),
        credential,
        credential_id,
        client_address,
        request_id,
        scope,
        action,
        outcome,
        reason,
        resource,
        resource_id,
        before,
        after,
        time_ms,
        count,
    }
}

fn record(link: Link) -> AuditRecord {
    let event = link.event;
    let value = |text: String| (!text.is_empty()).then_some(text);
    AuditRecord {
        sequence: link.seq,
        event_id: event.event_id,
        user_id: event.user_id.into(),
        credential: event.credential,
        credential_id: event.credential_id,
        client_address: event.client_address,
        request_id: event.request_id,
        scope: event.scope,
        action: event.action,
        outcome: event.outcome,
        reason: event.reason,
        resource: event.resource,
        resource_id: event.resource_id,
        before: value(event.before),
        after: value(event.after),
        time_ms: event.time_ms,
        count: event.count,
        hash: link.hash,
    }
}
