use std::time::{SystemTime, UNIX_EPOCH};

use portolan_api::{Reason, identity::v1::AuditEvent};
use portolan_authz::{Caller, CallerClaims, FailedAuthentication};
use portolan_ids::UserId;
use portolan_store::{Error, Tx};

use crate::{
    AUDIT,
    bounds::{bounded, bounded_json},
    put,
};

/// What a write did, beside what is known of its caller.
#[derive(Clone, Debug, Default)]
pub struct Change {
    resource: &'static str,
    resource_id: String,
    action: Option<String>,
    before: String,
    after: String,
}

impl Change {
    /// `resource`: the kind of thing, in the singular.
    pub fn of(resource: &'static str, id: impl std::fmt::Display) -> Self {
        Self { resource, resource_id: id.to_string(), ..Self::default() }
    }

    /// The JSON of the thing before the change; no secret belongs in it.
    #[must_use]
    pub fn before(mut self, value: &serde_json::Value) -> Self {
        self.before = bounded_json(value.to_string());
        self
    }

    /// The JSON of the thing after the change; no secret belongs in it.
    #[must_use]
    pub fn after(mut self, value: &serde_json::Value) -> Self {
        self.after = bounded_json(value.to_string());
        self
    }

    /// An action other than the RPC's own audit name, for jobs and for RPCs that do several things.
    #[must_use]
    pub fn action(mut self, name: impl Into<String>) -> Self {
        self.action = Some(name.into());
        self
    }
}

/// Puts a change into the audit, in the change's own transaction.
///
/// # Errors
/// Any of the store.
pub async fn audit(tx: &mut Tx, caller: &Caller, change: Change) -> Result<(), Error> {
    put_event(tx, event(caller, change)).await
}

/// Puts an event into the audit that is nobody's [`Change`]; its texts are cut to their bounds.
///
/// # Errors
/// Any of the store.
pub async fn put_event(tx: &mut Tx, event: AuditEvent) -> Result<(), Error> {
    let event = bounded(event);
    let payload = serde_json::to_string(&event).map_err(|error| Error::Other(error.to_string()))?;
    put(tx, AUDIT, &event.account_id.to_string(), &event.event_id, &payload).await
}

/// The audit event of a change; for identity, which keeps the audit and needs no relay.
pub fn event(caller: &Caller, change: Change) -> AuditEvent {
    caller.info.audited.set();
    AuditEvent {
        event_id: uuid::Uuid::now_v7().to_string(),
        account_id: caller.account_id.into(),
        user_id: caller.user_id.into(),
        credential: caller.credential.name().to_owned(),
        credential_id: caller.credential_id.clone(),
        client_address: caller.info.client_address.clone(),
        request_id: caller.info.request_id.clone(),
        scope: caller.scope.name().to_owned(),
        action: change.action.unwrap_or_else(|| caller.info.action.to_owned()),
        outcome: "DONE".to_owned(),
        reason: String::new(),
        resource: change.resource.to_owned(),
        resource_id: change.resource_id,
        before: change.before,
        after: change.after,
        time_ms: now_ms(),
        count: 1,
    }
}

/// The audit event of `count` equal refusals.
pub(crate) fn refusal(path: &str, claims: &CallerClaims, reason: Reason, count: i64) -> AuditEvent {
    AuditEvent {
        event_id: uuid::Uuid::now_v7().to_string(),
        account_id: claims.account_id.into(),
        user_id: claims.user_id.into(),
        credential: claims.credential.name().to_owned(),
        credential_id: claims.credential_id.clone(),
        client_address: claims.client_address.clone(),
        scope: claims.scope.name().to_owned(),
        action: path.trim_start_matches('/').to_owned(),
        outcome: "REFUSED".to_owned(),
        reason: reason.as_str_name().to_owned(),
        time_ms: now_ms(),
        count,
        ..AuditEvent::default()
    }
}

/// The action of failed authentications.
pub const AUTHENTICATION: &str = "authentication";
/// In the place of a kind of credential: those that were too many to be told apart.
const OTHERS: &str = "OTHERS";

/// The audit event of `count` equal failures.
pub(crate) fn failed(failure: &FailedAuthentication, count: i64) -> AuditEvent {
    let FailedAuthentication { shown, subject, client_address, reason, account_id, user_id } = failure;
    let is_known = *user_id != UserId(0);
    AuditEvent {
        event_id: uuid::Uuid::now_v7().to_string(),
        account_id: account_id.get(),
        credential: shown.name().to_owned(),
        credential_id: subject.clone(),
        client_address: client_address.clone(),
        action: AUTHENTICATION.to_owned(),
        outcome: "REFUSED".to_owned(),
        reason: reason.as_str_name().to_owned(),
        resource: if is_known { "user".to_owned() } else { String::new() },
        resource_id: if is_known { user_id.to_string() } else { String::new() },
        time_ms: now_ms(),
        count,
        ..AuditEvent::default()
    }
}

/// The audit event of failures that are not told apart.
pub(crate) fn failed_others(count: i64) -> AuditEvent {
    AuditEvent {
        event_id: uuid::Uuid::now_v7().to_string(),
        credential: OTHERS.to_owned(),
        action: AUTHENTICATION.to_owned(),
        outcome: "REFUSED".to_owned(),
        time_ms: now_ms(),
        count,
        ..AuditEvent::default()
    }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_millis() as i64)
}
