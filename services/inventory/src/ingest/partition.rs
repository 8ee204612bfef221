use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use portolan_log::Stored;
use portolan_store::retrying;
use tokio_util::sync::CancellationToken;

use crate::{
    Deps, Error,
    catalogs::Catalogs,
    ingest::{
        attempts,
        attempts::{Suspects, Verdict, Watch},
        batch,
        batch::{Batch, Rejected},
        probe,
        repeats::{Marks, Repeats},
        rules, set_aside, write,
        write::Outcome,
    },
    parameters::data_types,
    store,
};

/// Records fetched at once, small enough that those of several partitions fit in memory.
const FETCH_BYTES_MAX: usize = 8 << 20;

/// Records added up before they are written. What is written grows with the endpoints of a batch and not with its
/// records, so a large batch saves most of the work.
const BATCH_BYTES_MAX: usize = 256 << 20;

/// A batch of many endpoints is written earlier, since each stays in memory until then…
const BATCH_ENDPOINTS_MAX: usize = 4_000;

/// … and so is one with many samples and rejected records.
const BATCH_KEPT_BYTES_MAX: usize = 48 << 20;

/// While the log has more, what was read is seen at the latest after this.
const BATCH_TIME_MAX: Duration = Duration::from_secs(20);

/// A log in a broker delivers its backlog in portions. A batch waits for the next one at most this long.
const PORTION_WAIT: Duration = Duration::from_secs(2);

/// After a batch of this size the consumer lets records gather for as long as the write took…
const GATHER_FROM_BYTES: usize = 1 << 20;

/// … but not longer than this, which nobody who waits for a large import notices.
const GATHER_MAX: Duration = Duration::from_millis(500);

/// An idle consumer looks at the stored position this often: another process may have moved it.
const IDLE: Duration = Duration::from_secs(1);

/// A partition that another process works on is looked at again after this.
const TAKEN_WAIT: Duration = Duration::from_millis(200);

/// Waits after failures double from here…
const WAIT_MIN: Duration = Duration::from_millis(100);

/// … up to here.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Consumes one partition until `stop`, through failures of the store and the log.
pub async fn run(deps: Deps, catalogs: Arc<Catalogs>, partition: i64, stop: CancellationToken) {
    let mut wait = WAIT_MIN;
    while !stop.is_cancelled() {
        match consume(&deps, &catalogs, partition, &stop, &mut wait).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(partition, %error, wait_ms = wait.as_millis(), "ingest is delayed"),
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
    let mut repeats = Repeats::default();
    let Some((mut position, mut suspects)) = take(deps, partition, stop).await? else { return Ok(()) };
    while !stop.is_cancelled() {
        let gathered = match gather(deps, &mut repeats, partition, position, &suspects, stop).await {
            Ok(gathered) => gathered,
            Err(error) => {
                set_aside::unreadable(deps, partition, position, error).await?;
                repeats.forget();
                let Some(taken) = take(deps, partition, stop).await? else { return Ok(()) };
                (position, suspects) = taken;
                continue;
            }
        };
        let Some(Gathered { batch, marks, bytes, next }) = gathered else {
            repeats.forget();
            let Some(taken) = take(deps, partition, stop).await? else { return Ok(()) };
            (position, suspects) = taken;
            continue;
        };
        if next == position {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                found = deps.log.wait(partition, position, IDLE) => found?,
            };
            let Some((stored, found)) = take(deps, partition, stop).await? else { return Ok(()) };
            if stored != position {
                repeats.forget();
            }
            (position, suspects) = (stored, found);
            continue;
        }
        let started = Instant::now();
        let rejected = batch.rejected.iter().map(|Rejected { record, reason, is_of_nobody }| {
            let mut rejected = set_aside::rejected(partition, record, reason.clone());
            // Nobody would see it under an account that does not exist.
            rejected.account_id = rejected.account_id.filter(|_| !is_of_nobody);
            rejected
        });
        deps.log.reject(&rejected.collect::<Vec<_>>()).await?;
        position = match retrying(|| write::apply(deps, catalogs, partition, position, next, &batch, &marks)).await? {
            Outcome::Written => {
                repeats.commit(&marks);
                publish(deps, partition, next);
                report(partition, next, &batch);
                deps.log.trim(partition, next).await?;
                next
            }
            Outcome::Overtaken => {
                repeats.forget();
                let Some((stored, found)) = take(deps, partition, stop).await? else { return Ok(()) };
                suspects = found;
                stored
            }
        };
        *wait = WAIT_MIN;
        if bytes >= GATHER_FROM_BYTES {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(started.elapsed().min(GATHER_MAX)) => {}
            }
        }
    }
    Ok(())
}

/// What the log has from a position on, added up.
struct Gathered {
    batch: Batch,
    marks: Marks,
    bytes: usize,
    /// The offset behind the last record.
    next: i64,
}

