//! Lines that may come many times a second, and tell enough when they come once.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// What is told of one kind, at most.
const EVERY: Duration = Duration::from_secs(1);
/// Kinds that are remembered. Beyond it the memory begins anew, so that callers cannot make it grow.
const KINDS_MAX: usize = 256;

/// Lets each kind through once a second, and counts what it keeps back.
#[derive(Default)]
pub struct Seldom(Mutex<Option<HashMap<String, (Instant, u64)>>>);

impl Seldom {
    /// Lets the first event pass.
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Whether one of this kind is to be told now; answers how many of it were kept back since the last.
    pub fn admits(&self, kind: &str) -> Option<u64> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kinds = kinds.get_or_insert_default();
        if let Some((told_at, kept_back)) = kinds.get_mut(kind) {
            if told_at.elapsed() < EVERY {
                *kept_back += 1;
                return None;
            }
            *told_at = Instant::now();
            return Some(std::mem::take(kept_back));
        }
        if kinds.len() >= KINDS_MAX {
            kinds.clear();
        }
        kinds.insert(kind.to_owned(), (Instant::now(), 0));
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_once_in_its_time() {
        let seldom = Seldom::new();
        assert_eq!([seldom.admits("a"), seldom.admits("a"), seldom.admits("b")], [Some(0), None, Some(0)]);
        for kind in 0..2 * KINDS_MAX {
            seldom.admits(&kind.to_string());
        }
        assert!(seldom.0.lock().unwrap().as_ref().unwrap().len() <= KINDS_MAX);
    }
}
