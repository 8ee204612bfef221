//! What the inventory asks when a collection is redacted or deleted.

use portolan_ids::{AccountId, CollectionId};
use portolan_store::retrying;

use crate::model::jobs::Job;
use crate::store::{specifications, uploads};
use crate::{Deps, Error, jobs};

/// Removes the values that uploads of a collection hold. Kept records of what was ingested are no longer needed, and
/// specifications that are kept hold no values. Returns how many uploads were looked at.
pub async fn redact(deps: &Deps, account_id: AccountId, collection_id: CollectionId) -> Result<i64, Error> {
    let found = uploads::of_collection(&deps.db, account_id, collection_id).await?;
    for upload_id in &found {
        uploads::forget_records(&deps.db, account_id, upload_id, collection_id).await?;
    }
    forget_names(deps, account_id, collection_id).await?;
    Ok(found.len().try_into().unwrap_or(i64::MAX))
}

/// Removes everything that is kept for a collection, and cancels what still works for it.
pub async fn delete(deps: &Deps, account_id: AccountId, collection_id: CollectionId) -> Result<i64, Error> {
    let cancelled = retrying(|| async {
        let mut tx = deps.db.begin().await?;
        let cancelled = deps.jobs.cancel_of(&mut tx, account_id, collection_id, "The collection was deleted").await?;
        for job in &cancelled {
            jobs::give_up(&mut tx, job).await?;
        }
        tx.commit().await?;
        Ok::<_, Error>(cancelled)
    });
    for job in cancelled.await? {
        jobs::clear(deps, &job).await?;
    }
    let found = uploads::of_collection(&deps.db, account_id, collection_id).await?;
    for upload_id in &found {
        uploads::delete_of_collection(&deps.db, account_id, upload_id, collection_id).await?;
    }
    specifications::delete(&deps.db, account_id, collection_id).await?;
    forget_names(deps, account_id, collection_id).await?;
    Ok(found.len().try_into().unwrap_or(i64::MAX))
}

/// Removes the refused items and the notes of ended jobs of a collection: their names are those of the file.
async fn forget_names(deps: &Deps, account_id: AccountId, collection_id: CollectionId) -> Result<(), Error> {
    for record in deps.jobs.ended_of(account_id, collection_id).await? {
        let job = Job::from(record);
        if !job.progress.refusals.is_empty() || !job.progress.notes.is_empty() {
            let mut progress = job.progress;
            progress.refusals.clear();
            progress.notes.clear();
            let outcome = serde_json::to_value(progress).map_err(portolan_api::Error::internal)?;
            deps.jobs.replace_outcome(account_id, &job.job_id, &outcome).await?;
        }
    }
    Ok(())
}
