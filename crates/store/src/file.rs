//! Connections to an SQLite file.
//!
//! Most statements take less time than a switch to another thread and back, so they run on the thread that asks for them.
//! What may take long runs on a thread apart: a statement that took long the last time, the commit of much, and a read that
//! has used up its budget. The disk is waited for after the commit, when the next one can write ([`crate::wal`]).

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::ErrorCode::{DatabaseBusy, OperationInterrupted};
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Error as DriverError, OpenFlags, Rows, Statement, StatementStatus};

use crate::row::Cell;
use crate::sql::STATEMENTS_MAX;
use crate::turns::{self, OWNERS_MAX, Owner, Turn, Turns};
use crate::wal::{self, Wal};
use crate::{Error, Row, Sql, Value};

/// Steps of SQLite's machine between two looks at what a read has used.
const LOOK_STEPS: i32 = 1_000;
/// Looks at a read on the thread that asks for it, some milliseconds.
const LOOKS_MAX: i32 = 20;
/// Arguments in bytes beyond which a statement runs apart, and so does the commit of them.
const ARGUMENT_BYTES_MAX: usize = 512 << 10;
/// Other processes on the same file hold its write lock for one transaction at a time.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The connections of one kind to a file.
pub(crate) struct File {
    path: PathBuf,
    pragmas: &'static str,
    /// Of connections that write.
    wal: Option<Arc<Wal>>,
    pub turns: Arc<Turns>,
    idle: Idle,
    /// Taken while the log is copied into the file.
    checkpoint: Arc<tokio::sync::Mutex<()>>,
}

/// Connections for the next ones; nothing once they are closed.
struct Idle(Mutex<Option<Vec<Opened>>>);

struct Opened {
    connection: Connection,
    /// Looks that are left to the statement under way. One that writes must run to its end: SQLite would roll back the
    /// transaction of one that is interrupted.
    looks_left: Arc<AtomicI32>,
    /// Who has it, or had it last.
    owner: Owner,
    /// Statements that took long the last time, by owner: what is long for one is short for most others.
    long: HashMap<Owner, HashSet<Box<str>>>,
}

/// A connection of somebody. It is away while it works on a thread apart, to the end also where nobody waits any more.
pub(crate) struct FileConnection(Option<Held>);

struct Held {
    /// Empty only while this is dropped.
    opened: Option<Opened>,
    file: Arc<File>,
    /// Whether its transaction wrote so much that the commit may take long.
    is_long: bool,
    argument_bytes: usize,
    /// It ends after the connection has gone back.
    _turn: Turn,
}

impl File {
    /// At most `max` connections, of which one is opened at once, so that a file that cannot be used is noticed.
    pub fn new(path: PathBuf, pragmas: &'static str, writes: bool, max: u32) -> Result<Self, Error> {
        let wal = if writes { Some(Arc::new(Wal::of_file(&path)?)) } else { None };
        let idle = Idle(Mutex::new(Some(Vec::new())));
        let file = Self { path, pragmas, wal, turns: Turns::new(max), idle, checkpoint: Arc::default() };
        file.idle.add(file.open()?);
        Ok(file)
    }

