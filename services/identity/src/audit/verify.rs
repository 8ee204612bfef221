//! Checks of chains against everything that was done to their rows by others.

use std::collections::{BTreeMap, BTreeSet};

use portolan_api::Result;
use portolan_ids::AccountId;
use portolan_store::{Db, Tx};

use super::keys::AuditKeys;
use crate::{
    model::{
        audit::{Entry, Event, Head, REGISTRY, SealedHead},
        audit_head::SignedHead,
    },
    store::audit as store,
};

const PAGE: i64 = 500;

/// What a check of a chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the text of each variant says what its fields are")]
pub enum Verdict {
    /// Every link holds.
    Whole { events: i64 },
    /// The first event that does not hold.
    Broken { seq: i64, fault: Fault },
}

/// What is wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the text of each variant says what is wrong with the chain")]
pub enum Fault {
    #[error("an event is missing")]
    Missing,
    #[error("an event was changed")]
    Changed,
    #[error("it is under the key {0}, which is not here")]
    UnknownKey(String),
    #[error("the last events are missing")]
    Cut,
    #[error("the chain does not end at its head")]
    NotAtHead,
    #[error("there are events after the head")]
    AfterHead,
    #[error("the head was removed")]
    HeadMissing,
    #[error("the head was changed: what followed may be missing")]
    HeadChanged,
    #[error("the chain was removed")]
    Removed,
    #[error("no chain of this account was begun")]
    NotBegun,
    #[error("the registry of chains was removed, or this version has never served this database")]
    NoRegistry,
    #[error("the expected head has another hash: the chain was made anew")]
    Rebuilt,
    #[error("the expected head is not signed by this installation")]
    Forged,
    #[error("it is no file of the audit, or its begin or end was removed or changed")]
    NoFile,
    #[error("the events before it are in none of the files")]
    NoFileBefore,
    #[error("the file does not end where the database begins")]
    NotAtAnchor,
}

/// Checks every chain, the registry first, and each against the heads that were kept elsewhere.
///
/// # Errors
/// Any of the store.
pub async fn verify_all(db: &Db, keys: &AuditKeys, expected: &[SignedHead]) -> Result<BTreeMap<AccountId, Verdict>> {
    let mut tx = db.begin_read().await?;
    let begun = begun(&mut tx).await?;
    let found = store::accounts(&mut tx).await?;
    tx.rollback().await?;
    let told = expected.iter().map(|head| head.account_id);
    let all = found.into_iter().chain(begun.iter().copied()).chain(told).chain([REGISTRY]).collect::<BTreeSet<_>>();
    let mut verdicts = BTreeMap::new();
    for account_id in all {
        let mut verdict = verify(db, keys, account_id, expected).await?;
        if account_id != REGISTRY && !begun.contains(&account_id) && matches!(verdict, Verdict::Whole { .. }) {
            verdict = Verdict::Broken { seq: 1, fault: Fault::NotBegun };
        }
        verdicts.insert(account_id, verdict);
    }
    Ok(verdicts)
}

/// The accounts that the registry names.
async fn begun(tx: &mut Tx) -> Result<BTreeSet<AccountId>> {
    let (mut begun, mut seq) = (BTreeSet::new(), 0);
    loop {
        let page = store::after(tx, REGISTRY, seq, PAGE).await?;
        let Some(last) = page.last() else { return Ok(begun) };
        seq = last.seq;
        let account =
            |entry: &Entry| serde_json::from_str::<Event>(&entry.event).ok()?.resource_id.parse::<AccountId>().ok();
        begun.extend(page.iter().filter_map(account));
    }
}

/// Checks the chain of an account from its anchor to its head, and against the heads of it among the expected ones.
///
/// # Errors
/// Any of the store.
pub async fn verify(db: &Db, keys: &AuditKeys, account_id: AccountId, expected: &[SignedHead]) -> Result<Verdict> {
    let expected: Vec<_> = expected.iter().filter(|head| head.account_id == account_id).collect();
    // One moment for head and events, whatever is appended meanwhile.
    let mut tx = db.begin_read().await?;
    let outcome = check(&mut tx, keys, account_id, &expected).await;
    tx.rollback().await?;
    Ok(match outcome? {
        Ok(events) => Verdict::Whole { events },
        Err((seq, fault)) => Verdict::Broken { seq, fault },
    })
}

