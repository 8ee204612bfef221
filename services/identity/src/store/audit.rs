use portolan_api::Result;
use portolan_ids::{AccountId, UserId};
use portolan_store::{Db, Row, Tx, args};

use crate::model::audit::{Entry, Event, Head, Link, SealedHead};

const HAS_HEAD: &str = "SELECT seq FROM audit_heads WHERE account_id = $1";

pub(crate) async fn has_head(tx: &mut Tx, account_id: AccountId) -> Result<bool> {
    Ok(tx.fetch_optional(HAS_HEAD, args![account_id]).await?.is_some())
}

const INSERT_HEAD: &str = "INSERT INTO audit_heads (account_id, seq, hash, unkeyed_seq, anchor_seq, anchor_hash, \
     signed_seq, key_id, seal) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING";

/// Returns false when there is one.
pub(crate) async fn insert_head(tx: &mut Tx, head: &SealedHead) -> Result<bool> {
    Ok(tx.execute(INSERT_HEAD, values(head)).await? == 1)
}

/// Locks the chain until the commit: the next append waits.
const LOCK_HEAD: &str = "UPDATE audit_heads SET seq = seq WHERE account_id = $1 RETURNING \
     account_id, seq, hash, unkeyed_seq, anchor_seq, anchor_hash, signed_seq, key_id, seal";

pub(crate) async fn lock_head(tx: &mut Tx, account_id: AccountId) -> Result<Option<SealedHead>> {
    tx.fetch_optional(LOCK_HEAD, args![account_id]).await?.as_ref().map(read_head).transpose()
}

const UPDATE_HEAD: &str = "UPDATE audit_heads SET seq = $2, hash = $3, unkeyed_seq = $4, anchor_seq = $5, \
     anchor_hash = $6, signed_seq = $7, key_id = $8, seal = $9 WHERE account_id = $1";

pub(crate) async fn update_head(tx: &mut Tx, head: &SealedHead) -> Result<()> {
    Ok(tx.execute(UPDATE_HEAD, values(head)).await.map(drop)?)
}

const FIND_HEAD: &str = "SELECT account_id, seq, hash, unkeyed_seq, anchor_seq, anchor_hash, signed_seq, key_id, seal \
     FROM audit_heads WHERE account_id = $1";

pub(crate) async fn find_head(tx: &mut Tx, account_id: AccountId) -> Result<Option<SealedHead>> {
    tx.fetch_optional(FIND_HEAD, args![account_id]).await?.as_ref().map(read_head).transpose()
}

const LIST_HEADS: &str = "SELECT account_id, seq, hash, unkeyed_seq, anchor_seq, anchor_hash, signed_seq, key_id, seal \
     FROM audit_heads ORDER BY account_id";

pub(crate) async fn list_heads(tx: &mut Tx) -> Result<Vec<SealedHead>> {
    tx.fetch_all(LIST_HEADS, args![]).await?.iter().map(read_head).collect()
}

const LIST_UNSIGNED: &str = "SELECT account_id FROM audit_heads WHERE seq > signed_seq AND account_id > $1 \
     ORDER BY account_id LIMIT $2";

/// Chains whose head has moved since it was signed.
pub(crate) async fn list_unsigned(tx: &mut Tx, after: AccountId, limit: i64) -> Result<Vec<AccountId>> {
    let rows = tx.fetch_all(LIST_UNSIGNED, args![after, limit]).await?;
    rows.iter().map(|row| Ok(row.get("account_id")?)).collect()
}

const EXISTS: &str = "SELECT seq FROM audit_events WHERE account_id = $1 AND event_id = $2";

pub(crate) async fn exists(tx: &mut Tx, account_id: AccountId, event_id: &str) -> Result<bool> {
    Ok(tx.fetch_optional(EXISTS, args![account_id, event_id]).await?.is_some())
}

const INSERT: &str = "INSERT INTO audit_events (account_id, seq, event_id, user_id, action, time_ms, event, key_id, hash) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

pub(crate) async fn insert(tx: &mut Tx, entry: &Entry) -> Result<()> {
    let Entry { account_id, seq, event_id, user_id, action, time_ms, event, key_id, hash } = entry;
    let row = args![*account_id, *seq, event_id, *user_id, action, *time_ms, event, key_id, hash];
    Ok(tx.execute(INSERT, row).await.map(drop)?)
}

const AFTER: &str = "SELECT account_id, seq, event_id, user_id, action, time_ms, event, key_id, hash FROM audit_events
    WHERE account_id = $1 AND seq > $2 ORDER BY seq LIMIT $3";

pub(crate) async fn after(tx: &mut Tx, account_id: AccountId, seq: i64, limit: i64) -> Result<Vec<Entry>> {
    tx.fetch_all(AFTER, args![account_id, seq, limit]).await?.iter().map(read_entry).collect()
}

