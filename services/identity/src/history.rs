//! What identity itself writes into the audit: straight into the chain, in the transaction of the change.

use portolan_api::Result;
use portolan_authz::Caller;
use portolan_ids::{AccountId, UserId};
use portolan_store::Tx;
use serde::Serialize;

use crate::{
    audit::{self, AuditKeys},
    clock::now_ms,
    model::audit::Event,
};

/// What a change was done to.
#[derive(Default)]
pub(crate) struct Change {
    resource: &'static str,
    resource_id: String,
    before: String,
    after: String,
    action: &'static str,
}

impl Change {
    pub(crate) fn of(resource: &'static str, id: impl std::fmt::Display) -> Self {
        Self { resource, resource_id: id.to_string(), ..Self::default() }
    }

    /// The thing before the change; no secret and no address of a person belongs in it.
    pub(crate) fn before(mut self, value: &impl Serialize) -> Self {
        self.before = serde_json::to_string(value).unwrap_or_default();
        self
    }

    /// The thing after the change.
    pub(crate) fn after(mut self, value: &impl Serialize) -> Self {
        self.after = serde_json::to_string(value).unwrap_or_default();
        self
    }

    /// The name of the action where no caller's RPC tells it.
    pub(crate) fn by(mut self, action: &'static str) -> Self {
        self.action = action;
        self
    }
}

/// Who did something, where no [`Caller`] exists: a person who just came in, or the operator.
#[derive(Clone, Debug, Default)]
pub(crate) struct Actor {
    pub(crate) account_id: AccountId,
    pub(crate) user_id: UserId,
    pub(crate) client_address: String,
}

/// Appends a change by a caller, in the transaction that makes it.
pub(crate) async fn record(keys: &AuditKeys, tx: &mut Tx, caller: &Caller, change: Change) -> Result<()> {
    caller.info.audited.set();
    let actor = Actor {
        account_id: caller.account_id,
        user_id: caller.user_id,
        client_address: caller.info.client_address.clone(),
    };
    let action = if change.action.is_empty() { caller.info.action } else { change.action };
    let event = Event {
        credential: caller.credential.name().to_owned(),
        credential_id: caller.credential_id.clone(),
        request_id: caller.info.request_id.clone(),
        scope: caller.scope.name().to_owned(),
        action: action.to_owned(),
        ..event(&actor, change)
    };
    audit::append(keys, tx, [event]).await.map(drop)
}

/// Appends a change by somebody who is no caller.
pub(crate) async fn record_by(keys: &AuditKeys, tx: &mut Tx, actor: &Actor, change: Change) -> Result<()> {
    audit::append(keys, tx, [event(actor, change)]).await.map(drop)
}

fn event(actor: &Actor, change: Change) -> Event {
    Event {
        event_id: uuid::Uuid::now_v7().to_string(),
        account_id: actor.account_id,
        user_id: actor.user_id,
        client_address: actor.client_address.clone(),
        action: change.action.to_owned(),
        outcome: "DONE".to_owned(),
        resource: change.resource.to_owned(),
        resource_id: change.resource_id,
        before: change.before,
        after: change.after,
        time_ms: now_ms(),
        count: 1,
        ..Event::default()
    }
}
