use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::db::Pools;
use crate::pool::{Lease, Usage};
use crate::postgres::{self, Connections, Postgres};
use crate::reach::Reach;
use crate::sqlite::{self, FILE_NAME, Sqlite};
use crate::{Db, Dialect, Error, Faults, Listener};

/// Names become Postgres schemas, whose names end at 63 bytes.
const SERVICE_NAME_MAX: usize = 32;

/// One database, opened once per process and shared by its services.
#[derive(Clone)]
pub struct Store {
    backend: Backend,
    faults: Faults,
    /// Whether schemas and tables may be made.
    makes: bool,
    /// Of each pool to a Postgres server.
    connections: u32,
}

#[derive(Clone)]
enum Backend {
    Sqlite(Sqlite),
    Postgres(Arc<Postgres>),
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
        let backend = match url.split_once(':') {
            Some(("sqlite", directory)) => {
                Backend::Sqlite(sqlite::open(directory.strip_prefix("//").unwrap_or(directory))?)
            }
            Some(("postgres" | "postgresql", _)) => Backend::Postgres(Arc::new(Postgres::at(url)?)),
            _ => {
                return Err(Error::Configuration(
                    "the store URL must be sqlite:DIRECTORY or postgres://user@host/database".into(),
                ));
            }
        };
        Ok(Self { backend, faults: Faults::default(), makes, connections: postgres::CONNECTIONS })
    }

    /// With so many connections for each service on Postgres, 10 otherwise; to be said before the first service is opened.
    #[must_use]
    pub fn with_connections(self, connections: u32) -> Self {
        Self { connections, ..self }
    }

    /// How full the pools are at this moment, by service.
    pub fn usage(&self) -> Vec<Usage> {
        match &self.backend {
            Backend::Sqlite(Sqlite { pools, .. }) => vec![pools.readers.usage("readers")],
            Backend::Postgres(postgres) => postgres.usage(),
        }
    }

    /// The connections of the services and listeners that are open, and what the server takes; `None` on SQLite.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn connections(&self) -> Result<Option<Connections>, Error> {
        match &self.backend {
            Backend::Sqlite(_) => Ok(None),
            Backend::Postgres(postgres) => postgres.connections(self.connections).await.map(Some),
        }
    }

    /// Hears what is told on a channel by [`Db::notify`]; `None` on SQLite, whose file tells nobody.
    pub fn listener(&self, channel: &'static str) -> Option<Listener> {
        match &self.backend {
            Backend::Sqlite(_) => None,
            Backend::Postgres(postgres) => Some(postgres.listener(channel)),
        }
    }

    /// Whether a URL can be used, without a look at what it names.
    ///
    /// # Errors
    /// [`Error::Configuration`] with what is wrong; the URL is not repeated, since it may hold a password.
    pub fn check_url(url: &str) -> Result<(), Error> {
        match url.split_once(':') {
            Some(("sqlite", directory)) if !directory.is_empty() && !directory.starts_with(':') => Ok(()),
            Some(("postgres" | "postgresql", _)) => Reach::of_postgres(url).map(drop),
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
        let (dialect, pools, directory, reach) = match &self.backend {
            Backend::Sqlite(Sqlite { pools, directory }) => {
                (Dialect::Sqlite, pools.clone(), Some(directory.clone()), None)
            }
            Backend::Postgres(postgres) => {
                let pool = postgres.pool(name, self.connections, self.makes).await?;
                (Dialect::Postgres, Pools { writer: pool.clone(), readers: pool }, None, Some(postgres.reach.clone()))
            }
        };
        Ok(Db::new(dialect, name, pools, self.faults.clone(), directory, reach, self.makes))
    }

    /// Whether what is missing may be made: false for commands that look at what is there.
    pub fn makes(&self) -> bool {
        self.makes
    }

    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        match self.backend {
            Backend::Sqlite(_) => Dialect::Sqlite,
            Backend::Postgres(_) => Dialect::Postgres,
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
        let Backend::Sqlite(Sqlite { pools: Pools { writer, .. }, .. }) = &self.backend else {
            return Err(Error::Configuration("a Postgres database is backed up by its own tools".into()));
        };
        let path = file.to_str().ok_or_else(|| Error::Configuration("the path of a snapshot must be UTF-8".into()))?;
        let Lease::File(mut connection) = writer.acquire().await? else {
            return Err(Error::Inconsistency("the writer of a file is a server's".into()));
        };
        connection.vacuum_into(path.to_owned()).await
    }

    /// Where an SQLite store at this URL keeps its file; `None` for other URLs.
    pub fn sqlite_file(url: &str) -> Option<PathBuf> {
        let directory = url.strip_prefix("sqlite:")?;
        Some(Path::new(directory.strip_prefix("//").unwrap_or(directory)).join(FILE_NAME))
    }

    /// Waits for running transactions and closes every connection. Later calls answer [`Error::Unavailable`].
    pub async fn close(&self) {
        match &self.backend {
            Backend::Sqlite(Sqlite { pools: Pools { writer, readers, .. }, .. }) => {
                readers.close().await;
                // The writer goes last: closing it checkpoints and removes the write-ahead log.
                writer.close().await;
            }
            Backend::Postgres(postgres) => postgres.close().await,
        }
    }
}

impl Db {
    /// Opens a store for one service alone. Processes with several services use [`Store::service`].
    pub async fn connect(url: &str, service: &str) -> Result<Self, Error> {
        Store::connect(url).await?.service(service).await
    }
}

fn check_service(name: &str) -> Result<(), Error> {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let valid = name.len() <= SERVICE_NAME_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.starts_with("pg_")
        && name.bytes().all(known);
    if valid { Ok(()) } else { Err(Error::Configuration(format!("{name:?} is no service name"))) }
}
