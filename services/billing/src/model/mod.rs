//! What billing speaks of: no I/O, no wire, no SQL.

pub mod agents;
pub mod entitlements;
pub mod features;
pub mod organizations;
pub mod plans;
pub mod refresh;
pub mod reports;
pub mod stored;
pub mod subscriptions;
pub mod usage;
pub mod windows;
