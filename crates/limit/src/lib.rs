//! Limit: at most so many of something in a window of time, counted exactly across all who share the counters.
//!
//! A window begins with the first thing counted in it and lasts its whole length. Several limits are taken together:
//! all count, or none does. The counters are in Redis, in a table of the service, or in this process; only the first two
//! are shared by replicas and outlive a restart.
//!
//! # Invariants
//! - Never more than the maximum is allowed in one window, whatever the number of replicas and racing callers.
//! - What is kept of a subject has a fixed size, whatever a caller sent, and goes within an hour of its window's end.
//! - Counters that cannot be reached are an error, `UNAVAILABLE`, and never a permission.
//!
//! Start reading at [`Limits::take`].

mod memory;
mod redis;
mod table;

use std::time::Duration;

use portolan_api::Result;
use portolan_authz::Redis;
use portolan_store::Db;
use sha2::{Digest as _, Sha256};

/// At most `max` in each window of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub max: u64,
    pub window: Duration,
}

impl Limit {
    pub const fn per_minute(max: u64) -> Self {
        Self { max, window: Duration::from_secs(60) }
    }
}

/// What is counted, under which limit.
#[derive(Clone, Debug)]
pub struct Counter {
    /// The kind, and a digest of the one: callers choose names of any length, and of what they choose nothing is kept.
    pub subject: String,
    pub limit: Limit,
}

impl Counter {
    /// A counter of a subject that names both the kind and the one: `login/ann@example.org`.
    pub fn new(subject: impl AsRef<str>, limit: Limit) -> Self {
        let subject = subject.as_ref();
        let (kind, one) = subject.split_once('/').unwrap_or((subject, ""));
        Self { subject: format!("{kind}/{}", hex::encode(Sha256::digest(one))), limit }
    }
}

/// Whether something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It was counted; `left` more fit the tightest window.
    Allowed { left: u64 },
    /// Nothing was counted.
    Refused { retry_after: Duration },
}

impl Decision {
    /// How long to wait; `None` when allowed.
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Allowed { .. } => None,
            Self::Refused { retry_after } => Some(retry_after),
        }
    }

    /// As [`Decision::retry_after`], in whole seconds from 1, as the header wants them.
    pub fn retry_after_s(self) -> Option<i64> {
        self.retry_after().map(|time| i64::try_from(time.as_millis().div_ceil(1000)).unwrap_or(i64::MAX).max(1))
    }
}

/// Counters, wherever they are. Clones share them.
#[derive(Clone)]
pub enum Limits {
    Memory(memory::Memory),
    Redis(Redis),
    /// In the table `limit_counts` of a service, opened by [`Limits::in_table`].
    Table(Db),
}

impl Limits {
    pub fn memory() -> Self {
        Self::Memory(memory::Memory::default())
    }

    /// Counters beside the tables of the service that `db` belongs to.
    ///
    /// # Errors
    /// When the store cannot be reached or migrated.
    pub async fn in_table(db: &Db) -> Result<Self, portolan_store::Error> {
        table::open(db).await?;
        tokio::spawn(table::sweep(db.clone()));
        Ok(Self::Table(db.clone()))
    }

    /// Counts one, when every limit has room for it.
    ///
    /// # Errors
    /// `UNAVAILABLE` when the counters cannot be reached; whether it was counted is not known then.
    pub async fn take(&self, counters: &[Counter]) -> Result<Decision> {
        match self {
            Self::Memory(memory) => Ok(memory.take(counters)),
            Self::Redis(link) => redis::take(link, counters).await,
            Self::Table(db) => table::take(db, counters).await,
        }
    }

    /// Takes one count back, for something that turned out not to count.
    ///
    /// # Errors
    /// `UNAVAILABLE` when the counters cannot be reached.
    pub async fn give_back(&self, counters: &[Counter]) -> Result<()> {
        match self {
            Self::Memory(memory) => memory.give_back(counters),
            Self::Redis(link) => redis::give_back(link, counters).await?,
            Self::Table(db) => table::give_back(db, counters).await?,
        }
        Ok(())
    }

    /// Begins anew with a subject.
    ///
    /// # Errors
    /// `UNAVAILABLE` when the counters cannot be reached.
    pub async fn forget(&self, subject: &str) -> Result<()> {
        match self {
            Self::Memory(memory) => memory.forget(subject),
            Self::Redis(link) => redis::forget(link, subject).await?,
            Self::Table(db) => table::forget(db, subject).await?,
        }
        Ok(())
    }
}
