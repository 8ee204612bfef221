//! Ingest: from the log into the tables.
//!
//! One task for each partition fetches a batch, folds it in memory ([`batch`]) and writes it in one transaction with
//! the partition's next offset ([`write`]). Who loses the race for the offset, another process included, has written
//! nothing and reads the position anew.
//!
//! # Invariants
//! - A record that cannot be read is kept among the rejected ones before its offset is passed; a repetition of that
//!   changes nothing.
//! - A collection is written under its row lock. Its version tells whether what this process remembers of it
//!   ([`catalogs`]) is the last state; if not, it is read again.

mod batch;
mod catalogs;
mod partition;
mod write;

use std::sync::Arc;
use std::time::Duration;

use portolan_log::{PARTITIONS, Positions};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{Deps, Error, deletion, store};
use catalogs::Catalogs;
use portolan_runtime::now_s;

/// Sequences of producers are kept for days, so an hour more does no harm.
const FORGET_PRODUCERS_EVERY: Duration = Duration::from_secs(3_600);

/// The running tasks. Dropping it stops them at their next await.
pub struct IngestHandle {
    tasks: JoinSet<()>,
    stop: CancellationToken,
    positions: watch::Receiver<Positions>,
}

/// Starts a consumer for each partition, the runner of deletion jobs, and the upkeep of the log. The tables must be there.
pub fn start_ingest(deps: Deps) -> IngestHandle {
    let stop = CancellationToken::new();
    let catalogs = Arc::new(Catalogs::default());
    let mut tasks = JoinSet::new();
    for partition in 0..PARTITIONS {
        tasks.spawn(partition::run(deps.clone(), catalogs.clone(), partition, stop.clone()));
    }
    tasks.spawn(forget_producers(deps.clone(), stop.clone()));
    let owner = uuid::Uuid::new_v4().to_string();
    tasks.spawn(deletion::run(deps.clone(), owner, stop.clone()));
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

/// Keeps the log's memory of old appends from growing.
async fn forget_producers(deps: Deps, stop: CancellationToken) {
    loop {
        if let Err(error) = deps.log.trim_producers(now_s()).await {
            tracing::warn!(%error, "old producers stay in the log for now");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(FORGET_PRODUCERS_EVERY) => {}
        }
    }
}

/// How far each partition is in the inventory. From memory where this process consumes; then another consumer's
/// progress shows with a delay of about a second.
///
/// # Errors
/// When the tables cannot be read.
pub async fn positions(deps: &Deps) -> Result<Positions, Error> {
    let known = deps.shared.positions.borrow().clone();
    if i64::try_from(known.len()) == Ok(PARTITIONS) {
        return Ok(known);
    }
    let stored = store::positions::list(&deps.db).await?;
    Ok((0..PARTITIONS).map(|partition| (partition, stored.get(&partition).copied().unwrap_or_default())).collect())
}
