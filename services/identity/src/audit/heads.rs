//! Heads that are signed, so that a chain can be held against what it was.

use portolan_api::{Error, Result};
use portolan_ids::AccountId;
use portolan_store::{Db, Tx};
use serde_json::json;

use super::{chain::moved, keys::AuditKeys};
use crate::{
    clock::now_ms,
    model::{
        audit::{Head, SealedHead},
        audit_head::SignedHead,
    },
    store::audit as store,
};

/// Chains that are locked at a time.
const BATCH: i64 = 100;

/// The heads of every chain at this moment, signed; with the accounts whose head was changed by others, which none signs.
///
/// # Errors
/// Any of the store.
pub async fn signed(db: &Db, keys: &AuditKeys) -> Result<(Vec<SignedHead>, Vec<AccountId>)> {
    let mut tx = db.begin_read().await?;
    let heads = store::list_heads(&mut tx).await?;
    tx.rollback().await?;
    let (mut signed, mut changed) = (Vec::new(), Vec::new());
    for sealed in heads {
        match is_intact(keys, &sealed) {
            true => signed.push(SignedHead::sign(&sealed.head, &keys.current(), now_ms())),
            false => changed.push(sealed.head.account_id),
        }
    }
    Ok((signed, changed))
}

/// Signs each head that has moved since it was signed, tells the log of it, and puts it on its way to the receiver where
/// there is one. Of several processes one signs a head.
///
/// # Errors
/// Any of the store.
pub async fn sign_moved(db: &Db, keys: &AuditKeys, has_receiver: bool) -> Result<Vec<SignedHead>> {
    let (mut all, mut after) = (Vec::new(), AccountId(i64::MIN));
    let mut changed = 0_u32;
    loop {
        let mut tx = db.begin().await?;
        let accounts = store::list_unsigned(&mut tx, after, BATCH).await?;
        let Some(last) = accounts.last() else {
            tx.rollback().await?;
            break;
        };
        after = *last;
        let mut signed = Vec::new();
        for account_id in accounts {
            match sign(&mut tx, keys, account_id).await? {
                Signed::Now(head) => signed.push(head),
                Signed::Before => {}
                Signed::Never => changed += 1,
            }
        }
        if has_receiver {
            for head in &signed {
                send(&mut tx, head).await?;
            }
        }
        tx.commit().await?;
        signed.iter().for_each(tell);
        all.append(&mut signed);
    }
    metrics::gauge!("portolan_audit_changed_heads").set(changed);
    Ok(all)
}

enum Signed {
    Now(SignedHead),
    /// By another process.
    Before,
    /// Since others have changed it.
    Never,
}

async fn sign(tx: &mut Tx, keys: &AuditKeys, account_id: AccountId) -> Result<Signed> {
    let Some(sealed) = store::lock_head(tx, account_id).await? else { return Ok(Signed::Before) };
    if sealed.head.signed_seq >= sealed.head.seq {
        return Ok(Signed::Before);
    }
    if !is_intact(keys, &sealed) {
        let seq = sealed.head.seq;
        tracing::error!(
            account_id = account_id.get(),
            seq,
            "the head of the audit was changed by others; it is not signed"
        );
        return Ok(Signed::Never);
    }
    let head = Head { signed_seq: sealed.head.seq, ..sealed.head.clone() };
    let signed = SignedHead::sign(&head, &keys.current(), now_ms());
    store::update_head(tx, &moved(keys, sealed, head)?).await?;
    Ok(Signed::Now(signed))
}

fn is_intact(keys: &AuditKeys, sealed: &SealedHead) -> bool {
    keys.find(&sealed.key_id).is_some_and(|key| sealed.is_intact(&key))
}

fn tell(head: &SignedHead) {
    let SignedHead { account_id, seq, count, time_ms, key_id, .. } = head;
    tracing::info!(target: "audit", account_id = account_id.get(), seq, count, time_ms, key_id, %head, "signed head");
}

async fn send(tx: &mut Tx, head: &SignedHead) -> Result<()> {
    let payload = json!({
        "accountId": head.account_id,
        "sequence": head.seq,
        "count": head.count,
        "timeMs": head.time_ms,
        "keyId": head.key_id,
        "hash": head.hash,
        "head": head.to_string(),
    });
    let (key, id) = (head.account_id.to_string(), &head.signature);
    portolan_outbox::put(tx, portolan_outbox::AUDIT_HEADS, &key, id, &payload.to_string()).await.map_err(Error::from)
}
