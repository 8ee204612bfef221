use portolan_store::{Db, Error, Migration, Migrations, Tx, args};

use crate::sink::Event;

const MIGRATIONS: Migrations = Migrations {
    service: "outbox",
    steps: &[Migration {
        version: 1,
        name: "outbox",
        sqlite: include_str!("../migrations/sqlite/0001_outbox.sql"),
        postgres: include_str!("../migrations/postgres/0001_outbox.sql"),
    }],
};

const INSERT: &str = "INSERT INTO outbox (topic, event_id, payload) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
const SELECT_NEXT: &str = "SELECT seq, event_id, payload FROM outbox WHERE topic = $1 ORDER BY seq LIMIT $2";
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

/// Puts an event on its way in the transaction of the change that it tells of. An id that is on its way already changes
/// nothing.
///
/// # Errors
/// Any of the store.
pub async fn put(tx: &mut Tx, topic: &str, event_id: &str, payload: &str) -> Result<(), Error> {
    tx.execute(INSERT, args![topic, event_id, payload]).await.map(drop)
}

/// The oldest events of a topic.
pub(crate) async fn next(db: &Db, topic: &str, limit: i64) -> Result<Vec<Event>, Error> {
    let rows = db.fetch_all(SELECT_NEXT, args![topic, limit]).await?;
    rows.iter()
        .map(|row| Ok(Event { seq: row.get("seq")?, id: row.get("event_id")?, payload: row.get("payload")? }))
        .collect()
}

pub(crate) async fn remove(db: &Db, events: &[Event]) -> Result<(), Error> {
    let mut tx = db.begin().await?;
    for event in events {
        tx.execute(DELETE, args![event.seq]).await?;
    }
    tx.commit().await
}

/// Moves an event to those that its receiver will never take.
pub(crate) async fn reject(db: &Db, topic: &str, event: &Event, reason: &str, now: i64) -> Result<(), Error> {
    let mut tx = db.begin().await?;
    tx.execute(INSERT_REJECTED, args![topic, &event.id, &event.payload, reason, now]).await?;
    tx.execute(DELETE, args![event.seq]).await?;
    tx.commit().await
}

/// Takes or renews the right to deliver a topic; false while another process holds it.
pub(crate) async fn take_lease(db: &Db, topic: &str, owner: &str, until: i64, now: i64) -> Result<bool, Error> {
    Ok(db.execute(TAKE_LEASE, args![topic, owner, until, now]).await? == 1)
}

pub(crate) async fn end_lease(db: &Db, topic: &str, owner: &str) -> Result<(), Error> {
    db.execute(END_LEASE, args![topic, owner]).await.map(drop)
}
