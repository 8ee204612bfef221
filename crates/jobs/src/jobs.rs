use std::{
    marker::PhantomData,
    sync::{Arc, OnceLock},
    time::Duration,
};

use portolan_ids::{AccountId, CollectionId, JobId};
use portolan_runtime::{Age, Secrets};
use portolan_store::{Db, Error, Migration, Migrations, Tx, now_s, retrying};
use serde_json::Value;
use tokio::sync::Notify;

use crate::{
    job::{NewJob, Record, Subject, Task, new_id},
    portion::Paces,
    seal::Seal,
    store,
};

/// A job is another worker's when its own is silent for this long.
pub const LEASE_S: i64 = 60;
/// Attempts in a row that end without a step.
pub const ATTEMPTS_MAX: i64 = 10;
/// Ended jobs are listed for this long, where the service names no other time.
pub const KEPT_S: i64 = 30 * 24 * 3_600;
/// Fault point before the commit of a step.
pub const STEPPED: &str = "job.stepped";
/// Fault point between what a step asks of others and its transaction.
pub const PREPARED: &str = "job.prepared";
/// Fault point after the commit of the end of a job.
pub const ENDED: &str = "job.ended";
const PAGE_DEFAULT: i64 = 100;
const PAGE_MAX: i64 = 1_000;

/// The table of jobs, which stands beside those of a service.
pub const MIGRATIONS: Migrations = Migrations {
    service: "jobs",
    steps: &[Migration {
        version: 1,
        name: "jobs",
        sqlite: include_str!("../migrations/sqlite/0001_jobs.sql"),
        postgres: include_str!("../migrations/postgres/0001_jobs.sql"),
    }],
};

/// The present time, handed in so that leases and retention can be tested.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    /// `now` returns Unix seconds.
    pub fn new(now: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The clock of the machine.
    pub fn system() -> Self {
        Self::new(now_s)
    }

    /// Unix seconds.
    pub fn now(&self) -> i64 {
        (self.0)()
    }
}

/// How workers keep time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub lease_s: i64,
    pub renew_every: Duration,
}

/// The jobs of one service; cheap to clone.
pub struct Jobs<T> {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) pace: Pace,
    pub(crate) seal: Seal,
    pub(crate) paces: Paces,
    /// How long the oldest job has waited, once a worker runs in this process.
    pub(crate) age: Arc<OnceLock<Age>>,
    kept_s: i64,
    /// Wakes the worker of this process.
    pub(crate) wake: Arc<Notify>,
    tasks: PhantomData<fn() -> T>,
}

impl<T> Clone for Jobs<T> {
    fn clone(&self) -> Self {
        Self {
            db: self.db.clone(),
            clock: self.clock.clone(),
            pace: self.pace,
            seal: self.seal.clone(),
            paces: self.paces.clone(),
            age: self.age.clone(),
            kept_s: self.kept_s,
            wake: self.wake.clone(),
            tasks: PhantomData,
        }
    }
}

impl<T: Task> Jobs<T> {
    /// Migrates the table beside those of the service that `db` belongs to.
    ///
    /// # Errors
    /// When the store cannot be reached or migrated.
    pub async fn open(db: Db, clock: Clock) -> Result<Self, Error> {
        db.migrate_library(&MIGRATIONS).await?;
        let pace = Pace { lease_s: LEASE_S, renew_every: Duration::from_secs(2) };
        let (seal, paces, age, wake) = (Seal::default(), Paces::default(), Arc::default(), Arc::default());
        Ok(Self { db, clock, pace, seal, paces, age, kept_s: KEPT_S, wake, tasks: PhantomData })
    }

    /// Takes tasks that hold secrets, and seals them with the key of the installation.
    #[must_use]
    pub fn sealing(self, secrets: Secrets) -> Self {
        Self { seal: Seal::new(secrets), ..self }
    }

    /// Lists ended jobs for this long.
    #[must_use]
    pub fn keeping(self, kept_s: i64) -> Self {
        Self { kept_s, ..self }
    }

    /// Renews leases no more often than this; above [`LEASE_S`] a worker that goes on is as one that hangs.
    #[must_use]
    pub fn renewing_every(self, renew_every: Duration) -> Self {
        Self { pace: Pace { renew_every, ..self.pace }, ..self }
    }

    /// Notes work in the transaction that makes it necessary, and returns the id of its job: that of the active one with
    /// the same kind and subject, when there is one. [`Jobs::notify`] after the commit has it begun at once.
    ///
    /// # Errors
    /// Any of the store.
    pub async fn ask(&self, tx: &mut Tx, account_id: AccountId, task: &T, subject: &Subject) -> Result<JobId, Error> {
        let job = NewJob {
            account_id,
            job_id: new_id(),
            task: task.clone(),
            subject: subject.clone(),
            key: String::new(),
            needs: String::new(),
            bytes_total: 0,
        };
        store::ask(tx, self.db.service(), &self.seal, &job, self.clock.now()).await
    }

    /// Notes work that no other change goes with, and has it begun.
    ///
    /// # Errors
    /// Any of the store.
    pub async fn request(&self, account_id: AccountId, task: &T, subject: &Subject) -> Result<JobId, Error> {
        let asked = retrying(|| async {
            let mut tx = self.db.begin().await?;
            let job_id = self.ask(&mut tx, account_id, task, subject).await?;
            tx.commit().await?;
            Ok::<_, Error>(job_id)
        });
        let job_id = asked.await?;
        self.notify();
        Ok(job_id)
    }

    /// Notes work that a write makes once, in the transaction of the write; false when the write has made a job before,
    /// which [`Jobs::find`] returns. [`Jobs::notify`] after the commit has it begun at once.
    ///
    /// # Errors
    /// Any of the store.
    pub async fn add(&self, tx: &mut Tx, job: &NewJob<T>) -> Result<bool, Error> {
        store::add(tx, self.db.service(), &self.seal, job, None, self.clock.now()).await
    }

