//! Import jobs as callers see them.

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_formats::Format;
use portolan_log::Positions;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::store::jobs as rows;
use crate::{Deps, Error};

/// Refusals kept with a job; its count says how many there are.
pub const REFUSALS_MAX: usize = 1_000;
/// Jobs per page when the caller names no number, and at most.
const PAGE_DEFAULT: i64 = 50;
const PAGE_MAX: i64 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    Pending,
    Running,
    Succeeded,
    Failed,
}

/// The import of one stored file.
#[derive(Clone, Debug)]
pub struct Job {
    pub account_id: i64,
    pub job_id: String,
    /// Who asked for it.
    pub user_id: i64,
    pub upload_id: String,
    pub state: JobState,
    pub format: Format,
    pub collection_id: i32,
    pub collection_name: String,
    /// The target is a host collection, whose endpoints are paths.
    pub path_only: bool,
    pub progress: Progress,
    pub bytes_total: i64,
    /// Why it failed.
    pub error: Option<String>,
    /// Unix seconds.
    pub created_at: i64,
    pub updated_at: i64,
}

/// How far a job has come.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Imported and refused items add up to it when the job ends.
    pub total_items: i64,
    pub imported_items: i64,
    pub refused_items: i64,
    pub refusals: Vec<Refusal>,
    pub bytes_done: i64,
    /// Chunks that are in the log.
    pub chunks_appended: i64,
    /// Where the log ended after them.
    pub positions: Positions,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub item: String,
    pub reason: String,
}

impl Progress {
    /// Counts a refused item and keeps it while there is room.
    pub fn refuse(&mut self, item: String, reason: String) {
        self.refused_items += 1;
        if self.refusals.len() < REFUSALS_MAX {
            self.refusals.push(Refusal { item, reason });
        }
    }
}

/// Jobs of the caller's account tell of a collection, so they are shown to those who may see it.
fn visible(job: &Job, caller: &Caller) -> bool {
    job.user_id == caller.user_id || caller.grant.sees(job.collection_id)
}

/// # Errors
/// `JOB_NOT_FOUND` when the account has no such job or the caller may not see its collection.
pub async fn get(deps: &Deps, caller: &Caller, job_id: &str) -> Result<Job, Error> {
    // Ids have one spelling, and no other text reaches the database.
    let id = Uuid::parse_str(job_id).map_err(|_| Reason::JobNotFound)?.to_string();
    let job = rows::get(&deps.db, caller.account_id, &id).await?;
    Ok(job.filter(|job| visible(job, caller)).ok_or(Reason::JobNotFound)?)
}

/// A page of jobs, the newest first, and the token of the next one, empty at the end. A page may hold fewer jobs than
/// asked for.
///
/// # Errors
/// `PAGE_TOKEN_INVALID`.
pub async fn list(deps: &Deps, caller: &Caller, size: i32, token: &str) -> Result<(Vec<Job>, String), Error> {
    let size = if size <= 0 { PAGE_DEFAULT } else { i64::from(size).min(PAGE_MAX) };
    let before = match token {
        "" => Uuid::max(),
        token => Uuid::parse_str(token).map_err(|_| Reason::PageTokenInvalid)?,
    };
    let mut jobs = rows::list(&deps.db, caller.account_id, &before.to_string(), size + 1).await?;
    let more = jobs.len() as i64 > size;
    jobs.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    let next = jobs.last().filter(|_| more).map(|job| job.job_id.clone()).unwrap_or_default();
    jobs.retain(|job| visible(job, caller));
    Ok((jobs, next))
}
