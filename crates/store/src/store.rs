use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::sync::Mutex;

use crate::reach::Reach;
use crate::{Db, Error, Faults};

/// The database file inside the directory that the URL names.
const FILE_NAME: &str = "portolan.db";
/// Read connections per SQLite file: reads are short and served by one thread each.
const SQLITE_READERS: u32 = 4;
/// Connections per service and process: six services of one process stay below the usual server limit of 100.
const POSTGRES_CONNECTIONS: u32 = 10;
/// How long a caller waits for a connection. Longer than any single transaction, shorter than a request's deadline.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Other processes on the same SQLite file hold its write lock for one transaction at a time.
const SQLITE_BUSY_TIMEOUT_MS: u32 = 5_000;
/// A connection idle for longer is tested before use, so that a restarted server costs no failed request.
const UNTESTED_IDLE_MAX: Duration = Duration::from_secs(1);
/// Names become Postgres schemas, whose names end at 63 bytes.
const SERVICE_NAME_MAX: usize = 32;
/// Any fixed number that no other program uses for its advisory locks in the same database.
pub(crate) const POSTGRES_LOCK: i64 = 0x706f_7274_6f6c_616e;

/// Which database runs, for the few statements that must differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

/// One database, opened once per process and shared by its services.
#[derive(Clone)]
pub struct Store {
    backend: Backend,
    faults: Faults,
    /// Whether schemas and tables may be made.
    makes: bool,
}

#[derive(Clone)]
enum Backend {
    Sqlite { writer: AnyPool, readers: AnyPool, directory: Arc<Path> },
    Postgres { options: AnyConnectOptions, pools: Arc<Mutex<HashMap<String, AnyPool>>>, reach: Arc<Reach> },
}

