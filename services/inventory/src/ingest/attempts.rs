//! Deaths at a record, of the process or of the task that works on it.
//!
//! Before a consumer works on records it notes them with its name in the partition's row, and with them those that come
//! next, so that few steps begin with a write of their own. The commit that passes the last of them, a second without
//! records, or an orderly end takes the name away. A name that stays is that of a process that died there, by whatever it
//! was. Its records are read again in portions, each noted on its own: many of them in as many portions as a portion has
//! records, and those of a portion at which a process died, too, one by one. So a death among ten thousand records costs
//! the accounts of the partition a hundred steps, and one more death names the record.

use std::{
    collections::HashMap,
    ops::Range,
    sync::OnceLock,
    time::{Duration, Instant},
};

use portolan_runtime::process::is_draining;
use portolan_store::{Db, Pace};
use tokio_util::sync::CancellationToken;

use crate::{
    Deps, Error,
    ingest::lanes::Lanes,
    store::{positions, positions::Cursor},
};

/// How often a process shows that it lives.
const BEAT: Duration = Duration::from_secs(2);

/// How often it looks whether it is to end.
const TICK: Duration = Duration::from_millis(250);

/// A process of another machine that shows nothing for so long is dead.
const SILENCE: Duration = Duration::from_secs(10);

/// A record at which processes died so often is looked at before it is tried again.
const DEATHS_SUSPICIOUS: i64 = 2;

/// … and so often is set aside whatever the look says, since what comes after the reading may be what kills.
const DEATHS_MAX: i64 = 6;

/// So many records are read one by one at once.
const ONE_BY_ONE_MAX: i64 = 32;

/// Records at which processes died.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suspects {
    pub offsets: Range<i64>,
    pub deaths: i64,
}

/// Records that are noted beyond those at hand. After a death those of them that are in the log are suspects, too.
const AHEAD: i64 = 500;

/// The records that the partition's row has beside the name of this process; none where it does not have the name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noted(Range<i64>);

impl Noted {
    /// Takes note that a commit has moved the position.
    pub fn moved(&mut self, position: i64) {
        *self = Self(self.0.start.max(position)..self.0.end);
        if self.0.is_empty() {
            *self = Self::default();
        }
    }

    fn covers(&self, records: &Range<i64>) -> bool {
        self.0.start <= records.start && records.end <= self.0.end
    }
}

/// Where records are read, and by whom.
pub struct Reading<'p> {
    pub partition: i64,
    pub lanes: &'p Lanes,
    pub suspects: &'p Suspects,
    pub pace: Pace,
    pub stop: &'p CancellationToken,
}

/// What is known of a record from the deaths before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// One among several at which a process died, or alone at a single death.
    Try,
    /// Two processes died, the last one at this record alone.
    Look,
    /// So many did that no look is needed.
    SetAside,
}

impl Suspects {
    /// The offset before which a batch ends that begins at `offset`, which is one of them.
    pub fn portion_end(&self, offset: i64) -> i64 {
        let width = self.offsets.end - self.offsets.start;
        let portion = if self.deaths > 1 || width <= ONE_BY_ONE_MAX { 1 } else { width.isqrt() };
        (offset + portion).min(self.offsets.end)
    }

    pub fn verdict(&self) -> Verdict {
        let is_alone = self.offsets.end - self.offsets.start == 1;
        match self.deaths {
            DEATHS_MAX.. if is_alone => Verdict::SetAside,
            DEATHS_SUSPICIOUS.. if is_alone => Verdict::Look,
            _ => Verdict::Try,
        }
    }
}

/// What a partition's task has seen of another process that works on the partition.
#[derive(Default)]
pub struct Watch(HashMap<String, (i64, Instant)>);

