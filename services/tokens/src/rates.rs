//! Requests a minute, counted in windows that begin with the minute of the clock.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use portolan_api::Result;
use portolan_runtime::now_s;

const WINDOW_S: i64 = 60;
/// Above this many credentials those of past minutes are forgotten.
const KEYS_MAX: usize = 100_000;

/// Counts of the minute under way, by credential.
#[derive(Clone, Default)]
pub struct Rates {
    counts: Arc<Mutex<HashMap<String, (i64, i64)>>>,
}

impl Rates {
    /// Counts one request. Answers after how many seconds to repeat when there were `limit` of them already.
    pub async fn count(&self, key: &str, limit: i64) -> Result<Option<i64>> {
        let now = now_s();
        let minute = now / WINDOW_S;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= KEYS_MAX {
            counts.retain(|_, (of, _)| *of == minute);
        }
        let slot = counts.entry(key.to_owned()).or_insert((minute, 0));
        if slot.0 != minute {
            *slot = (minute, 0);
        }
        if slot.1 >= limit {
            return Ok(Some(WINDOW_S - now % WINDOW_S));
        }
        slot.1 += 1;
        Ok(None)
    }
}
