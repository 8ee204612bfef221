//! What both databases ask of their driver.

use std::time::Duration;

use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, ConnectOptions as _, Connection as _};

use crate::Error;

/// How long a caller waits for a connection. Longer than any single transaction, shorter than a request's deadline.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

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
