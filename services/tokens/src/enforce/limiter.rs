use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use super::{decide::Refusal, policy::Window};

/// Counts the calls of profiles. Exact in this process.
#[derive(Clone, Default)]
pub struct Limiter {
    windows: Arc<Mutex<HashMap<(i64, Window), Counted>>>,
}

struct Counted {
    began: Instant,
    calls: u64,
}

impl Limiter {
    /// Counts one call.
    ///
    /// # Errors
    /// With the seconds until the window ends when it is full.
    pub async fn take(&self, profile_id: i64, window: Window) -> Result<(), Refusal> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let counted =
            windows.entry((profile_id, window)).or_insert_with(|| Counted { began: Instant::now(), calls: 0 });
        let age = counted.began.elapsed();
        if age >= window.length {
            *counted = Counted { began: Instant::now(), calls: 0 };
        } else if counted.calls >= window.calls_max {
            let wait = window.length.saturating_sub(age);
            return Err(Refusal::Limit(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)));
        }
        counted.calls += 1;
        Ok(())
    }
}