impl Store {
    /// Opens `sqlite:DIR` (the file `portolan.db` in the directory, both made when missing, the directory readable by
    /// its owner only) or `postgres://user:password@host:port/database`.
    ///
    /// # Errors
    /// [`Error::Configuration`] for an unusable URL or directory, [`Error::Unavailable`] when the database cannot be
    /// opened.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Self::open(url, true).await
    }

    /// Opens a store that is there, for commands that look at it or change rows of it: neither directory nor file, nor
    /// schema, nor table is made, and [`Db::migrate`] refuses tables that lack a step.
    ///
    /// # Errors
    /// As [`Store::connect`]; [`Error::Configuration`] where no database is.
    pub async fn open_existing(url: &str) -> Result<Self, Error> {
        if let Some(file) = Self::sqlite_file(url)
            && std::fs::metadata(&file).map_or(0, |data| data.len()) == 0
        {
            let found = if file.exists() { "is empty" } else { "does not exist" };
            return Err(Error::Configuration(format!("no database: {} {found}", file.display())));
        }
        Self::open(url, false).await
    }

    async fn open(url: &str, makes: bool) -> Result<Self, Error> {
        sqlx::any::install_default_drivers();
        let backend = match url.split_once(':') {
            Some(("sqlite", directory)) => open_sqlite(directory.strip_prefix("//").unwrap_or(directory)).await?,
            Some(("postgres" | "postgresql", _)) => Backend::Postgres {
                options: driver_options(url)?,
                pools: Arc::default(),
                reach: Arc::new(Reach::of(url)?),
            },
            _ => {
                return Err(Error::Configuration(
                    "the store URL must be sqlite:DIRECTORY or postgres://user@host/database".into(),
                ));
            }
        };
        Ok(Self { backend, faults: Faults::default(), makes })
    }

    /// Whether a URL can be used, without a look at what it names.
    ///
    /// # Errors
    /// [`Error::Configuration`] with what is wrong; the URL is not repeated, since it may hold a password.
    pub fn check_url(url: &str) -> Result<(), Error> {
        match url.split_once(':') {
            Some(("sqlite", directory)) if !directory.is_empty() && !directory.starts_with(':') => Ok(()),
            Some(("postgres" | "postgresql", _)) => Reach::of(url).map(drop),
            _ => Err(Error::Configuration("it must be sqlite:DIRECTORY or postgres://user@host/database".into())),
        }
    }

    /// The handle of one service. On Postgres the service has a schema of its name and a pool of its own; on SQLite all
    /// services share the file, so table names are unique across services.
    ///
    /// # Errors
    /// [`Error::Configuration`] unless the name is 1 to 32 of `a-z`, `0-9` and `_`, beginning with a letter and not
    /// with `pg_`; [`Error::Unavailable`] when Postgres cannot be reached.
    pub async fn service(&self, name: &str) -> Result<Db, Error> {
        check_service(name)?;
        let (dialect, writer, readers, directory, reach) = match &self.backend {
            Backend::Sqlite { writer, readers, directory } => {
                (Dialect::Sqlite, writer.clone(), readers.clone(), Some(directory.clone()), None)
            }
            Backend::Postgres { options, pools, reach } => {
                let mut pools = pools.lock().await;
                let pool = match pools.get(name) {
                    Some(pool) => pool.clone(),
                    None => {
                        let pool = reach.cut_off(open_postgres(options.clone(), name, self.makes)).await?;
                        pools.insert(name.to_owned(), pool.clone());
                        pool
                    }
                };
                (Dialect::Postgres, pool.clone(), pool, None, Some(reach.clone()))
            }
        };
        Ok(Db::new(dialect, name, [writer, readers], self.faults.clone(), directory, reach, self.makes))
    }

    pub fn dialect(&self) -> Dialect {
        match self.backend {
            Backend::Sqlite { .. } => Dialect::Sqlite,
            Backend::Postgres { .. } => Dialect::Postgres,
        }
    }

    /// The fault points of this store and of all its handles.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Writes the state of one moment into a new SQLite file, while others read and write. The file is whole or missing.
    ///
    /// # Errors
    /// [`Error::Configuration`] on Postgres, which has tools of its own; [`Error::Unavailable`] when the file exists or
    /// cannot be written.
    pub async fn snapshot(&self, file: &Path) -> Result<(), Error> {
        let Backend::Sqlite { writer, .. } = &self.backend else {
            return Err(Error::Configuration("a Postgres database is backed up by its own tools".into()));
        };
        let path = file.to_str().ok_or_else(|| Error::Configuration("the path of a snapshot must be UTF-8".into()))?;
        sqlx::query("VACUUM INTO $1").bind(path).execute(writer).await?;
        Ok(())
    }

    /// Where an SQLite store at this URL keeps its file; `None` for other URLs.
    pub fn sqlite_file(url: &str) -> Option<PathBuf> {
        let directory = url.strip_prefix("sqlite:")?;
        Some(Path::new(directory.strip_prefix("//").unwrap_or(directory)).join(FILE_NAME))
    }

    /// Waits for running transactions and closes every connection. Later calls answer [`Error::Unavailable`].
    pub async fn close(&self) {
        match &self.backend {
            Backend::Sqlite { writer, readers, .. } => {
                readers.close().await;
                // The writer goes last: closing it checkpoints and removes the write-ahead log.
                writer.close().await;
            }
            Backend::Postgres { pools, .. } => {
                for pool in pools.lock().await.values() {
                    pool.close().await;
                }
            }
        }
    }
}

async fn open_sqlite(directory: &str) -> Result<Backend, Error> {
    let file = sqlite_file(directory)?;
    let url = |mode: &str| format!("sqlite://{}?mode={mode}", encoded(&file));
    create_private(&file)?;
    // WAL lets reads run beside the writer; FULL makes a commit survive a power failure; deleted values are overwritten.
    let writer_pragmas = format!(
        "PRAGMA busy_timeout = {SQLITE_BUSY_TIMEOUT_MS}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
         PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864; PRAGMA secure_delete = ON"
    );
    let reader_pragmas = format!("PRAGMA busy_timeout = {SQLITE_BUSY_TIMEOUT_MS}; PRAGMA query_only = ON");
    // The writer opens first, because it creates the file that the readers expect.
    let writer = sqlite_pool(&url("rwc"), 1, writer_pragmas).await?;
    let readers = sqlite_pool(&url("rw"), SQLITE_READERS, reader_pragmas).await?;
    let directory = file.parent().unwrap_or(Path::new("/")).into();
    Ok(Backend::Sqlite { writer, readers, directory })
}

