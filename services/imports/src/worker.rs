//! What runs by itself: jobs, also those that an earlier process left, and the removal of what is old.

use std::time::Duration;

use portolan_jobs::{Attempt, Error, Job, Portion, Record, Step, Work};
use portolan_runtime::Tasks;
use portolan_store::Tx;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::model::jobs::{Cursor, End, Progress, Task};
use crate::postman::{export, workspace};
use crate::{Deps, announce, import_job, jobs, retention, uploads, url_import};

/// Jobs at once: each keeps a core busy and holds some ten MiB.
const WORKERS: usize = 2;
const FORGET_EVERY: Duration = Duration::from_secs(600);

pub(crate) fn start(deps: &Deps, tasks: &Tasks) {
    for _ in 0..WORKERS {
        tasks.keep("jobs of imports", deps, |deps, stop| async move { deps.jobs.run(&deps, &stop).await });
    }
    tasks.keep("retention of imports", deps, keep_tidy);
}

async fn keep_tidy(deps: Deps, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = retention::sweep(&deps).await {
            tracing::warn!(%error, "spooled files could not be swept");
        }
        if let Err(error) = retention::forget(&deps).await {
            tracing::warn!(%error, "old jobs and uploads could not be removed");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(FORGET_EVERY) => {}
        }
    }
}

/// What a step needs of others.
pub enum Prepared {
    /// The work is done.
    Done(Progress),
    Workspace(Box<workspace::Fetched>),
    Nothing,
}

impl Work for Deps {
    type Task = Task;
    type Prepared = Prepared;

    async fn prepare(&self, attempt: &Attempt<Task>) -> Result<Prepared, Error> {
        let end = match &attempt.task {
            Task::Import(file) => import_job::run(self, attempt, file).await?,
            Task::ImportUrl { call } => url_import::run(self, attempt, call).await?,
            Task::ExportPostman { name } => export::run(self, attempt, name).await?,
            Task::ImportPostmanWorkspace { credential } => {
                return Ok(Prepared::Workspace(Box::new(workspace::fetch(self, attempt, credential).await?)));
            }
            Task::DeleteUpload { .. } => {
                if attempt.cursor.rows_removed {
                    self.db.empty_log().await?;
                }
                return Ok(Prepared::Nothing);
            }
            Task::ImportOpenApi(_) | Task::ImportPostmanFile(_) | Task::ImportImperva(_) | Task::Approve(_) => {
                End::Succeeded(attempt.cursor.progress.clone())
            }
        };
        match end {
            End::Succeeded(progress) => Ok(Prepared::Done(progress)),
            End::Failed(reason) => Err(Error::Never(reason)),
        }
    }

    async fn step(&self, tx: &mut Tx, job: &Job<Task>, prepared: &Prepared, _: Portion) -> Result<Step<Cursor>, Error> {
        match (&job.task, prepared) {
            (Task::DeleteUpload { upload_id }, _) => Ok(uploads::remove_some(self, tx, job, upload_id).await?),
            (_, Prepared::Workspace(fetched)) => Ok(workspace::step(self, tx, job, fetched).await?),
            (_, Prepared::Done(progress)) => over(progress),
            (_, Prepared::Nothing) => Ok(Step::Over { done: 0, outcome: Value::Null }),
        }
    }

    async fn failed(&self, tx: &mut Tx, record: &Record) -> Result<(), portolan_store::Error> {
        jobs::give_up(tx, record).await
    }

    async fn ended(&self, record: &Record) {
        // The next sweep finds what stays.
        if let Err(error) = jobs::clear(self, record).await {
            tracing::warn!(job_id = record.job_id.as_str(), %error, "what a job leaves could not be removed");
        }
        announce::end(self, record.clone().into());
    }

    fn stall_max(&self) -> Duration {
        self.stall_max
    }

    fn has(&self) -> &str {
        &self.spool_id
    }
}

fn over(progress: &Progress) -> Result<Step<Cursor>, Error> {
    let done = progress.imported_items + progress.refused_items;
    let outcome = serde_json::to_value(progress).map_err(|error| Error::Never(error.to_string()))?;
    Ok(Step::Over { done, outcome })
}
