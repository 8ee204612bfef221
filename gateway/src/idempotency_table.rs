//! Answers to requests with an `Idempotency-Key`, kept in the store for 24 hours.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures::future::BoxFuture;
use portolan_api::{Error, Result};
use portolan_runtime::{key_mark, now_s};
use portolan_store::{Db, Dialect, Migration, Migrations, Row, Tables, args};

use crate::ports::{Begin, IdempotencyId, IdempotencyStore, StoredAnswer};

const MIGRATIONS: Migrations = Migrations {
    service: "gateway",
    steps: &[Migration {
        version: 1,
        name: "gateway",
        sqlite: include_str!("../migrations/sqlite/0001_gateway.sql"),
        postgres: include_str!("../migrations/postgres/0001_gateway.sql"),
    }],
};

/// What the gateway owns in the store, with the tables of the libraries beside its own.
pub const TABLES: Tables =
    Tables { service: "gateway", parts: &[&key_mark::MIGRATIONS, &portolan_outbox::MIGRATIONS, &MIGRATIONS] };

/// How long an answer can be repeated.
const KEPT_S: i64 = 24 * 60 * 60;
/// A key is held for this long at a time, so that one whose holder died is soon free.
const HELD_S: i64 = 15;
/// A live holder renews what it holds this often.
const RENEW_EVERY: Duration = Duration::from_secs(5);
const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);

/// The table `idempotency_keys`.
pub struct IdempotencyTable {
    db: Db,
    held: Arc<Mutex<HashSet<IdempotencyId>>>,
}

impl IdempotencyTable {
    /// Migrates the table and frees keys that a dead process of this installation held.
    ///
    /// # Errors
    /// When the store cannot be reached or migrated.
    pub async fn open(db: Db) -> Result<Self> {
        db.migrate_tables(&TABLES).await?;
        // A SQLite file has one process, and that is this one: whoever held a key is gone.
        if db.dialect() == Dialect::Sqlite {
            db.execute(FREE_ALL, args![]).await?;
        }
        db.execute(DELETE_OLD, args![now_s() - KEPT_S]).await?;
        let held = Arc::new(Mutex::new(HashSet::new()));
        tokio::spawn(renew(db.clone(), Arc::downgrade(&held)));
        tokio::spawn(sweep(db.clone(), Arc::downgrade(&held)));
        Ok(Self { db, held })
    }

    async fn begin(&self, id: &IdempotencyId, digest: [u8; 32]) -> Result<Begin> {
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let now = now_s();
        let mut tx = self.db.begin().await?;
        let inserted = tx.execute(HOLD, args![&id.scope, &id.key, &digest, now, now + HELD_S]).await?;
        let begin = if inserted == 1 {
            Begin::Fresh
        } else {
            let row = tx.fetch_one(FIND, args![&id.scope, &id.key]).await?;
            match known(&row, &digest, now)? {
                Some(begin) => begin,
                None => {
                    let held_until: i64 = row.get("held_until")?;
                    let values = args![&id.scope, &id.key, &digest, now, now + HELD_S, held_until];
                    if tx.execute(HOLD_AGAIN, values).await? == 1 { Begin::Fresh } else { Begin::InProgress }
                }
            }
        };
        tx.commit().await?;
        if begin == Begin::Fresh {
            lock(&self.held).insert(id.clone());
        }
        Ok(begin)
    }

    async fn finish(&self, id: &IdempotencyId, answer: StoredAnswer) -> Result<()> {
        let headers = serde_json::to_string(&answer.headers).map_err(Error::internal)?;
        let values = args![&id.scope, &id.key, i64::from(answer.status), headers, answer.body.to_vec()];
        lock(&self.held).remove(id);
        self.db.execute(FINISH, values).await?;
        Ok(())
    }

    async fn abandon(&self, id: &IdempotencyId) -> Result<()> {
        lock(&self.held).remove(id);
        self.db.execute(ABANDON, args![&id.scope, &id.key]).await?;
        Ok(())
    }
}

