//! Recomputations as the accounts that asked for them see them.

use portolan_api::Result;

use crate::{Deps, store};

/// Ended jobs are shown for so long.
pub const KEPT_S: i64 = 30 * 86_400;
const PAGE_SIZE: i64 = 100;
const PAGE_SIZE_MAX: i64 = 1_000;

/// A request for a recomputation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub job_id: String,
    pub state: &'static str,
    /// Counts that were wrong.
    pub differences: i64,
    /// Unix seconds.
    pub created_at: i64,
    pub updated_at: i64,
}

/// One job; `None` when the account has no such job.
pub async fn get(deps: &Deps, account_id: i64, job_id: &str) -> Result<Option<Job>> {
    Ok(store::jobs::get(&deps.db, account_id, job_id, deps.clock.now()).await?)
}

/// The jobs of an account before a moment and id, the newest first. A size of 0 stands for the usual one.
pub async fn list(deps: &Deps, account_id: i64, size: i32, before: Option<(i64, String)>) -> Result<Vec<Job>> {
    let size = if size <= 0 { PAGE_SIZE } else { i64::from(size).min(PAGE_SIZE_MAX) };
    let (moment, id) = before.unwrap_or((i64::MAX, String::new()));
    Ok(store::jobs::list(&deps.db, account_id, (moment, &id), size, deps.clock.now()).await?)
}
