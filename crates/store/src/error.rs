use sqlx::Error as DriverError;
use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::sqlite::SqliteError;

/// Why the store could not answer. The text is for operators, never for callers of the API.
#[derive(Clone, Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the text of each variant says what its fields are")]
pub enum Error {
    /// A row with this key exists. On Postgres `constraint` is the constraint's name, on SQLite the columns as
    /// `table.column, table.column`.
    #[error("unique key {constraint} is taken")]
    UniqueViolation { constraint: String },
    /// A row refers to one that does not exist, or a row still referred to was deleted. `constraint` is the
    /// constraint's name on Postgres and a general text on SQLite.
    #[error("reference {constraint} does not hold")]
    ForeignKeyViolation { constraint: String },
    /// Another transaction was in the way (serialization, deadlock, lock timeout); nothing was written.
    #[error("the transaction lost against another one: {0}")]
    Conflict(String),
    /// The database cannot be reached, is out of connections or out of disk space; nothing was written.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The connection broke while committing: the transaction is written completely or not at all.
    #[error("the connection broke while committing: {0}")]
    CommitUnknown(String),
    /// The database reports damaged data.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// The answer contradicts what the program relies on: a missing row, a null, a value out of range.
    #[error("stored data contradicts an invariant: {0}")]
    Inconsistency(String),
    /// The steps that made the tables are no beginning of this program's: a version before wrote the data. `place` is
    /// the file, or the schema and its server; `found` is the step that differs.
    #[error(
        "{place} holds data that an earlier version of Portolan wrote, which this version does not read ({found}). \
         Nothing was changed. Start with a new data directory or database and import again what it was made from; \
         docs/operations/upgrade.md says how"
    )]
    Foreign { place: String, found: String },
    /// The tables do not fit the program.
    #[error("migration of {service}: {reason}")]
    Migration { service: String, reason: String },
    /// The store's URL or a service name cannot be used.
    #[error("store configuration: {0}")]
    Configuration(String),
    /// Anything else: a wrong statement, a violated check, a transaction used after a failed statement.
    #[error("the database refused: {0}")]
    Other(String),
}

impl Error {
    /// The same request may succeed later, so a caller is told to try again.
    pub fn transient(&self) -> bool {
        matches!(self, Self::Conflict(_) | Self::Unavailable(_) | Self::CommitUnknown(_))
    }

    /// Nothing was written, so the program itself may repeat the transaction. A commit of unknown outcome is left to
    /// callers whose transaction notices its own earlier success.
    pub fn repeatable(&self) -> bool {
        matches!(self, Self::Conflict(_) | Self::Unavailable(_))
    }

    /// The violated unique key, see [`Error::UniqueViolation`].
    pub fn unique_violation(&self) -> Option<&str> {
        match self {
            Self::UniqueViolation { constraint } => Some(constraint),
            _ => None,
        }
    }

    /// The same failure, with the server that it is of.
    pub(crate) fn at(self, server: &str) -> Self {
        match self {
            Self::Unavailable(reason) => Self::Unavailable(format!("{server}: {reason}")),
            Self::Other(reason) => Self::Other(format!("{server}: {reason}")),
            other => other,
        }
    }

    /// The same failure, met after the database may have begun to commit.
    pub(crate) fn while_committing(self) -> Self {
        match self {
            Self::Unavailable(reason) => Self::CommitUnknown(reason),
            other => other,
        }
    }
}

