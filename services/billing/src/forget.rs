//! Forgets what need not be known any longer: keys of events that would be refused for their age, and ended jobs.

use portolan_api::Result;
use portolan_ids::AccountId;

use crate::{Deps, store};

/// How often there is something to forget.
pub const EVERY_S: i64 = 3_600;
/// One process forgets at a time.
const LEASE: &str = "forgotten events";
/// Keys that one transaction looks at, so that no writer waits long for it.
pub const KEYS: i64 = 5_000;

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
        after = store::usage::forget(&deps.db, place, now - deps.settings.event_window_s, KEYS).await?;
    }
    Ok(())
}
