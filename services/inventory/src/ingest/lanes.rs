//! The order in which one partition is read, so that an account with many records delays itself alone.
//!
//! The records of each account are a lane. The partition is scanned once from the position on. Of each lane a scan takes a
//! share and passes over the rest: such a lane is behind. Between two scans one of those behind has a turn, all in a
//! circle, from the first of its records that was passed over.
//!
//! What cannot be written, such as a record of an endpoint whose stored row nobody can read, holds up its lane: after a
//! commit of several lanes has failed each has its turn, and after a turn has failed its lane goes on record by record.
//!
//! # Invariants
//! - A record is in the tables exactly when it lies below the position, or below what is stored for its lane. Both are
//!   committed with the record, so a restart reads on where the last commit stood.
//! - The records of a lane are read in their order: nothing is taken of a lane that is behind, but in its turn.
//! - The position is the first record of all that was passed over.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound::{Excluded, Unbounded},
    time::{Duration, Instant},
};

use portolan_ids::AccountId;

use crate::{
    model::reached::Reached,
    store::positions::{Cursor, Progress},
};

/// The lane of records that name no account.
const NOBODY: i64 = 0;

/// What a scan takes of one lane.
const SHARE_BYTES: usize = 512 << 10;

/// The same in records.
const SHARE_RECORDS: usize = 500;

/// What a lane takes in its turn while others have records, too.
const TURN_BYTES: usize = 2 << 20;

/// Lanes that a scan leaves to their turns although it has taken their share: each is a commit of its own.
const LEFT_MAX: usize = 4;

/// Lanes kept apart. A scan ends before more, and goes on when the position has moved.
const LANES_MAX: usize = 1_000;

/// A lane whose turn failed waits for this long, doubled with every failure…
const WAIT_MIN: Duration = Duration::from_secs(1);

/// … up to this.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// How far a partition is read, by lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lanes {
    position: i64,
    commits: i64,
    /// Lanes that are in the tables up to an offset behind the position.
    ahead: BTreeMap<i64, i64>,
    /// The offset up to which all lanes were looked at.
    scanned: i64,
    /// Lanes of which the scan passed over records, and where they go on.
    behind: BTreeMap<i64, i64>,
    /// The lane that had the last turn.
    served: i64,
    is_turn_due: bool,
    /// The last scan came to the end of the log.
    is_at_end: bool,
    /// What lies at the end of the scan cannot be read; it waits until the position is there.
    is_halted: bool,
    /// Lanes that a commit of several failed with; they are read in their turns alone.
    apart: BTreeSet<i64>,
    /// Lanes that go on record by record since a turn failed.
    failing: BTreeMap<i64, Failing>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Failing {
    failures: u32,
    /// No turn is tried before.
    due_at: Instant,
}

/// A part of the log that is read for one commit.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// The lane whose turn it is; a scan of all lanes when absent.
    lane: Option<i64>,
    pub from: i64,
    /// Everything of the step below this was looked at.
    pub next: i64,
    until: Option<i64>,
    /// No other lane waits for the end of this one.
    pub is_alone: bool,
    /// It reads one record.
    is_single: bool,
    /// What it takes of one lane where there are others.
    share_bytes: usize,
    /// Whether the log ended.
    pub is_at_end: bool,
    taken: BTreeMap<i64, Taken>,
    passed_over: BTreeMap<i64, i64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    /// The offset of the first one.
    first: i64,
    records: usize,
    bytes: usize,
}

/// What becomes of a record in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Take,
    /// It is in the tables, or its lane is behind.
    Pass,
    /// The share of its lane is used up.
    PassOver,
    /// The step ends before it.
    Stop,
}

/// The lane of a record, by the account that it names, without reading the rest: this happens before the note that a
/// record is under work.
pub fn lane_of(value: &[u8]) -> i64 {
    account_of(value).map_or(NOBODY, Into::into)
}

/// The account that a record names.
pub fn account_of(value: &[u8]) -> Option<AccountId> {
    /// Where the account stands; numbers come as text, too.
    #[derive(serde::Deserialize)]
    struct Named<'v> {
        #[serde(borrow)]
        akto_account_id: &'v serde_json::value::RawValue,
    }
    let Named { akto_account_id } = serde_json::from_slice(value).ok()?;
    akto_account_id.get().trim_matches('"').parse().ok().filter(|id| *id > AccountId(0))
}

impl Lanes {
    /// The partition as it stands in the tables.
    pub fn new(cursor: &Cursor) -> Self {
        Self {
            position: cursor.next_offset,
            commits: cursor.commits,
            ahead: cursor.ahead.clone(),
            scanned: cursor.next_offset,
            ..Self::default()
        }
    }

    /// Everything below this is in the tables.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// The commits of the partition, which tell whether another consumer has written.
    pub fn commits(&self) -> i64 {
        self.commits
    }

