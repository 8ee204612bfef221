//! Copies of values that were overwritten or deleted, which go with them.

use crate::{Deps, Error, store};

/// Removes what was read from the log of records, which consumers do from time to time, and what was overwritten from the
/// log of the database.
///
/// # Errors
/// When either cannot be written, or a read of seconds keeps the log of the database.
pub async fn remove(deps: &Deps) -> Result<(), Error> {
    for (partition, position) in store::positions::list(&deps.db, deps.log.source()).await? {
        deps.log.trim(partition, position).await?;
    }
    Ok(deps.db.empty_log().await?)
}
