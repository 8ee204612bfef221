//! The end of a chain, where events are appended.

use std::collections::BTreeMap;

use portolan_api::{Error, Result};
use portolan_ids::AccountId;
use portolan_runtime::Secrets;
use portolan_store::{Db, Tx};

use super::keys::AuditKeys;
use crate::{
    clock::now_ms,
    model::audit::{Event, Head, REGISTRY, SealedHead},
    store::{FIRST_ACCOUNT_ID, audit as store},
};

/// What the registry calls the begin of a chain.
const BEGIN: &str = "chain.begin";

/// The keys of an installation that is served. Keeps the current key, and begins the registry where there is none yet.
///
/// # Errors
/// Any of the store.
pub async fn open(db: &Db, secrets: &Secrets) -> Result<AuditKeys> {
    let keys = AuditKeys::read(db, secrets).await?;
    keys.keep_current(db).await?;
    begin_registry(db, &keys).await?;
    Ok(keys)
}

/// Appends events to the chains of their accounts, in the transaction of the change that they tell of. Events that are
/// there already change nothing. Returns how many were new.
///
/// # Errors
/// Any of the store; `UNAVAILABLE` for a chain under a key that this process does not have.
pub async fn append(keys: &AuditKeys, tx: &mut Tx, events: impl IntoIterator<Item = Event>) -> Result<i64> {
    // In one order everywhere, so that two transactions never wait for each other.
    let mut by_account = BTreeMap::<i64, Vec<Event>>::new();
    for event in events {
        let mut event = event.bounded();
        // What belongs to no account belongs to the first, whose administrators operate the installation.
        if event.account_id == AccountId(0) {
            event.account_id = FIRST_ACCOUNT_ID;
        }
        by_account.entry(event.account_id.into()).or_default().push(event);
    }
    begin(keys, tx, by_account.keys().copied()).await?;
    let mut appended = 0;
    for (account_id, events) in by_account {
        let head = store::lock_head(tx, account_id.into()).await?;
        let head = head.ok_or_else(|| Error::internal(format!("the audit of account {account_id} has no head")))?;
        appended += extend(keys, tx, head, events).await?;
    }
    Ok(appended)
}

/// Appends events to a chain whose head is locked.
pub(super) async fn extend(keys: &AuditKeys, tx: &mut Tx, before: SealedHead, events: Vec<Event>) -> Result<i64> {
    let key = keys.current();
    let mut head = before.head.clone();
    for event in events {
        if !store::exists(tx, head.account_id, &event.event_id).await? {
            store::insert(tx, &head.link(&key, &event).map_err(Error::internal)?).await?;
        }
    }
    let appended = head.seq - before.head.seq;
    if appended > 0 {
        store::update_head(tx, &moved(keys, before, head)?).await?;
    }
    Ok(appended)
}

/// The head in its new place, under the current key. A head that others have changed is not sealed again: a seal would
/// cover up for them.
///
/// # Errors
/// `UNAVAILABLE` when it is under a key that this process does not have, as for moments in a rotation.
pub(super) fn moved(keys: &AuditKeys, before: SealedHead, head: Head) -> Result<SealedHead> {
    let account_id = head.account_id;
    let known = keys.find(&before.key_id);
    if known.is_none() && !before.key_id.is_empty() {
        let key_id = &before.key_id;
        return Err(Error::unavailable(format!(
            "the audit of account {account_id} is under the key {key_id}, not here"
        )));
    }
    if known.is_some_and(|key| before.is_intact(&key)) {
        return Ok(head.sealed(&keys.current()));
    }
    tracing::error!(
        account_id = account_id.get(),
        seq = before.head.seq,
        "the head of the audit was changed by others; it is not sealed"
    );
    Ok(before.broken(head))
}

/// Begins the chains that are not there, each by an event of the registry. The registry is locked before any chain.
async fn begin(keys: &AuditKeys, tx: &mut Tx, accounts: impl Iterator<Item = i64>) -> Result<()> {
    let mut missing = Vec::new();
    for account_id in accounts {
        if !store::has_head(tx, account_id.into()).await? {
            missing.push(account_id);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let registry = store::lock_head(tx, REGISTRY).await?;
    let mut begun = Vec::new();
    for account_id in missing {
        // Another transaction may have begun it before the registry was locked.
        if store::insert_head(tx, &Head::new(account_id.into()).sealed(&keys.current())).await? {
            begun.push(begin_event(account_id.into()));
        }
    }
    match registry {
        Some(registry) => drop(extend(keys, tx, registry, begun).await?),
        None => tracing::error!("the registry of audit chains was removed; new chains are not in it"),
    }
    Ok(())
}

/// Begins the registry in a database that has none. Chains that are older than keys are taken in as they are: their heads
/// are sealed, and what comes after is under the key.
async fn begin_registry(db: &Db, keys: &AuditKeys) -> Result<()> {
    let key = keys.current();
    let mut tx = db.begin().await?;
    let heads = store::list_heads(&mut tx).await?;
    if heads.iter().any(|head| head.head.account_id == REGISTRY) {
        return Ok(tx.rollback().await?);
    }
    if heads.iter().any(|head| !head.seal.is_empty()) {
        // What was sealed once had a registry: somebody removed it, and a new one would cover up for them.
        tracing::error!("the registry of audit chains was removed");
        return Ok(tx.rollback().await?);
    }
    let registry = Head::new(REGISTRY).sealed(&key);
    // A process that starts at the same time may be faster.
    if store::insert_head(&mut tx, &registry).await? {
        let mut begun = Vec::new();
        for SealedHead { head, .. } in heads {
            begun.push(begin_event(head.account_id));
            store::update_head(&mut tx, &adopted(head).sealed(&key)).await?;
        }
        extend(keys, &mut tx, registry, begun).await?;
    }
    Ok(tx.commit().await?)
}

/// A head that is older than keys.
fn adopted(head: Head) -> Head {
    Head {
        unkeyed_seq: head.seq,
        anchor_seq: 0,
        anchor_hash: Head::new(AccountId(0)).anchor_hash,
        signed_seq: 0,
        ..head
    }
}

fn begin_event(account_id: AccountId) -> Event {
    Event {
        event_id: format!("{BEGIN}/{account_id}"),
        account_id: REGISTRY,
        action: BEGIN.to_owned(),
        outcome: "DONE".to_owned(),
        resource: "account".to_owned(),
        resource_id: account_id.to_string(),
        time_ms: now_ms(),
        count: 1,
        ..Event::default()
    }
}