    /// Whether records were passed over.
    pub fn is_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    /// What is to be read next, and no more of a lane than so many bytes where there are others.
    pub fn step(&self, now: Instant, bytes_max: usize) -> Step {
        match self.turn(now) {
            Some((lane, from)) if self.is_turn_due => Step {
                lane: Some(lane),
                from,
                next: from,
                until: Some(self.scanned),
                is_alone: self.is_at_end && self.behind.len() == 1,
                is_single: self.failing.contains_key(&lane),
                share_bytes: TURN_BYTES.min(bytes_max),
                ..Step::default()
            },
            _ => Step {
                from: self.scanned,
                next: self.scanned,
                until: (self.is_halted && self.is_behind()).then_some(self.scanned),
                share_bytes: SHARE_BYTES.min(bytes_max),
                ..Step::default()
            },
        }
    }

    /// The lane that has the next turn, and where it goes on; none while all of those behind wait after failures.
    pub fn turn(&self, now: Instant) -> Option<(i64, i64)> {
        let after = self.behind.range((Excluded(self.served), Unbounded));
        let is_due = |lane: &i64| self.failing.get(lane).is_none_or(|failing| failing.due_at <= now);
        let mut circle = after.chain(self.behind.range(..=self.served));
        circle.find(|(lane, _)| is_due(lane)).map(|(lane, from)| (*lane, *from))
    }

    /// Takes note that what a step has read cannot be written.
    pub fn failed(&mut self, step: &Step, now: Instant) {
        let Some(lane) = step.lane else {
            self.apart.extend(step.taken.keys());
            return;
        };
        self.served = lane;
        self.is_turn_due = false;
        let failing = self.failing.entry(lane).or_insert(Failing { failures: 0, due_at: now });
        if step.is_single {
            failing.failures += 1;
            failing.due_at = now + (WAIT_MIN * (1 << (failing.failures - 1).min(8))).min(WAIT_MAX);
        }
    }

    /// What becomes of a record of a lane.
    pub fn judge(&self, step: &Step, lane: i64, offset: i64, bytes: usize) -> Verdict {
        if step.until.is_some_and(|until| offset >= until) {
            return Verdict::Stop;
        }
        let taken = step.taken.get(&lane).copied().unwrap_or_default();
        let is_beyond = taken.records > 0 && taken.bytes + bytes > step.share_bytes;
        match step.lane {
            Some(own) if lane != own => Verdict::Pass,
            Some(_) if step.is_single && taken.records > 0 => Verdict::Stop,
            Some(_) if !step.is_alone && is_beyond => Verdict::Stop,
            Some(_) => Verdict::Take,
            None if self.ahead.get(&lane).is_some_and(|ahead| offset < *ahead) => Verdict::Pass,
            None if self.behind.contains_key(&lane) || step.passed_over.contains_key(&lane) => Verdict::Pass,
            None if self.apart.contains(&lane) => Verdict::PassOver,
            None if is_beyond || taken.records >= SHARE_RECORDS => Verdict::PassOver,
            None if taken.records == 0 && self.lanes() + step.taken.len() >= LANES_MAX => Verdict::Stop,
            None => Verdict::Take,
        }
    }

    /// How far the partition is in the tables.
    pub fn reached(&self) -> Reached {
        Reached { position: self.position, ahead: self.ahead.clone() }
    }

    fn lanes(&self) -> usize {
        self.ahead.len() + self.behind.len()
    }

    /// How the partition is read once a step is done.
    pub fn after(&self, step: &Step) -> Self {
        let mut lanes = self.clone();
        match step.lane {
            Some(lane) => {
                lanes.served = lane;
                lanes.ahead.insert(lane, step.next);
                if step.next < self.scanned {
                    lanes.behind.insert(lane, step.next);
                    lanes.failing.entry(lane).and_modify(|failing| failing.failures = 0);
                } else {
                    lanes.behind.remove(&lane);
                    lanes.apart.remove(&lane);
                    lanes.failing.remove(&lane);
                }
            }
            None => {
                lanes.scanned = step.next;
                lanes.is_at_end = step.is_at_end || self.is_halted;
                lanes.behind.extend(&step.passed_over);
                let read = |lane| step.passed_over.get(lane).copied().unwrap_or(step.next);
                lanes.ahead.extend(step.taken.keys().map(|lane| (*lane, read(lane))));
            }
        }
        lanes.is_turn_due = step.lane.is_none();
        lanes.is_halted &= lanes.is_behind();
        lanes.position = lanes.behind.values().min().copied().unwrap_or(lanes.scanned);
        lanes.ahead.retain(|_, ahead| *ahead > lanes.position);
        lanes
    }

