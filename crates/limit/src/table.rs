use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portolan_api::Result;
use portolan_store::{Db, Error, Migration, Migrations, args, retrying};

use crate::{Counter, Decision};

/// The table of counts, which stands beside those of a service.
pub const MIGRATIONS: Migrations = Migrations {
    service: "limit",
    steps: &[Migration {
        version: 1,
        name: "limit",
        sqlite: include_str!("../migrations/sqlite/0001_limit.sql"),
        postgres: include_str!("../migrations/postgres/0001_limit.sql"),
    }],
};

/// Counts one unless the window under way is full; answers what is taken then, and nothing when it is full. Racing
/// callers wait for each other at the row.
const TAKE: &str = "INSERT INTO limit_counts (subject, window_end, taken) VALUES ($1, $2, 1) \
     ON CONFLICT (subject) DO UPDATE SET \
       taken = CASE WHEN limit_counts.window_end <= $3 THEN 1 ELSE limit_counts.taken + 1 END, \
       window_end = CASE WHEN limit_counts.window_end <= $3 THEN excluded.window_end ELSE limit_counts.window_end END \
     WHERE limit_counts.window_end <= $3 OR limit_counts.taken < $4 RETURNING taken";
const SWEEP_EVERY: Duration = Duration::from_secs(600);
const FIND_END: &str = "SELECT window_end FROM limit_counts WHERE subject = $1";
const GIVE_BACK: &str = "UPDATE limit_counts SET taken = taken - 1 WHERE subject = $1 AND taken > 0";
const FORGET: &str = "DELETE FROM limit_counts WHERE subject = $1";
const FORGET_ENDED: &str = "DELETE FROM limit_counts WHERE window_end <= $1";

/// Migrates the table and drops windows that have ended.
pub(crate) async fn open(db: &Db) -> Result<(), Error> {
    db.migrate_library(&MIGRATIONS).await?;
    db.execute(FORGET_ENDED, args![now_ms()]).await.map(drop)
}

/// Drops windows that have ended, for as long as the process runs.
pub(crate) async fn sweep(db: Db) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        if let Err(error) = db.execute(FORGET_ENDED, args![now_ms()]).await {
            tracing::warn!(%error, "ended windows of limits stay for now");
        }
    }
}

pub(crate) async fn take(db: &Db, counters: &[Counter]) -> Result<Decision> {
    // In one order everywhere, so that two callers never wait for each other.
    let mut counters: Vec<&Counter> = counters.iter().collect();
    counters.sort_by(|a, b| a.subject.cmp(&b.subject));
    Ok(retrying(|| take_in_order(db, &counters)).await?)
}

async fn take_in_order(db: &Db, counters: &[&Counter]) -> Result<Decision, Error> {
    let now = now_ms();
    let (mut left, mut wait_ms) = (i64::MAX, 0);
    let mut tx = db.begin().await?;
    for Counter { subject, limit } in counters {
        let max = i64::try_from(limit.max).unwrap_or(i64::MAX);
        let window_ms = i64::try_from(limit.window.as_millis()).unwrap_or(i64::MAX / 2);
        if max > 0
            && let Some(row) = tx.fetch_optional(TAKE, args![subject, now + window_ms, now, max]).await?
        {
            left = left.min(max - row.get::<i64>("taken")?);
            continue;
        }
        let end = tx.fetch_optional(FIND_END, args![subject]).await?;
        let end = end.map(|row| row.get::<i64>("window_end")).transpose()?.unwrap_or(now + window_ms);
        wait_ms = wait_ms.max(end - now).max(1);
    }
    if wait_ms > 0 {
        tx.rollback().await?;
        return Ok(Decision::Refused { retry_after: Duration::from_millis(wait_ms.unsigned_abs()) });
    }
    tx.commit().await?;
    Ok(Decision::Allowed { left: left.unsigned_abs() })
}

pub(crate) async fn give_back(db: &Db, counters: &[Counter]) -> Result<()> {
    for counter in counters {
        db.execute(GIVE_BACK, args![&counter.subject]).await?;
    }
    Ok(())
}

pub(crate) async fn forget(db: &Db, subject: &str) -> Result<()> {
    Ok(db.execute(FORGET, args![subject]).await.map(drop)?)
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_millis() as i64)
}