    fn open(&self) -> Result<Opened, DriverError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&self.path, flags)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.execute_batch(self.pragmas)?;
        // Else a statement is planned anew for each value of its `LIMIT`, which takes as long as running it.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.busy_timeout(Duration::ZERO)?;
        if let Some(wal) = &self.wal {
            wal.watch(&mut connection)?;
        }
        let looks_left = Arc::new(AtomicI32::new(i32::MAX));
        let left = looks_left.clone();
        connection.progress_handler(LOOK_STEPS, Some(move || left.fetch_sub(1, Ordering::Relaxed) <= 0))?;
        Ok(Opened { connection, looks_left, owner: Owner::Nobody, long: HashMap::new() })
    }

    pub fn connection(self: &Arc<Self>, turn: Turn) -> Result<FileConnection, Error> {
        let mut opened = match self.idle.take()? {
            Some(opened) => opened,
            None => self.open()?,
        };
        opened.owner = turn.owner();
        let (opened, file) = (Some(opened), self.clone());
        Ok(FileConnection(Some(Held { opened, file, is_long: false, argument_bytes: 0, _turn: turn })))
    }

    /// How many connections are open and free.
    pub fn idle(&self) -> usize {
        self.idle.lock().as_ref().map_or(0, Vec::len)
    }

    /// Waits for those who have a connection, and closes all of them.
    pub async fn close(self: &Arc<Self>) {
        let _checkpoint = self.checkpoint.lock().await;
        let mut turns = Vec::new();
        for _ in 0..self.turns.all() {
            turns.push(self.turns.take().await);
        }
        let file = self.clone();
        let _ = tokio::task::spawn_blocking(move || drop(file.idle.lock().take())).await;
    }

    /// Copies a long log into the file, unless that is under way.
    fn copy_log(self: &Arc<Self>, wal: &Arc<Wal>) {
        let Ok(lock) = self.checkpoint.clone().try_lock_owned() else { return };
        let (file, wal) = (self.clone(), wal.clone());
        tokio::spawn(async move {
            let copied = file.copy().await;
            wal.copied(matches!(copied, Ok(true)));
            if let Err(error) = copied {
                tracing::warn!(%error, "the write-ahead log was not copied into the database file");
            }
            drop(lock);
        });
    }

    /// Copies what there is while others write, and the rest while nobody does: the next write begins the log anew.
    async fn copy(self: &Arc<Self>) -> Result<bool, Error> {
        let path = self.path.clone();
        let first = tokio::task::spawn_blocking(move || wal::checkpoint(&Connection::open(path)?, "PASSIVE"));
        first.await.map_err(|error| Error::Unavailable(error.to_string()))??;
        let mut connection = self.connection(turns::apart(self.turns.take()).await)?;
        connection.run(true, |opened, _| wal::checkpoint(&opened.connection, "PASSIVE")).await
    }
}

impl Idle {
    fn take(&self) -> Result<Option<Opened>, Error> {
        match &mut *self.lock() {
            Some(idle) => Ok(idle.pop()),
            None => Err(Error::Unavailable("the database was closed".into())),
        }
    }

    fn add(&self, opened: Opened) {
        if let Some(idle) = &mut *self.lock() {
            idle.push(opened);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Opened>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    /// Ends a transaction that was not committed. After a full disk or a failed write SQLite has ended it by itself.
    fn drop(&mut self) {
        let Some(opened) = self.opened.take() else { return };
        if !opened.connection.is_autocommit()
            && let Err(error) = opened.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a database connection whose transaction did not end is closed");
            return;
        }
        self.file.idle.add(opened);
    }
}

impl FileConnection {
    /// Begins a transaction. Where another process has the write lock, it is waited for apart.
    pub async fn begin(&mut self, statement: &'static str) -> Result<(), Error> {
        self.run(false, move |opened, _| opened.execute(statement, &[])).await.map(drop)
    }

    /// Commits, calls as soon as others see it, and returns once the disk holds it; without a call, before that.
    pub async fn commit(mut self, shown: Option<impl FnOnce()>) -> Result<(), Error> {
        let is_long = self.0.as_ref().is_some_and(|held| held.is_long || held.argument_bytes > ARGUMENT_BYTES_MAX);
        self.run(is_long, |opened, _| opened.execute("COMMIT", &[])).await?;
        self.end(shown).await
    }

    /// Lets the next one write, and waits for the disk unless there is nothing to call. What was read here may be of one
    /// who waits, too.
    async fn end(self, shown: Option<impl FnOnce()>) -> Result<(), Error> {
        let Some(file) = self.0.as_ref().map(|held| held.file.clone()) else { return Ok(()) };
        let Some(wal) = &file.wal else { return Ok(()) };
        let commits = wal.commits();
        drop(self);
        if wal.is_long() {
            file.copy_log(wal);
        }
        let shown = shown.map(|shown| shown());
        if wal.is_too_long() {
            drop(file.checkpoint.lock().await);
        }
        if shown.is_some() { wal.on_disk(commits).await } else { Ok(()) }
    }

