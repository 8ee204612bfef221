//! What was used, and by how much sums change by it.

use std::collections::BTreeMap;

use portolan_ids::AccountId;
use sha2::{Digest as _, Sha256};

use super::windows::Grain;

/// Identifies an event for ever: a digest of its source and id.
pub type EventKey = [u8; 16];

/// Something was used.
#[derive(Clone, Debug)]
pub struct Event {
    /// Whose usage it is.
    pub account_id: AccountId,
    /// Tells events apart: a repeat counts once.
    pub key: EventKey,
    /// What is counted.
    pub feature: String,
    /// How much was used.
    pub value: i64,
    /// Unix seconds.
    pub time: i64,
}

/// A count that another service keeps.
#[derive(Clone, Debug)]
pub struct Count {
    /// Whose count it is.
    pub account_id: AccountId,
    /// What is counted.
    pub feature: String,
    /// How much there is.
    pub count: i64,
    /// Grows with every change: the highest is the truth.
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

    /// Notes how much is used of a feature.
    pub fn set(&mut self, feature: &str, usage: i64) {
        self.0.insert(feature.to_owned(), usage);
    }

    /// Every feature of which something is known.
    pub fn features(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// One window that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// What is counted.
    pub feature: String,
    /// Unix seconds.
    pub start: i64,
    /// How much was used in it.
    pub value: i64,
    /// By how many events.
    pub events: i64,
}

/// Sums of an account's feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureTotal {
    /// What is counted.
    pub feature: String,
    /// How much is used.
    pub usage: i64,
    /// Unix seconds of the last event; 0 without one.
    pub recorded_at: i64,
}

/// By how much the sums of a window change.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WindowDelta {
    /// How much was used.
    pub value: i64,
    /// By how many events.
    pub events: i64,
}

/// Account, grain, feature and beginning of a window; sorted, so that transactions lock rows in one order.
pub(crate) type Changes<'e> = BTreeMap<(AccountId, Grain, &'e str, i64), WindowDelta>;

/// The key of an event. Lengths keep source and id apart.
pub fn event_key(source: &str, id: &str) -> EventKey {
    let digest = Sha256::new()
        .chain_update((source.len() as u64).to_be_bytes())
        .chain_update(source)
        .chain_update(id)
        .finalize();
    std::array::from_fn(|i| digest[i])
}

/// A count that its owner made anew.
pub struct Recounted {
    /// Whose count it is.
    pub account_id: AccountId,
    /// What is counted.
    pub feature: String,
    /// As the owner kept it before.
    pub kept: i64,
    /// What there is.
    pub counted: i64,
    /// Of `kept`, when everything before it had been reported.
    pub settled_version: Option<i64>,
    /// The count after the recount, and its version.
    pub count: i64,
    /// Of the count after the recount.
    pub version: i64,
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
pub(crate) fn add<'e>(changes: &mut Changes<'e>, account_id: AccountId, feature: &'e str, value: i64, at: i64) {
    for grain in Grain::ALL {
        let change = changes.entry((account_id, grain, feature, grain.start(at))).or_default();
        change.value = change.value.saturating_add(value);
        change.events += 1;
    }
}
