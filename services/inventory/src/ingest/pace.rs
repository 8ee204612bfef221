//! How much is written in one transaction.
//!
//! What is written grows with the endpoints of a batch and not with its records, so large batches save most of the work.
//! But a write holds its connection to the end, and on SQLite it is the only one: while others wait for it, batches are
//! made as small as lets each of them have a turn soon, and grow again when nobody waits.

use std::time::Duration;

/// A write that others wait for should take no longer.
const HELD_MAX: Duration = Duration::from_millis(25);

/// Smaller batches cost more in their commits than they spare those who wait.
const BYTES_MIN: usize = 64 << 10;

/// How a write went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// From its begin to its end.
    pub time: Duration,
    /// Others waited for its connection at its end.
    pub is_awaited: bool,
}

/// How many bytes of records one write is made of at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    bytes_max: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { bytes_max: usize::MAX }
    }
}

impl Pace {
    pub fn bytes_max(self) -> usize {
        self.bytes_max
    }

    /// The pace after a write of so many bytes.
    #[must_use]
    pub fn after(self, bytes: usize, held: Held) -> Self {
        let bytes_max = if held.is_awaited && held.time > HELD_MAX {
            let share = HELD_MAX.as_secs_f64() / held.time.as_secs_f64();
            ((bytes as f64 * share) as usize).max(BYTES_MIN)
        } else if held.is_awaited && held.time > HELD_MAX / 2 {
            self.bytes_max
        } else {
            self.bytes_max.saturating_mul(2)
        };
        Self { bytes_max }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_shrink_while_others_wait_and_grow_when_nobody_does() {
        let held = |time_ms, is_awaited| Held { time: Duration::from_millis(time_ms), is_awaited };
        let large = 8 << 20;
        let alone = Pace::default().after(large, held(3_000, false));
        assert_eq!(alone, Pace::default(), "nobody waits");
        let shared = alone.after(large, held(1_000, true));
        assert_eq!(shared.bytes_max(), large / 40);
        assert_eq!(shared.after(large / 40, held(20, true)), shared);
        assert_eq!(shared.after(1, held(10_000, true)).bytes_max(), BYTES_MIN);
        let mut pace = shared;
        for _ in 0..64 {
            pace = pace.after(large, held(500, false));
        }
        assert_eq!(pace, Pace::default());
    }
}