const FIRST_SINCE: &str =
    "SELECT min(seq) AS seq FROM audit_events WHERE account_id = $1 AND seq > $2 AND time_ms >= $3";

/// The first event behind a place whose time is not before this.
pub(crate) async fn first_since(tx: &mut Tx, account_id: AccountId, after: i64, time_ms: i64) -> Result<Option<i64>> {
    Ok(tx.fetch_one(FIRST_SINCE, args![account_id, after, time_ms]).await?.get("seq")?)
}

const DELETE_UNTIL: &str = "DELETE FROM audit_events WHERE account_id = $1 AND seq <= $2";

pub(crate) async fn delete_until(tx: &mut Tx, account_id: AccountId, seq: i64) -> Result<()> {
    Ok(tx.execute(DELETE_UNTIL, args![account_id, seq]).await.map(drop)?)
}

const LIST: &str = "SELECT seq, event, hash FROM audit_events WHERE account_id = $1 AND seq < $2
    AND ($3 = 0 OR user_id = $4) AND ($5 = '' OR action = $5) AND time_ms >= $6 AND time_ms < $7
    ORDER BY seq DESC LIMIT $8";

/// The newest first, below a place in the chain.
pub(crate) async fn list(
    db: &Db,
    account_id: AccountId,
    user_id: Option<UserId>,
    action: &str,
    (start_ms, end_ms): (i64, i64),
    below: i64,
    limit: i64,
) -> Result<Vec<Link>> {
    let user = user_id.unwrap_or_default();
    let values = args![account_id, below, user_id.is_some(), user, action, start_ms, end_ms, limit];
    db.fetch_all(LIST, values).await?.iter().map(read_link).collect()
}

const ACCOUNTS: &str = "SELECT account_id FROM audit_heads UNION SELECT account_id FROM audit_events
    ORDER BY account_id";

pub(crate) async fn accounts(tx: &mut Tx) -> Result<Vec<AccountId>> {
    tx.fetch_all(ACCOUNTS, args![]).await?.iter().map(|row| Ok(row.get("account_id")?)).collect()
}

const INSERT_KEY: &str = "INSERT INTO audit_keys (key_id, sealed) VALUES ($1, $2) ON CONFLICT DO NOTHING";

pub(crate) async fn insert_key(db: &Db, key_id: &str, sealed: Vec<u8>) -> Result<()> {
    Ok(db.execute(INSERT_KEY, args![key_id, sealed]).await.map(drop)?)
}

const LIST_KEYS: &str = "SELECT key_id, sealed FROM audit_keys ORDER BY key_id";

/// Ids with the sealed keys.
pub(crate) async fn list_keys(db: &Db) -> Result<Vec<(String, Vec<u8>)>> {
    let rows = db.fetch_all(LIST_KEYS, args![]).await?;
    rows.iter().map(|row| Ok((row.get("key_id")?, row.get("sealed")?))).collect()
}

fn values(head: &SealedHead) -> Vec<portolan_store::Value> {
    let SealedHead { head, key_id, seal } = head;
    let Head { account_id, seq, hash, unkeyed_seq, anchor_seq, anchor_hash, signed_seq } = head;
    args![*account_id, *seq, hash, *unkeyed_seq, *anchor_seq, anchor_hash, *signed_seq, key_id, seal]
}

fn read_link(row: &Row) -> Result<Link> {
    let event: String = row.get("event")?;
    // An event that cannot be read was changed by others, which a check of the chain finds.
    let event = serde_json::from_str::<Event>(&event).unwrap_or_default();
    Ok(Link { seq: row.get("seq")?, event, hash: row.get("hash")? })
}

fn read_entry(row: &Row) -> Result<Entry> {
    Ok(Entry {
        account_id: row.get("account_id")?,
        seq: row.get("seq")?,
        event_id: row.get("event_id")?,
        user_id: row.get("user_id")?,
        action: row.get("action")?,
        time_ms: row.get("time_ms")?,
        event: row.get("event")?,
        key_id: row.get("key_id")?,
        hash: row.get("hash")?,
    })
}

fn read_head(row: &Row) -> Result<SealedHead> {
    let head = Head {
        account_id: row.get("account_id")?,
        seq: row.get("seq")?,
        hash: row.get("hash")?,
        unkeyed_seq: row.get("unkeyed_seq")?,
        anchor_seq: row.get("anchor_seq")?,
        anchor_hash: row.get("anchor_hash")?,
        signed_seq: row.get("signed_seq")?,
    };
    Ok(SealedHead { head, key_id: row.get("key_id")?, seal: row.get("seal")? })
}