/// Reads what the log has, until the batch is full. Records at which processes died are a batch each, and are looked at
/// or set aside when there is reason to. Nothing when another consumer has the partition, or the position has moved.
async fn gather(
    deps: &Deps,
    repeats: &mut Repeats,
    partition: i64,
    position: i64,
    suspects: &Suspects,
    stop: &CancellationToken,
) -> Result<Option<Gathered>, Error> {
    let mut rules = rules::current(deps).await?;
    let batch = Batch { rules: rules.clone(), ..Batch::default() };
    let mut gathered = Gathered { batch, marks: Marks::default(), bytes: 0, next: position };
    let started = Instant::now();
    let mut end = None;
    let mut pieces = 0;
    while gathered.bytes < BATCH_BYTES_MAX
        && gathered.batch.endpoints() < BATCH_ENDPOINTS_MAX
        && gathered.batch.kept_bytes() < BATCH_KEPT_BYTES_MAX
        && started.elapsed() < BATCH_TIME_MAX
        && !stop.is_cancelled()
    {
        let bytes_max = if suspects.offsets.contains(&gathered.next) { 1 } else { FETCH_BYTES_MAX };
        let mut records = match deps.log.fetch(partition, gathered.next, bytes_max).await {
            // What was read before is written first.
            Err(_) if gathered.next > position => break,
            fetched => fetched?,
        };
        let mut is_suspect = false;
        if let Some(first) = records.first() {
            is_suspect = suspects.offsets.contains(&first.offset);
            if is_suspect && gathered.next > position {
                break;
            }
            if is_suspect {
                records.truncate(1);
            } else if first.offset < suspects.offsets.start {
                records.retain(|record| record.offset < suspects.offsets.start);
            }
        }
        let Some(last) = records.last() else {
            if gathered.next == position {
                break;
            }
            // Records that come from here on are the next batch's, so that steady traffic does not hold this one up.
            let end = match end {
                Some(end) => end,
                None => *end.insert(deps.log.end_offset(partition).await?),
            };
            if gathered.next >= end {
                break;
            }
            tokio::select! {
                () = stop.cancelled() => break,
                found = deps.log.wait(partition, gathered.next, PORTION_WAIT) => match found? {
                    true => continue,
                    false => break,
                }
            }
        };
        gathered.next = last.offset + 1;
        let from = records.first().map_or(position, |first| first.offset);
        if !attempts::note(deps, partition, position, from..gathered.next, stop).await? {
            return Ok(None);
        }
        if is_suspect && is_to_be_set_aside(deps, suspects, &records).await {
            for record in &records {
                set_aside::record(deps, partition, position, record, suspects.deaths).await?;
            }
            return Ok(None);
        }
        pieces += 1;
        gathered.bytes += records.iter().map(|record| record.value.len()).sum::<usize>();
        repeats.remove(deps, partition, &mut records, &mut gathered.marks).await?;
        let detectors = data_types::detectors(deps).await?;
        let mut part = batch::read(records.clone(), rules.clone(), detectors.clone()).await?;
        if !part.unknown_accounts.is_empty() {
            rules = rules::with_accounts(&rules, deps, &part.unknown_accounts).await;
            part = batch::read(records, rules.clone(), detectors).await?;
            rules = rules.without_missing();
        }
        gathered.batch.merge(part);
        if is_suspect {
            break;
        }
    }
    // Each piece was noted while it was read; all of them are written together.
    if pieces > 1 && !attempts::note(deps, partition, position, position..gathered.next, stop).await? {
        return Ok(None);
    }
    Ok(Some(gathered))
}

async fn is_to_be_set_aside(deps: &Deps, suspects: &Suspects, records: &[Stored]) -> bool {
    match suspects.verdict() {
        Verdict::Try => false,
        Verdict::SetAside => true,
        Verdict::Look => match records.first() {
            Some(record) => !probe::is_harmless(deps, &record.value).await,
            None => false,
        },
    }
}

/// The position of the partition, once nobody else works on it; nothing when `stop` comes before.
async fn take(deps: &Deps, partition: i64, stop: &CancellationToken) -> Result<Option<(i64, Suspects)>, Error> {
    let mut watch = Watch::default();
    while !stop.is_cancelled() {
        if let Some((position, suspects)) = attempts::take(deps, partition, &mut watch).await? {
            publish(deps, partition, position);
            return Ok(Some((position, suspects)));
        }
        // What the other one writes shows here, too.
        let stored = store::positions::load(&deps.db, deps.log.source(), partition).await?.next_offset;
        publish(deps, partition, stored);
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(TAKEN_WAIT) => {}
        }
    }
    Ok(None)
}

fn publish(deps: &Deps, partition: i64, position: i64) {
    deps.shared.positions.send_if_modified(|positions| positions.insert(partition, position) != Some(position));
}

fn report(partition: i64, next: i64, batch: &Batch) {
    let (records, rejected, passed_over) = (batch.records, batch.rejected.len(), batch.passed_over);
    tracing::debug!(partition, next, records, rejected, passed_over, "ingested");
}
