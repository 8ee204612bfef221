use rusqlite::ErrorCode;
use rusqlite::ffi::{SQLITE_CONSTRAINT_FOREIGNKEY, SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE};
use sqlx::error::DatabaseError;

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

    pub(crate) fn missing_row() -> Self {
        Self::Inconsistency("a row that must exist is missing".into())
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

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as Of;
        match error {
            Of::Database(error) => from_postgres(&*error),
            Of::Io(_)
            | Of::Tls(_)
            | Of::Protocol(_)
            | Of::PoolTimedOut
            | Of::PoolClosed
            | Of::BeginFailed
            | Of::WorkerCrashed => Self::Unavailable(error.to_string()),
            Of::RowNotFound => Self::missing_row(),
            Of::Configuration(_) => Self::Configuration(error.to_string()),
            Of::ColumnDecode { .. } | Of::Decode(_) => Self::Inconsistency(error.to_string()),
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let text = match &error {
            rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
            // Without the text of the statement, which the driver adds.
            rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
            _ => error.to_string(),
        };
        let Some(failure) = error.sqlite_error() else { return Self::Other(text) };
        let constraint = || text.split_once("failed: ").map_or(&*text, |(_, columns)| columns).to_owned();
        match (failure.code, failure.extended_code) {
            (_, SQLITE_CONSTRAINT_UNIQUE | SQLITE_CONSTRAINT_PRIMARYKEY) => {
                Self::UniqueViolation { constraint: constraint() }
            }
            (_, SQLITE_CONSTRAINT_FOREIGNKEY) => Self::ForeignKeyViolation { constraint: constraint() },
            (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => Self::Conflict(text),
            (ErrorCode::SystemIoFailure | ErrorCode::DiskFull | ErrorCode::CannotOpen, _) => Self::Unavailable(text),
            (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => Self::Corrupt(text),
            _ => Self::Other(text),
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