type Checked<T> = Result<T, (i64, Fault)>;

async fn check(tx: &mut Tx, keys: &AuditKeys, account_id: AccountId, expected: &[&SignedHead]) -> Result<Checked<i64>> {
    let Some(sealed) = store::find_head(tx, account_id).await? else {
        let has_events = !store::after(tx, account_id, i64::MIN, 1).await?.is_empty();
        let fault = match account_id {
            REGISTRY => Fault::NoRegistry,
            _ if has_events => Fault::HeadMissing,
            _ => Fault::Removed,
        };
        return Ok(Err((1, fault)));
    };
    let mut walk = Walk::new(keys, &sealed.head);
    let mut after = i64::MIN;
    loop {
        let page = store::after(tx, account_id, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        for entry in &page {
            if let Err(broken) = walk.step(entry, expected) {
                return Ok(Err(broken));
            }
        }
    }
    Ok(walk.end(&sealed, expected))
}

/// A walk along a chain.
pub(super) struct Walk<'a> {
    keys: &'a AuditKeys,
    end: &'a Head,
    seq: i64,
    hash: String,
}

impl<'a> Walk<'a> {
    /// From the anchor of a head to its end.
    pub(super) fn new(keys: &'a AuditKeys, end: &'a Head) -> Self {
        Self { keys, end, seq: end.anchor_seq, hash: end.anchor_hash.clone() }
    }

    pub(super) fn step(&mut self, entry: &Entry, expected: &[&SignedHead]) -> Checked<()> {
        let seq = self.seq + 1;
        if entry.seq > seq {
            return Err((seq, Fault::Missing));
        }
        if entry.seq < seq {
            return Err((entry.seq, Fault::Changed));
        }
        let is_unkeyed = seq <= self.end.unkeyed_seq;
        let hash = match self.keys.find(&entry.key_id) {
            _ if is_unkeyed != entry.key_id.is_empty() => None,
            _ if is_unkeyed => entry.plain_hash(&self.hash),
            Some(key) => Some(entry.keyed_hash(&key, &self.hash)),
            None => return Err((seq, Fault::UnknownKey(entry.key_id.clone()))),
        };
        if entry.account_id != self.end.account_id || hash.as_ref() != Some(&entry.hash) {
            return Err((seq, Fault::Changed));
        }
        if seq > self.end.seq {
            return Err((seq, Fault::AfterHead));
        }
        (self.seq, self.hash) = (seq, entry.hash.clone());
        match expected.iter().all(|head| head.seq != seq || head.hash == self.hash) {
            true => Ok(()),
            false => Err((seq, Fault::Rebuilt)),
        }
    }

    /// The last event that holds.
    pub(super) fn seq(&self) -> i64 {
        self.seq
    }

    /// The last event that holds, and its hash.
    pub(super) fn into_place(self) -> (i64, String) {
        (self.seq, self.hash)
    }

    /// Whether the last event is the one of the head.
    pub(super) fn reaches_end(&self) -> Checked<()> {
        if self.seq < self.end.seq {
            return Err((self.seq + 1, Fault::Cut));
        }
        if self.hash != self.end.hash {
            return Err((self.end.seq, Fault::NotAtHead));
        }
        Ok(())
    }

    /// What is left to be checked behind the last event; answers how many there were.
    fn end(self, sealed: &SealedHead, expected: &[&SignedHead]) -> Checked<i64> {
        let end = self.end;
        if expected.iter().any(|head| head.seq > self.seq) {
            return Err((self.seq + 1, Fault::Cut));
        }
        self.reaches_end()?;
        let key = self.keys.find(&sealed.key_id).ok_or_else(|| (end.seq, Fault::UnknownKey(sealed.key_id.clone())))?;
        if !sealed.is_intact(&key) {
            return Err((end.seq, Fault::HeadChanged));
        }
        // Heads of events that have left are compared with the files in which those are.
        if let Some(head) = expected.iter().find(|head| head.seq == end.anchor_seq && head.hash != end.anchor_hash) {
            return Err((head.seq, Fault::Rebuilt));
        }
        match expected.iter().find(|head| !self.keys.find(&head.key_id).is_some_and(|key| head.is_by(&key))) {
            Some(head) => Err((head.seq, Fault::Forged)),
            None => Ok(self.seq - end.anchor_seq),
        }
    }
}
