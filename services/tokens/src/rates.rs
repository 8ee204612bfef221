//! Requests a minute.

use portolan_api::Result;
use portolan_limit::{Counter, Limit, Limits};

/// Counts the requests of credentials, exactly across all who share the counters.
#[derive(Clone)]
pub struct Rates(Limits);

impl Rates {
    /// Counts in `limits`.
    pub fn new(limits: Limits) -> Self {
        Self(limits)
    }

    /// Counts one request. Returns after how many seconds to repeat when there were `limit` of them already.
    ///
    /// # Errors
    /// `UNAVAILABLE` when the counters cannot be reached.
    pub async fn count(&self, key: &str, limit: i64) -> Result<Option<i64>> {
        let limit = Limit::per_minute(u64::try_from(limit).unwrap_or_default());
        let counter = Counter::new(format!("rate/{key}"), limit);
        Ok(self.0.take(&[counter]).await?.retry_after_s())
    }
}