    /// As [`Jobs::add`], of work that was done within its request: the job succeeded already, and tells of it.
    ///
    /// # Errors
    /// Any of the store.
    pub async fn add_done(&self, tx: &mut Tx, job: &NewJob<T>, done: i64, outcome: &Value) -> Result<bool, Error> {
        store::add(tx, self.db.service(), &self.seal, job, Some((done, outcome)), self.clock.now()).await
    }

    /// Wakes a worker of this process; those of others look every few seconds.
    pub fn notify(&self) {
        self.wake.notify_one();
    }

    /// One job of an account.
    ///
    /// # Errors
    /// Any of the store.
    pub async fn get(&self, account_id: AccountId, job_id: &JobId) -> Result<Option<Record>, Error> {
        if job_id.as_str().contains('\0') {
            return Ok(None);
        }
        store::get(&self.db, account_id, job_id).await
    }

    /// The job that a write made.
    ///
    /// # Errors
    /// Any of the store.
    pub async fn find(&self, account_id: AccountId, key: &str) -> Result<Option<Record>, Error> {
        store::find(&self.db, account_id, key).await
    }

    /// The newest jobs before a moment and id, which are the newest of all when nothing is named. A size of 0 stands for
    /// the usual one.
    ///
    /// # Errors
    /// Any of the store.
    pub async fn list(
        &self,
        account_id: AccountId,
        size: i32,
        before: Option<(i64, JobId)>,
    ) -> Result<Vec<Record>, Error> {
        let size = if size <= 0 { PAGE_DEFAULT } else { i64::from(size).min(PAGE_MAX) };
        let (moment, job_id) = before.unwrap_or((i64::MAX, JobId::default()));
        store::page(&self.db, account_id, (moment, &job_id), size).await
    }

    /// The newest job of any account about a subject, and the newest of them that ended.
    ///
    /// # Errors
    /// Any of the store.
    pub async fn newest(&self, subject: &str) -> Result<(Option<Record>, Option<Record>), Error> {
        let newest = store::newest(&self.db, subject).await?;
        if newest.as_ref().is_none_or(|job| job.state.is_ended()) {
            return Ok((newest.clone(), newest));
        }
        Ok((newest, store::newest_ended(&self.db, subject).await?))
    }

    /// Ends a job that is not over, with a reason for its readers; a worker that is at it applies no further step.
    /// Returns the job when it was active. What belongs to its end is the caller's, in the same transaction or after it.
    ///
    /// # Errors
    /// Any of the store.
    pub async fn cancel(
        &self,
        tx: &mut Tx,
        account_id: AccountId,
        job_id: &JobId,
        reason: &str,
    ) -> Result<Option<Record>, Error> {
        store::cancel(tx, self.db.service(), account_id, job_id, reason, self.clock.now()).await
    }

    /// As [`Jobs::cancel`], in a transaction of its own.
    ///
    /// # Errors
    /// Any of the store.
    pub async fn cancel_now(
        &self,
        account_id: AccountId,
        job_id: &JobId,
        reason: &str,
    ) -> Result<Option<Record>, Error> {
        if job_id.as_str().contains('\0') {
            return Ok(None);
        }
        retrying(|| async {
            let mut tx = self.db.begin().await?;
            let cancelled = self.cancel(&mut tx, account_id, job_id, reason).await?;
            tx.commit().await?;
            Ok(cancelled)
        })
        .await
    }

    /// As [`Jobs::cancel`], of every active job about a collection.
    ///
    /// # Errors
    /// Any of the store.
    pub async fn cancel_of(
        &self,
        tx: &mut Tx,
        account_id: AccountId,
        collection_id: CollectionId,
        reason: &str,
    ) -> Result<Vec<Record>, Error> {
        store::cancel_of(tx, self.db.service(), account_id, collection_id, reason, self.clock.now()).await
    }

    /// The ended jobs about a collection.
    ///
    /// # Errors
    /// Any of the store.
    pub async fn ended_of(&self, account_id: AccountId, collection_id: CollectionId) -> Result<Vec<Record>, Error> {
        store::ended_of(&self.db, account_id, collection_id).await
    }

    /// Replaces what an ended job keeps of its work: its outcome by this one, its cursor by nothing. For values that
    /// must go.
    ///
    /// # Errors
    /// Any of the store.
    pub async fn replace_outcome(&self, account_id: AccountId, job_id: &JobId, outcome: &Value) -> Result<(), Error> {
        retrying(|| store::replace_outcome(&self.db, account_id, job_id, outcome)).await
    }

    /// Whether a job that needs this is active.
    ///
    /// # Errors
    /// Any of the store.
    pub async fn is_active(&self, needs: &str, job_id: &JobId) -> Result<bool, Error> {
        store::is_active(&self.db, needs, job_id).await
    }

    /// Bytes that the jobs of an account are to read which are not over.
    ///
    /// # Errors
    /// Any of the store.
    pub async fn active_bytes(&self, account_id: AccountId) -> Result<i64, Error> {
        store::active_bytes(&self.db, account_id).await
    }

    /// When the oldest job was asked for that is not over, in Unix seconds.
    ///
    /// # Errors
    /// Any of the store.
    pub async fn oldest_active(&self) -> Result<Option<i64>, Error> {
        store::oldest_active(&self.db).await
    }

    /// Removes jobs that ended longer ago than they are kept.
    ///
    /// # Errors
    /// Any of the store.
    pub async fn forget(&self) -> Result<u64, Error> {
        let before = self.clock.now() - self.kept_s;
        retrying(|| store::delete_ended(&self.db, before)).await
    }
}
