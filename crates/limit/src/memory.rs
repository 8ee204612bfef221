use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{Counter, Decision};

/// Above this many subjects those whose window has ended are dropped, and if that is not enough all with the fewest
/// counts: whoever is near a limit stays counted.
const SUBJECTS_MAX: usize = 100_000;

/// Counters in this process.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<HashMap<String, Window>>>);

struct Window {
    end: Instant,
    taken: u64,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Window>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take(&self, counters: &[Counter]) -> Decision {
        let now = Instant::now();
        let mut windows = self.lock();
        let (mut left, mut retry_after) = (u64::MAX, Duration::ZERO);
        for Counter { subject, limit } in counters {
            let window = windows.get(subject).filter(|window| window.end > now);
            let taken = window.map_or(0, |window| window.taken);
            if taken >= limit.max {
                retry_after = retry_after.max(window.map_or(limit.window, |window| window.end - now));
            } else {
                left = left.min(limit.max - taken - 1);
            }
        }
        if retry_after > Duration::ZERO {
            return Decision::Refused { retry_after };
        }
        make_room(&mut windows, now);
        for Counter { subject, limit } in counters {
            let fresh = || Window { end: now + limit.window, taken: 0 };
            let window = windows.entry(subject.clone()).or_insert_with(fresh);
            if window.end <= now {
                *window = fresh();
            }
            window.taken += 1;
        }
        Decision::Allowed { left }
    }

    pub(crate) fn give_back(&self, counters: &[Counter]) {
        let mut windows = self.lock();
        for counter in counters {
            if let Some(window) = windows.get_mut(&counter.subject) {
                window.taken = window.taken.saturating_sub(1);
            }
        }
    }

    pub(crate) fn forget(&self, subject: &str) {
        self.lock().remove(subject);
    }
}

fn make_room(windows: &mut HashMap<String, Window>, now: Instant) {
    if windows.len() < SUBJECTS_MAX {
        return;
    }
    windows.retain(|_, window| window.end > now);
    let mut keep_above = 1;
    while windows.len() >= SUBJECTS_MAX {
        windows.retain(|_, window| window.taken > keep_above);
        keep_above *= 2;
    }
}
