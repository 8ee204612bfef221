//! Ingest: from the log into the tables.
//!
//! One task for each partition fetches a batch, folds it in memory ([`batch`]) and writes it in one transaction with
//! the partition's next offset ([`write`]). Who loses the race for the offset, another process included, has written
//! nothing and reads the position anew.
//!
//! # Invariants
//! - A record that cannot be read is kept among the rejected ones before its offset is passed; a repetition of that
//!   changes nothing.
//! - A record that a broker holds twice, since its producer had to repeat an append, counts once ([`repeats`]).
//! - A record at which the process died twice is set aside by the next one, after a process of its own has died at it,
//!   too ([`attempts`]). A batch that cannot be read is set aside after three tries. The partition goes on behind both.
//! - A collection is written under its row lock. Its version tells whether what this process remembers of it
//!   ([`catalogs`]) is the last state; if not, it is read again.

mod apart;
mod attempts;
pub(crate) mod batch;
pub(crate) mod catalogs;
mod partition;
mod probe;
pub mod rejected;
mod repeats;
pub(crate) mod rules;
mod set_aside;
pub(crate) mod write;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portolan_log::Positions;
pub use probe::{PROBE_ARGUMENT, probe};
pub use set_aside::{Skipped, skip};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{Deps, Error, jobs, statistics, store};
use catalogs::Catalogs;
use portolan_runtime::now_s;

/// Sequences of producers are kept for days, so an hour more does no harm.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);
/// Nobody repeats an append later than this.
const PRODUCER_MEMORY_S: i64 = 7 * 24 * 3_600;
/// How often the distance to the end of the log is measured.
const MEASURE_LAG_EVERY: Duration = Duration::from_secs(10);

/// The running tasks. Dropping it stops them at their next await.
pub struct IngestHandle {
    tasks: JoinSet<()>,
    stop: CancellationToken,
    positions: watch::Receiver<Positions>,
}

/// Starts a consumer for each partition, the runner of jobs, and the upkeep of the log. The tables must be there.
pub fn start_ingest(deps: Deps) -> IngestHandle {
    let stop = CancellationToken::new();
    let catalogs = Arc::new(Catalogs::default());
    let mut tasks = JoinSet::new();
    for partition in 0..deps.log.partitions() {
        tasks.spawn(partition::run(deps.clone(), catalogs.clone(), partition, stop.clone()));
    }
    tasks.spawn(forget_old(deps.clone(), stop.clone()));
    tasks.spawn(measure_lag(deps.clone(), stop.clone()));
    tasks.spawn(attempts::show_life(deps.db.clone(), stop.clone()));
    let owner = uuid::Uuid::new_v4().to_string();
    tasks.spawn(jobs::run(deps.clone(), owner, stop.clone()));
    IngestHandle { tasks, stop, positions: deps.shared.positions.subscribe() }
}

impl IngestHandle {
    /// The next offset of every partition, as it changes.
    pub fn positions(&self) -> watch::Receiver<Positions> {
        self.positions.clone()
    }

    /// Ends the tasks after the batch they are at.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Keeps what is remembered of old appends and old calls from growing.
async fn forget_old(deps: Deps, stop: CancellationToken) {
    loop {
        if let Err(error) = deps.log.trim_producers(now_s()).await {
            tracing::warn!(%error, "old producers stay in the log for now");
        }
        if let Err(error) = store::producers::delete_older(&deps.db, now_s() - PRODUCER_MEMORY_S).await {
            tracing::warn!(%error, "old producers stay known for now");
        }
        if let Err(error) = statistics::forget_old(&deps).await {
            tracing::warn!(%error, "old calls stay counted for now");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(FORGET_EVERY) => {}
        }
    }
}

/// Publishes how many records of each partition the inventory does not have yet, and how old the oldest one is; and the
/// age of the oldest job.
async fn measure_lag(deps: Deps, stop: CancellationToken) {
    let mut stands: HashMap<i64, (i64, Instant)> = HashMap::new();
    loop {
        if let Err(error) = measure(&deps, &mut stands).await {
            tracing::warn!(%error, "the lag cannot be measured");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(MEASURE_LAG_EVERY) => {}
        }
    }
}

/// `stands` is where partitions with unread records stand, and since when.
async fn measure(deps: &Deps, stands: &mut HashMap<i64, (i64, Instant)>) -> Result<(), Error> {
    let ends = deps.log.end_offsets().await?;
    let positions = store::positions::list(&deps.db, deps.log.source()).await?;
    for (partition, end) in ends {
        let position = positions.get(&partition).copied().unwrap_or_default();
        let lag = (end - position).max(0);
        let mut age_s = 0;
        if lag == 0 {
            stands.remove(&partition);
        } else {
            let stand = stands.entry(partition).or_insert((position, Instant::now()));
            if stand.0 != position {
                *stand = (position, Instant::now());
            }
            // What cannot be read has no time of its own.
            let appended_at = deps.log.appended_at(partition, position).await.ok().flatten();
            let stands_s = i64::try_from(stand.1.elapsed().as_secs()).unwrap_or(i64::MAX);
            age_s = appended_at.map_or(0, |appended_at| now_s() - appended_at).max(stands_s);
        }
        let gauge = |value: i64| u32::try_from(value.max(0)).unwrap_or(u32::MAX);
        let name = partition.to_string();
        metrics::gauge!("portolan_ingest_lag_records", "partition" => name.clone()).set(gauge(lag));
        metrics::gauge!("portolan_ingest_oldest_unread_seconds", "partition" => name).set(gauge(age_s));
    }
    let asked_at = store::jobs::oldest_active(&deps.db).await?;
    let age_s = asked_at.map_or(0, |asked_at| (now_s() - asked_at).max(0));
    metrics::gauge!("portolan_jobs_oldest_seconds", "service" => crate::SERVICE)
        .set(u32::try_from(age_s).unwrap_or(u32::MAX));
    Ok(())
}

/// The oldest record that the inventory does not have yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unread {
    pub partition: i64,
    /// Where the partition stands.
    pub offset: i64,
    pub age_s: i64,
}

