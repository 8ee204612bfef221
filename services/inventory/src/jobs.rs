//! Durable work: jobs that are leased, taken up after a crash, and done in steps of one transaction each.
//!
//! # Invariants
//! - A step and the place where the next one begins are one transaction: a crash repeats at most one step, and no step
//!   is applied twice.
//! - A job that fails, or whose worker dies, many times in a row without a step ends as failed with its reason.
//! - In an account at most one job of a kind and collection is active. Asked for again while it runs, it starts again
//!   after its end, so every request is followed by a whole run.

mod delete_collection;

use std::time::{Duration, Instant};

use portolan_store::{Tx, retrying};
use tokio_util::sync::CancellationToken;

use crate::collections::NO_COLLECTION;
use crate::{Deps, Error, access_types, groups, redaction, store};
use portolan_runtime::now_s;

/// A job is another worker's after this long without a sign of life.
const LEASE_S: i64 = 60;
/// A job that failed is taken up again after this long, doubled with every attempt…
const PAUSE_S: i64 = 2;
/// … up to this.
const PAUSE_MAX_S: i64 = 300;
/// Attempts in a row that end without a step.
const ATTEMPTS_MAX: i64 = 10;
/// Jobs left behind by another process are found this often.
const POLL: Duration = Duration::from_secs(15);
/// Ended jobs are listed for this long.
const KEPT_S: i64 = 30 * 24 * 3_600;
/// A request works on the job that it asked for this long before it leaves it to the background.
const INLINE_MAX: Duration = Duration::from_secs(2);
/// Jobs of one answer where the request names no number.
const PAGE_DEFAULT: i64 = 100;
/// Jobs of one answer at most.
const PAGE_MAX: i64 = 1_000;
/// Fault point before the commit of a step.
pub const STEPPED: &str = "job.stepped";

/// One piece of durable work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub account_id: i64,
    pub job_id: String,
    pub kind: JobKind,
    pub state: JobState,
    /// [`NO_COLLECTION`] when it is about the account.
    pub collection_id: i32,
    /// Where the next step begins, in the words of the kind; empty at the start.
    pub place: String,
    pub done_items: i64,
    pub error: Option<String>,
    /// Attempts since the last step, with the one under way.
    pub attempts: i64,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub updated_at: i64,
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    DeleteCollection,
    RedactCollection,
    ComputeGroups,
    ApplyAccessTypes,
    ResetCollectionAccessTypes,
}

impl JobKind {
    const ALL: [Self; 5] = [
        Self::DeleteCollection,
        Self::RedactCollection,
        Self::ComputeGroups,
        Self::ApplyAccessTypes,
        Self::ResetCollectionAccessTypes,
    ];

    /// As stored.
    pub fn name(self) -> &'static str {
        match self {
            Self::DeleteCollection => "DELETE_COLLECTION",
            Self::RedactCollection => "REDACT_COLLECTION",
            Self::ComputeGroups => "COMPUTE_GROUPS",
            Self::ApplyAccessTypes => "APPLY_ACCESS_TYPES",
            Self::ResetCollectionAccessTypes => "RESET_COLLECTION_ACCESS_TYPES",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    Pending,
    Running,
    Succeeded,
    Failed,
}

impl JobState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Pending, Self::Running, Self::Succeeded, Self::Failed].into_iter().find(|state| state.name() == name)
    }
}

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The next step begins here.
    To { place: String, done: i64 },
    /// Nothing is left.
    Over { done: i64 },
}

/// Notes work in the transaction that makes it necessary, and answers the job's id.
pub(crate) async fn ask(
    tx: &mut Tx,
    account_id: i64,
    kind: JobKind,
    collection_id: Option<i32>,
) -> Result<String, Error> {
    let job_id = uuid::Uuid::now_v7().to_string();
    let collection_id = collection_id.unwrap_or(NO_COLLECTION);
    Ok(store::jobs::insert(tx, account_id, &job_id, kind, collection_id, now_s()).await?)
}

/// Works on a job that was just asked for, so that small accounts see its effect with the answer. What is left after two
/// seconds is done in the background.
pub(crate) async fn run_inline(deps: &Deps, account_id: i64, job_id: &str) {
    let owner = uuid::Uuid::new_v4().to_string();
    let until = Instant::now() + INLINE_MAX;
    let stop = || Instant::now() >= until;
    let worked = async {
        let now = now_s();
        let claimed = store::jobs::claim_one(&deps.db, &owner, now, now + LEASE_S, account_id, job_id).await?;
        match claimed {
            Some(job) => work(deps, &job, &owner, &stop).await,
            None => Ok(()),
        }
    };
    if let Err(error) = worked.await {
        tracing::debug!(%error, job_id, "a job goes on in the background");
    }
    deps.shared.jobs.notify_one();
}

