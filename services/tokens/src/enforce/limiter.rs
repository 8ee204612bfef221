use portolan_limit::{Counter, Limit, Limits};

use super::{decide::Refusal, policy::Window};

/// Counts the calls of profiles, exactly across all who share the counters.
#[derive(Clone)]
pub struct Limiter(pub Limits);

impl Limiter {
    /// Counts one call.
    ///
    /// # Errors
    /// With the seconds until the window ends when it is full; `LimiterUnavailable` when that cannot be known.
    pub async fn take(&self, profile_id: i64, window: Window) -> Result<(), Refusal> {
        let subject = format!("profile/{profile_id}/{}", window.length.as_secs());
        let counter = Counter::new(subject, Limit { max: window.calls_max, window: window.length });
        match self.0.take(&[counter]).await.map_err(|_| Refusal::LimiterUnavailable)?.retry_after_s() {
            None => Ok(()),
            Some(seconds) => Err(Refusal::Limit(seconds.unsigned_abs())),
        }
    }
}
