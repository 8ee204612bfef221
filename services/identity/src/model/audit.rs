//! Events of the audit, and the chain that they make.

use portolan_ids::{AccountId, UserId};
use portolan_outbox::{bounded_json, bounded_text};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::audit_key::Key;

/// What happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    /// Unique; an event is recorded once however often it is told.
    pub event_id: String,
    /// The account it happened in; 0 when none was known.
    pub account_id: AccountId,
    /// Who did it; 0 for the installation itself.
    pub user_id: UserId,
    /// The kind of what the actor presented; empty for the installation.
    pub credential: String,
    /// The id of that credential; never the credential.
    pub credential_id: String,
    /// From where the call came; empty where that is not known.
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
    /// Which thing was changed; empty where none is named.
    pub resource_id: String,
    /// JSON of the thing, without secrets; empty when there is nothing to say.
    pub before: String,
    /// What it is since, as JSON; empty where it is gone.
    pub after: String,
    /// Unix milliseconds.
    pub time_ms: i64,
    /// How many equal refusals it stands for; 1 for what was done.
    pub count: i64,
}

impl Event {
    /// The event as it is kept: no text is so long that a page of the audit could not be told.
    #[must_use]
    pub fn bounded(self) -> Self {
        Self {
            credential_id: bounded_text(self.credential_id),
            client_address: bounded_text(self.client_address),
            request_id: bounded_text(self.request_id),
            action: bounded_text(self.action),
            reason: bounded_text(self.reason),
            resource_id: bounded_text(self.resource_id),
            before: bounded_json(self.before),
            after: bounded_json(self.after),
            ..self
        }
    }

    /// Of the texts without a length of their own.
    pub fn text_bytes(&self) -> usize {
        self.resource_id.len() + self.before.len() + self.after.len()
    }
}

/// What stands before the first event.
const FIRST: [u8; 32] = [0; 32];
/// What MACs of the audit are made for.
const EVENT: &str = "audit event";
const HEAD: &str = "audit head";
/// In the place of a seal when a head was found to be changed by others: it is never sealed again.
const BROKEN: &str = "broken";

/// The chain that names every other chain, by an event for each: a chain that is removed is missed.
pub const REGISTRY: AccountId = AccountId(-1);

/// An event in its chain, for readers.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// Its number in the chain, from 1.
    pub seq: i64,
    /// What happened.
    pub event: Event,
    /// Hex.
    pub hash: String,
}

/// An event in its chain, as its row holds it: the text of the event, and the columns that it is found by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Whose chain it is of.
    pub account_id: AccountId,
    /// From 1, without gaps.
    pub seq: i64,
    /// A repeat of it is not recorded again.
    pub event_id: String,
    /// Who did it; 0 for nobody who is known.
    pub user_id: UserId,
    /// What was done, as the contract names it.
    pub action: String,
    /// Unix milliseconds.
    pub time_ms: i64,
    /// JSON of an [`Event`].
    pub event: String,
    /// The key under which it is chained; empty for one that is older than keys.
    pub key_id: String,
    /// Hex.
    pub hash: String,
}

impl Entry {
    /// The hash of an event that follows `before`.
    pub fn keyed_hash(&self, key: &Key, before: &str) -> String {
        let numbers = [self.account_id.get(), self.seq, self.user_id.get(), self.time_ms];
        key.mac(EVENT, &numbers, &[before, &self.event_id, &self.action, &self.event])
    }

    /// The same for one that is older than keys; nothing when the columns and the text of the event differ.
    pub fn plain_hash(&self, before: &str) -> Option<String> {
        let event: Event = serde_json::from_str(&self.event).ok()?;
        let is_same = event.account_id == self.account_id
            && event.event_id == self.event_id
            && event.user_id == self.user_id
            && event.action == self.action
            && event.time_ms == self.time_ms
            && serde_json::to_string(&event).is_ok_and(|text| text == self.event);
        let before = hex::decode(before).ok()?.try_into().ok()?;
        is_same.then(|| hex::encode(hash(&before, self.seq, &event)))
    }
}

/// Where a chain begins and ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Whose chain it is.
    pub account_id: AccountId,
    /// The last event, and its hash in hex: the next event follows this one.
    pub seq: i64,
    /// Of that event, in hex.
    pub hash: String,
    /// Up to which event the chain is older than keys.
    pub unkeyed_seq: i64,
    /// The last event that has left the database, 0 when none has, and its hash: what is here follows it.
    pub anchor_seq: i64,
    /// The hash that the first event of the database follows, in hex.
    pub anchor_hash: String,
    /// Up to which event the head was signed.
    pub signed_seq: i64,
}

impl Head {
    /// Of a chain that begins.
    pub fn new(account_id: AccountId) -> Self {
        let first = hex::encode(FIRST);
        let (hash, anchor_hash) = (first.clone(), first);
        Self { account_id, seq: 0, hash, unkeyed_seq: 0, anchor_seq: 0, anchor_hash, signed_seq: 0 }
    }

    /// The event as the next entry; the head moves to it.
    ///
    /// # Errors
    /// When the event has no JSON.
    pub fn link(&mut self, key: &Key, event: &Event) -> Result<Entry, serde_json::Error> {
        let mut entry = Entry {
            account_id: self.account_id,
            seq: self.seq + 1,
            event_id: event.event_id.clone(),
            user_id: event.user_id,
            action: event.action.clone(),
            time_ms: event.time_ms,
            event: serde_json::to_string(event)?,
            key_id: key.id.clone(),
            hash: String::new(),
        };
        entry.hash = entry.keyed_hash(key, &self.hash);
        (self.seq, self.hash) = (entry.seq, entry.hash.clone());
        Ok(entry)
    }

    /// The head with its MAC under a key.
    pub fn sealed(self, key: &Key) -> SealedHead {
        let seal = key.mac(HEAD, &self.numbers(), &self.texts());
        SealedHead { key_id: key.id.clone(), seal, head: self }
    }

    fn numbers(&self) -> [i64; 5] {
        [self.account_id.into(), self.seq, self.unkeyed_seq, self.anchor_seq, self.signed_seq]
    }

    fn texts(&self) -> [&str; 2] {
        [&self.hash, &self.anchor_hash]
    }
}

/// A head as its row holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedHead {
    /// What is sealed.
    pub head: Head,
    /// The key of the seal; empty for a head that is older than keys.
    pub key_id: String,
    /// The MAC, in hex; empty without a key.
    pub seal: String,
}

impl SealedHead {
    /// Whether nobody without the key has changed a column.
    pub fn is_intact(&self, key: &Key) -> bool {
        self.key_id == key.id && key.made(&self.seal, HEAD, &self.head.numbers(), &self.head.texts())
    }

    /// The head after more events, for a chain whose head was changed by others: what happened stays seen.
    pub fn broken(self, head: Head) -> Self {
        Self { head, seal: BROKEN.to_owned(), ..self }
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
    for number in [seq, (*account_id).into(), (*user_id).into(), *time_ms, *count] {
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