    /// Ends a transaction without its writes.
    pub async fn roll_back(mut self) -> Result<(), Error> {
        self.run(false, |opened, _| match opened.connection.is_autocommit() {
            true => Ok(0),
            false => opened.execute("ROLLBACK", &[]),
        })
        .await?;
        self.end(Some(|| {})).await
    }

    /// A statement of a transaction.
    pub async fn execute(&mut self, sql: Sql, args: Vec<Value>) -> Result<u64, Error> {
        let is_long = self.is_long(&sql, &args);
        self.run(is_long, move |opened, _| opened.execute(sql.text(), &args)).await
    }

    /// A statement that is a transaction of its own.
    pub async fn execute_alone(mut self, sql: Sql, args: Vec<Value>, is_synced: bool) -> Result<u64, Error> {
        let touched = self.execute(sql, args).await?;
        self.end(is_synced.then_some(|| {})).await?;
        Ok(touched)
    }

    /// Writes the state of this moment into another file.
    pub async fn vacuum_into(&mut self, path: String) -> Result<(), Error> {
        self.run(true, move |opened, _| opened.connection.execute("VACUUM INTO $1", [&path])).await.map(drop)
    }

    pub async fn execute_script(&mut self, sql: Sql) -> Result<(), Error> {
        self.run(true, move |opened, _| opened.connection.execute_batch(sql.text())).await
    }

    pub async fn fetch(&mut self, sql: Sql, args: Vec<Value>, rows_max: usize) -> Result<Vec<Row>, Error> {
        let is_long = self.is_long(&sql, &args);
        self.run(is_long, move |opened, looks_max| opened.fetch(sql.text(), &args, rows_max, looks_max)).await
    }

    /// Copies the log into the file and empties it; false where a reader keeps it beyond the time.
    pub async fn truncate_log(&mut self, wait: Duration) -> Result<bool, Error> {
        let work = move |opened: &mut Opened, _| {
            opened.connection.busy_timeout(wait)?;
            wal::checkpoint(&opened.connection, "TRUNCATE")
        };
        self.run(true, work).await
    }

    fn is_long(&mut self, sql: &Sql, args: &[Value]) -> bool {
        let Some(held) = &mut self.0 else { return false };
        let bytes = args.iter().map(Value::len).sum::<usize>();
        let is_long =
            bytes > ARGUMENT_BYTES_MAX || held.opened.as_ref().is_some_and(|opened| opened.is_long(sql.text()));
        held.is_long |= is_long;
        held.argument_bytes += bytes;
        is_long
    }

    /// Does work here with the budget of a short read, and anew on a thread apart where that was used up or another
    /// process has a lock.
    async fn run<T: Send + 'static>(
        &mut self,
        is_apart: bool,
        work: impl Fn(&mut Opened, i32) -> Result<T, DriverError> + Send + 'static,
    ) -> Result<T, Error> {
        let gone = || Error::Unavailable("the connection is at work for somebody who went away".into());
        if !is_apart {
            match work(self.0.as_mut().ok_or_else(gone)?.opened()?, LOOKS_MAX) {
                Err(error) if matches!(error.sqlite_error_code(), Some(OperationInterrupted | DatabaseBusy)) => {}
                outcome => return Ok(outcome?),
            }
        }
        let mut held = self.0.take().ok_or_else(gone)?;
        let apart = tokio::task::spawn_blocking(move || {
            let outcome = held.opened().and_then(|opened| {
                opened.connection.busy_timeout(BUSY_TIMEOUT)?;
                let outcome = work(opened, i32::MAX);
                opened.connection.busy_timeout(Duration::ZERO)?;
                outcome
            });
            (outcome, held)
        });
        let (outcome, held) = apart.await.map_err(|error| Error::Unavailable(error.to_string()))?;
        self.0 = Some(held);
        Ok(outcome?)
    }
}

