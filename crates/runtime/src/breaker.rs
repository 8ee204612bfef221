use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Failures in a row after which calls are refused without being tried.
const FAILURES_MAX: u32 = 5;
/// The first pause; each that follows without a success is twice as long…
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// … up to this, so that a service that is back is noticed soon.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Keeps calls from piling up behind a service that does not answer: after several failures in a row it is left alone
/// for a moment, then one call tries again.
#[derive(Default)]
pub struct Breaker {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failures: u32,
    /// Calls are refused until then; the first one after it is the trial.
    closed_until: Option<Instant>,
    pause: Duration,
}

impl Breaker {
    /// Whether a call may be tried now.
    pub fn admits(&self, now: Instant) -> bool {
        let mut state = self.lock();
        match state.closed_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                // Others wait for the outcome of this trial.
                state.closed_until = Some(now + state.pause);
                true
            }
        }
    }

    pub fn note_success(&self) {
        *self.lock() = State::default();
    }

    pub fn note_failure(&self, now: Instant) {
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES_MAX {
            state.pause = if state.pause.is_zero() { PAUSE_MIN } else { (state.pause * 2).min(PAUSE_MAX) };
            state.closed_until = Some(now + state.pause);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After five failures calls are refused, one at a time tries again, and a success opens the road.
    #[test]
    fn trials_follow_pauses() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        for _ in 0..FAILURES_MAX - 1 {
            breaker.note_failure(start);
            assert!(breaker.admits(start));
        }
        breaker.note_failure(start);
        assert!(!breaker.admits(start));

        let later = start + PAUSE_MIN;
        assert!(breaker.admits(later), "the trial");
        assert!(!breaker.admits(later), "others wait for it");
        breaker.note_failure(later);
        assert!(!breaker.admits(later + PAUSE_MIN), "the next pause is longer");
        assert!(breaker.admits(later + 2 * PAUSE_MIN));
        breaker.note_success();
        assert!(breaker.admits(later) && breaker.admits(later));
    }
}
