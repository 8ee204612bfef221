//! Events of the audit, and the chain that they make.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    /// Unique; an event is recorded once however often it is told.
    pub event_id: String,
    /// The account it happened in; 0 when none was known.
    pub account_id: i64,
    /// Who did it; 0 for the installation itself.
    pub user_id: i64,
    /// The kind of what the actor presented; empty for the installation.
    pub credential: String,
    /// The id of that credential; never the credential.
    pub credential_id: String,
    pub client_address: String,
    /// Joins the event to logs and answers.
    pub request_id: String,
    /// The product scope of the call.
    pub scope: String,
    /// The audit name beside the RPC; the RPC's path for a refusal.
    pub action: String,
    /// DONE or REFUSED.
    pub outcome: String,
    /// Why it was refused; empty for what was done.
    pub reason: String,
    /// What kind of thing it was done to.
    pub resource: String,
    pub resource_id: String,
    /// JSON of the thing, without secrets; empty when there is nothing to say.
    pub before: String,
    pub after: String,
    /// Unix milliseconds.
    pub time_ms: i64,
    /// How many equal refusals it stands for; 1 for what was done.
    pub count: i64,
}

/// What stands before the first event.
const FIRST: [u8; 32] = [0; 32];

/// An event in its chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// From 1, without gaps.
    pub seq: i64,
    pub event: Event,
    pub hash: [u8; 32],
}

/// Where a chain ends: the next event follows this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub seq: i64,
    pub hash: [u8; 32],
}

impl Default for Head {
    fn default() -> Self {
        Self { seq: 0, hash: FIRST }
    }
}

impl Head {
    /// The event as the next link; the head moves to it.
    pub fn link(&mut self, event: Event) -> Link {
        let seq = self.seq + 1;
        let hash = hash(&self.hash, seq, &event);
        *self = Self { seq, hash };
        Link { seq, event, hash }
    }
}

/// SHA-256 over the hash before, the position, and every field with its length.
fn hash(before: &[u8; 32], seq: i64, event: &Event) -> [u8; 32] {
    let Event {
        event_id,
        account_id,
        user_id,
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
        before: value_before,
        after: value_after,
        time_ms,
        count,
    } = event;
    let mut digest = Sha256::new();
    digest.update(before);
    for number in [seq, *account_id, *user_id, *time_ms, *count] {
        digest.update(number.to_be_bytes());
    }
    let texts = [event_id, credential, credential_id, client_address, request_id, scope, action, outcome, reason];
    for text in texts.into_iter().chain([resource, resource_id, value_before, value_after]) {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text.as_bytes());
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_counts() {
        let event = Event { event_id: "a".into(), action: "b".into(), ..Event::default() };
        let first = hash(&FIRST, 1, &event);
        let moved = Event { event_id: "ab".into(), action: String::new(), ..Event::default() };
        assert_ne!(first, hash(&FIRST, 1, &moved), "the border between two fields counts");
        assert_ne!(first, hash(&FIRST, 2, &event));
        assert_ne!(first, hash(&[1; 32], 1, &event));
        assert_ne!(first, hash(&FIRST, 1, &Event { count: 1, ..event.clone() }));
        assert_ne!(first, hash(&FIRST, 1, &Event { after: "{}".into(), ..event }));
    }
}