impl Held {
    fn opened(&mut self) -> Result<&mut Opened, DriverError> {
        self.opened.as_mut().ok_or(DriverError::InvalidQuery)
    }
}

impl Opened {
    fn execute(&mut self, sql: &str, args: &[Value]) -> Result<u64, DriverError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        bind(&mut statement, args)?;
        let mut rows = statement.raw_query();
        while rows.next()?.is_some() {}
        drop(rows);
        let steps = statement.reset_status(StatementStatus::VmStep);
        drop(statement);
        self.note(sql, steps);
        Ok(self.connection.changes())
    }

    fn fetch(&mut self, sql: &str, args: &[Value], rows_max: usize, looks_max: i32) -> Result<Vec<Row>, DriverError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        bind(&mut statement, args)?;
        let looks_max = if statement.readonly() { looks_max } else { i32::MAX };
        self.looks_left.store(looks_max, Ordering::Relaxed);
        let found = rows(statement.raw_query(), rows_max);
        self.looks_left.store(i32::MAX, Ordering::Relaxed);
        let steps = statement.reset_status(StatementStatus::VmStep);
        drop(statement);
        self.note(sql, steps);
        found
    }

    fn is_long(&self, sql: &str) -> bool {
        self.long.get(&self.owner).is_some_and(|long| long.contains(sql))
    }

    fn note(&mut self, sql: &str, steps: i32) {
        if steps > LOOK_STEPS * LOOKS_MAX {
            if self.long.len() >= OWNERS_MAX {
                self.long.clear();
            }
            self.long.entry(self.owner).or_default().insert(sql.into());
        } else if let Some(long) = self.long.get_mut(&self.owner) {
            long.remove(sql);
            if long.is_empty() {
                self.long.remove(&self.owner);
            }
        }
    }
}

fn rows(mut rows: Rows<'_>, rows_max: usize) -> Result<Vec<Row>, DriverError> {
    let mut columns = None::<Arc<[String]>>;
    let mut found = Vec::new();
    while found.len() < rows_max
        && let Some(row) = rows.next()?
    {
        let columns = columns.get_or_insert_with(|| row.as_ref().column_names().map(str::to_owned).collect());
        let cells = (0..columns.len()).map(|at| row.get_ref(at).map(cell)).collect::<Result<_, _>>()?;
        found.push(Row::new(columns.clone(), cells));
    }
    Ok(found)
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(value) => Cell::I64(value),
        ValueRef::Real(value) => Cell::F64(value),
        ValueRef::Text(value) => match str::from_utf8(value) {
            Ok(text) => Cell::Text(text.to_owned()),
            Err(_) => Cell::Bytes(value.to_vec()),
        },
        ValueRef::Blob(value) => Cell::Bytes(value.to_vec()),
    }
}