    /// What is to be stored for that; nothing when only the memory of this process changes.
    pub fn progress(&self, after: &Self) -> Progress {
        let is_new = |lane: &i64, ahead: &i64| self.ahead.get(lane) != Some(ahead);
        Progress {
            expected: self.position,
            commits: self.commits,
            next_offset: after.position,
            ahead: after.ahead.iter().filter(|(lane, ahead)| is_new(lane, ahead)).map(|(l, a)| (*l, *a)).collect(),
            was_ahead: !self.ahead.is_empty(),
        }
    }

    /// Takes note of a commit.
    pub fn committed(mut self) -> Self {
        self.commits += 1;
        self
    }

    /// Leaves what lies at the end of the scan until everything before it is in the tables.
    pub fn halt(&mut self) {
        self.is_halted = true;
        self.is_turn_due = true;
        self.is_at_end = true;
    }
}

impl Step {
    pub fn is_scan(&self) -> bool {
        self.lane.is_none()
    }

    /// The accounts of which it has taken records, and the bytes of each.
    pub fn parts(&self) -> Vec<(AccountId, usize)> {
        let taken = self.taken.iter().filter(|(lane, _)| **lane != NOBODY);
        taken.map(|(lane, taken)| ((*lane).into(), taken.bytes)).collect()
    }

    /// Whether it has taken records.
    pub fn has_taken(&self) -> bool {
        !self.taken.is_empty()
    }

    /// The lanes of which it has taken records.
    pub fn lanes(&self) -> Vec<i64> {
        self.taken.keys().copied().collect()
    }

    /// Whether nothing is left below the bound of the step.
    pub fn is_over(&self) -> bool {
        self.until.is_some_and(|until| self.next >= until)
    }

    /// Counts a record that is taken.
    pub fn take(&mut self, lane: i64, offset: i64, bytes: usize) {
        let taken = self.taken.entry(lane).or_insert(Taken { first: offset, ..Taken::default() });
        taken.records += 1;
        taken.bytes += bytes;
    }

    /// Notes the first record of a lane that is left to its turns.
    pub fn pass_over(&mut self, lane: i64, offset: i64) {
        self.passed_over.entry(lane).or_insert(offset);
    }

    /// Leaves lanes that a scan has taken records of to their turns; false where nothing else or too much would be left.
    pub fn leave(&mut self, lanes: &BTreeSet<i64>) -> bool {
        let is_all = self.taken.keys().all(|lane| lanes.contains(lane));
        if self.lane.is_some() || is_all || lanes.len() > LEFT_MAX {
            return false;
        }
        for lane in lanes {
            if let Some(taken) = self.taken.remove(lane) {
                self.passed_over.insert(*lane, taken.first);
            }
        }
        true
    }

    /// Ends the step before a record that it does not take.
    pub fn stop_before(&mut self, offset: i64) {
        // Offsets may be missing before the bound.
        self.next = self.until.filter(|until| *until <= offset).unwrap_or(self.next);
    }

