use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::fault::Kind;
use crate::pool::{Begun, Lease, Pool};
use crate::reach::Reach;
use crate::tx::{Mode, Tx};
use crate::{Dialect, Error, Faults, Row, Sql, Value, fault};

/// One service's handle to the database; cheap to clone.
///
/// Queries on `Db` run by themselves: `execute` in a transaction of its own, the `fetch` family on read connections,
/// which see everything committed before the call. Statements with `RETURNING` write, so they belong on a [`Tx`].
#[derive(Clone)]
pub struct Db {
    shared: Arc<Shared>,
}

struct Shared {
    dialect: Dialect,
    service: String,
    pools: Pools,
    faults: Faults,
    /// Where an SQLite file lies.
    directory: Option<Arc<Path>>,
    /// Where a Postgres server is.
    reach: Option<Arc<Reach>>,
    makes: bool,
}

/// The connections of a handle.
#[derive(Clone)]
pub(crate) struct Pools {
    pub writer: Pool,
    pub readers: Pool,
}

/// The log of a file is emptied in tries, each of which keeps writers from their work for no longer than this…
const TRUNCATE_WAIT: Duration = Duration::from_millis(100);
/// … with pauses in which those who wait have a turn…
const TRUNCATE_PAUSE: Duration = Duration::from_millis(150);
/// … as often as this, where reads hold the log.
const TRUNCATE_TRIES: u32 = 20;

/// Free space in bytes below which no write of any size can be promised.
const FREE_BYTES_MIN: u64 = 4 << 20;

impl Db {
    pub(crate) fn new(
        dialect: Dialect,
        service: &str,
        pools: Pools,
        faults: Faults,
        directory: Option<Arc<Path>>,
        reach: Option<Arc<Reach>>,
        makes: bool,
    ) -> Self {
        let service = service.to_owned();
        Self { shared: Arc::new(Shared { dialect, service, pools, faults, directory, reach, makes }) }
    }

    /// Whether tables may be made here; see [`crate::Store::open_existing`].
    pub(crate) fn makes(&self) -> bool {
        self.shared.makes
    }

    /// Where the tables are, as messages name it: the directory of the file, or the schema and its server.
    pub(crate) fn place(&self) -> String {
        match (&self.shared.directory, &self.shared.reach) {
            (Some(directory), _) => format!("the database in {}", directory.display()),
            (None, Some(reach)) => format!("the schema {} of {}", self.shared.service, reach.name()),
            (None, None) => self.shared.service.clone(),
        }
    }

