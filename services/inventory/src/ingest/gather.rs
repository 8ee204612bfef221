use std::{
    ops::Range,
    time::{Duration, Instant},
};

use portolan_log::Stored;
use portolan_store::on_behalf_of_all;

use crate::{
    Deps, Error,
    ingest::{
        attempts,
        attempts::{Noted, Reading, Suspects, Verdict as Suspicion},
        batch,
        batch::Batch,
        lanes,
        lanes::{Lanes, Step, Verdict},
        probe,
        repeats::{Marks, Repeats},
        rules, set_aside,
    },
    parameters::data_types,
};

/// Records fetched at once, small enough that those of several partitions fit in memory.
const FETCH_BYTES_MAX: usize = 8 << 20;

/// Records fetched first, and at least: how many parameters they have tells how many of the next ones fit.
const FETCH_BYTES_MIN: usize = 256 << 10;

/// Records added up before they are written. What is written grows with the endpoints of a batch and not with its
/// records, so a large batch saves most of the work.
const BATCH_BYTES_MAX: usize = 256 << 20;

/// A batch of many endpoints is written earlier, since each stays in memory until then, and still earlier while others
/// wait…
const BATCH_ENDPOINTS_MAX: usize = 4_000;
const SHARED_ENDPOINTS_MAX: usize = 1_000;

/// … and so is one with many parameters, which may take fifty times the memory of their bytes in a record…
const BATCH_PARAMETERS_MAX: usize = 100_000;
const SHARED_PARAMETERS_MAX: usize = 30_000;

/// … or with many samples and rejected records.
const BATCH_KEPT_BYTES_MAX: usize = 48 << 20;

/// While the log has more, what was read is written at the latest after this, and others have a look at the log…
const ALONE_TIME_MAX: Duration = Duration::from_secs(3);

/// … and after this while others have records, too.
const TIME_MAX: Duration = Duration::from_millis(300);

/// A log in a broker delivers its backlog in portions. A batch waits for the next one at most this long.
const PORTION_WAIT: Duration = Duration::from_secs(2);

/// What one step has read, added up.
pub struct Gathered {
    pub batch: Batch,
    pub marks: Marks,
    pub bytes: usize,
}

/// Records of a piece of the log that are the step's.
#[derive(Default)]
struct Piece {
    records: Vec<Stored>,
    /// Where it ends, since processes died at its records.
    suspects_end: Option<i64>,
    /// The step goes no further.
    is_last: bool,
}

/// Reads what the log has for a step, until the batch is full. Records at which processes died are batches of their own,
/// and one alone is looked at or set aside when there is reason to. Nothing when another consumer has the partition, or it
/// has moved.
pub async fn gather(
    deps: &Deps,
    repeats: &mut Repeats,
    place: &Reading<'_>,
    noted: &mut Noted,
    step: &mut Step,
) -> Result<Option<Gathered>, Error> {
    let Reading { partition, lanes, suspects, pace, stop } = *place;
    let mut rules = rules::current(deps).await?;
    let batch = Batch { rules: rules.clone(), ..Batch::default() };
    let mut gathered = Gathered { batch, marks: Marks::default(), bytes: 0 };
    let started = Instant::now();
    let (time_max, endpoints_max, parameters_max) = match step.is_alone {
        true => (ALONE_TIME_MAX, BATCH_ENDPOINTS_MAX, BATCH_PARAMETERS_MAX),
        false => (TIME_MAX, SHARED_ENDPOINTS_MAX, SHARED_PARAMETERS_MAX),
    };
    // A scan goes on past the share of each account, to the records of those who wait; a turn is of one account.
    let bytes_max = if step.is_scan() { BATCH_BYTES_MAX } else { BATCH_BYTES_MAX.min(pace.size_max()) };
    // Records that come from here on are the next batch's, so that steady traffic does not hold this one up.
    let mut end = None;
    let mut under_work: Option<Range<i64>> = None;
    let mut pieces = 0;
    while gathered.bytes < bytes_max
        && gathered.batch.endpoints() < endpoints_max
        && gathered.batch.parameters() < parameters_max
        && gathered.batch.kept_bytes() < BATCH_KEPT_BYTES_MAX
        && started.elapsed() < time_max
        && !stop.is_cancelled()
        && !step.is_over()
    {
        let fitting = fitting_bytes(gathered.bytes, gathered.batch.parameters(), parameters_max);
        let is_one = suspects.offsets.contains(&step.next) && suspects.portion_end(step.next) == step.next + 1;
        let bytes_max = if is_one { 1 } else { fitting.min(bytes_max) };
        let asked = async {
            match end {
                Some(end) => Ok(end),
                None => deps.log.end_offset(partition).await,
            }
        };
        // Side by side: each is an answer to be waited for.
        let (asked, fetched) = tokio::join!(asked, deps.log.fetch(partition, step.next, bytes_max));
        let fetched = match fetched {
            // What was read before is written first.
            Err(_) if step.next > step.from => break,
            fetched => fetched?,
        };
        let end_now = *end.insert(asked?);
        if fetched.is_empty() {
            if step.next == step.from && step.is_scan() && !lanes.is_behind() {
                step.is_at_end = true;
                break;
            }
            if step.next >= step.bounded(end_now) {
                step.is_at_end = true;
                break;
            }
            tokio::select! {
                () = stop.cancelled() => break,
                found = deps.log.wait(partition, step.next, PORTION_WAIT) => match found? {
                    true => continue,
                    false => break,
                }
            }
        }
        let piece = choose(lanes, step, suspects, fetched, under_work.is_some()).await?;
        let (Some(first), Some(last)) = (piece.records.first(), piece.records.last()) else {
            if piece.is_last {
                break;
            }
            continue;
        };
        let work = first.offset..last.offset + 1;
        let from = under_work.as_ref().map_or(work.start, |known| known.start);
        under_work = Some(from..work.end);
        if !on_behalf_of_all(&step.parts(), attempts::note(deps, place, noted, work, step.is_scan())).await? {
            return Ok(None);
        }
        if piece.suspects_end.is_some() && is_to_be_set_aside(deps, suspects, &piece.records).await {
            for record in &piece.records {
                set_aside::record(deps, partition, record, suspects.deaths).await?;
            }
            break;
        }
        pieces += 1;
        let mut records = piece.records;
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
        if step.next >= end_now {
            step.is_at_end = true;
        }
        if piece.is_last || step.next >= step.bounded(end_now) {
            break;
        }
    }
    // Others need not wait until what is set aside is kept, which is a write of its own before that of the batch.
    let rejected = gathered.batch.rejected_lanes();
    if !rejected.is_empty() && step.leave(&rejected) {
        gathered.batch.leave(&rejected);
        gathered.marks.leave(&rejected);
        gathered.bytes = step.parts().iter().map(|(_, bytes)| bytes).sum();
    }
    // Each piece was noted while it was read; all of them are written together.
    if let Some(work) = under_work.filter(|_| pieces > 1)
        && !on_behalf_of_all(&step.parts(), attempts::note(deps, place, noted, work, step.is_scan())).await?
    {
        return Ok(None);
    }
    Ok(Some(gathered))
}