fn sqlite_file(directory: &str) -> Result<PathBuf, Error> {
    if directory.is_empty() || directory.starts_with(':') {
        return Err(Error::Configuration("sqlite: needs a directory, as in sqlite:/var/lib/portolan".into()));
    }
    let refused = |error: std::io::Error| Error::Configuration(format!("directory {directory}: {error}"));
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(refused)?;
    Ok(Path::new(directory).canonicalize().map_err(refused)?.join(FILE_NAME))
}

/// Makes the file for its owner alone; SQLite gives its journals the same mode.
fn create_private(file: &Path) -> Result<(), Error> {
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file).map(drop).map_err(|error| Error::Unavailable(format!("{}: {error}", file.display())))
}

fn encoded(path: &Path) -> String {
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');
    percent_encode(path.as_os_str().as_encoded_bytes(), PLAIN).to_string()
}

async fn sqlite_pool(url: &str, connections: u32, pragmas: String) -> Result<AnyPool, Error> {
    let pragmas: Arc<str> = pragmas.into();
    let pool = AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        // A connection to a file does not age, and its prepared statements are worth keeping.
        .idle_timeout(None)
        .max_lifetime(None)
        .after_release(|connection, _| {
            Box::pin(async move {
                // What was dropped is rolled back before the ping is answered.
                connection.ping().await?;
                Ok(has_ended(connection))
            })
        })
        .after_connect(move |connection, _| {
            let pragmas = Arc::clone(&pragmas);
            Box::pin(async move { sqlx::raw_sql(AssertSqlSafe(pragmas)).execute(connection).await.map(drop) })
        })
        .connect_with(driver_options(url)?)
        .await?;
    Ok(pool)
}

async fn open_postgres(options: AnyConnectOptions, service: &str, makes: bool) -> Result<AnyPool, Error> {
    let search_path: Arc<str> = format!("SET search_path TO \"{service}\"").into();
    let pool = AnyPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .after_release(|connection, _| Box::pin(async move { Ok(has_ended(connection)) }))
        .before_acquire(|connection, used| {
            Box::pin(async move { Ok(used.idle_for < UNTESTED_IDLE_MAX || connection.ping().await.is_ok()) })
        })
        .after_connect(move |connection, _| {
            let search_path = Arc::clone(&search_path);
            Box::pin(async move { sqlx::raw_sql(AssertSqlSafe(search_path)).execute(connection).await.map(drop) })
        })
        .connect_with(options)
        .await?;
    if !makes {
        let schema = sqlx::query("SELECT 1 FROM pg_namespace WHERE nspname = $1").bind(service.to_owned());
        return match schema.fetch_optional(&pool).await? {
            Some(_) => Ok(pool),
            None => {
                Err(Error::Configuration(format!("the database has no schema {service}: `portolan migrate` makes it")))
            }
        };
    }
    let mut transaction = pool.begin().await?;
    // Two processes that create one schema at the same time would otherwise meet a unique violation in the catalogue.
    let create = format!("SELECT pg_advisory_xact_lock({POSTGRES_LOCK}); CREATE SCHEMA IF NOT EXISTS \"{service}\"");
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(pool)
}

/// Whether no transaction is under way. After a full disk or a failed write SQLite ends a transaction by itself, which the
/// driver does not notice: such a connection can neither end its transaction nor begin another one, and is thrown away.
fn has_ended(connection: &AnyConnection) -> bool {
    let has_ended = !connection.is_in_transaction();
    if !has_ended {
        tracing::error!("a database connection whose transaction did not end is closed");
    }
    has_ended
}

/// Statements are not logged: their text is constant and their arguments may be secret.
fn driver_options(url: &str) -> Result<AnyConnectOptions, Error> {
    Ok(url.parse::<AnyConnectOptions>()?.disable_statement_logging())
}

fn check_service(name: &str) -> Result<(), Error> {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let valid = name.len() <= SERVICE_NAME_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.starts_with("pg_")
        && name.bytes().all(known);
    if valid { Ok(()) } else { Err(Error::Configuration(format!("{name:?} is no service name"))) }
}
