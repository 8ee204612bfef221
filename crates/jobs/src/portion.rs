//! How much of the work of a job one step does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use portolan_store::{Held, Pace};

/// A step of the usual size.
const WHOLE: usize = 1_000;

/// Smaller steps would cost more in their commits than they spare those who wait.
const PORTION_MIN: usize = 10;

/// A part of the usual size of a step: while others wait for the connection of a write, steps are short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portion(usize);

impl Portion {
    /// How many items a step looks at which usually looks at so many; at least one.
    pub fn of(self, items: usize) -> usize {
        (items * self.0 / WHOLE).max(1)
    }

    /// As [`Portion::of`], for the limit of a query.
    pub fn limit(self, items: usize) -> i64 {
        i64::try_from(self.of(items)).unwrap_or(i64::MAX)
    }
}

/// The portions of each kind of job in this process.
#[derive(Clone, Default)]
pub(crate) struct Paces(Arc<Mutex<BTreeMap<String, Pace>>>);

impl Paces {
    /// The portion of the next step of a kind.
    pub fn portion(&self, kind: &str) -> Portion {
        let paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Portion(paces.get(kind).map_or(WHOLE, |pace| pace.size_max().min(WHOLE)))
    }

    /// Notes how a step went.
    pub fn note(&self, kind: &str, portion: Portion, held: Held) {
        let mut paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = paces.get(kind).copied().unwrap_or_else(|| Pace::new(PORTION_MIN));
        paces.insert(kind.to_owned(), pace.after(portion.0, held));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn steps_of_a_kind_are_short_while_others_wait() {
        let paces = Paces::default();
        assert_eq!(paces.portion("delete"), Portion(WHOLE));
        let held = |time_ms, is_awaited| Held { time: Duration::from_millis(time_ms), is_awaited };
        paces.note("delete", Portion(WHOLE), held(4, true));
        assert_eq!((paces.portion("delete").of(500), paces.portion("delete").limit(3)), (250, 1));
        assert_eq!(paces.portion("export"), Portion(WHOLE));
        paces.note("delete", paces.portion("delete"), held(10_000, true));
        assert_eq!(paces.portion("delete").of(500), 5);
        (0..10).for_each(|_| paces.note("delete", paces.portion("delete"), held(1, true)));
        assert_eq!(paces.portion("delete"), Portion(WHOLE));
    }
}
