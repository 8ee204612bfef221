use portolan_api::{Error, Result};
use portolan_store::{Db, Row, Tx, args};

use crate::model::audit::{Event, Head, Link};

const INSERT_HEAD: &str = "INSERT INTO audit_heads (account_id, seq, hash) VALUES ($1, 0, $2) ON CONFLICT DO NOTHING";
/// Locks the chain until the commit: the next append waits.
const LOCK_HEAD: &str = "UPDATE audit_heads SET seq = seq WHERE account_id = $1 RETURNING seq, hash";

pub(crate) async fn lock_head(tx: &mut Tx, account_id: i64) -> Result<Head> {
    tx.execute(INSERT_HEAD, args![account_id, hex(&Head::default().hash)]).await?;
    read_head(&tx.fetch_one(LOCK_HEAD, args![account_id]).await?)
}

const MOVE_HEAD: &str = "UPDATE audit_heads SET seq = $2, hash = $3 WHERE account_id = $1";

pub(crate) async fn move_head(tx: &mut Tx, account_id: i64, head: Head) -> Result<()> {
    Ok(tx.execute(MOVE_HEAD, args![account_id, head.seq, hex(&head.hash)]).await.map(drop)?)
}

const FIND_HEAD: &str = "SELECT seq, hash FROM audit_heads WHERE account_id = $1";

pub(crate) async fn head(db: &Db, account_id: i64) -> Result<Head> {
    match db.fetch_optional(FIND_HEAD, args![account_id]).await? {
        Some(row) => read_head(&row),
        None => Ok(Head::default()),
    }
}

const EXISTS: &str = "SELECT seq FROM audit_events WHERE account_id = $1 AND event_id = $2";

pub(crate) async fn exists(tx: &mut Tx, account_id: i64, event_id: &str) -> Result<bool> {
    Ok(tx.fetch_optional(EXISTS, args![account_id, event_id]).await?.is_some())
}

const INSERT: &str = "INSERT INTO audit_events (account_id, seq, event_id, user_id, action, time_ms, event, hash) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

pub(crate) async fn insert(tx: &mut Tx, link: &Link) -> Result<()> {
    let Link { seq, event, hash } = link;
    let text = serde_json::to_string(event).map_err(Error::internal)?;
    let row =
        args![event.account_id, seq, &event.event_id, event.user_id, &event.action, event.time_ms, text, hex(hash)];
    Ok(tx.execute(INSERT, row).await.map(drop)?)
}

const AFTER: &str = "SELECT seq, event, hash, event_id, user_id, action, time_ms FROM audit_events
    WHERE account_id = $1 AND seq > $2 ORDER BY seq LIMIT $3";

pub(crate) async fn after(db: &Db, account_id: i64, seq: i64, limit: i64) -> Result<Vec<Link>> {
    db.fetch_all(AFTER, args![account_id, seq, limit]).await?.iter().map(read_checked_link).collect()
}

const LIST: &str = "SELECT seq, event, hash FROM audit_events WHERE account_id = $1 AND seq < $2
    AND ($3 = 0 OR user_id = $4) AND ($5 = '' OR action = $5) AND time_ms >= $6 AND time_ms < $7
    ORDER BY seq DESC LIMIT $8";

/// The newest first, below a place in the chain.
pub(crate) async fn list(
    db: &Db,
    account_id: i64,
    user_id: Option<i64>,
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

pub(crate) async fn accounts(db: &Db) -> Result<Vec<i64>> {
    db.fetch_all(ACCOUNTS, args![]).await?.iter().map(|row| Ok(row.get("account_id")?)).collect()
}

fn read_link(row: &Row) -> Result<Link> {
    let event: String = row.get("event")?;
    // An event that cannot be read was changed; an empty one does not match its hash either.
    let event = serde_json::from_str::<Event>(&event).unwrap_or_default();
    Ok(Link { seq: row.get("seq")?, event, hash: read_hash(row)? })
}

/// An event whose columns, by which it is found, say something else was changed as much as one whose text was.
fn read_checked_link(row: &Row) -> Result<Link> {
    let mut link = read_link(row)?;
    let Event { event_id, user_id, action, time_ms, .. } = &link.event;
    let is_same = row.get::<String>("event_id")? == *event_id
        && row.get::<i64>("user_id")? == *user_id
        && row.get::<String>("action")? == *action
        && row.get::<i64>("time_ms")? == *time_ms;
    if !is_same {
        link.event = Event::default();
    }
    Ok(link)
}

fn read_head(row: &Row) -> Result<Head> {
    Ok(Head { seq: row.get("seq")?, hash: read_hash(row)? })
}

/// A text that is no hash matches none.
fn read_hash(row: &Row) -> Result<[u8; 32]> {
    let text: String = row.get("hash")?;
    let digit = |at: usize| text.get(2 * at..2 * at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    Ok(std::array::from_fn(|at| digit(at).unwrap_or(0xff)))
}

fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
