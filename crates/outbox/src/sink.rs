use portolan_api::identity::v1::{AuditEvent, RecordAuditEventsRequest, audit_service_client::AuditServiceClient};
use portolan_authz::BoxFuture;
use portolan_runtime::Peers;
use tonic::Code;

/// One event on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub(crate) seq: i64,
    /// By which a receiver knows a repetition.
    pub id: String,
    /// JSON.
    pub payload: String,
}

/// Why events were not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The same events may be taken later.
    Later(String),
    /// They will never be taken.
    Never(String),
}

impl From<tonic::Status> for Failure {
    fn from(status: tonic::Status) -> Self {
        let text = format!("{:?}: {}", status.code(), status.message());
        match status.code() {
            Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => Self::Never(text),
            _ => Self::Later(text),
        }
    }
}

/// Where the events of a topic go.
pub trait Sink: Send + Sync {
    /// Answers when the receiver has all these events durably. A repeated event must change nothing.
    fn deliver<'a>(&'a self, events: &'a [Event]) -> BoxFuture<'a, Result<(), Failure>>;
}

/// The audit, kept by identity.
pub struct AuditService(pub Peers);

impl Sink for AuditService {
    fn deliver<'a>(&'a self, events: &'a [Event]) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let read = |event: &Event| serde_json::from_str::<AuditEvent>(&event.payload);
            let events = events.iter().map(read).collect::<Result<_, _>>();
            let events = events.map_err(|error| Failure::Never(error.to_string()))?;
            let mut client = AuditServiceClient::with_interceptor(self.0.identity.clone(), self.0.as_service());
            client.record_audit_events(RecordAuditEventsRequest { events }).await?;
            Ok(())
        })
    }
}
