use std::time::Duration;

use portolan_ids::ProfileId;
use portolan_limit::{Counter, Limit, Limits};
use portolan_runtime::{Process, process::BoxError};
use portolan_store::{Db, Dialect};

use super::{
    policy::{Policy, Window},
    verdict::Refusal,
};

/// Windows that are longer outlive a restart, which would otherwise begin a quota anew.
const PASSING_MAX: Duration = Duration::from_secs(60);

/// Counts the calls of profiles, exactly across all processes that decide.
pub struct Limiter {
    /// For windows that a restart may end.
    passing: Limits,
    durable: Limits,
}

impl Limiter {
    pub async fn open(process: &Process, db: &Db) -> Result<Self, BoxError> {
        let durable = process.durable_limits(db).await?;
        // On SQLite there is one process, so counters in its memory are all there are.
        let is_alone = db.dialect() == Dialect::Sqlite;
        Ok(Self { passing: if is_alone { process.limits() } else { durable.clone() }, durable })
    }

    /// Counts one call in every window of the policy, or in none.
    ///
    /// # Errors
    /// With the seconds until there is room again; or when the counters cannot be reached.
    pub async fn take(&self, profile_id: ProfileId, policy: &Policy) -> Result<(), Refusal> {
        let counters = |is_durable: bool| -> Vec<Counter> {
            let windows = policy.0.iter().filter(|window| (window.length > PASSING_MAX) == is_durable);
            windows.map(|window| counter(profile_id, *window)).collect()
        };
        let passing = counters(false);
        take(&self.passing, &passing).await?;
        let refusal = take(&self.durable, &counters(true)).await;
        if refusal.is_err() && !passing.is_empty() {
            // A count too many for a call that did not pass errs to the safe side.
            let _ = self.passing.give_back(&passing).await;
        }
        refusal
    }
}

fn counter(profile_id: ProfileId, Window { calls_max, length }: Window) -> Counter {
    Counter::new(format!("edge/{profile_id}/{}", length.as_secs()), Limit { max: calls_max, window: length })
}

async fn take(limits: &Limits, counters: &[Counter]) -> Result<(), Refusal> {
    if counters.is_empty() {
        return Ok(());
    }
    let decision = limits.take(counters).await.map_err(|error| {
        tracing::warn!(%error, "calls cannot be counted");
        Refusal::LimiterUnavailable
    })?;
    match decision.retry_after_s() {
        None => Ok(()),
        Some(seconds) => Err(Refusal::Limit(seconds.unsigned_abs())),
    }
}
