use super::times::SETTLE;
use crate::{Redis, news};

/// A change that has ended by the strict protocol: whoever reads strictly has it.
#[must_use = "answer the change when `settle` has returned"]
pub struct Ended {
    /// Where there are copies: whom to tell, and what ended.
    copies: Option<(Redis, Vec<String>)>,
}

impl Ended {
    /// A change of values that nobody copies.
    pub(crate) fn uncopied() -> Self {
        Self { copies: None }
    }

    /// A change of values that other processes copy, by the names of what changed.
    pub(crate) fn copied(redis: &Redis, names: Vec<String>) -> Self {
        Self { copies: Some((redis.clone(), names)).filter(|(_, names)| !names.is_empty()) }
    }

    /// Returns when no process serves a copy from before the change. This is the one place where changes wait; call it
    /// with no transaction and no lock held, once for all that changed together.
    pub async fn settle(self) {
        let Some((redis, names)) = self.copies else { return };
        // The wait is reckoned from now, so that telling costs nothing.
        tokio::join!(settled(), news::tell(&redis, &names));
    }
}

/// Returns when every copy that is there at the call has ended.
pub async fn settled() {
    tokio::time::sleep(SETTLE).await;
}