/// Where a partition stands that nobody else works on, and its suspects; nothing while another process does.
///
/// # Errors
/// When the tables cannot be read or written.
pub async fn take(deps: &Deps, partition: i64, watch: &mut Watch) -> Result<Option<(Lanes, Suspects)>, Error> {
    let source = deps.log.source();
    let mut cursor = positions::load(&deps.db, source, partition).await?;
    if let Some(owner) = cursor.work_owner.clone().filter(|owner| owner != name()) {
        if !is_dead(deps, &owner, watch).await? {
            return Ok(None);
        }
        watch.0.remove(&owner);
        let died_at = suspects_with(deps, partition, &cursor).await;
        tracing::warn!(partition, records = ?died_at.offsets, deaths = died_at.deaths, "a process died at records");
        positions::note_death(&deps.db, source, partition, &cursor, died_at.offsets.end, died_at.deaths).await?;
        cursor = positions::load(&deps.db, source, partition).await?;
        if cursor.work_owner.is_some() {
            return Ok(None);
        }
    }
    watch.0.clear();
    let suspects = Suspects { offsets: cursor.suspect_from..cursor.suspect_to, deaths: cursor.deaths };
    Ok(Some((Lanes::new(&cursor), suspects)))
}

/// Notes that the work of this process on what it noted ended by a panic: for the records that is a death.
///
/// # Errors
/// When the tables cannot be read or written.
pub async fn panicked(deps: &Deps, partition: i64) -> Result<(), Error> {
    let source = deps.log.source();
    let cursor = positions::load(&deps.db, source, partition).await?;
    if cursor.work_owner.as_deref() != Some(name()) {
        return Ok(());
    }
    let died_at = suspects_with(deps, partition, &cursor).await;
    tracing::error!(partition, records = ?died_at.offsets, deaths = died_at.deaths, "the work on records panicked");
    Ok(positions::note_death(&deps.db, source, partition, &cursor, died_at.offsets.end, died_at.deaths).await?)
}

/// Notes what is worked on from here; false when another process has the partition. Suspects are noted alone, and nothing
/// is noted ahead of a turn, which goes back to records that were passed over. What happens while this process ends is no
/// death.
///
/// # Errors
/// When the note cannot be written.
pub async fn note(
    deps: &Deps,
    place: &Reading<'_>,
    noted: &mut Noted,
    records: Range<i64>,
    is_scan: bool,
) -> Result<bool, Error> {
    let Reading { partition, lanes, suspects, stop, .. } = *place;
    let is_suspect = suspects.offsets.contains(&records.start);
    let is_noted = if is_suspect { noted.0 == records } else { noted.covers(&records) };
    if is_noted || stop.is_cancelled() || is_draining() {
        return Ok(true);
    }
    let mut work = records;
    if is_scan && !is_suspect {
        let is_before_suspects = work.end <= suspects.offsets.start;
        work.end += AHEAD;
        if is_before_suspects {
            work.end = work.end.min(suspects.offsets.start);
        }
    }
    let source = deps.log.source();
    *noted = Noted::default();
    let is_mine = positions::note_work(&deps.db, source, partition, lanes.commits(), name(), work.clone()).await?;
    if is_mine {
        *noted = Noted(work);
    }
    Ok(is_mine)
}

/// Takes the name of this process away from a partition that has nothing for it.
///
/// # Errors
/// When the row cannot be written.
pub async fn let_go(deps: &Deps, partition: i64, noted: &mut Noted) -> Result<(), Error> {
    if *noted != Noted::default() {
        positions::let_go(&deps.db, deps.log.source(), partition, name()).await?;
        *noted = Noted::default();
    }
    Ok(())
}

