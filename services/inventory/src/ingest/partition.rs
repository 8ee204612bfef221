use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use portolan_store::{Held, Pace, on_behalf_of_all, retrying};
use tokio_util::sync::CancellationToken;

use crate::{
    Deps, Error,
    catalogs::Catalogs,
    ingest::{
        attempts,
        attempts::{Noted, Reading, Suspects, Watch},
        batch::{Batch, Rejected},
        gather::{Gathered, gather},
        lanes::{Lanes, Step},
        repeats::Repeats,
        set_aside, write,
        write::Outcome,
    },
    store,
};

/// Fault point before a write.
pub const WRITE: &str = "ingest.write";

/// Fault point before the write of a turn.
pub const TURN: &str = "ingest.turn";

/// After a batch of this size the consumer lets records gather for as long as the write took…
const GATHER_FROM_BYTES: usize = 1 << 20;

/// … but not longer than this, which nobody who waits for a large import notices.
const GATHER_MAX: Duration = Duration::from_millis(500);

/// Batches are made no smaller for those who wait.
const BATCH_BYTES_MIN: usize = 16 << 10;

/// An idle consumer looks at the stored position this often: another process may have moved it.
const IDLE: Duration = Duration::from_secs(1);

/// What was read goes from the log this often, and not with every batch.
const TRIM_EVERY: Duration = Duration::from_secs(1);

/// A partition that another process works on is looked at again after this.
const TAKEN_WAIT: Duration = Duration::from_millis(200);

/// Waits after failures double from here…
const WAIT_MIN: Duration = Duration::from_millis(100);

/// … up to here.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Consumes one partition until `stop`, through failures of the store and the log, and through panics at its records.
pub async fn run(deps: Deps, catalogs: Arc<Catalogs>, partition: i64, stop: CancellationToken) {
    let mut wait = WAIT_MIN;
    while !stop.is_cancelled() {
        let consumed = AssertUnwindSafe(consume(&deps, &catalogs, partition, &stop, &mut wait)).catch_unwind().await;
        let failed = match consumed {
            Ok(Ok(())) => return,
            Ok(Err(error)) => Some(error),
            Err(_) => attempts::panicked(&deps, partition).await.err(),
        };
        if let Some(error) = failed {
            tracing::warn!(partition, %error, wait_ms = wait.as_millis(), "ingest is delayed");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = (wait * 2).min(WAIT_MAX);
    }
}

/// Consumes until `stop`, or until the first failure that does not pass at once.
async fn consume(
    deps: &Deps,
    catalogs: &Catalogs,
    partition: i64,
    stop: &CancellationToken,
    wait: &mut Duration,
) -> Result<(), Error> {
    store::positions::ensure(&deps.db, deps.log.source(), partition).await?;
    let (mut repeats, mut pace) = (Repeats::default(), Pace::new(BATCH_BYTES_MIN));
    let Some((mut lanes, mut suspects)) = take(deps, partition, stop).await? else { return Ok(()) };
    let mut noted = Noted::default();
    let (mut trimmed_to, mut trimmed_at) = (0, None::<Instant>);
    while !stop.is_cancelled() {
        let mut step = lanes.step(Instant::now(), pace.size_max());
        let place = Reading { partition, lanes: &lanes, suspects: &suspects, pace, stop };
        let gathered = match gather(deps, &mut repeats, &place, &mut noted, &mut step).await {
            // What lies before it is read first, so that only the position can stand at what is unreadable.
            Err(Error::Log(portolan_log::Error::Damaged { .. })) if step.is_scan() && lanes.is_behind() => {
                lanes.halt();
                continue;
            }
            Err(error) if step.from == lanes.position() => {
                set_aside::unreadable(deps, partition, step.from, error).await?;
                None
            }
            gathered => gathered?,
        };
        let is_idle = gathered.is_some() && step.next == step.from;
        let is_trim_due = trimmed_at.is_none_or(|at| at.elapsed() >= TRIM_EVERY);
        if lanes.position() > trimmed_to && is_trim_due {
            deps.log.trim(partition, lanes.position()).await?;
            (trimmed_to, trimmed_at) = (lanes.position(), Some(Instant::now()));
        }
        let is_behind = is_idle && step.is_scan() && lanes.is_behind();
        if is_behind {
            // The scan has nothing new, and those behind go on.
            lanes = lanes.after(&step);
            if lanes.turn(Instant::now()).is_some() {
                continue;
            }
        }
        if is_idle {
            let found = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                found = deps.log.wait(partition, step.next, IDLE) => found?,
            };
            if !found {
                attempts::let_go(deps, partition, &mut noted).await?;
            }
            // Should another consumer have read what was found, the note or the commit tells.
            if is_behind || found && step.is_scan() {
                continue;
            }
        }
        let Some(gathered) = gathered.filter(|_| !is_idle) else {
            noted = Noted::default();
            let Some((stored, found)) = take(deps, partition, stop).await? else { return Ok(()) };
            if stored.commits() != lanes.commits() {
                repeats.forget();
            }
            (lanes, suspects) = (stored, found);
            continue;
        };
        let started = Instant::now();
        let writing = write(deps, catalogs, partition, &lanes, &step, &gathered);
        let written = match on_behalf_of_all(&step.parts(), writing).await {
            Err(error) if error.is_lasting() && step.has_taken() => {
                tracing::error!(partition, accounts = ?step.lanes(), %error, "records cannot be written for now");
                repeats.forget();
                lanes.failed(&step, Instant::now());
                continue;
            }
            written => written?,
        };
        match written {
            Some((written, held)) => {
                repeats.commit(&gathered.marks);
                lanes = written;
                noted.moved(lanes.position());
                pace = held.map_or(pace, |held| pace.after(gathered.bytes, held));
            }
            None => {
                repeats.forget();
                noted = Noted::default();
                let Some(taken) = take(deps, partition, stop).await? else { return Ok(()) };
                (lanes, suspects) = taken;
            }
        }
        *wait = WAIT_MIN;
        if gathered.bytes >= GATHER_FROM_BYTES && !lanes.is_behind() {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(started.elapsed().min(GATHER_MAX)) => {}
            }
        }
    }
    Ok(())
}