/// The oldest record of all partitions that the inventory does not have yet, as anybody on the store can see it. A batch
/// that cannot be read counts as old.
///
/// # Errors
/// When log or tables cannot be read.
pub async fn oldest_unread(
    store: &portolan_store::Store,
    log: &portolan_log::Log,
    ends: &Positions,
) -> Result<Option<Unread>, Error> {
    let positions = store::positions::list(&store.service(crate::SERVICE).await?, log.source()).await?;
    let mut oldest: Option<Unread> = None;
    for (&partition, &end) in ends {
        let offset = positions.get(&partition).copied().unwrap_or_default();
        if offset >= end {
            continue;
        }
        let age_s = match log.appended_at(partition, offset).await {
            Ok(Some(appended_at)) => (now_s() - appended_at).max(0),
            Ok(None) => continue,
            Err(portolan_log::Error::Damaged { .. }) => i64::MAX,
            Err(error) => return Err(error.into()),
        };
        if oldest.is_none_or(|known| age_s > known.age_s) {
            oldest = Some(Unread { partition, offset, age_s });
        }
    }
    Ok(oldest)
}

/// Longest look for the oldest record: whether the log is there does not hang on it.
const AGE_TIME_MAX: std::time::Duration = std::time::Duration::from_millis(500);

/// Whether the log answers, and how long its oldest unread record has waited, for readiness. An age that is not known in
/// time is left out.
///
/// # Errors
/// What is wrong with the log.
pub async fn log_readiness(store: portolan_store::Store, log: portolan_log::Log) -> Result<String, String> {
    let detail = portolan_log::is_there(log.clone()).await?;
    let age = async {
        let ends = log.end_offsets().await.ok()?;
        oldest_unread(&store, &log, &ends).await.ok()
    };
    Ok(match tokio::time::timeout(AGE_TIME_MAX, age).await {
        Ok(Some(Some(Unread { partition, offset, age_s }))) => {
            format!("{detail}; the oldest unread record has waited {age_s} s, partition {partition}, offset {offset}")
        }
        Ok(Some(None)) => format!("{detail}; no record waits"),
        Ok(None) | Err(_) => detail,
    })
}

/// How many records of the log the inventory does not have yet, as anybody on the store can see it.
///
/// # Errors
/// When the tables cannot be read.
pub async fn lag(store: &portolan_store::Store, log: &portolan_log::Log, ends: &Positions) -> Result<i64, Error> {
    let positions = store::positions::list(&store.service(crate::SERVICE).await?, log.source()).await?;
    let waiting = ends.iter().map(|(partition, end)| end - positions.get(partition).copied().unwrap_or_default());
    Ok(waiting.map(|records| records.max(0)).sum())
}

/// How far each partition is in the inventory. From memory where this process consumes; then another consumer's
/// progress shows with a delay of about a second.
///
/// # Errors
/// When the tables cannot be read.
pub async fn positions(deps: &Deps) -> Result<Positions, Error> {
    let known = deps.shared.positions.borrow().clone();
    if i64::try_from(known.len()) == Ok(deps.log.partitions()) {
        return Ok(known);
    }
    let stored = store::positions::list(&deps.db, deps.log.source()).await?;
    let next = |partition| (partition, stored.get(&partition).copied().unwrap_or_default());
    Ok((0..deps.log.partitions()).map(next).collect())
}
