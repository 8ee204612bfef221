//! What was used: events and counts on their way in, sums on their way out.

use std::collections::{BTreeMap, HashMap, HashSet};

use portolan_api::{Error, Reason, Result};
use sha2::{Digest as _, Sha256};

use crate::windows::Grain;
use crate::{Deps, entitlements, organizations, store};

/// Most events or counts in one transaction.
pub const BATCH_MAX: usize = 1_000;
/// Largest change by one event, so that no sum of a lifetime overflows.
pub const VALUE_MAX: i64 = 1_000_000_000;

/// Identifies an event for ever: a digest of its source and id.
pub type EventKey = [u8; 16];

/// Something was used.
#[derive(Clone, Debug)]
pub struct Event {
    pub account_id: i64,
    pub key: EventKey,
    pub feature: String,
    pub value: i64,
    /// Unix seconds.
    pub time: i64,
}

/// A count that another service keeps.
#[derive(Clone, Debug)]
pub struct Count {
    pub account_id: i64,
    pub feature: String,
    pub count: i64,
    pub version: i64,
}

/// Usage by feature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals(BTreeMap<String, i64>);

impl Totals {
    /// 0 for a feature that nothing was metered of.
    pub fn of(&self, feature: &str) -> i64 {
        self.0.get(feature).copied().unwrap_or(0)
    }

    pub fn set(&mut self, feature: &str, usage: i64) {
        self.0.insert(feature.to_owned(), usage);
    }

    pub fn features(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// One window that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    pub feature: String,
    pub start: i64,
    pub value: i64,
    pub events: i64,
}

/// Sums of an account's feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureTotal {
    pub feature: String,
    pub usage: i64,
    pub recorded_at: i64,
}

/// By how much the sums of a window change.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Change {
    pub value: i64,
    pub events: i64,
}

/// Account, grain, feature and beginning of a window; sorted, so that transactions lock rows in one order.
pub(crate) type Changes<'e> = BTreeMap<(i64, Grain, &'e str, i64), Change>;

/// The key of an event. Lengths keep source and id apart.
pub fn event_key(source: &str, id: &str) -> EventKey {
    let digest = Sha256::new()
        .chain_update((source.len() as u64).to_be_bytes())
        .chain_update(source)
        .chain_update(id)
        .finalize();
    std::array::from_fn(|i| digest[i])
}

/// Counts events, each once by its key, in one transaction; answers which of them counted now.
///
/// # Errors
/// `BATCH_TOO_LARGE`, `UNAVAILABLE`: then none counted, or all did and a repetition finds them counted.
pub async fn record(deps: &Deps, events: &[Event]) -> Result<Vec<bool>> {
    if events.len() > BATCH_MAX {
        return Err(Error::new(Reason::BatchTooLarge).with("limit", BATCH_MAX).with("member", "events"));
    }
    let mut first: HashMap<(i64, EventKey), usize> = HashMap::with_capacity(events.len());
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
    let counted: HashSet<(i64, EventKey)> = store::usage::record(&deps.db, events, &distinct, now).await?;
    let is_new = |index: usize| {
        let key = (events[index].account_id, events[index].key);
        counted.contains(&key) && first.get(&key) == Some(&index)
    };
    let answer = (0..events.len()).map(is_new).collect();
    note_overages(deps, events.iter().map(|event| event.account_id)).await;
    Ok(answer)
}

/// What new events change.
pub(crate) fn changes<'e>(events: impl Iterator<Item = &'e Event>) -> Changes<'e> {
    let mut changes = Changes::new();
    for event in events {
        add(&mut changes, event.account_id, &event.feature, event.value, event.time);
    }
    changes
}

/// Adds one change to every window that its moment lies in.
pub(crate) fn add<'e>(changes: &mut Changes<'e>, account_id: i64, feature: &'e str, value: i64, at: i64) {
    for grain in Grain::ALL {
        let change = changes.entry((account_id, grain, feature, grain.start(at))).or_default();
        change.value = change.value.saturating_add(value);
        change.events += 1;
    }
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
    // A total counts for the organisation only when its account is known.
    for account_id in counts.iter().map(|count| count.account_id).collect::<HashSet<_>>() {
        organizations::of_account(deps, account_id).await?;
    }
    store::usage::report(&deps.db, &counts, deps.clock.now()).await?;
    note_overages(deps, counts.iter().map(|count| count.account_id)).await;
    Ok(())
}

/// Notes limits that were reached, so that the grace begins now. What fails here is made up for by the next question
/// for the limit.
async fn note_overages(deps: &Deps, account_ids: impl Iterator<Item = i64>) {
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
            tracing::warn!(account_id, %error, "limits were not looked at");
        }
    }
}
