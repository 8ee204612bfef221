use portolan_store::{Db, Error, Migration, Migrations, Tx, args, now_s};

use crate::sink::Event;

/// The tables of the outbox, which stand beside those of a service.
pub const MIGRATIONS: Migrations = Migrations {
    service: "outbox",
    steps: &[Migration {
        version: 1,
        name: "outbox",
        sqlite: include_str!("../migrations/sqlite/0001_outbox.sql"),
        postgres: include_str!("../migrations/postgres/0001_outbox.sql"),
    }],
};

const INSERT: &str = "INSERT INTO outbox (topic, event_id, payload, event_key, created_at) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
const SELECT_NEXT: &str = "SELECT seq, event_id, event_key, payload FROM outbox WHERE topic = $1 AND NOT EXISTS \
       (SELECT 1 FROM outbox_waits WHERE outbox_waits.topic = outbox.topic \
         AND outbox_waits.event_key = outbox.event_key AND outbox_waits.due_at > $3) \
     ORDER BY seq LIMIT $2";
const SELECT_OLDEST: &str = "SELECT created_at FROM outbox WHERE topic = $1 ORDER BY seq LIMIT 1";
const SELECT_AGES: &str = "SELECT topic, min(created_at) AS created_at, count(*) AS events FROM outbox GROUP BY topic";
const SELECT_TRIES: &str = "SELECT tries FROM outbox_waits WHERE topic = $1 AND event_key = $2";
const HOLD: &str = "INSERT INTO outbox_waits (topic, event_key, tries, due_at, reason) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (topic, event_key) DO UPDATE \
     SET tries = excluded.tries, due_at = excluded.due_at, reason = excluded.reason";
const FREE: &str = "DELETE FROM outbox_waits WHERE topic = $1 AND event_key = $2";
const DELETE: &str = "DELETE FROM outbox WHERE seq = $1";
const TAKE_LEASE: &str = "INSERT INTO outbox_leases (topic, owner, until) VALUES ($1, $2, $3) \
     ON CONFLICT (topic) DO UPDATE SET owner = excluded.owner, until = excluded.until \
     WHERE outbox_leases.owner = excluded.owner OR outbox_leases.until < $4";
const END_LEASE: &str = "DELETE FROM outbox_leases WHERE topic = $1 AND owner = $2";
const INSERT_REJECTED: &str = "INSERT INTO outbox_rejected (topic, event_id, payload, reason, rejected_at) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";

/// Brings the tables of the outbox to this version, beside those of the service that `db` belongs to.
///
/// # Errors
/// When the store cannot be reached or migrated.
pub async fn open(db: &Db) -> Result<(), Error> {
    db.migrate_library(&MIGRATIONS).await
}

/// Puts an event on its way in the transaction of the change that it tells of. Events of one `key`, the account as a
/// rule, arrive in their order; one that has to wait holds back no other key. An id that is on its way already changes
/// nothing.
///
/// # Errors
/// Any of the store.
pub async fn put(tx: &mut Tx, topic: &str, key: &str, event_id: &str, payload: &str) -> Result<(), Error> {
    tx.execute(INSERT, args![topic, event_id, payload, key, now_s()]).await.map(drop)
}

/// Events on their way, by topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// To which service and RPC they go.
    pub topic: String,
    /// How many wait.
    pub events: i64,
    /// Of the oldest one, in seconds.
    pub age_s: i64,
}

/// What waits for its receiver in the outbox beside this service.
///
/// # Errors
/// Any of the store.
pub async fn waiting(db: &Db) -> Result<Vec<Waiting>, Error> {
    let now = now_s();
    let rows = db.fetch_all(SELECT_AGES, args![]).await?;
    rows.iter()
        .map(|row| {
            let age_s = (now - row.get::<i64>("created_at")?).max(0);
            Ok(Waiting { topic: row.get("topic")?, events: row.get("events")?, age_s })
        })
        .collect()
}

const SELECT_REFUSED: &str =
    "SELECT topic, count(*) AS events, max(rejected_at) AS last_at FROM outbox_rejected GROUP BY topic ORDER BY topic";
const SELECT_REASON: &str =
    "SELECT reason FROM outbox_rejected WHERE topic = $1 AND rejected_at = $2 ORDER BY event_id LIMIT 1";

/// Events that their receiver will never take, by topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// To which service and RPC they went.
    pub topic: String,
    /// How many were refused.
    pub events: i64,
    /// Of the last one.
    pub reason: String,
}

