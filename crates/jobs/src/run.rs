use std::{
    future::Future,
    time::{Duration, Instant},
};

use portolan_ids::{AccountId, JobId};
use portolan_runtime::Age;
use portolan_store::{Held, Tx, on_behalf_of, retrying};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use uuid::Uuid;

use crate::{
    attempt::Attempt,
    error::Error,
    job::{Job, Record, Step, Task},
    jobs::{ATTEMPTS_MAX, ENDED, Jobs, LEASE_S, PREPARED, STEPPED},
    portion::Portion,
    pulse::Pulse,
    store::{self, Claimed, Key},
    watch,
};

/// A job that failed is taken up again after this long, doubled with every attempt…
const PAUSE_S: i64 = 1;
/// … up to this.
const PAUSE_MAX_S: i64 = 300;
/// New jobs of this process wake the worker at once; this finds those of others, and those that wait for an attempt.
const POLL: Duration = Duration::from_secs(2);
/// How long a step that was told to end is waited for.
const UNWIND: Duration = Duration::from_secs(1);
/// The reason of a job whose worker died so often that no attempt could say one.
const DIED: &str = "The process died at every attempt";

/// How the steps of a service's jobs are done.
pub trait Work: Clone + Send + Sync + 'static {
    /// The kinds of job that it does.
    type Task: Task;
    /// What a step needs of others.
    type Prepared: Send + Sync + 'static;

    /// Asks other services for what the next step needs, and does all that belongs in no transaction. None is open. It
    /// may happen more than once for a step, so what it changes elsewhere must bear being repeated. Work that takes long
    /// says that it goes on by [`Attempt::pulse`], and keeps how far it is by [`Attempt::advance`].
    fn prepare(&self, attempt: &Attempt<Self::Task>) -> impl Future<Output = Result<Self::Prepared, Error>> + Send;

    /// One step, in the transaction that also notes where the next one begins. It does the portion of what a step
    /// usually does.
    fn step(
        &self,
        tx: &mut Tx,
        job: &Job<Self::Task>,
        prepared: &Self::Prepared,
        portion: Portion,
    ) -> impl Future<Output = Result<Step<<Self::Task as Task>::Cursor>, Error>> + Send;

    /// What belongs to the failure of a job, in its transaction.
    fn failed(&self, _tx: &mut Tx, _job: &Record) -> impl Future<Output = Result<(), portolan_store::Error>> + Send {
        std::future::ready(Ok(()))
    }

    /// After the end of a job, whether it succeeded or failed, and outside of its transaction: a crash in between leaves
    /// it out. Whoever cancels a job does this in its place.
    fn ended(&self, _job: &Record) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// A step hangs that gives no sign of life for this long.
    fn stall_max(&self) -> Duration {
        Duration::from_secs(LEASE_S.unsigned_abs())
    }

    /// What this worker has of what jobs may need.
    fn has(&self) -> &str {
        ""
    }
}

/// How a step ended.
enum Stepped<T: Task> {
    Goes(Job<T>),
    Over,
}

impl<T: Task> Jobs<T> {
    /// Works on jobs until `stop`; a job under way is given back after its step, and goes on at the next start. Several
    /// may run at once, in one process or in many.
    pub async fn run(&self, work: &impl Work<Task = T>, stop: &CancellationToken) {
        let owner = Uuid::new_v4().to_string();
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
        let age = self.age.get_or_init(|| {
            let service = self.db.service().to_owned();
            Age::new(move |age_s| {
                metrics::gauge!("portolan_jobs_oldest_seconds", "service" => service.clone()).set(age_s);
            })
        });
        match self.oldest_active().await {
            Ok(asked_at) => age.set(asked_at.map_or(0, |asked_at| self.clock.now() - asked_at)),
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
            // Each claim has a name of its own: what is left of an attempt before is not taken for this one.
            let (now, lease) = (self.clock.now(), format!("{owner} {}", Uuid::new_v4()));
            let until = now + self.pace.lease_s;
            let claimed = retrying(|| store::claim::<T>(&self.db, &self.seal, &lease, work.has(), now, until)).await?;
            let Some(claimed) = claimed else { return Ok(()) };
            self.work_on(work, claimed, &lease, stop, None).await;
        }
        Ok(())
    }

