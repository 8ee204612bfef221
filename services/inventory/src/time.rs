//! The clock, in the unit of every stored time.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix seconds.
pub fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
