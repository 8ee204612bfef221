//! The work of jobs: each kind in steps of one transaction, by whichever process holds its lease.

use std::time::{Duration, Instant};

use portolan_runtime::now_s;
use portolan_store::retrying;
use tokio_util::sync::CancellationToken;

use crate::{
    Deps, Error, access_types,
    collections::removal,
    members,
    model::jobs::{Job, JobKind, Step},
    policies, redaction, store,
};

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

/// Fault point before the commit of a step.
pub const STEPPED: &str = "job.stepped";

/// Works on a job that was just asked for, so that small accounts see its effect with the answer. What is left after two
/// seconds is done in the background.
pub async fn run_inline(deps: &Deps, account_id: i64, job_id: &str) {
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

/// As [`run_inline`] for what a request asked for; of several jobs the background does all.
pub async fn follow_up(deps: &Deps, account_id: i64, job_ids: &[String]) {
    if let [job_id] = job_ids {
        run_inline(deps, account_id, job_id).await;
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
pub(crate) async fn work(deps: &Deps, job: &Job, owner: &str, stop: &(dyn Fn() -> bool + Sync)) -> Result<(), Error> {
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
pub(crate) async fn step(deps: &Deps, job: &Job, owner: &str) -> Result<bool, Error> {
    // What other services are asked for stands before the transaction: nothing is held meanwhile.
    let prepared = match job.kind {
        JobKind::ApplyAccessTypes => Some(policies::at_this_moment(deps, job.account_id).await?),
        _ => None,
    };
    if matches!(job.kind, JobKind::DeleteCollection | JobKind::RedactCollection) {
        let place = store::jobs::get(&deps.db, job.account_id, &job.job_id).await?.map(|known| known.place);
        match (job.kind, place.as_deref()) {
            (JobKind::DeleteCollection, Some(removal::OTHERS)) => {
                removal::tell_others(deps, job).await?;
            }
            (JobKind::RedactCollection, Some(redaction::OTHERS)) => redaction::tell_others(deps, job).await?,
            _ => {}
        }
    }
    let mut tx = deps.db.begin().await?;
    let now = now_s();
    let Some(job) = store::jobs::renew(&mut tx, job, owner, now + LEASE_S, now).await? else { return Ok(false) };
    let step = match job.kind {
        JobKind::DeleteCollection => removal::step(&mut tx, &job).await?,
        JobKind::RedactCollection => redaction::step(&mut tx, &job).await?,
        JobKind::ComputeGroups => members::step(&mut tx, &job).await?,
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
