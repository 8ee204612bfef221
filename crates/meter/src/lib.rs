//! Meter: counts that a service keeps of what its accounts use, reported to billing through the outbox.
//!
//! It owns the tables `meter_deltas` and `meter_counts` beside those of the service. Triggers of the service write a
//! delta in the transaction that changes what is counted, whoever changes it; [`fold`] adds deltas to the counts and
//! puts each new count, with its version, into the outbox. Nothing is counted by scanning but in [`fn@recount`].
//!
//! A service adopts it with triggers in its migrations and three calls: [`open`] before its own migrations, [`start`]
//! for the folding, [`fn@recount`] where billing asks for it.
//!
//! # Invariants
//! - A count is the sum of the deltas that are folded into it; delta and fold are each one transaction, so a crash at
//!   any moment loses nothing and counts nothing twice.
//! - A count and its version are reported if and only if they were committed; the highest version is the truth.
//! - A recount compares with the deltas of the same moment, so what happens meanwhile is no difference.

mod recount;

use std::collections::BTreeMap;
use std::time::Duration;

use portolan_ids::AccountId;
use portolan_outbox::USAGE;
use portolan_store::{Db, Dialect, Error, Migration, Migrations, Tx, args, retrying};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use recount::{Recount, recount};

/// The tables of counts, which stand beside those of a service and need those of the outbox.
pub const MIGRATIONS: Migrations = Migrations {
    service: "meter",
    steps: &[Migration {
        version: 1,
        name: "meter",
        sqlite: include_str!("../migrations/sqlite/0001_meter.sql"),
        postgres: include_str!("../migrations/postgres/0001_meter.sql"),
    }],
};

/// How soon a change is noticed.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Deltas of one transaction.
const FOLDED_MAX: i64 = 1_000;

const ANY_DELTA: &str = "SELECT delta_id FROM meter_deltas LIMIT 1";
const TAKE_DELTAS: &str = "DELETE FROM meter_deltas WHERE delta_id IN \
     (SELECT delta_id FROM meter_deltas ORDER BY delta_id LIMIT $1) RETURNING account_id, feature, delta";
const TAKE_DELTAS_OF: &str =
    "DELETE FROM meter_deltas WHERE account_id = $1 AND feature = $2 RETURNING account_id, feature, delta";
const ADD: &str = "INSERT INTO meter_counts (account_id, feature, count, version, recounts) VALUES ($1, $2, $3, 1, 0) \
     ON CONFLICT (account_id, feature) DO UPDATE SET count = meter_counts.count + excluded.count, \
     version = meter_counts.version + 1 RETURNING count, version";

/// Brings the tables to this version, beside those of the service that `db` belongs to.
///
/// # Errors
/// When the store cannot be reached or migrated.
pub async fn open(db: &Db) -> Result<(), Error> {
    portolan_outbox::open(db).await?;
    db.migrate_library(&MIGRATIONS).await
}

/// Adds waiting deltas to their counts and reports these; false when none waited.
///
/// # Errors
/// Any of the store; the deltas then wait on.
pub async fn fold(db: &Db) -> Result<bool, Error> {
    if db.fetch_optional(ANY_DELTA, args![]).await?.is_none() {
        return Ok(false);
    }
    retrying(|| async {
        let mut tx = db.begin().await?;
        let mut sums: BTreeMap<(AccountId, String), i64> = BTreeMap::new();
        for row in tx.fetch_all(TAKE_DELTAS, args![FOLDED_MAX]).await? {
            *sums.entry((row.get("account_id")?, row.get("feature")?)).or_default() += row.get::<i64>("delta")?;
        }
        for ((account_id, feature), delta) in sums.iter().filter(|(_, delta)| **delta != 0) {
            add(&mut tx, *account_id, feature, *delta).await?;
        }
        db.fault("meter.folded").await?;
        tx.commit().await?;
        Ok(true)
    })
    .await
}

/// Adds to a count and reports it; answers count and version.
async fn add(tx: &mut Tx, account_id: AccountId, feature: &str, delta: i64) -> Result<(i64, i64), Error> {
    let row = tx.fetch_one(ADD, args![account_id, feature, delta]).await?;
    let (count, version): (i64, i64) = (row.get("count")?, row.get("version")?);
    let report = serde_json::json!({"accountId": account_id, "feature": feature, "count": count, "version": version});
    let id = format!("{account_id}/{feature}/{version}");
    portolan_outbox::put(tx, USAGE, &account_id.to_string(), &id, &report.to_string()).await?;
    Ok((count, version))
}

/// The folding of a process.
pub struct FoldHandle {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl FoldHandle {
    /// Ends after the transaction under way.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Folds the deltas of these services until it is stopped.
pub fn start(dbs: &[Db]) -> FoldHandle {
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    // On SQLite the services of a process share one file, and so one set of deltas.
    let many = dbs.first().is_some_and(|db| db.dialect() == Dialect::Postgres);
    for db in dbs.iter().take(if many { dbs.len() } else { 1 }) {
        tasks.spawn(fold_on(db.clone(), stopped.clone()));
    }
    FoldHandle { stop, tasks }
}

async fn fold_on(db: Db, mut stopped: watch::Receiver<bool>) {
    loop {
        let pause = match fold(&db).await {
            Ok(true) => Duration::ZERO,
            Ok(false) => POLL_INTERVAL,
            Err(error) => {
                tracing::warn!(%error, "usage waits to be counted");
                POLL_INTERVAL
            }
        };
        if *stopped.borrow() || tokio::time::timeout(pause, stopped.wait_for(|stop| *stop)).await.is_ok() {
            return;
        }
    }
}
