use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_ids::{CollectionId, JobId};
use portolan_runtime::now_s;
use portolan_store::retrying;

use crate::{
    Deps, Error,
    collections::list,
    feed, jobs, members,
    model::{
        collections::{DEFAULT_ID, IDS_MAX},
        jobs::Task,
    },
    store,
};

/// Deletes collections. From the commit on nobody sees them; durable jobs, whose ids are answered, remove what they hold.
/// Ids that the caller cannot see are passed over.
///
/// # Errors
/// `TOO_MANY_IDS`; `COLLECTION_DEFAULT` when the default collection is among them. Then nothing is deleted.
pub async fn delete(deps: &Deps, caller: &Caller, mut ids: Vec<CollectionId>) -> Result<Vec<JobId>, Error> {
    if ids.len() > IDS_MAX {
        return Err(portolan_api::Error::new(Reason::TooManyIds).with("limit", IDS_MAX).into());
    }
    if ids.contains(&DEFAULT_ID) {
        return Err(Reason::CollectionDefault.into());
    }
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let visible = list(deps, caller).await?;
    ids.retain(|id| visible.binary_search_by_key(id, |collection| collection.id).is_ok());
    let now = now_s();
    let job_ids = retrying(|| async {
        let mut tx = deps.db.begin().await?;
        let mut asked = Vec::with_capacity(ids.len());
        for id in &ids {
            asked.push(
                jobs::ask(deps, &mut tx, caller.account_id, Task::DeleteCollection { collection_id: *id }).await?,
            );
        }
        // The job of one that another call has deleted meanwhile finds nothing to do.
        let mut job_ids = Vec::with_capacity(ids.len());
        for (id, job_id) in ids.iter().zip(asked) {
            if store::collections::mark_deleted(&mut tx, caller.account_id, *id, now).await? {
                job_ids.push(job_id);
            }
        }
        members::leave_groups(&mut tx, caller.account_id, &ids).await?;
        feed::remove_collections(&mut tx, caller.account_id, &ids).await?;
        tx.commit().await?;
        Ok::<_, Error>(job_ids)
    })
    .await?;
    deps.jobs.notify();
    if !job_ids.is_empty() {
        deps.peers.settle_edge().await;
    }
    Ok(job_ids)
}