/// The records of a fetched piece that are the step's; the step comes to stand behind what was looked at.
async fn choose(
    lanes: &Lanes,
    step: &mut Step,
    suspects: &Suspects,
    fetched: Vec<Stored>,
    has_records: bool,
) -> Result<Piece, Error> {
    // Finding the accounts of megabytes would hold up the other tasks of its thread.
    let bytes = fetched.iter().map(|record| record.value.len()).sum();
    let found = portolan_runtime::apart_from(bytes, move || {
        let lane = |record: Stored| (lanes::lane_of(&record.value), record);
        fetched.into_iter().map(lane).collect::<Vec<_>>()
    });
    let found = found.await.map_err(|error| Error::Internal(format!("reading a batch: {error}")))?;
    let mut piece = Piece::default();
    for (lane, record) in found {
        let (offset, bytes) = (record.offset, record.value.len());
        if piece.suspects_end.is_some_and(|end| offset >= end) {
            piece.is_last = true;
            return Ok(piece);
        }
        match lanes.judge(step, lane, offset, bytes) {
            Verdict::Stop => {
                step.stop_before(offset);
                piece.is_last = true;
                return Ok(piece);
            }
            Verdict::Pass => {}
            Verdict::PassOver => step.pass_over(lane, offset),
            Verdict::Take => {
                if piece.suspects_end.is_none() && suspects.offsets.contains(&offset) {
                    if has_records || !piece.records.is_empty() {
                        // It begins a batch of its own, the next one.
                        piece.is_last = true;
                        return Ok(piece);
                    }
                    piece.suspects_end = Some(suspects.portion_end(offset));
                }
                step.take(lane, offset, bytes);
                piece.records.push(record);
            }
        }
        step.next = offset + 1;
    }
    piece.is_last = piece.suspects_end.is_some();
    Ok(piece)
}

/// How many further bytes of records like those before have no more parameters than a batch may have.
fn fitting_bytes(bytes: usize, parameters: usize, parameters_max: usize) -> usize {
    let room = parameters_max.saturating_sub(parameters);
    match bytes {
        0 => FETCH_BYTES_MIN,
        _ => (room.saturating_mul(bytes) / parameters.max(1)).clamp(FETCH_BYTES_MIN, FETCH_BYTES_MAX),
    }
}

async fn is_to_be_set_aside(deps: &Deps, suspects: &Suspects, records: &[Stored]) -> bool {
    match suspects.verdict() {
        Suspicion::Try => false,
        Suspicion::SetAside => true,
        Suspicion::Look => match records.first() {
            Some(record) => !probe::is_harmless(deps, &record.value).await,
            None => false,
        },
    }
}
