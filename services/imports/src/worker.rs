//! What runs by itself: the jobs of this process's spool, some at a time, also those that an earlier process left, and
//! the removal of what is old.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt as _;
use portolan_runtime::{Tasks, now_s};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::import_job::{self, bytes_done};
use crate::model::jobs::{End, Job, JobKind};
use crate::spool::Meter;
use crate::store::jobs::{self as rows, Claimed, Key};
use crate::{Deps, Error, announce, postman, retention, uploads, url_import};

/// Jobs at once: each keeps a core busy and holds some ten MiB.
const RUNNERS: usize = 2;
/// A job whose runner is silent for so long is taken over.
const LEASE_S: i64 = 60;
const RENEW_EVERY: Duration = Duration::from_secs(2);
/// New jobs wake a runner at once; this finds those that were given back.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Attempts in a row that bring a job no further.
const ATTEMPTS_MAX: i64 = 10;
/// A job that failed is taken up again after this long, doubled with every attempt…
const PAUSE_S: i64 = 1;
/// … up to this.
const PAUSE_MAX_S: i64 = 300;
const FORGET_EVERY: Duration = Duration::from_secs(600);
const INTERNAL: &str = "Internal error";

pub(crate) fn start(deps: &Deps, tasks: &Tasks) {
    for _ in 0..RUNNERS {
        let deps = deps.clone();
        tasks.spawn(async move |stop| run_jobs(&deps, &stop).await);
    }
    let deps = deps.clone();
    tasks.spawn(async move |stop| keep_tidy(&deps, &stop).await);
}

async fn keep_tidy(deps: &Deps, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = retention::sweep(deps).await {
            tracing::warn!(%error, "spooled files could not be swept");
        }
        if let Err(error) = retention::forget(deps).await {
            tracing::warn!(%error, "old jobs and uploads could not be removed");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(FORGET_EVERY) => {}
        }
    }
}

async fn run_jobs(deps: &Deps, stop: &CancellationToken) {
    let owner = Uuid::new_v4().to_string();
    while !stop.is_cancelled() {
        match next(deps, &owner).await {
            Ok(Some(claimed)) => work(deps, claimed, &owner, stop).await,
            outcome => {
                if let Err(error) = outcome {
                    tracing::warn!(%error, "no job could be taken");
                }
                tokio::select! {
                    () = deps.job_ready.notified() => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
    }
}

async fn next(deps: &Deps, owner: &str) -> Result<Option<Claimed>, Error> {
    let now = now_s();
    Ok(rows::claim(&deps.db, deps.spool.id().await?, owner, now + LEASE_S, now).await?)
}

/// Works on one job, and writes down how it ended.
async fn work(deps: &Deps, claimed: Claimed, owner: &str, stop: &CancellationToken) {
    let Claimed { key, attempts, job } = claimed;
    let written = match job {
        Err(reason) => end(deps, &key, owner, Some(&reason)).await,
        Ok(_) if attempts > ATTEMPTS_MAX => end(deps, &key, owner, Some("The process died at every attempt")).await,
        Ok(job) => attempt(deps, &key, &job, attempts, owner, stop).await,
    };
    // The lease runs out, and the job is taken up again.
    if let Err(error) = written {
        tracing::warn!(job_id = key.job_id, %error, "the end of a job could not be written");
    }
}

async fn attempt(
    deps: &Deps,
    key: &Key,
    job: &Job,
    attempts: i64,
    owner: &str,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let meter = Meter::default();
    let running = AssertUnwindSafe(run(deps, job, owner, &meter)).catch_unwind();
    let outcome = tokio::select! {
        outcome = running => outcome.unwrap_or_else(|panic| Err(Error::Panicked(panic_text(&*panic)))),
        error = watch(deps, job, owner, &meter, stop) => Err(error),
    };
    meter.stop();
    // Without the lease none of the writes below finds its row.
    let error = match outcome {
        Ok(End::Succeeded) => return end(deps, key, owner, None).await,
        Ok(End::Failed(reason)) => return end(deps, key, owner, Some(&reason)).await,
        Err(Error::LeaseLost) => return Ok(()),
        // An attempt that the end of the process broke off counts for nothing.
        Err(Error::Stopping) => return Ok(rows::give_back(&deps.db, key, owner).await?),
        Err(error) => error,
    };
    if let Some(reason) = error.over_limit() {
        return end(deps, key, owner, Some(&reason)).await;
    }
    if !error.transient() {
        tracing::error!(job_id = key.job_id, %error, "job failed");
        return end(deps, key, owner, Some(INTERNAL)).await;
    }
    if attempts >= ATTEMPTS_MAX {
        tracing::error!(job_id = key.job_id, %error, attempts, "job failed at every attempt");
        let reason = format!("Given up after {attempts} attempts: {}", error.into_public().text());
        return end(deps, key, owner, Some(&reason)).await;
    }
    let pause_s = (PAUSE_S << attempts.clamp(1, 16).saturating_sub(1)).min(PAUSE_MAX_S);
    tracing::warn!(job_id = key.job_id, %error, attempts, pause_s, "job is tried again");
    Ok(rows::release(&deps.db, key, owner, now_s() + pause_s).await?)
}

async fn run(deps: &Deps, job: &Job, owner: &str, meter: &Meter) -> Result<End, Error> {
    match job.kind {
        JobKind::Import => import_job::run(deps, job, owner, meter).await,
        JobKind::ImportUrl => url_import::run(deps, job, owner, meter).await,
        JobKind::ImportPostmanWorkspace => postman::workspace::run(deps, job, owner, meter).await,
        JobKind::ExportPostman => postman::export::run(deps, job, meter).await,
        JobKind::DeleteUpload => {
            uploads::remove(deps, job.account_id, &job.input).await?;
            Ok(End::Succeeded)
        }
        JobKind::Finished(_) | JobKind::Unknown => Ok(End::Succeeded),
    }
}

async fn end(deps: &Deps, key: &Key, owner: &str, error: Option<&str>) -> Result<(), Error> {
    if let Some(job) = rows::end(&deps.db, key, owner, error, now_s()).await? {
        announce::end(deps, &job);
        deps.spool.remove(&job.job_id).await?;
    }
    Ok(())
}

/// Renews the lease of a job while the work on it goes on. Returns why the work must end: the process does, the lease is
/// lost, or nothing has gone on for too long.
async fn watch(deps: &Deps, job: &Job, owner: &str, meter: &Meter, stop: &CancellationToken) -> Error {
    let mut life = (meter.life(), Instant::now());
    let every = RENEW_EVERY.min(deps.stall_max);
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = stop.cancelled() => {
                meter.stop();
                // The work ends by itself at its next safe point.
                std::future::pending::<()>().await;
            }
        }
        if meter.life() != life.0 {
            life = (meter.life(), Instant::now());
        } else if life.1.elapsed() >= deps.stall_max {
            return Error::Stalled(deps.stall_max);
        }
        let now = now_s();
        match rows::renew(&deps.db, job, owner, now + LEASE_S, bytes_done(job, meter), now).await {
            Ok(true) => {}
            Ok(false) => return Error::LeaseLost,
            // The lease outlasts some failures.
            Err(error) => tracing::warn!(job_id = job.job_id, %error, "the lease of a job could not be renewed"),
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a text").to_owned()
}
