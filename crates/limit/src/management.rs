use portolan_api::{Error, Reason, Result};
use portolan_ids::AccountId;

use crate::{Counter, Limit, Limits};

/// Calls by which vendors manage their workspaces, counted by the minute for each vendor's account: profiles, clients
/// and keys, workspaces, collections and endpoints. Services that share counters count together.
#[derive(Clone)]
pub struct Management {
    limits: Limits,
    per_minute: i64,
}

impl Management {
    /// At most so many calls a minute; 0 for any number.
    pub fn new(limits: Limits, per_minute: i64) -> Self {
        Self { limits, per_minute }
    }

    /// Any number of calls.
    pub fn unlimited() -> Self {
        Self::new(Limits::memory(), 0)
    }

    /// Counts one call of a vendor's account.
    ///
    /// # Errors
    /// `RATE_LIMITED`, with the seconds after which to repeat; `UNAVAILABLE` when the counters cannot be reached.
    pub async fn count(&self, account_id: AccountId) -> Result<()> {
        if self.per_minute <= 0 {
            return Ok(());
        }
        let limit = Limit::per_minute(u64::try_from(self.per_minute).unwrap_or_default());
        let counter = Counter::new(format!("rate/vendor/{account_id}"), limit);
        match self.limits.take(&[counter]).await?.retry_after_s() {
            None => Ok(()),
            Some(wait_s) => Err(Error::new(Reason::RateLimited).with("retry_after_seconds", wait_s)),
        }
    }
}