/// Works on jobs until `stop`; a job under way is given back and goes on at the next start.
pub async fn run(deps: Deps, owner: String, stop: CancellationToken) {
    loop {
        if let Err(error) = run_due(&deps, &owner, &stop).await {
            tracing::warn!(%error, "jobs are delayed");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = deps.shared.jobs.notified() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// Works on every job that can be claimed, until none is left.
///
/// # Errors
/// When jobs cannot be claimed. What stops a job is noted beside it.
pub async fn run_due(deps: &Deps, owner: &str, stop: &CancellationToken) -> Result<(), Error> {
    while !stop.is_cancelled() {
        let now = now_s();
        let claimed = retrying(|| store::jobs::claim(&deps.db, owner, now, now + LEASE_S)).await?;
        let Some(job) = claimed else { return Ok(()) };
        if let Err(error) = work(deps, &job, owner, &|| stop.is_cancelled()).await {
            tracing::warn!(%error, job_id = job.job_id, kind = job.kind.name(), "a job is delayed");
        }
    }
    Ok(())
}

/// Steps through a claimed job to its end or until `stop`.
async fn work(deps: &Deps, job: &Job, owner: &str, stop: &(dyn Fn() -> bool + Sync)) -> Result<(), Error> {
    if job.attempts > ATTEMPTS_MAX {
        let reason = job.error.as_deref().unwrap_or("the process died at every attempt");
        return Ok(store::jobs::fail(&deps.db, job, owner, reason).await?);
    }
    let mut attempts = job.attempts;
    loop {
        match retrying(|| step(deps, job, owner)).await {
            Ok(true) if stop() => return Ok(store::jobs::release(&deps.db, job, owner, 0, None).await?),
            Ok(true) => attempts = 1,
            Ok(false) => return Ok(()),
            Err(error) if attempts >= ATTEMPTS_MAX => {
                tracing::error!(%error, job_id = job.job_id, kind = job.kind.name(), attempts, "a job failed for good");
                store::jobs::fail(&deps.db, job, owner, &error.to_string()).await?;
                return Err(error);
            }
            Err(error) => {
                let pause_s = (PAUSE_S << (attempts - 1).clamp(0, 8)).min(PAUSE_MAX_S);
                let due_at = now_s() + pause_s;
                store::jobs::release(&deps.db, job, owner, due_at, Some(error.to_string())).await?;
                return Err(error);
            }
        }
    }
}

/// One step in one transaction; false when the job is over or another worker has it.
async fn step(deps: &Deps, job: &Job, owner: &str) -> Result<bool, Error> {
    // What other services are asked for stands before the transaction: nothing is held meanwhile.
    let prepared = match job.kind {
        JobKind::ApplyAccessTypes => Some(deps.access_policy_now(job.account_id).await?),
        _ => None,
    };
    if matches!(job.kind, JobKind::DeleteCollection | JobKind::RedactCollection) {
        let place = store::jobs::get(&deps.db, job.account_id, &job.job_id).await?.map(|known| known.place);
        match (job.kind, place.as_deref()) {
            (JobKind::DeleteCollection, Some(delete_collection::OTHERS)) => {
                delete_collection::tell_others(deps, job).await?;
            }
            (JobKind::RedactCollection, Some(redaction::OTHERS)) => redaction::tell_others(deps, job).await?,
            _ => {}
        }
    }
    let mut tx = deps.db.begin().await?;
    let now = now_s();
    let Some(job) = store::jobs::renew(&mut tx, job, owner, now + LEASE_S, now).await? else { return Ok(false) };
    let step = match job.kind {
        JobKind::DeleteCollection => delete_collection::step(&mut tx, &job).await?,
        JobKind::RedactCollection => redaction::step(&mut tx, &job).await?,
        JobKind::ComputeGroups => groups::step(&mut tx, &job).await?,
        JobKind::ApplyAccessTypes => access_types::apply_step(&mut tx, &job, &prepared.unwrap_or_default()).await?,
        JobKind::ResetCollectionAccessTypes => access_types::reset_step(&mut tx, &job).await?,
    };
    let goes_on = match step {
        Step::To { place, done } => {
            store::jobs::advance(&mut tx, &job, &place, done).await?;
            true
        }
        Step::Over { done } => {
            store::jobs::prune(&mut tx, job.account_id, now - KEPT_S).await?;
            !store::jobs::finish(&mut tx, &job, done).await?
        }
    };
    deps.db.fault(STEPPED).await?;
    tx.commit().await?;
    Ok(goes_on)
}

/// One job of an account.
pub async fn get(deps: &Deps, account_id: i64, job_id: &str) -> Result<Option<Job>, Error> {
    if job_id.contains('\0') {
        return Ok(None);
    }
    Ok(store::jobs::get(&deps.db, account_id, job_id).await?)
}

/// The newest jobs before a place in the list, which is the newest of all when nothing is named.
pub async fn list(
    deps: &Deps,
    account_id: i64,
    page_size: i32,
    before: Option<(i64, String)>,
) -> Result<Vec<Job>, Error> {
    let limit = match i64::from(page_size) {
        size if size <= 0 => PAGE_DEFAULT,
        size => size.min(PAGE_MAX),
    };
    let (created_at, job_id) = before.unwrap_or((i64::MAX, String::new()));
    Ok(store::jobs::page(&deps.db, account_id, created_at, &job_id, limit).await?)
}
