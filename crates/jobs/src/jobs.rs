use std::{marker::PhantomData, sync::Arc};

use portolan_store::{Db, Error, Migration, Migrations, Tx, now_s, retrying};
use tokio::sync::Notify;

use crate::{
    job::{Record, Subject, Task},
    store,
};

/// A job is another worker's after this long without a step.
pub const LEASE_S: i64 = 60;
/// Attempts in a row that end without a step.
pub const ATTEMPTS_MAX: i64 = 10;
/// Ended jobs are listed for this long.
pub const KEPT_S: i64 = 30 * 24 * 3_600;
/// Fault point before the commit of a step.
pub const STEPPED: &str = "job.stepped";
const PAGE_DEFAULT: i64 = 100;
const PAGE_MAX: i64 = 1_000;

const MIGRATIONS: Migrations = Migrations {
    service: "jobs",
    steps: &[Migration {
        version: 1,
        name: "jobs",
        sqlite: include_str!("../migrations/sqlite/0001_jobs.sql"),
        postgres: include_str!("../migrations/postgres/0001_jobs.sql"),
    }],
};

/// Brings the table to this version, beside those of the service that `db` belongs to.
///
/// # Errors
/// When the store cannot be reached or migrated.
pub async fn migrate(db: &Db) -> Result<(), Error> {
    db.migrate_library(&MIGRATIONS).await
}

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

/// The jobs of one service; cheap to clone.
pub struct Jobs<T> {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    /// Wakes the worker of this process.
    pub(crate) wake: Arc<Notify>,
    tasks: PhantomData<fn() -> T>,
}

impl<T> Clone for Jobs<T> {
    fn clone(&self) -> Self {
        Self { db: self.db.clone(), clock: self.clock.clone(), wake: self.wake.clone(), tasks: PhantomData }
    }
}

impl<T: Task> Jobs<T> {
    /// Migrates the table beside those of the service that `db` belongs to.
    ///
    /// # Errors
    /// When the store cannot be reached or migrated.
    pub async fn open(db: Db, clock: Clock) -> Result<Self, Error> {
        migrate(&db).await?;
        Ok(Self { db, clock, wake: Arc::default(), tasks: PhantomData })
    }

    /// Notes work in the transaction that makes it necessary, and returns the id of its job: that of the active one with
    /// the same kind and subject, when there is one. [`Jobs::notify`] after the commit has it begun at once.
    ///
    /// # Errors
    /// Any of the store.
    pub async fn ask(&self, tx: &mut Tx, account_id: i64, task: &T, subject: &Subject) -> Result<String, Error> {
        let job_id = uuid::Uuid::now_v7().to_string();
        store::insert(tx, self.db.service(), account_id, &job_id, task, subject, self.clock.now()).await
    }

    /// Notes work that no other change goes with, and has it begun.
    ///
    /// # Errors
    /// Any of the store.
    pub async fn request(&self, account_id: i64, task: &T, subject: &Subject) -> Result<String, Error> {
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

    /// Wakes the worker of this process; those of others look every few seconds.
    pub fn notify(&self) {
        self.wake.notify_one();
    }

    /// One job of an account.
    ///
    /// # Errors
    /// Any of the store.
    pub async fn get(&self, account_id: i64, job_id: &str) -> Result<Option<Record>, Error> {
        if job_id.contains('\0') {
            return Ok(None);
        }
        store::get(&self.db, account_id, job_id).await
    }

    /// The newest jobs before a moment and id, which are the newest of all when nothing is named. A size of 0 stands for
    /// the usual one.
    ///
    /// # Errors
    /// Any of the store.
    pub async fn list(&self, account_id: i64, size: i32, before: Option<(i64, String)>) -> Result<Vec<Record>, Error> {
        let size = if size <= 0 { PAGE_DEFAULT } else { i64::from(size).min(PAGE_MAX) };
        let (moment, job_id) = before.unwrap_or((i64::MAX, String::new()));
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
    /// False when it was over.
    ///
    /// # Errors
    /// Any of the store.
    pub async fn cancel(&self, account_id: i64, job_id: &str, reason: &str) -> Result<bool, Error> {
        let now = self.clock.now();
        retrying(|| store::cancel(&self.db, account_id, job_id, reason, now)).await
    }

    /// When the oldest job was asked for that is not over, in Unix seconds.
    ///
    /// # Errors
    /// Any of the store.
    pub async fn oldest_active(&self) -> Result<Option<i64>, Error> {
        store::oldest_active(&self.db).await
    }

    /// Removes jobs that ended more than [`KEPT_S`] ago.
    ///
    /// # Errors
    /// Any of the store.
    pub async fn forget(&self) -> Result<u64, Error> {
        let before = self.clock.now() - KEPT_S;
        retrying(|| store::delete_ended(&self.db, before)).await
    }
}
