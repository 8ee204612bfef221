use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::measures;

/// A measure that is older than this is no longer believed where it says that nothing waits.
const BELIEVED: Duration = Duration::from_secs(30);

/// How long the oldest of what waits has waited, measured now and then. Between two measures the age goes on, also where
/// none succeeds any more: what cannot be measured is not done either, and whoever watches has to see it.
pub struct Age(Arc<Mutex<Measured>>);

#[derive(Clone, Copy)]
struct Measured {
    age_s: u64,
    at: Instant,
}

impl Age {
    /// `tell` gets the age in seconds, every few seconds until this is dropped: a task that is begun anew has another one.
    pub fn new(tell: impl Fn(f64) + Send + Sync + 'static) -> Self {
        let measured = Arc::new(Mutex::new(Measured { age_s: 0, at: Instant::now() }));
        let told = Arc::downgrade(&measured);
        measures::also(move || {
            if let Some(measured) = told.upgrade() {
                tell(known(&measured).age_s(Instant::now()));
            }
        });
        Self(measured)
    }

    /// Notes what was measured just now; 0 where nothing waits.
    pub fn set(&self, age_s: i64) {
        *known(&self.0) = Measured { age_s: age_s.max(0).unsigned_abs(), at: Instant::now() };
    }
}

fn known(measured: &Mutex<Measured>) -> MutexGuard<'_, Measured> {
    measured.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Measured {
    fn age_s(self, now: Instant) -> f64 {
        let since = now.duration_since(self.at);
        if self.age_s == 0 && since <= BELIEVED { 0.0 } else { self.age_s as f64 + since.as_secs_f64() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_goes_on_while_nothing_can_be_measured() {
        let at = Instant::now();
        let after = |age_s, s| Measured { age_s, at }.age_s(at + Duration::from_secs(s));
        assert_eq!([after(0, 0), after(0, 30), after(40, 20)], [0.0, 0.0, 60.0]);
        assert_eq!([after(0, 90), after(40, 90)], [90.0, 130.0]);
    }
}
