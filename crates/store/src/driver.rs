//! What both databases ask of their driver.

use std::time::Duration;

use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, AnyPool, ConnectOptions as _, Connection as _};

use crate::Error;

/// How long a caller waits for a connection. Longer than any single transaction, shorter than a request's deadline.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// How full a pool is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The service that it is of.
    pub service: String,
    /// Connections that somebody has.
    pub busy: u32,
    /// Connections that are open and free.
    pub idle: u32,
    /// Connections that may be open.
    pub max: u32,
}

impl Usage {
    pub(crate) fn of(service: &str, pool: &AnyPool) -> Self {
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        let max = pool.options().get_max_connections();
        Self { service: service.to_owned(), busy: pool.size().saturating_sub(idle), idle, max }
    }
}

/// Whether no transaction is under way. After a full disk or a failed write SQLite ends a transaction by itself, which the
/// driver does not notice: such a connection can neither end its transaction nor begin another one, and is thrown away.
pub(crate) fn has_ended(connection: &AnyConnection) -> bool {
    let has_ended = !connection.is_in_transaction();
    if !has_ended {
        tracing::error!("a database connection whose transaction did not end is closed");
    }
    has_ended
}

/// Statements are not logged: their text is constant and their arguments may be secret.
pub(crate) fn options(url: &str) -> Result<AnyConnectOptions, Error> {
    Ok(url.parse::<AnyConnectOptions>()?.disable_statement_logging())
}