    /// Work that waits for a connection first.
    async fn reaching<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        match &self.shared.reach {
            Some(reach) => reach.cut_off(work).await.map_err(Error::Unavailable)?,
            None => work.await,
        }
    }

    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        self.shared.dialect
    }

    /// Whether others wait for the connection of a write that is under way: on SQLite there is one for all services of a
    /// process, on Postgres a service has several.
    pub fn is_awaited(&self) -> bool {
        self.shared.pools.writer.is_awaited()
    }

    /// The name this handle was opened for.
    pub fn service(&self) -> &str {
        &self.shared.service
    }

    /// The fault points of the store, shared by all its handles.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// A fault point of a service, such as `ingest.written`. Does nothing unless a test armed it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when armed to fail.
    pub async fn fault(&self, name: &str) -> Result<(), Error> {
        self.shared.faults.pass(name).await
    }

    /// Begins a write transaction. On SQLite it holds the only writer until it ends, so it must not wait for another
    /// write transaction of the same process, and no network call belongs inside it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] after 10 seconds without a free connection, [`Error::Conflict`] when another process
    /// keeps the SQLite file locked.
    pub async fn begin(&self) -> Result<Tx, Error> {
        self.begin_as(Mode::Write).await
    }

    /// Begins a read transaction: all its queries see the state of one moment. Writing in it fails.
    pub async fn begin_read(&self) -> Result<Tx, Error> {
        self.begin_as(Mode::Read).await
    }

    async fn begin_as(&self, mode: Mode) -> Result<Tx, Error> {
        let shared = &*self.shared;
        shared.faults.pass(fault::BEGIN).await?;
        let statement = match (mode, shared.dialect) {
            // IMMEDIATE takes the write lock at once: a later upgrade could fail after reads were already used.
            // Postgres locks rows as statements touch them, and writes of one row wait for each other alike.
            (Mode::Write, Dialect::Sqlite) => "BEGIN IMMEDIATE",
            (Mode::Write, Dialect::Postgres) => "BEGIN",
            // A deferred SQLite transaction fixes its snapshot at its first read, REPEATABLE READ does the same.
            (Mode::Read, Dialect::Sqlite) => "BEGIN DEFERRED",
            (Mode::Read, Dialect::Postgres) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        let pool = match mode {
            Mode::Write => &shared.pools.writer,
            Mode::Read => &shared.pools.readers,
        };
        let lease = self.reaching(pool.acquire()).await?;
        let begun = self.reaching(Begun::begin(lease, statement)).await?;
        Ok(Tx::new(begun, shared.dialect, shared.faults.clone(), shared.reach.clone()))
    }

    /// Runs one writing statement in its own transaction and returns the number of rows it touched.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::CommitUnknown`] when the connection broke after the statement was sent.
    pub async fn execute(&self, sql: impl Into<Sql>, args: Vec<Value>) -> Result<u64, Error> {
        self.execute_as(sql.into(), args, true).await
    }

    /// The same, without waiting for the disk of a file: see [`Tx::commit_unsynced`].
    pub async fn execute_unsynced(&self, sql: impl Into<Sql>, args: Vec<Value>) -> Result<u64, Error> {
        self.execute_as(sql.into(), args, false).await
    }

    async fn execute_as(&self, sql: Sql, args: Vec<Value>, is_synced: bool) -> Result<u64, Error> {
        self.shared.faults.pass(fault::EXECUTE).await?;
        let lease = self.reaching(self.shared.pools.writer.acquire()).await?;
        let outcome = self.reaching(lease.execute_alone(sql, args, is_synced)).await;
        let touched = outcome.map_err(Error::while_committing)?;
        match self.shared.faults.strike(fault::COMMITTED) {
            Some(Kind::Fail | Kind::LoseConnection) => Err(fault::injected(fault::COMMITTED).while_committing()),
            _ => Ok(touched),
        }
    }

    /// All rows of a query. The statement bounds their number by its own `LIMIT` or key.
    pub async fn fetch_all(&self, sql: impl Into<Sql>, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        let sql = sql.into();
        self.shared.faults.pass(fault::FETCH).await?;
        let mut lease = self.reaching(self.shared.pools.readers.acquire()).await?;
        self.reaching(lease.fetch(sql, args, usize::MAX)).await
    }

    /// The first row of a query, if there is one.
    pub async fn fetch_optional(&self, sql: impl Into<Sql>, args: Vec<Value>) -> Result<Option<Row>, Error> {
        let sql = sql.into();
        self.shared.faults.pass(fault::FETCH).await?;
        let mut lease = self.reaching(self.shared.pools.readers.acquire()).await?;
        Ok(self.reaching(lease.fetch(sql, args, 1)).await?.into_iter().next())
    }

    /// The first row of a query that always has one.
    ///
    /// # Errors
    /// [`Error::Inconsistency`] when there is none.
    pub async fn fetch_one(&self, sql: impl Into<Sql>, args: Vec<Value>) -> Result<Row, Error> {
        self.fetch_optional(sql, args).await?.ok_or_else(Error::missing_row)
    }

    /// Tells a text of up to 8,000 bytes to those who listen to a channel now, see [`crate::Store::listener`]; nothing on
    /// SQLite. It is apart from transactions: those that tell would commit one after the other, over the whole server.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn notify(&self, channel: &'static str, text: &str) -> Result<(), Error> {
        if self.dialect() == Dialect::Postgres {
            let lease = self.reaching(self.shared.pools.writer.acquire()).await?;
            let args = vec![channel.into(), text.into()];
            self.reaching(lease.execute_alone("SELECT pg_notify($1, $2)".into(), args, false)).await?;
        }
        Ok(())
    }

    /// The clock of the server in Unix seconds; `None` where the database is a file.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn server_clock_s(&self) -> Result<Option<i64>, Error> {
        match self.dialect() {
            Dialect::Sqlite => Ok(None),
            Dialect::Postgres => {
                let sql = "SELECT cast(extract(epoch FROM clock_timestamp()) AS bigint) AS clock_s";
                self.fetch_one(sql, Vec::new()).await?.get("clock_s").map(Some)
            }
        }
    }

    /// Returns once the database answers a query.
    pub async fn ping(&self) -> Result<(), Error> {
        self.fetch_one("SELECT 1", Vec::new()).await.map(drop)
    }

    /// Writes what the write-ahead log of an SQLite file holds into the file and empties the log, so that no value stays
    /// there that was overwritten in the file. Postgres keeps its log by its own rules, and nothing is done.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when a read of seconds keeps the log.
    pub async fn empty_log(&self) -> Result<(), Error> {
        if self.dialect() == Dialect::Postgres {
            return Ok(());
        }
        for _ in 0..TRUNCATE_TRIES {
            self.shared.faults.pass(fault::EXECUTE).await?;
            let Lease::File(mut connection) = self.shared.pools.writer.acquire().await? else { return Ok(()) };
            if connection.truncate_log(TRUNCATE_WAIT).await? {
                return Ok(());
            }
            drop(connection);
            tokio::time::sleep(TRUNCATE_PAUSE).await;
        }
        Err(Error::Unavailable("the write-ahead log is being read".into()))
    }

    /// Returns once the database takes a write, for readiness checks. The write is rolled back.
    ///
    /// # Errors
    /// As [`Db::begin`], and those of a write; [`Error::Unavailable`] where the disk of an SQLite file is full.
    pub async fn probe(&self) -> Result<(), Error> {
        const WRITE: &str = "UPDATE store_migrations SET service = service WHERE service = $1";
        let mut tx = self.begin().await?;
        tx.execute(WRITE, vec![self.service().into()]).await?;
        tx.rollback().await?;
        // A rolled back write touches no disk, so that a full one would not be noticed.
        let Some(directory) = &self.shared.directory else { return Ok(()) };
        match fs4::available_space(directory) {
            Ok(free) if free < FREE_BYTES_MIN => {
                Err(Error::Unavailable(format!("the disk of {} is full: {free} bytes are left", directory.display())))
            }
            _ => Ok(()),
        }
    }
}
