//! Runs the jobs of this process's spool, some at a time, and takes up what an earlier process left.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::import_job::{self, End, bytes_done};
use crate::jobs::{Job, JobKind};
use crate::spool::Meter;
use crate::store::jobs as rows;
use crate::store::uploads as upload_rows;
use crate::{Deps, Error, announce, now_s, postman, retention, url_import};

/// Jobs at once: each keeps a core busy and holds some ten MiB.
const RUNNERS: usize = 2;
/// A job whose runner is silent for so long is taken over.
const LEASE_S: i64 = 60;
const RENEW_EVERY: Duration = Duration::from_secs(2);
/// New jobs wake a runner at once; this finds those that were given back.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Pause before a job whose dependencies failed is tried again.
const RETRY_AFTER_S: i64 = 1;

/// The running jobs of a process.
pub struct JobsHandle {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl JobsHandle {
    /// Gives running jobs back at their next safe point and waits for that. They go on at the next start.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            // A task that panicked has nothing left to wait for.
            let _ = task.await;
        }
    }
}

pub fn start(deps: Deps) -> JobsHandle {
    let (stop, stopped) = watch::channel(false);
    let sweep = tokio::spawn(sweep(deps.clone()));
    let retention = tokio::spawn(retention::keep(deps.clone(), stopped.clone()));
    let runners = (0..RUNNERS).map(|_| tokio::spawn(runner(deps.clone(), stopped.clone())));
    JobsHandle { tasks: [sweep, retention].into_iter().chain(runners).collect(), stop }
}

/// Removes files whose job has ended: a process may end between the two.
async fn sweep(deps: Deps) {
    let outcome = async {
        let spool_id = deps.spool.id().await?.to_owned();
        for name in deps.spool.files().await? {
            // A file is stored before its job, so the newest may still be without one.
            if !rows::needs_file(&deps.db, &spool_id, &name).await? && !deps.spool.is_recent(&name).await? {
                deps.spool.remove(&name).await?;
            }
        }
        Ok::<_, Error>(())
    };
    if let Err(error) = outcome.await {
        tracing::warn!(%error, "spooled files could not be swept");
    }
}

async fn runner(deps: Deps, mut stopped: watch::Receiver<bool>) {
    let owner = Uuid::new_v4().to_string();
    while !*stopped.borrow() {
        match next(&deps, &owner).await {
            Ok(Some(job)) => work(&deps, &job, &owner, &stopped).await,
            outcome => {
                if let Err(error) = outcome {
                    tracing::warn!(%error, "no job could be taken");
                }
                tokio::select! {
                    () = deps.job_ready.notified() => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    _ = stopped.changed() => {}
                }
            }
        }
    }
}

async fn next(deps: &Deps, owner: &str) -> Result<Option<Job>, Error> {
    let now = now_s();
    Ok(rows::claim(&deps.db, deps.spool.id().await?, owner, now + LEASE_S, now).await?)
}

/// Works on one job, keeps its lease, and writes down how it ended.
async fn work(deps: &Deps, job: &Job, owner: &str, stopped: &watch::Receiver<bool>) {
    let meter = Meter::default();
    let keeper = tokio::spawn(keep(deps.clone(), job.clone(), owner.to_owned(), meter.clone(), stopped.clone()));
    let outcome = run(deps, job, owner, &meter).await;
    keeper.abort();
    // Without the lease none of the writes below finds its row.
    let written = match outcome {
        Err(Error::LeaseLost) => return,
        Ok(End::Succeeded) => end(deps, job, owner, None).await,
        Ok(End::Failed(reason)) => end(deps, job, owner, Some(&reason)).await,
        Err(Error::Stopping) => rows::release(&deps.db, job, owner, 0).await.map_err(Error::from),
        Err(error) if error.over_limit().is_some() => end(deps, job, owner, error.over_limit().as_deref()).await,
        Err(error) if error.transient() => {
            tracing::warn!(job_id = job.job_id, %error, "job is tried again");
            rows::release(&deps.db, job, owner, now_s() + RETRY_AFTER_S).await.map_err(Error::from)
        }
        Err(error) => {
            tracing::error!(job_id = job.job_id, %error, "job failed");
            end(deps, job, owner, Some("Internal error")).await
        }
    };
    // The lease runs out, and the job is taken up again.
    if let Err(error) = written {
        tracing::warn!(job_id = job.job_id, %error, "the end of a job could not be written");
    }
}

async fn run(deps: &Deps, job: &Job, owner: &str, meter: &Meter) -> Result<End, Error> {
    match job.kind {
        JobKind::Import => import_job::run(deps, job, owner, meter).await,
        JobKind::ImportUrl => url_import::run(deps, job, owner, meter).await,
        JobKind::ImportPostmanWorkspace => postman::workspace::run(deps, job, owner, meter).await,
        JobKind::ExportPostman => postman::export::run(deps, job, meter).await,
        JobKind::DeleteUpload => {
            rows::save_progress(&deps.db, job, owner, &job.progress, now_s()).await?;
            upload_rows::delete(&deps.db, job.account_id, &job.input).await?;
            Ok(End::Succeeded)
        }
        JobKind::Finished(_) => Ok(End::Succeeded),
    }
}

async fn end(deps: &Deps, job: &Job, owner: &str, error: Option<&str>) -> Result<(), Error> {
    if rows::end(&deps.db, job, owner, error, now_s()).await? {
        announce::end(deps, job);
        deps.spool.remove(&job.upload_id).await?;
    }
    Ok(())
}

/// Renews the lease until it is aborted; stops the job when the process ends or the lease is lost.
async fn keep(deps: Deps, job: Job, owner: String, meter: Meter, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(RENEW_EVERY) => {}
            _ = stopped.wait_for(|stop| *stop) => {
                meter.stop();
                return;
            }
        }
        let now = now_s();
        match rows::renew(&deps.db, &job, &owner, now + LEASE_S, bytes_done(&job, &meter), now).await {
            Ok(true) => {}
            Ok(false) => {
                meter.stop();
                return;
            }
            // The lease outlasts some failures.
            Err(error) => tracing::warn!(job_id = job.job_id, %error, "the lease of a job could not be renewed"),
        }
    }
}