/// Writes what a step has read, and how far it read, and tells how the write went if there was one; nothing when another
/// consumer was faster.
async fn write(
    deps: &Deps,
    catalogs: &Catalogs,
    partition: i64,
    lanes: &Lanes,
    step: &Step,
    gathered: &Gathered,
) -> Result<Option<(Lanes, Option<Held>)>, Error> {
    let Gathered { batch, marks, .. } = gathered;
    let after = lanes.after(step);
    let progress = lanes.progress(&after);
    if !progress.is_any() {
        return Ok(Some((after, None)));
    }
    let rejected = batch.rejected.iter().map(|Rejected { record, reason, is_of_nobody }| {
        let mut rejected = set_aside::rejected(partition, record, reason.clone());
        // Nobody would see it under an account that does not exist.
        rejected.account_id = rejected.account_id.filter(|_| !is_of_nobody);
        rejected
    });
    let rejected: Vec<_> = rejected.collect();
    deps.log.reject(&rejected).await?;
    deps.db.fault(WRITE).await?;
    if !step.is_scan() {
        deps.db.fault(TURN).await?;
    }
    let held = match retrying(|| write::apply(deps, catalogs, partition, &progress, batch, marks)).await? {
        Outcome::Written(held) => held,
        Outcome::Overtaken => return Ok(None),
    };
    set_aside::count(partition, rejected.len());
    publish(deps, partition, &after);
    report(partition, step, batch);
    Ok(Some((after.committed(), Some(held))))
}

/// Where the partition stands, once nobody else works on it; nothing when `stop` comes before.
async fn take(deps: &Deps, partition: i64, stop: &CancellationToken) -> Result<Option<(Lanes, Suspects)>, Error> {
    let mut watch = Watch::default();
    while !stop.is_cancelled() {
        if let Some((lanes, suspects)) = attempts::take(deps, partition, &mut watch).await? {
            publish(deps, partition, &lanes);
            return Ok(Some((lanes, suspects)));
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(TAKEN_WAIT) => {}
        }
    }
    Ok(None)
}

/// Tells whoever waits how far the partition is, also where an account has got ahead and the position stands.
fn publish(deps: &Deps, partition: i64, lanes: &Lanes) {
    deps.shared.reached.send_modify(|reached| _ = reached.insert(partition, lanes.reached()));
}

fn report(partition: i64, step: &Step, batch: &Batch) {
    let (from, next) = (step.from, step.next);
    let (records, rejected, passed_over) = (batch.records, batch.rejected.len(), batch.passed_over);
    tracing::debug!(partition, from, next, records, rejected, passed_over, "ingested");
}
