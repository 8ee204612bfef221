//! How much is written in one transaction.
//!
//! Large writes save most of the work of many small ones. But a write holds its connection to the end, and on SQLite it is
//! the only one: while others wait for it, writes are made as small as lets each of them have a turn soon, and grow again
//! when nobody waits.

use std::time::{Duration, Instant};

use crate::Db;

/// A write that others wait for should take no longer.
const HELD_MAX: Duration = Duration::from_millis(2);

/// How a write went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// From its begin to its end.
    pub time: Duration,
    /// Others waited for its connection at its end.
    pub is_awaited: bool,
}

impl Held {
    /// Of a write that was begun at a moment and is about to be committed.
    pub fn since(begun: Instant, db: &Db) -> Self {
        Self { time: begun.elapsed(), is_awaited: db.is_awaited() }
    }
}

/// How large one write is made at most, in whatever its size is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    size_min: usize,
    size_max: usize,
}

impl Pace {
    /// Writes of any size. Those below `size_min` would cost more in their commits than they spare who waits.
    pub fn new(size_min: usize) -> Self {
        Self { size_min, size_max: usize::MAX }
    }

    /// The size of the next write at most.
    pub fn size_max(self) -> usize {
        self.size_max
    }

    /// The pace after a write of a size.
    #[must_use]
    pub fn after(self, size: usize, held: Held) -> Self {
        let size_max = if held.is_awaited && held.time > HELD_MAX {
            let share = HELD_MAX.as_secs_f64() / held.time.as_secs_f64();
            ((size as f64 * share) as usize).max(self.size_min)
        } else if size < self.size_max / 2 || held.is_awaited && held.time > HELD_MAX / 2 {
            // A small write says nothing of a large one.
            self.size_max
        } else if held.time > HELD_MAX {
            // Slowly: whoever comes while it is under way waits to its end.
            self.size_max.saturating_add(self.size_max / 8)
        } else {
            self.size_max.saturating_mul(2)
        };
        Self { size_max, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_shrink_while_others_wait_and_grow_when_nobody_does() {
        let held_us = |time_us, is_awaited| Held { time: Duration::from_micros(time_us), is_awaited };
        let held = |time_ms: u64, is_awaited| held_us(time_ms * 1_000, is_awaited);
        let (size_min, large) = (16 << 10, 8 << 20);
        let alone = Pace::new(size_min).after(large, held(3_000, false));
        assert_eq!(alone, Pace::new(size_min), "nobody waits");
        let shared = alone.after(large, held(1_000, true));
        assert_eq!(shared.size_max(), large / 500);
        assert_eq!(shared.after(large / 500, held_us(1_500, true)), shared);
        assert_eq!(shared.after(1, held(10_000, true)).size_max(), size_min);
        assert_eq!(shared.after(size_min / 2, held_us(100, false)), shared, "a small write");
        let grown = |pace: Pace, time_us| pace.after(pace.size_max(), held_us(time_us, false)).size_max();
        assert_eq!(grown(shared, 1_000), 2 * shared.size_max());
        assert_eq!(grown(shared, 50_000), shared.size_max() + shared.size_max() / 8);
        let mut pace = shared;
        for _ in 0..300 {
            pace = pace.after(pace.size_max(), held(500, false));
        }
        assert_eq!(pace, Pace::new(size_min), "nobody waits any more");
    }
}