    /// Works on a job that was just asked for, so that its effect on a small account is there with the answer. After
    /// `time_max` a request waits no longer: the step under way is ended in the background, and what is left is done by
    /// the workers.
    pub async fn run_inline(
        &self,
        work: &impl Work<Task = T>,
        account_id: AccountId,
        job_id: &JobId,
        time_max: Duration,
    ) {
        let (jobs, work) = (self.clone(), work.clone());
        let key = Key { account_id, job_id: job_id.clone() };
        let end = Instant::now() + time_max;
        // A task of its own: a request that is given up breaks no step off.
        let working = tokio::spawn(async move {
            let (now, lease) = (jobs.clock.now(), format!("inline {}", Uuid::new_v4()));
            let until = now + jobs.pace.lease_s;
            match retrying(|| store::claim_one::<T>(&jobs.db, &jobs.seal, &lease, &key, now, until)).await {
                Ok(Some(claimed)) => jobs.work_on(&work, claimed, &lease, &CancellationToken::new(), Some(end)).await,
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, job_id = key.job_id.as_str(), "a job is left to the workers"),
            }
            jobs.notify();
        });
        let _ = tokio::time::timeout(time_max, working).await;
    }

    /// Works on a claimed job, and writes down how it ended.
    async fn work_on(
        &self,
        work: &impl Work<Task = T>,
        claimed: Claimed<T>,
        lease: &str,
        stop: &CancellationToken,
        end: Option<Instant>,
    ) {
        let (key, kind) = (claimed.key.clone(), claimed.record.kind.clone());
        if let Err(error) = self.step_through(work, claimed, lease, stop, end).await {
            tracing::warn!(%error, job_id = key.job_id.as_str(), kind, "a job waits for the end of its lease");
        }
    }

    async fn step_through(
        &self,
        work: &impl Work<Task = T>,
        claimed: Claimed<T>,
        lease: &str,
        stop: &CancellationToken,
        end: Option<Instant>,
    ) -> Result<(), portolan_store::Error> {
        let Claimed { key, record, mut attempts, job } = claimed;
        let mut job = match job {
            Err(reason) => return self.fail(work, &key, lease, &reason).await,
            Ok(_) if attempts > ATTEMPTS_MAX => {
                let reason = record.error.as_deref().map_or_else(|| DIED.to_owned(), given_up);
                return self.fail(work, &key, lease, &reason).await;
            }
            Ok(job) => job,
        };
        loop {
            let error = match self.attempt(work, job, lease, stop).await {
                Ok(Stepped::Over) => return Ok(()),
                Ok(Stepped::Goes(next)) => {
                    if stop.is_cancelled() || end.is_some_and(|end| Instant::now() >= end) {
                        return store::give_back(&self.db, &key, lease).await;
                    }
                    (job, attempts) = (next, 1);
                    continue;
                }
                Err(error) => error,
            };
            let (job_id, kind) = (key.job_id.as_str(), &record.kind);
            match error {
                Error::Lost => return Ok(()),
                // An attempt that the end of the process broke off counts for nothing.
                Error::Stopping => return store::give_back(&self.db, &key, lease).await,
                Error::Never(reason) => return self.fail(work, &key, lease, &reason).await,
                _ => {}
            }
            // An attempt that came further before it failed is the first of those that are left.
            attempts = store::attempts(&self.db, &key).await?.unwrap_or(attempts);
            if attempts >= ATTEMPTS_MAX {
                tracing::error!(job_id, kind, %error, attempts, "a job failed at every attempt");
                return self.fail(work, &key, lease, &given_up(&error.public_text())).await;
            }
            let pause_s = (PAUSE_S << (attempts - 1).clamp(0, 16)).min(PAUSE_MAX_S);
            tracing::warn!(job_id, kind, %error, attempts, pause_s, "a job is tried again");
            let due_at = self.clock.now() + pause_s;
            return store::release(&self.db, &key, lease, due_at, Some(error.public_text())).await;
        }
    }

    /// One step on a task of its own, which may panic, hang, and keep its thread.
    async fn attempt<W: Work<Task = T>>(
        &self,
        work: &W,
        job: Job<T>,
        lease: &str,
        stop: &CancellationToken,
    ) -> Result<Stepped<T>, Error> {
        let (key, pulse) = (Key::of(&job), Pulse::default());
        let attempt = Attempt { job, pulse: pulse.clone(), lease: lease.to_owned(), jobs: self.clone() };
        let (jobs, worker) = (self.clone(), work.clone());
        let step = async move { jobs.step(&worker, &attempt).await };
        let mut step = AbortOnDropHandle::new(tokio::spawn(on_behalf_of(key.account_id, step)));
        let lost = tokio::select! {
            ended = &mut step => {
                return ended.unwrap_or_else(|error| Err(match error.try_into_panic() {
                    Ok(panic) => Error::Panicked(watch::panic_text(&*panic)),
                    Err(_) => Error::Stopping,
                }));
            }
            error = watch::keep_lease(self, &key, lease, &pulse) => error,
            error = watch::stalled(&pulse, work.stall_max()) => error,
            never = watch::tell(stop, &pulse) => match never {},
        };
        pulse.stop();
        step.abort();
        // What it holds is let go before the job is written to; a thread that does not return keeps it.
        let _ = tokio::time::timeout(UNWIND, &mut step).await;
        Err(lost)
    }

    async fn step<W: Work<Task = T>>(&self, work: &W, attempt: &Attempt<T>) -> Result<Stepped<T>, Error> {
        let prepared = work.prepare(attempt).await?;
        self.db.fault(PREPARED).await?;
        // A transaction that met another is repeated; what was prepared for it holds as long as the lease.
        let (next, ended) = retrying(|| self.apply(work, attempt, &prepared)).await?;
        let Some(ended) = ended else { return Ok(Stepped::Goes(next)) };
        self.db.fault(ENDED).await?;
        work.ended(&ended).await;
        Ok(Stepped::Over)
    }

    async fn apply<W: Work<Task = T>>(
        &self,
        work: &W,
        attempt: &Attempt<T>,
        prepared: &W::Prepared,
    ) -> Result<(Job<T>, Option<Record>), Error> {
        let (service, key) = (self.db.service(), Key::of(&attempt.job));
        let mut tx = self.db.begin().await?;
        let begun = Instant::now();
        let now = self.clock.now();
        let until = now + self.pace.lease_s;
        let taken = store::take::<T>(&mut tx, service, &self.seal, &key, &attempt.lease, now, until).await?;
        let taken = taken.ok_or(Error::Lost)?;
        let mut next = taken.job.map_err(Error::Never)?;
        let kind = &taken.record.kind;
        let portion = self.paces.portion(kind);
        let ended = match work.step(&mut tx, &next, prepared, portion).await? {
            Step::Next { cursor, done } => {
                store::advance::<T>(&mut tx, service, &key, &cursor, done, true).await?;
                (next.cursor, next.done_items) = (cursor, next.done_items + done);
                None
            }
            Step::Over { done, outcome } => {
                let ended = store::finish(&mut tx, service, &key, done, &outcome).await?;
                (next.cursor, next.done_items) = (T::Cursor::default(), 0);
                ended
            }
        };
        self.db.fault(STEPPED).await?;
        let held = Held::since(begun, &self.db);
        match ended {
            Some(_) => tx.commit().await?,
            None => tx.commit_unsynced().await?,
        }
        self.paces.note(kind, portion, held);
        Ok((next, ended))
    }

    async fn fail(
        &self,
        work: &impl Work<Task = T>,
        key: &Key,
        lease: &str,
        reason: &str,
    ) -> Result<(), portolan_store::Error> {
        let now = self.clock.now();
        let ended = retrying(|| async {
            let mut tx = self.db.begin().await?;
            let ended = store::fail(&mut tx, self.db.service(), key, lease, reason, now).await?;
            if let Some(ended) = &ended {
                work.failed(&mut tx, ended).await?;
            }
            tx.commit().await?;
            Ok::<_, portolan_store::Error>(ended)
        });
        let ended = ended.await?;
        if let Some(ended) = ended {
            tracing::error!(job_id = ended.job_id.as_str(), kind = ended.kind, reason, "a job failed");
            work.ended(&ended).await;
        }
        Ok(())
    }
}

fn given_up(reason: &str) -> String {
    format!("Given up after {ATTEMPTS_MAX} attempts: {reason}")
}
