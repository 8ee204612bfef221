use std::time::Duration;

use super::rule;

/// How long a copy may serve after its strict read began.
pub const NEAR: Duration = Duration::from_millis(250);
/// How long a change waits between its end by the strict protocol and its answer.
pub const SETTLE: Duration = Duration::from_nanos(rule::settled_after(NEAR_NS));

/// The same as [`NEAR`] in the unit of the clock.
pub(super) const NEAR_NS: u64 = NEAR.as_nanos() as u64;
