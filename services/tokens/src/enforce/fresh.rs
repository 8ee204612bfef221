use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use super::rules::EdgeRules;

/// At which moment the knowledge of profiles, of endpoints and of the states of accounts was last known to be whole.
///
/// The moment is that of the question, not of the answer: a change after it may be missing.
pub struct Fresh {
    origin: Instant,
    /// Milliseconds after `origin`, plus one; 0 means never.
    profiles: AtomicU64,
    endpoints: AtomicU64,
    tenants: AtomicU64,
}

impl Default for Fresh {
    fn default() -> Self {
        let never = || AtomicU64::new(0);
        Self { origin: Instant::now(), profiles: never(), endpoints: never(), tenants: never() }
    }
}

impl Fresh {
    pub fn is_current(&self, rules: &EdgeRules) -> bool {
        let now = self.moment(Instant::now());
        let within =
            |at: u64, age_max: std::time::Duration| at > 0 && now.saturating_sub(at) <= age_max.as_millis() as u64;
        within(self.profiles.load(Ordering::Acquire), rules.profiles_age_max)
            && within(self.endpoints.load(Ordering::Acquire), rules.endpoints_age_max)
            && within(self.tenants.load(Ordering::Acquire), rules.endpoints_age_max)
    }

    pub fn profiles_at(&self, asked_at: Instant) {
        self.profiles.fetch_max(self.moment(asked_at), Ordering::AcqRel);
    }

    pub fn endpoints_at(&self, asked_at: Instant) {
        self.endpoints.fetch_max(self.moment(asked_at), Ordering::AcqRel);
    }

    pub fn tenants_at(&self, asked_at: Instant) {
        self.tenants.fetch_max(self.moment(asked_at), Ordering::AcqRel);
    }

    fn moment(&self, instant: Instant) -> u64 {
        instant.saturating_duration_since(self.origin).as_millis() as u64 + 1
    }
}
