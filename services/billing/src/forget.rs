//! Forgets what need not be known any longer: keys of events that would be refused for their age, windows, queries and
//! analyses that the operator keeps no longer, and ended jobs.

use portolan_api::Result;
use portolan_ids::AccountId;

use crate::{Deps, model::windows::Grain, store};

/// How often there is something to forget.
pub const EVERY_S: i64 = 3_600;
/// One process forgets at a time.
const LEASE: &str = "forgotten events";
/// Rows that one transaction looks at, so that no writer waits long for it.
pub const KEYS: i64 = 5_000;
/// Analyses of one step, each with all that belongs to it.
const ANALYSES: usize = 200;

/// Looks at every key once. An event from outside of that age is refused, so its key is never asked for again.
///
/// # Errors
/// Any of the store; what is left goes the next time.
pub async fn run(deps: &Deps, owner: &str) -> Result<()> {
    let now = deps.clock.now();
    if !store::reports::lease(&deps.db, LEASE, owner, now, now + EVERY_S).await? {
        return Ok(());
    }
    deps.jobs.forget().await?;
    let mut after = Some((AccountId(i64::MIN), Vec::new()));
    while let Some(place) = after {
        after = store::usage::forget(&deps.db, place, now - deps.rules.event_window_s, KEYS).await?;
    }
    for (grain, kept_s) in [(Grain::Hour, deps.rules.hours_s), (Grain::Day, deps.rules.days_s)] {
        windows(deps, grain, now.saturating_sub(kept_s)).await?;
    }
    agents(deps, now.saturating_sub(deps.rules.agents_s)).await
}

/// Sums by the hour or by the day; months and totals stay.
async fn windows(deps: &Deps, grain: Grain, before: i64) -> Result<()> {
    let mut last = i64::MIN;
    while let Some(account_id) = store::usage::next_account(&deps.db, last).await? {
        while store::usage::forget_windows(&deps.db, account_id, grain, before, KEYS).await? == KEYS.unsigned_abs() {}
        last = account_id.get();
    }
    Ok(())
}

async fn agents(deps: &Deps, before: i64) -> Result<()> {
    while store::agents::forget_queries(&deps.db, before, KEYS).await? == KEYS.unsigned_abs() {}
    while store::agents::forget_analyses(&deps.db, before, ANALYSES as i64).await? == ANALYSES {}
    Ok(())
}