    /// The offset up to which the step can read.
    pub fn bounded(&self, end: i64) -> i64 {
        self.until.map_or(end, |until| until.min(end))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Has a step look at the next records of a log, given by their lanes; answers what it takes, in order.
    fn look(lanes: &Lanes, step: &mut Step, log: &[i64], bytes: usize, records_max: usize) -> Vec<(i64, i64)> {
        let end = i64::try_from(log.len()).unwrap();
        let mut taken = Vec::new();
        let mut looked_at = 0;
        while step.next < step.bounded(end) && looked_at < records_max {
            let (offset, lane) = (step.next, log[usize::try_from(step.next).unwrap()]);
            looked_at += 1;
            match lanes.judge(step, lane, offset, bytes) {
                Verdict::Take => {
                    step.take(lane, offset, bytes);
                    taken.push((lane, offset));
                }
                Verdict::Pass => {}
                Verdict::PassOver => step.pass_over(lane, offset),
                Verdict::Stop => break,
            }
            step.next = offset + 1;
        }
        taken
    }

    /// Reads a log until `commits`; answers what was written, in order.
    fn read(lanes: &mut Lanes, log: &[i64], bytes: usize, step_records: usize, commits: usize) -> Vec<(i64, i64)> {
        let end = i64::try_from(log.len()).unwrap();
        let mut written = Vec::new();
        for _ in 0..commits {
            let mut step = lanes.step(Instant::now(), usize::MAX);
            written.extend(look(lanes, &mut step, log, bytes, step_records));
            step.is_at_end = step.next >= end;
            let after = lanes.after(&step);
            let progress = lanes.progress(&after);
            assert!(progress.ahead.iter().all(|(_, ahead)| *ahead > progress.next_offset));
            *lanes = after.committed();
        }
        written
    }

    /// A lane that cannot be written holds up nobody; what it has before the record that fails is written.
    #[test]
    fn a_failing_lane_waits_alone() {
        let log = [1, 2, 1, 1, 2, 3];
        let (mut lanes, mut written, now) = (Lanes::default(), Vec::new(), Instant::now());
        for _ in 0..20 {
            let mut step = lanes.step(now, usize::MAX);
            let own = look(&lanes, &mut step, &log, 1, usize::MAX);
            if own.contains(&(1, 3)) {
                lanes.failed(&step, now);
            } else {
                written.extend(own.into_iter().map(|(_, offset)| offset));
                lanes = lanes.after(&step).committed();
            }
        }
        written.sort_unstable();
        assert_eq!((written, lanes.position()), (vec![0, 1, 2, 4, 5], 3));
        assert!(lanes.turn(now).is_none() && lanes.turn(now + WAIT_MAX).is_some());
    }

    /// What a scan leaves is read in turns of its own, from its first record on, and nothing of it is lost or read twice.
    #[test]
    fn a_scan_leaves_lanes_to_their_turns() {
        let (log, now) = ([1, 2, 1, 3, 2], Instant::now());
        let (mut lanes, mut written) = (Lanes::default(), Vec::new());
        for left in [&[1, 3][..], &[], &[], &[]] {
            let mut step = lanes.step(now, usize::MAX);
            let mut own = look(&lanes, &mut step, &log, 1, usize::MAX);
            let left: BTreeSet<i64> = left.iter().copied().collect();
            assert!(!step.leave(&step.lanes().into_iter().collect()), "nothing would be left");
            assert_eq!(step.leave(&left), step.is_scan() && step.has_taken(), "{step:?}");
            own.retain(|(lane, _)| step.lanes().contains(lane));
            lanes = lanes.after(&step).committed();
            written.push(own);
        }
        assert_eq!(written, [vec![(2, 1), (2, 4)], vec![(1, 0), (1, 2)], vec![], vec![(3, 3)]]);
        assert_eq!(lanes.position(), 5);
    }

    /// While others wait for the writer, a scan and a turn take less of a lane, and at least a record.
    #[test]
    fn the_pace_bounds_what_is_taken_of_a_lane() {
        let taken = |bytes_max: usize| {
            let (lanes, mut records) = (Lanes::default(), 0);
            let mut step = lanes.step(Instant::now(), bytes_max);
            while records < 20 && lanes.judge(&step, 1, records, 100) == Verdict::Take {
                step.take(1, records, 100);
                records += 1;
            }
            records
        };
        assert_eq!([taken(usize::MAX), taken(500), taken(1)], [20, 5, 1]);
    }

    fn stored(lanes: &Lanes) -> Lanes {
        let Lanes { position, commits, ahead, .. } = lanes.clone();
        Lanes::new(&Cursor { next_offset: position, commits, ahead, ..Cursor::default() })
    }

    /// Whatever the log, each record is written once, in the order of its lane, however often the process dies.
    #[test]
    fn every_record_is_read_once_and_in_the_order_of_its_lane() {
        let mut state = 7_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for round in 0..300 {
            let log: Vec<i64> = (0..random(400)).map(|_| i64::try_from(random(1 + round % 5)).unwrap()).collect();
            let end = i64::try_from(log.len()).unwrap();
            let bytes = usize::try_from(1 + random(1 << 20)).unwrap();
            let step_records = usize::try_from(1 + random(100)).unwrap();
            let mut lanes = Lanes::default();
            let mut written = Vec::new();
            for _ in 0..20_000 {
                written.extend(read(&mut lanes, &log, bytes, step_records, 1));
                if random(3) == 0 {
                    lanes = stored(&lanes);
                }
                if lanes.position() == end {
                    break;
                }
            }
            assert_eq!(lanes.position(), end, "round {round}");
            let mut last: BTreeMap<i64, i64> = BTreeMap::new();
            for (lane, offset) in &written {
                assert!(last.insert(*lane, *offset).is_none_or(|last| last < *offset), "round {round}: lane {lane}");
            }
            let offsets: BTreeSet<i64> = written.iter().map(|(_, offset)| *offset).collect();
            assert_eq!((offsets.len(), written.len()), (log.len(), log.len()), "round {round}");
        }
    }

    /// Who has little is written in the first commit, however much others have before it, and two with much share.
    #[test]
    fn a_flood_delays_itself() {
        let mut log = vec![1; 20_000];
        log.extend([2; 20_000]);
        log.extend([3; 10]);
        let mut lanes = Lanes::default();
        let first = read(&mut lanes, &log, 10_000, usize::MAX, 1);
        assert_eq!(first.iter().filter(|(lane, _)| *lane == 3).count(), 10);
        let next = read(&mut lanes, &log, 10_000, usize::MAX, 20);
        let of = |lane: i64| next.iter().filter(|(own, _)| *own == lane).count();
        assert_eq!((of(1), of(2)), (of(2), of(1)));
        assert!(of(1) > 0 && lanes.position() < 20_000);
    }
}
