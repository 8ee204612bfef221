use portolan_api::{
    billing::v1::{RecordUsageEventsRequest, ReportCountsRequest, UsageCount, UsageEvent},
    identity::v1::{self as identity, AuditEvent, RecordAuditEventsRequest, audit_service_client::AuditServiceClient},
    tokens::v1 as tokens,
};
use portolan_authz::BoxFuture;
use portolan_runtime::Peers;

use crate::notice::Notice;
use tonic::Code;

/// One event on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub(crate) seq: i64,
    /// Whose events keep their order.
    pub key: String,
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
            // What a receiver does not know it will not know later: an event follows the commit of what it is about.
            Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition | Code::NotFound => Self::Never(text),
            _ => Self::Later(text),
        }
    }
}

/// Where the events of a topic go.
pub trait Sink: Send + Sync {
    /// Returns when the receiver has all these events durably. A repeated event must change nothing.
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
            let mut client =
                AuditServiceClient::with_interceptor(self.0.identity.clone(), self.0.as_service("identity"));
            client.record_audit_events(RecordAuditEventsRequest { events }).await?;
            Ok(())
        })
    }
}

/// The usage, kept by billing. A payload is a count that its service keeps,
/// `{"accountId","feature","count","version"}`, or an event, `{"source","id","accountId","feature","value","time"}`.
pub struct UsageService(pub Peers);

impl Sink for UsageService {
    fn deliver<'a>(&'a self, events: &'a [Event]) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let (mut counts, mut happened) = (Vec::new(), Vec::new());
            for event in events {
                match read_usage(&event.payload).map_err(Failure::Never)? {
                    Usage::Count(count) => counts.push(count),
                    Usage::Event(event) => happened.push(event),
                }
            }
            let mut client = self.0.metering();
            if !counts.is_empty() {
                client.report_counts(ReportCountsRequest { counts }).await?;
            }
            if !happened.is_empty() {
                client.record_usage_events(RecordUsageEventsRequest { events: happened }).await?;
            }
            Ok(())
        })
    }
}

/// What the users of an account are told: in their browsers by identity, in their Slack channels by tokens. A payload is
/// a [`Notice`].
pub struct NoticeService(pub Peers);

impl Sink for NoticeService {
    fn deliver<'a>(&'a self, events: &'a [Event]) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            for event in events {
                let notice: Notice =
                    serde_json::from_str(&event.payload).map_err(|error| Failure::Never(error.to_string()))?;
                let (notice, message_id) = (Some(notice), event.id.clone());
                let push = identity::NotifyAccountRequest { notice: notice.clone(), message_id: message_id.clone() };
                self.0.notifications().notify_account(push).await?;
                self.0.api_keys().notify_account(tokens::NotifyAccountRequest { notice, message_id }).await?;
            }
            Ok(())
        })
    }
}

/// The credentials of members who left, deleted by tokens. A payload is `{"accountId","userId","endedAt"}`.
pub struct RevocationService(pub Peers);

impl Sink for RevocationService {
    fn deliver<'a>(&'a self, events: &'a [Event]) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let owners = events.iter().map(|event| read_owner(&event.payload)).collect::<Result<_, _>>();
            let owners = owners.map_err(Failure::Never)?;
            self.0.revocations().revoke_credentials(tokens::RevokeCredentialsRequest { owners }).await?;
            Ok(())
        })
    }
}

fn read_owner(payload: &str) -> Result<tokens::CredentialOwner, String> {
    let payload: serde_json::Value = serde_json::from_str(payload).map_err(|error| error.to_string())?;
    let number = |name: &str| payload[name].as_i64().ok_or_else(|| format!("{name} is no whole number"));
    Ok(tokens::CredentialOwner {
        account_id: number("accountId")?,
        user_id: number("userId")?,
        ended_at: number("endedAt")?,
    })
}

enum Usage {
    Count(UsageCount),
    Event(UsageEvent),
}

fn read_usage(payload: &str) -> Result<Usage, String> {
    let payload: serde_json::Value = serde_json::from_str(payload).map_err(|error| error.to_string())?;
    let number = |name: &str| payload[name].as_i64().ok_or_else(|| format!("{name} is no whole number"));
    let text = |name: &str| payload[name].as_str().map(str::to_owned).ok_or_else(|| format!("{name} is no text"));
    let (account_id, feature) = (number("accountId")?, text("feature")?);
    if payload.get("count").is_some() {
        let (count, version) = (number("count")?, number("version")?);
        return Ok(Usage::Count(UsageCount { account_id, feature, count, version }));
    }
    let (source, id, value) = (text("source")?, text("id")?, number("value")?);
    let time = payload["time"].as_i64().unwrap_or(0);
    Ok(Usage::Event(UsageEvent { source, id, account_id, feature, value, time }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_has_two_forms() {
        let count = r#"{"accountId":1,"feature":"F","count":7,"version":2}"#;
        assert!(matches!(read_usage(count), Ok(Usage::Count(UsageCount { count: 7, version: 2, .. }))));
        let event = r#"{"source":"s","id":"i","accountId":1,"feature":"F","value":-1}"#;
        assert!(matches!(read_usage(event), Ok(Usage::Event(UsageEvent { value: -1, time: 0, .. }))));
        assert!(read_usage(r#"{"accountId":1,"feature":"F"}"#).is_err());
    }

    #[test]
    fn what_a_receiver_does_not_know_is_never_taken() {
        use tonic::Status;
        for status in [Status::not_found("no such organization"), Status::invalid_argument("a negative count")] {
            assert!(
                matches!(Failure::from(status.clone()), Failure::Never(reason) if reason.contains(status.message()))
            );
        }
        assert!(matches!(Failure::from(Status::unavailable("")), Failure::Later(_)));
    }
}