/// What was refused for good of the outbox beside this service.
///
/// # Errors
/// Any of the store.
pub async fn refused(db: &Db) -> Result<Vec<Refused>, Error> {
    let mut refused = Vec::new();
    for row in db.fetch_all(SELECT_REFUSED, args![]).await? {
        let topic: String = row.get("topic")?;
        let last = db.fetch_optional(SELECT_REASON, args![&topic, row.get::<i64>("last_at")?]).await?;
        let reason = last.map_or(Ok(String::new()), |last| last.get("reason"))?;
        refused.push(Refused { topic, events: row.get("events")?, reason });
    }
    Ok(refused)
}

/// The age of the oldest event of a topic in seconds, 0 when there is none.
pub(crate) async fn oldest_age_s(db: &Db, topic: &str) -> Result<i64, Error> {
    let Some(row) = db.fetch_optional(SELECT_OLDEST, args![topic]).await? else { return Ok(0) };
    Ok((now_s() - row.get::<i64>("created_at")?).max(0))
}

/// The oldest events of a topic, except those of keys that wait at `now`.
pub(crate) async fn next(db: &Db, topic: &str, limit: i64, now: i64) -> Result<Vec<Event>, Error> {
    let rows = db.fetch_all(SELECT_NEXT, args![topic, limit, now]).await?;
    rows.iter()
        .map(|row| {
            let (id, key, payload) = (row.get("event_id")?, row.get("event_key")?, row.get("payload")?);
            Ok(Event { seq: row.get("seq")?, key, id, payload })
        })
        .collect()
}

/// How often the oldest event of a key was not taken.
pub(crate) async fn tries(db: &Db, topic: &str, key: &str) -> Result<i64, Error> {
    db.fetch_optional(SELECT_TRIES, args![topic, key]).await?.map_or(Ok(0), |row| row.get("tries"))
}

/// Keeps a key's events back until `due_at`.
pub(crate) async fn hold(db: &Db, topic: &str, key: &str, tries: i64, due_at: i64, reason: &str) -> Result<(), Error> {
    // A reason may quote the event, and Postgres refuses NUL in text.
    let reason = reason.replace('\0', "\u{fffd}");
    db.execute(HOLD, args![topic, key, tries, due_at, reason]).await.map(drop)
}

/// Ends the wait of a key.
pub(crate) async fn free(db: &Db, topic: &str, key: &str) -> Result<(), Error> {
    db.execute(FREE, args![topic, key]).await.map(drop)
}

pub(crate) async fn remove(db: &Db, events: &[Event]) -> Result<(), Error> {
    let mut tx = db.begin().await?;
    for event in events {
        tx.execute(DELETE, args![event.seq]).await?;
    }
    // What is delivered again is known by its id.
    tx.commit_unsynced().await
}

/// Moves an event to those that its receiver will never take.
pub(crate) async fn reject(db: &Db, topic: &str, event: &Event, reason: &str, now: i64) -> Result<(), Error> {
    let reason = reason.replace('\0', "\u{fffd}");
    let mut tx = db.begin().await?;
    tx.execute(INSERT_REJECTED, args![topic, &event.id, &event.payload, reason, now]).await?;
    tx.execute(DELETE, args![event.seq]).await?;
    tx.commit().await
}

const FORGET_REJECTED: &str = "DELETE FROM outbox_rejected WHERE topic = $1 AND event_id IN \
     (SELECT event_id FROM outbox_rejected WHERE topic = $1 AND rejected_at < $2 LIMIT $3)";

/// Forgets the events of a topic that were refused before a time, `limit` at a time.
pub(crate) async fn forget_rejected(db: &Db, topic: &str, before: i64, limit: i64) -> Result<(), Error> {
    while db.execute(FORGET_REJECTED, args![topic, before, limit]).await? == limit.unsigned_abs() {}
    Ok(())
}

/// Takes or renews the right to deliver a topic; false while another process holds it.
pub(crate) async fn take_lease(db: &Db, topic: &str, owner: &str, until: i64, now: i64) -> Result<bool, Error> {
    Ok(db.execute(TAKE_LEASE, args![topic, owner, until, now]).await? == 1)
}

pub(crate) async fn end_lease(db: &Db, topic: &str, owner: &str) -> Result<(), Error> {
    db.execute(END_LEASE, args![topic, owner]).await.map(drop)
}