/// `$3` is the third argument wherever it stands, though SQLite takes it for a name; `?` is the next one.
fn bind(statement: &mut Statement<'_>, args: &[Value]) -> Result<(), DriverError> {
    for at in 1..=statement.parameter_count() {
        let number = statement.parameter_name(at).and_then(|name| name.get(1..)?.parse::<usize>().ok()).unwrap_or(at);
        let value = match number.checked_sub(1).and_then(|index| args.get(index)) {
            Some(Value::I64(value)) => ValueRef::Integer(*value),
            Some(Value::F64(value)) => ValueRef::Real(*value),
            Some(Value::Text(value)) => ValueRef::Text(value.as_bytes()),
            Some(Value::Bytes(value)) => ValueRef::Blob(value),
            Some(Value::Null(_)) => ValueRef::Null,
            None => return Err(DriverError::InvalidParameterCount(args.len(), number)),
        };
        statement.raw_bind_parameter(at, ToSqlOutput::Borrowed(value))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use portolan_ids::AccountId;

    use super::*;

    /// Planning a statement takes as long as running it.
    #[tokio::test]
    async fn a_statement_is_planned_once_for_all_values() {
        const FIND: &str = "SELECT name FROM things WHERE name >= $1 AND name LIKE $2 AND kind = $3 LIMIT $4";
        let file = Arc::new(File::new(":memory:".into(), "", false, 1).unwrap());
        let mut connection = file.connection(file.turns.take().await).unwrap();
        let made = "CREATE TABLE things (name TEXT NOT NULL, kind TEXT NOT NULL);
            CREATE INDEX things_named ON things (name) WHERE kind = 'A';
            INSERT INTO things VALUES ('a', 'A'), ('b', 'B'), ('c', 'A')";
        connection.execute_script(made.into()).await.unwrap();
        for (from, kind, limit, found) in [("a", "A", 10, 2), ("b", "A", 0, 0), ("a", "B", 1, 1), ("c", "A", 1, 1)] {
            let args = crate::args![from, "%", kind, limit];
            assert_eq!(connection.fetch(FIND.into(), args, usize::MAX).await.unwrap().len(), found);
        }
        let opened = connection.0.as_mut().unwrap().opened().unwrap();
        let statement = opened.connection.prepare_cached(FIND).unwrap();
        assert_eq!(statement.get_status(StatementStatus::Run), 4);
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }

    /// Else the log fills a disk that is slower than those who write.
    #[tokio::test]
    async fn who_writes_faster_than_the_log_is_copied_waits() {
        const ROW_BYTES: usize = 400 << 10;
        let directory = std::env::temp_dir().join(format!("portolan-file-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("test.db");
        std::fs::File::create(&path).unwrap();
        let file = Arc::new(File::new(path, "PRAGMA journal_mode = WAL", true, 1).unwrap());
        let mut connection = file.connection(file.turns.take().await).unwrap();
        connection.execute_script("CREATE TABLE texts (text TEXT NOT NULL)".into()).await.unwrap();
        drop(connection);
        let write = async || {
            let connection = file.connection(file.turns.take().await).unwrap();
            let text = crate::args!["x".repeat(ROW_BYTES)];
            connection.execute_alone("INSERT INTO texts (text) VALUES ($1)".into(), text, false).await.unwrap()
        };
        let copy = file.checkpoint.lock().await;
        let mut written = 0;
        loop {
            written += 1;
            tokio::select! {
                biased;
                _ = write() => tokio::task::yield_now().await,
                () = std::future::ready(()) => break,
            }
        }
        let log = std::fs::metadata(wal::log_of(&file.path)).unwrap().len();
        assert!(log < 16 << 20, "{log} bytes of {written} rows");
        drop(copy);
        assert_eq!(write().await, 1);
        let mut connection = file.connection(file.turns.take().await).unwrap();
        let count = connection.fetch("SELECT count(*) FROM texts".into(), Vec::new(), 1).await.unwrap();
        assert_eq!(count[0].get::<i64>(0).unwrap(), written + 1);
        std::fs::remove_dir_all(&directory).unwrap();
    }

    /// Else many rows of one account send the few of another to a thread apart.
    #[tokio::test]
    async fn what_is_long_for_one_is_short_for_others() {
        const COUNT: &str = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < $1) \
             SELECT count(*) AS count FROM numbers";
        let file = Arc::new(File::new(":memory:".into(), "", false, 1).unwrap());
        let count = async |account_id, numbers: i64| {
            let turn = turns::on_behalf_of(AccountId(account_id), file.turns.take()).await;
            let mut connection = file.connection(turn).unwrap();
            let was_long = connection.is_long(&COUNT.into(), &[]);
            let found = connection.fetch(COUNT.into(), crate::args![numbers], 1).await.unwrap();
            assert_eq!(found[0].get::<i64>("count").unwrap(), numbers);
            was_long
        };
        assert!(!count(1, 100_000).await);
        assert!(!count(2, 3).await);
        assert!(count(1, 3).await, "as it was the last time");
        assert!(!count(1, 3).await);
    }
}