impl From<DriverError> for Error {
    fn from(error: DriverError) -> Self {
        match error {
            DriverError::Database(error) => match error.try_downcast_ref::<SqliteError>() {
                Some(sqlite) => from_sqlite(sqlite),
                None => from_postgres(&*error),
            },
            DriverError::Io(_)
            | DriverError::Tls(_)
            | DriverError::Protocol(_)
            | DriverError::PoolTimedOut
            | DriverError::PoolClosed
            | DriverError::BeginFailed
            | DriverError::WorkerCrashed => Self::Unavailable(error.to_string()),
            DriverError::RowNotFound => Self::Inconsistency("a row that must exist is missing".into()),
            DriverError::Configuration(_) => Self::Configuration(error.to_string()),
            DriverError::ColumnDecode { .. } | DriverError::Decode(_) => Self::Inconsistency(error.to_string()),
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<Error> for portolan_api::Error {
    /// The last step of a failure that no caller can cure: repeat later, or a fault of ours. The text stays in the log.
    fn from(error: Error) -> Self {
        if error.transient() { Self::unavailable(error) } else { Self::internal(error) }
    }
}

fn from_postgres(error: &dyn DatabaseError) -> Error {
    let constraint = || error.constraint().unwrap_or_default().to_owned();
    // Without the line of the server's own source, which the driver adds.
    let text = error.message().to_owned();
    match error.code().as_deref().unwrap_or_default() {
        sqlstate::UNIQUE_VIOLATION => Error::UniqueViolation { constraint: constraint() },
        sqlstate::FOREIGN_KEY_VIOLATION => Error::ForeignKeyViolation { constraint: constraint() },
        sqlstate::SERIALIZATION_FAILURE | sqlstate::DEADLOCK_DETECTED | sqlstate::LOCK_NOT_AVAILABLE => {
            Error::Conflict(text)
        }
        sqlstate::ADMIN_SHUTDOWN
        | sqlstate::CRASH_SHUTDOWN
        | sqlstate::CANNOT_CONNECT_NOW
        | sqlstate::READ_ONLY_TRANSACTION => Error::Unavailable(text),
        sqlstate::DATA_CORRUPTED | sqlstate::INDEX_CORRUPTED => Error::Corrupt(text),
        code if code.starts_with(sqlstate::CLASS_CONNECTION) || code.starts_with(sqlstate::CLASS_RESOURCES) => {
            Error::Unavailable(text)
        }
        _ => Error::Other(text),
    }
}

fn from_sqlite(error: &SqliteError) -> Error {
    let message = error.message();
    let columns = || message.split_once("failed: ").map_or(message, |(_, columns)| columns).to_owned();
    match error.kind() {
        ErrorKind::UniqueViolation => return Error::UniqueViolation { constraint: columns() },
        ErrorKind::ForeignKeyViolation => return Error::ForeignKeyViolation { constraint: columns() },
        _ => {}
    }
    // The low byte of an extended code is the primary code.
    let extended = error.code().and_then(|code| code.parse::<u32>().ok()).unwrap_or_default();
    match extended & 0xff {
        sqlite_code::BUSY | sqlite_code::LOCKED => Error::Conflict(error.to_string()),
        sqlite_code::IOERR | sqlite_code::FULL | sqlite_code::CANTOPEN => Error::Unavailable(error.to_string()),
        sqlite_code::CORRUPT | sqlite_code::NOTADB => Error::Corrupt(error.to_string()),
        _ => Error::Other(error.to_string()),
    }
}

/// SQLSTATE codes, from the appendix "PostgreSQL Error Codes" of its manual.
mod sqlstate {
    pub const FOREIGN_KEY_VIOLATION: &str = "23503";
    pub const UNIQUE_VIOLATION: &str = "23505";
    /// A standby after a fail-over: the primary is elsewhere.
    pub const READ_ONLY_TRANSACTION: &str = "25006";
    pub const SERIALIZATION_FAILURE: &str = "40001";
    pub const DEADLOCK_DETECTED: &str = "40P01";
    pub const LOCK_NOT_AVAILABLE: &str = "55P03";
    pub const ADMIN_SHUTDOWN: &str = "57P01";
    pub const CRASH_SHUTDOWN: &str = "57P02";
    pub const CANNOT_CONNECT_NOW: &str = "57P03";
    pub const DATA_CORRUPTED: &str = "XX001";
    pub const INDEX_CORRUPTED: &str = "XX002";
    pub const CLASS_CONNECTION: &str = "08";
    /// Disk full, out of memory, too many connections.
    pub const CLASS_RESOURCES: &str = "53";
}

/// Primary result codes, from SQLite's "Result and Error Codes".
mod sqlite_code {
    pub const BUSY: u32 = 5;
    pub const LOCKED: u32 = 6;
    pub const IOERR: u32 = 10;
    pub const CORRUPT: u32 = 11;
    pub const FULL: u32 = 13;
    pub const CANTOPEN: u32 = 14;
    pub const NOTADB: u32 = 26;
}
