//! What both databases ask of their driver.

use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::any::AnyConnectOptions;

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

/// Statements are not logged: their text is constant and their arguments may be secret.
pub(crate) fn options(url: &str) -> Result<AnyConnectOptions, Error> {
    Ok(url.parse::<AnyConnectOptions>()?.disable_statement_logging())
}
