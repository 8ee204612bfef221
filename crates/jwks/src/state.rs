use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{KeySet, KeySetOptions};

/// What is known of one provider, and when it may be asked again. It asks nobody itself.
#[derive(Default)]
pub(crate) struct State {
    set: Option<Kept>,
    tried_at: Option<Instant>,
    failures_in_row: u32,
    /// Counts answers, good or bad: who waited for one sees that it came.
    pub answers: u64,
}

struct Kept {
    keys: Arc<KeySet>,
    fetched_at: Instant,
    lifetime: Duration,
}

/// What to do for a token.
pub(crate) enum Step {
    /// The set is good as it is.
    Use(Arc<KeySet>),
    /// The set is good, and soon no longer: fetch beside the answer.
    UseAndRefresh(Arc<KeySet>),
    /// Fetch first; with nothing better, the old set if there is one.
    Fetch,
    /// The provider may not be asked now. A question may be under way, worth waiting for; else the old set if there is
    /// one.
    Wait,
}

impl State {
    pub fn step(&self, kid: Option<&str>, now: Instant, options: &KeySetOptions) -> Step {
        let may_ask = self.may_ask(now, options);
        let Some(kept) = &self.set else { return if may_ask { Step::Fetch } else { Step::Wait } };
        let age = now.duration_since(kept.fetched_at);
        let unknown = kid.is_some_and(|kid| !kept.keys.knows(kid));
        if unknown || age >= kept.lifetime {
            return if may_ask { Step::Fetch } else { Step::Wait };
        }
        if age >= kept.lifetime * 3 / 4 && may_ask {
            return Step::UseAndRefresh(kept.keys.clone());
        }
        Step::Use(kept.keys.clone())
    }

    /// At most one question in `refetch_min`, twice as long after each failure.
    fn may_ask(&self, now: Instant, options: &KeySetOptions) -> bool {
        let factor = 1 << self.failures_in_row.min(16);
        let wait = (options.refetch_min * factor).min(options.backoff_max.max(options.refetch_min));
        self.tried_at.is_none_or(|tried_at| now.duration_since(tried_at) >= wait)
    }

    pub fn begin(&mut self, now: Instant) {
        self.tried_at = Some(now);
    }

    pub fn succeeded(&mut self, keys: KeySet, lifetime: Duration, now: Instant) {
        self.set = Some(Kept { keys: Arc::new(keys), fetched_at: now, lifetime });
        self.failures_in_row = 0;
        self.answers += 1;
    }

    pub fn failed(&mut self) {
        self.failures_in_row = self.failures_in_row.saturating_add(1);
        self.answers += 1;
    }

    /// At most how much memory the set takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.set.as_ref().map_or(0, |kept| kept.keys.bytes())
    }

    /// Forgets the set. The provider is asked no sooner than otherwise.
    pub fn forget(&mut self) {
        self.set = None;
    }

    /// The set, as long as an outage may last.
    pub fn usable(&self, now: Instant, options: &KeySetOptions) -> Option<Arc<KeySet>> {
        let kept = self.set.as_ref()?;
        let age = now.duration_since(kept.fetched_at);
        (age < kept.lifetime + options.outage_max).then(|| kept.keys.clone())
    }
}
