//! What the inventory asks when a collection is redacted or deleted.

use portolan_runtime::now_s;

use crate::store::{jobs, specifications, uploads};
use crate::{Deps, Error};

/// Removes the values that uploads of a collection hold. Kept records of what was ingested are no longer needed, and
/// specifications that are kept hold no values. Answers how many uploads were looked at.
pub async fn redact(deps: &Deps, account_id: i64, collection_id: i32) -> Result<i64, Error> {
    let found = uploads::of_collection(&deps.db, account_id, collection_id).await?;
    for upload_id in &found {
        uploads::forget_records(&deps.db, account_id, upload_id, collection_id).await?;
    }
    jobs::forget_names(&deps.db, account_id, collection_id).await?;
    Ok(found.len().try_into().unwrap_or(i64::MAX))
}

/// Removes everything that is kept for a collection, and cancels what still works for it.
pub async fn delete(deps: &Deps, account_id: i64, collection_id: i32) -> Result<i64, Error> {
    let spool_id = deps.spool.id().await?.to_owned();
    for (job_id, spool) in jobs::cancel_of(&deps.db, account_id, collection_id, now_s()).await? {
        // A file of another process's spool is swept there: no job needs it any more.
        if spool == spool_id {
            deps.spool.remove(&job_id).await?;
        }
    }
    let found = uploads::of_collection(&deps.db, account_id, collection_id).await?;
    for upload_id in &found {
        uploads::delete_of_collection(&deps.db, account_id, upload_id, collection_id).await?;
    }
    specifications::delete(&deps.db, account_id, collection_id).await?;
    jobs::forget_names(&deps.db, account_id, collection_id).await?;
    Ok(found.len().try_into().unwrap_or(i64::MAX))
}
