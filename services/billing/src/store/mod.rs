//! The statements of billing, by noun.

pub(crate) mod agents;
pub(crate) mod organizations;
pub(crate) mod reports;
pub(crate) mod usage;
