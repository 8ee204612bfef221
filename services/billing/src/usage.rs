//! What was used: events and counts on their way in, sums on their way out.

use std::collections::{HashMap, HashSet};

use portolan_api::{Error, Reason, Result};
use portolan_ids::AccountId;

use crate::{Deps, entitlements, organizations, store};

/// Most events or counts in one transaction.
pub const BATCH_MAX: usize = 1_000;
/// Largest change by one event, so that no sum of a lifetime overflows.
pub const VALUE_MAX: i64 = 1_000_000_000;

pub use crate::model::usage::{Count, Event, EventKey, FeatureTotal, Totals, Window, event_key};

/// Counts events, each once by its key, in one transaction; answers which of them counted now.
///
/// # Errors
/// `BATCH_TOO_LARGE`, `UNAVAILABLE`: then none counted, or all did and a repetition finds them counted.
pub async fn record(deps: &Deps, events: &[Event]) -> Result<Vec<bool>> {
    if events.len() > BATCH_MAX {
        return Err(Error::new(Reason::BatchTooLarge).with("limit", BATCH_MAX).with("member", "events"));
    }
    let mut first: HashMap<(AccountId, EventKey), usize> = HashMap::with_capacity(events.len());
    for (index, event) in events.iter().enumerate() {
        first.entry((event.account_id, event.key)).or_insert(index);
    }
    // One order for all transactions, so that two with the same events wait instead of deadlocking.
    let mut distinct: Vec<usize> = first.values().copied().collect();
    distinct.sort_unstable_by_key(|index| (events[*index].account_id, events[*index].key));
    if distinct.is_empty() {
        return Ok(Vec::new());
    }
    let now = deps.clock.now();
    let counted: HashSet<(AccountId, EventKey)> = store::usage::record(&deps.db, events, &distinct, now).await?;
    let is_new = |index: usize| {
        let key = (events[index].account_id, events[index].key);
        counted.contains(&key) && first.get(&key) == Some(&index)
    };
    let answer = (0..events.len()).map(is_new).collect();
    note_overages(deps, events.iter().map(|event| event.account_id)).await;
    Ok(answer)
}

/// Keeps counts, each unless a higher version of it is known.
///
/// # Errors
/// `BATCH_TOO_LARGE`, `UNAVAILABLE`.
pub async fn report(deps: &Deps, mut counts: Vec<Count>) -> Result<()> {
    if counts.len() > BATCH_MAX {
        return Err(Error::new(Reason::BatchTooLarge).with("limit", BATCH_MAX).with("member", "counts"));
    }
    counts.sort_by(|a, b| (a.account_id, &a.feature, a.version).cmp(&(b.account_id, &b.feature, b.version)));
    // A total counts for the organization only when its account is known.
    for account_id in counts.iter().map(|count| count.account_id).collect::<HashSet<_>>() {
        organizations::of_account(deps, account_id).await?;
    }
    store::usage::report(&deps.db, &counts, deps.clock.now()).await?;
    note_overages(deps, counts.iter().map(|count| count.account_id)).await;
    Ok(())
}

/// Notes limits that were reached, so that the grace begins now. What fails here is made up for by the next question
/// for the limit.
async fn note_overages(deps: &Deps, account_ids: impl Iterator<Item = AccountId>) {
    for account_id in account_ids.collect::<HashSet<_>>() {
        let outcome = async {
            let organization_id = organizations::of_account(deps, account_id).await?;
            let Some(entitlements) = organizations::known_entitlements(deps, &organization_id).await? else {
                return Ok(());
            };
            let now = deps.clock.now();
            let totals = store::usage::totals(&deps.db, &organization_id, now).await?;
            entitlements::note_overages(deps, &organization_id, &entitlements, &totals, now).await?;
            Ok::<_, Error>(())
        };
        if let Err(error) = outcome.await {
            tracing::warn!(account_id = account_id.get(), %error, "limits were not looked at");
        }
    }
}
