use std::{future::Future, panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt as _;
use portolan_store::{Tx, retrying};
use tokio_util::sync::CancellationToken;

use crate::{
    job::{Error, Job, Record, Step, Task},
    jobs::{ATTEMPTS_MAX, Jobs, LEASE_S, STEPPED},
    store::{self, Claimed},
};

/// A job that failed is taken up again after this long, doubled with every attempt…
const PAUSE_S: i64 = 2;
/// … up to this.
const PAUSE_MAX_S: i64 = 300;
/// New jobs of this process wake the worker at once; this finds those of others, and those that wait for an attempt.
const POLL: Duration = Duration::from_secs(2);

/// How the steps of a service's jobs are done.
pub trait Work: Sync {
    type Task: Task;
    /// What a step needs of others.
    type Prepared: Send;

    /// Asks other services for what the next step needs. No transaction is open; it may happen more than once for a
    /// step, so what it changes elsewhere must bear being repeated.
    fn prepare(&self, job: &Job<Self::Task>) -> impl Future<Output = Result<Self::Prepared, Error>> + Send;

    /// One step, in the transaction that also notes where the next one begins.
    fn step(
        &self,
        tx: &mut Tx,
        job: &Job<Self::Task>,
        prepared: &Self::Prepared,
    ) -> impl Future<Output = Result<Step<<Self::Task as Task>::Cursor>, Error>> + Send;

    /// After the end of a job, and outside of its transaction: a crash in between leaves it out.
    fn ended(&self, _job: &Job<Self::Task>) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// How an attempt ended.
enum Attempt<T: Task> {
    Goes(Job<T>),
    /// Over, or another worker's.
    Left,
}

impl<T: Task> Jobs<T> {
    /// Works on jobs until `stop`; a job under way is given back after its step, and goes on at the next start.
    pub async fn run(&self, work: &impl Work<Task = T>, stop: &CancellationToken) {
        let owner = uuid::Uuid::new_v4().to_string();
        while !stop.is_cancelled() {
            self.measure().await;
            if let Err(error) = self.run_due(work, &owner, stop).await {
                tracing::warn!(service = self.db.service(), %error, "jobs are delayed");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wake.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// Publishes how long the oldest job has waited.
    async fn measure(&self) {
        match self.oldest_active().await {
            Ok(asked_at) => {
                let age_s = asked_at.map_or(0, |asked_at| (self.clock.now() - asked_at).max(0));
                metrics::gauge!("portolan_jobs_oldest_seconds", "service" => self.db.service().to_owned())
                    .set(age_s as f64);
            }
            Err(error) => tracing::debug!(service = self.db.service(), %error, "the age of jobs cannot be measured"),
        }
    }

    /// Works on every job that is due, until none is.
    ///
    /// # Errors
    /// When jobs cannot be claimed. What stops a job is noted beside it.
    pub async fn run_due(
        &self,
        work: &impl Work<Task = T>,
        owner: &str,
        stop: &CancellationToken,
    ) -> Result<(), portolan_store::Error> {
        while !stop.is_cancelled() {
            let now = self.clock.now();
            let claimed = retrying(|| store::claim::<T>(&self.db, owner, now, now + LEASE_S)).await?;
            let Some(claimed) = claimed else { return Ok(()) };
            let (job_id, kind) = (claimed.record.job_id.clone(), claimed.record.kind.clone());
            if let Err(error) = self.work_on(work, claimed, owner, stop).await {
                tracing::warn!(%error, job_id, kind, "a job waits for the end of its lease");
            }
        }
        Ok(())
    }

    /// Steps through a claimed job to its end or until `stop`.
    async fn work_on(
        &self,
        work: &impl Work<Task = T>,
        claimed: Claimed<T>,
        owner: &str,
        stop: &CancellationToken,
    ) -> Result<(), portolan_store::Error> {
        let Claimed { record, mut attempts, job } = claimed;
        if attempts > ATTEMPTS_MAX {
            let reason = record.error.clone().unwrap_or_else(|| "the process died at every attempt".to_owned());
            return self.fail(&record, owner, &reason).await;
        }
        let mut job = match job {
            Ok(job) => job,
            Err(reason) => return self.fail(&record, owner, &reason).await,
        };
        loop {
            let error = match self.attempt(work, &job, owner).await {
                Ok(Attempt::Goes(_)) if stop.is_cancelled() => {
                    return store::release(&self.db, &record, owner, 0, None).await;
                }
                Ok(Attempt::Goes(next)) => {
                    (job, attempts) = (next, 1);
                    continue;
                }
                Ok(Attempt::Left) => return Ok(()),
                Err(error) => error,
            };
            let reason = error.to_string();
            if matches!(error, Error::Never(_)) || attempts >= ATTEMPTS_MAX {
                return self.fail(&record, owner, &reason).await;
            }
            let pause_s = (PAUSE_S << (attempts - 1).clamp(0, 8)).min(PAUSE_MAX_S);
            tracing::warn!(job_id = record.job_id, kind = record.kind, reason, attempts, pause_s, "a job is delayed");
            return store::release(&self.db, &record, owner, self.clock.now() + pause_s, Some(reason)).await;
        }
    }

    /// One step that may panic and may hang.
    async fn attempt(&self, work: &impl Work<Task = T>, job: &Job<T>, owner: &str) -> Result<Attempt<T>, Error> {
        let step = AssertUnwindSafe(retrying(|| self.step(work, job, owner))).catch_unwind();
        let lease = Duration::from_secs(LEASE_S.unsigned_abs());
        match tokio::time::timeout(lease, step).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a text");
                Err(portolan_api::Error::internal(format!("a step panicked: {text}")).into())
            }
            Err(_) => Err(portolan_api::Error::internal(format!("a step did not end in {LEASE_S} s")).into()),
        }
    }

    async fn step(&self, work: &impl Work<Task = T>, job: &Job<T>, owner: &str) -> Result<Attempt<T>, Error> {
        let prepared = work.prepare(job).await?;
        let service = self.db.service();
        let mut tx = self.db.begin().await?;
        let now = self.clock.now();
        let Some(renewed) = store::renew::<T>(&mut tx, service, job, owner, now + LEASE_S, now).await? else {
            return Ok(Attempt::Left);
        };
        let mut next = renewed.job.map_err(Error::Never)?;
        let over = match work.step(&mut tx, &next, &prepared).await? {
            Step::Next { cursor, done } => {
                store::advance(&mut tx, service, &next, &cursor, done).await?;
                (next.cursor, next.done_items) = (cursor, next.done_items + done);
                false
            }
            Step::Over { done, outcome } => {
                let is_over = store::finish(&mut tx, service, &next, done, &outcome).await?;
                (next.cursor, next.done_items) = (T::Cursor::default(), 0);
                is_over
            }
        };
        self.db.fault(STEPPED).await?;
        tx.commit().await?;
        if over {
            work.ended(&next).await;
            return Ok(Attempt::Left);
        }
        Ok(Attempt::Goes(next))
    }

    async fn fail(&self, record: &Record, owner: &str, reason: &str) -> Result<(), portolan_store::Error> {
        tracing::error!(job_id = record.job_id, kind = record.kind, reason, "a job failed");
        store::fail(&self.db, record, owner, reason, self.clock.now()).await
    }
}
