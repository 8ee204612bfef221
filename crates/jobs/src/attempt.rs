use std::ops::Deref;

use crate::{
    error::Error,
    job::{Job, Task},
    jobs::Jobs,
    pulse::Pulse,
    store::{self, Key},
};

/// A job while a worker holds it. It reads as the job that it is an attempt at, as it was when the step began.
pub struct Attempt<T: Task> {
    pub(crate) job: Job<T>,
    pub(crate) pulse: Pulse,
    pub(crate) lease: String,
    pub(crate) jobs: Jobs<T>,
}

impl<T: Task> Deref for Attempt<T> {
    type Target = Job<T>;

    fn deref(&self) -> &Job<T> {
        &self.job
    }
}

impl<T: Task> Attempt<T> {
    /// For the threads that do the work.
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// # Errors
    /// [`Error::Stopping`] when the process ends.
    pub fn goes_on(&self) -> Result<(), Error> {
        if self.pulse.is_stopped() { Err(Error::Stopping) } else { Ok(()) }
    }

    /// Keeps, in the middle of a long step, that the work has come this far and that `done` more items are done: a later
    /// attempt begins here, and all attempts are left to it.
    ///
    /// # Errors
    /// [`Error::Lost`], and any of the store.
    pub async fn advance(&self, cursor: &T::Cursor, done: i64) -> Result<(), Error> {
        self.keep(cursor, done, true).await
    }

    /// As [`Attempt::advance`] without having come further: what readers are shown changes, and the attempts that are
    /// left do not.
    ///
    /// # Errors
    /// [`Error::Lost`], and any of the store.
    pub async fn show(&self, cursor: &T::Cursor) -> Result<(), Error> {
        self.keep(cursor, 0, false).await
    }

    async fn keep(&self, cursor: &T::Cursor, done: i64, is_further: bool) -> Result<(), Error> {
        self.pulse.beat();
        let key = Key::of(&self.job);
        let bytes = i64::try_from(self.pulse.bytes_read()).unwrap_or(i64::MAX);
        let now = self.jobs.clock.now();
        let until = now + self.jobs.pace.lease_s;
        let held = portolan_store::retrying(|| async {
            let mut tx = self.jobs.db.begin().await?;
            let service = self.jobs.db.service();
            let held = store::keep(&mut tx, service, &key, &self.lease, until, bytes, now).await?;
            if held {
                store::advance::<T>(&mut tx, service, &key, cursor, done, is_further).await?;
            }
            tx.commit().await?;
            Ok::<_, portolan_store::Error>(held)
        });
        if held.await? { Ok(()) } else { Err(Error::Lost) }
    }
}
