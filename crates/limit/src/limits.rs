use portolan_api::Result;
use portolan_authz::Redis;
use portolan_store::Db;

use crate::{Counter, Decision, memory, redis, table};

/// Counters, wherever they are. Clones share them.
#[derive(Clone)]
pub enum Limits {
    /// In this process alone.
    Memory(memory::Memory),
    /// In Redis, for every process.
    Redis(Redis),
    /// In the table `limit_counts` of a service, opened by [`Limits::in_table`].
    Table(Db),
}

impl Limits {
    /// Counters in the memory of this process.
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