/// Shows that this process lives, until it is to end; then its name goes away from what it works on.
pub async fn show_life(db: Db, stop: CancellationToken) {
    let mut shown: Option<Instant> = None;
    while !stop.is_cancelled() && !is_draining() {
        if shown.is_none_or(|at| at.elapsed() >= BEAT) {
            shown = Some(Instant::now());
            if let Err(error) = positions::beat(&db, name()).await {
                tracing::debug!(%error, "other consumers may take this one for dead");
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(TICK) => {}
        }
    }
    if let Err(error) = positions::release(&db, name()).await {
        tracing::warn!(%error, "this end may count as a death");
    }
}

/// What the records under work are once this death is counted.
async fn suspects_with(deps: &Deps, partition: i64, cursor: &Cursor) -> Suspects {
    let is_known = cursor.suspect_from <= cursor.work_from && cursor.work_to <= cursor.suspect_to;
    let deaths = if is_known { cursor.deaths + 1 } else { 1 };
    // What is not in the log yet was not under work. Should the log not tell, more are suspects than need be.
    let end = deps.log.end_offset(partition).await.unwrap_or(i64::MAX);
    Suspects { offsets: cursor.work_from..cursor.work_to.min(end).max(cursor.work_from + 1), deaths }
}

async fn is_dead(deps: &Deps, owner: &str, watch: &mut Watch) -> Result<bool, Error> {
    if let Some(dead) = is_dead_here(owner) {
        return Ok(dead);
    }
    let beats = positions::beats(&deps.db, owner).await?;
    let seen = watch.0.entry(owner.to_owned()).or_insert_with(|| (beats, Instant::now()));
    if seen.0 != beats {
        *seen = (beats, Instant::now());
    }
    Ok(seen.1.elapsed() >= SILENCE)
}

/// The name of this process: boot of the machine, namespace of process ids, process id, its start, and a chance number.
fn name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let (place, id) = (place(), std::process::id());
        format!("{place}/{id}/{}/{}", started(id).unwrap_or_default(), uuid::Uuid::new_v4())
    })
}

/// Where process ids mean the same.
fn place() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let ids = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{}/{}", boot.trim(), ids.display())
}

/// When a process was started, in ticks since the boot.
fn started(id: u32) -> Option<String> {
    let line = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name of the program, which may hold anything, ends with the last parenthesis; the start is the 20th behind it.
    Some(line.rsplit_once(')')?.1.split_whitespace().nth(19)?.to_owned())
}

/// Whether a process of this machine is dead; nothing for one of another machine.
fn is_dead_here(owner: &str) -> Option<bool> {
    let here = place();
    let rest = owner.strip_prefix(&here)?.strip_prefix('/')?;
    let mut parts = rest.split('/');
    let id: u32 = parts.next()?.parse().ok()?;
    let start = parts.next().filter(|start| !start.is_empty())?;
    Some(started(id).as_deref() != Some(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noted_records_are_covered_until_the_position_has_passed_them() {
        let mut noted = Noted(10..20);
        assert!(
            noted.covers(&(10..20)) && noted.covers(&(15..16)) && !noted.covers(&(9..12)) && !noted.covers(&(19..21))
        );
        noted.moved(5);
        assert_eq!(noted, Noted(10..20));
        noted.moved(15);
        assert!(noted.covers(&(15..20)) && !noted.covers(&(14..20)));
        noted.moved(20);
        assert_eq!(noted, Noted::default());
    }

    #[test]
    fn many_suspects_are_read_in_as_many_portions_as_a_portion_has() {
        let ends = |from: i64, to: i64, deaths| {
            let suspects = Suspects { offsets: from..to, deaths };
            let next = |offset: &i64| (*offset < to).then(|| suspects.portion_end(*offset));
            std::iter::successors(Some(from), next).skip(1).collect::<Vec<_>>()
        };
        assert_eq!(ends(7, 107, 1), (1..=10).map(|n| 7 + 10 * n).collect::<Vec<_>>());
        assert_eq!(ends(0, 10_600, 1).len(), 104);
        assert_eq!(ends(0, 10_600, 1).last(), Some(&10_600));
        assert_eq!((ends(0, 32, 1).len(), ends(0, 102, 2).len()), (32, 102));
    }

    #[test]
    fn a_process_of_this_machine_is_known_at_once() {
        assert_eq!(is_dead_here(name()), Some(false));
        assert_eq!(is_dead_here(&format!("{}/{}/0/x", place(), std::process::id())), Some(true));
        assert_eq!(is_dead_here("another machine/1/0/x"), None);
    }
}