const HOLD: &str = "INSERT INTO idempotency_keys (caller_key, idempotency_key, request_digest, created_at, held_until)
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT (caller_key, idempotency_key) DO NOTHING";
const FIND: &str = "SELECT request_digest, created_at, held_until, status, headers, body FROM idempotency_keys
    WHERE caller_key = $1 AND idempotency_key = $2";
const HOLD_AGAIN: &str = "UPDATE idempotency_keys
    SET request_digest = $3, created_at = $4, held_until = $5, status = NULL, headers = NULL, body = NULL
    WHERE caller_key = $1 AND idempotency_key = $2 AND held_until = $6";
const FINISH: &str = "UPDATE idempotency_keys SET status = $3, headers = $4, body = $5, held_until = 0
    WHERE caller_key = $1 AND idempotency_key = $2";
const RENEW: &str = "UPDATE idempotency_keys SET held_until = $3
    WHERE caller_key = $1 AND idempotency_key = $2 AND status IS NULL";
const ABANDON: &str = "DELETE FROM idempotency_keys WHERE caller_key = $1 AND idempotency_key = $2 AND status IS NULL";
const FREE_ALL: &str = "DELETE FROM idempotency_keys WHERE status IS NULL";
const DELETE_OLD: &str = "DELETE FROM idempotency_keys WHERE created_at < $1";

impl IdempotencyStore for IdempotencyTable {
    fn begin<'a>(&'a self, id: &'a IdempotencyId, digest: [u8; 32]) -> BoxFuture<'a, Result<Begin>> {
        Box::pin(self.begin(id, digest))
    }

    fn finish<'a>(&'a self, id: &'a IdempotencyId, answer: StoredAnswer) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.finish(id, answer))
    }

    fn abandon<'a>(&'a self, id: &'a IdempotencyId) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.abandon(id))
    }
}

/// Renews holds until the table is dropped.
async fn renew(db: Db, held: Weak<Mutex<HashSet<IdempotencyId>>>) {
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        let Some(held) = held.upgrade() else { return };
        let ids: Vec<_> = lock(&held).iter().cloned().collect();
        for id in ids {
            // A hold that cannot be renewed lapses, and the request may then be made twice at once: services make the
            // write once under its id.
            let _ = db.execute(RENEW, args![&id.scope, &id.key, now_s() + HELD_S]).await;
        }
    }
}

/// Drops answers that can no longer be repeated, until the table is dropped.
async fn sweep(db: Db, held: Weak<Mutex<HashSet<IdempotencyId>>>) {
    while held.strong_count() > 0 {
        tokio::time::sleep(SWEEP_EVERY).await;
        if let Err(error) = db.execute(DELETE_OLD, args![now_s() - KEPT_S]).await {
            tracing::warn!(%error, "old idempotent answers stay for now");
        }
    }
}

fn lock(held: &Mutex<HashSet<IdempotencyId>>) -> MutexGuard<'_, HashSet<IdempotencyId>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a stored row says; `None` when it is too old or its holder is gone.
fn known(row: &Row, digest: &str, now: i64) -> Result<Option<Begin>> {
    if row.get::<i64>("created_at")? < now - KEPT_S {
        return Ok(None);
    }
    if row.get::<String>("request_digest")? != digest {
        return Ok(Some(Begin::Conflict));
    }
    let Some(status) = row.get::<Option<i64>>("status")? else {
        let held = row.get::<i64>("held_until")? >= now;
        return Ok(held.then_some(Begin::InProgress));
    };
    let headers: String = row.get("headers")?;
    Ok(Some(Begin::Replay(StoredAnswer {
        status: u16::try_from(status).map_err(Error::internal)?,
        headers: serde_json::from_str(&headers).map_err(Error::internal)?,
        body: row.get::<Vec<u8>>("body")?.into(),
    })))
}
