//! Changes of collections that leave their endpoints alone: name, tags, test scope, activation.

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_ids::{AccountId, CollectionId, JobId};
use portolan_store::retrying;

use crate::{
    Deps, Error, access,
    collections::list,
    feed, jobs,
    model::{
        collections::{Collection, CollectionName, IDS_MAX},
        jobs::Task,
    },
    reservations,
    reservations::Wanted,
    store,
};

/// Gives a collection another name.
///
/// # Errors
/// `COLLECTION_NOT_FOUND`, `COLLECTION_OF_TRAFFIC`, `COLLECTION_NAME_TAKEN`.
pub async fn rename(
    deps: &Deps,
    caller: &Caller,
    collection_id: CollectionId,
    name: CollectionName,
) -> Result<(), Error> {
    let collection = access::writable(deps, caller, collection_id).await?;
    if collection.host_name.is_some() {
        return Err(Reason::CollectionOfTraffic.into());
    }
    let (account_id, key) = (caller.account_id, name.key());
    let renamed = async || store::collections::rename(&deps.db, account_id, collection_id, name.as_str(), &key).await;
    match retrying(renamed).await {
        Ok(true) => Ok(()),
        // Two requests raced for the name.
        Ok(false) | Err(portolan_store::Error::UniqueViolation { .. }) => Err(Reason::CollectionNameTaken.into()),
        Err(error) => Err(error.into()),
    }
}

/// Those of the ids that the caller sees, in order.
pub(crate) async fn visible(
    deps: &Deps,
    caller: &Caller,
    mut ids: Vec<CollectionId>,
) -> Result<Vec<CollectionId>, Error> {
    if ids.len() > IDS_MAX {
        return Err(portolan_api::Error::new(Reason::TooManyIds).with("limit", IDS_MAX).into());
    }
    ids.sort_unstable();
    ids.dedup();
    let known = list(deps, caller).await?;
    ids.retain(|id| known.binary_search_by_key(id, |collection| collection.id).is_ok());
    Ok(ids)
}

/// Takes collections out of the scope of tests, or back into it.
///
/// # Errors
/// `COLLECTIONS_REQUIRED`, `TOO_MANY_IDS`, `COLLECTIONS_NOT_ACCESSIBLE`.
pub async fn update_test_scope(
    deps: &Deps,
    caller: &Caller,
    ids: Vec<CollectionId>,
    is_out: bool,
) -> Result<(), Error> {
    if ids.is_empty() {
        return Err(Reason::CollectionsRequired.into());
    }
    let ids = visible(deps, caller, ids).await?;
    if ids.is_empty() {
        return Err(Reason::CollectionsNotAccessible.into());
    }
    retrying(|| async {
        let mut tx = deps.db.begin().await?;
        for id in &ids {
            store::collections::update_test_scope(&mut tx, caller.account_id, *id, is_out).await?;
        }
        tx.commit().await?;
        Ok::<_, Error>(())
    })
    .await
}

/// Reserves room in the plan for the endpoints of the deactivated ones among these collections; `None` when there are
/// none.
async fn reserve_activation(deps: &Deps, account_id: AccountId, ids: &[CollectionId]) -> Result<Option<String>, Error> {
    let mut endpoints = 0;
    for id in ids {
        let found = store::collections::get(&deps.db, account_id, *id).await?;
        // Groups hold endpoints of others, which count there.
        let waiting = found.filter(|collection| collection.deactivated && collection.kind.is_none());
        endpoints += waiting.map_or(0, |collection| collection.endpoint_count);
    }
    if endpoints == 0 {
        return Ok(None);
    }
    let reservation_id = format!("activation/{}", uuid::Uuid::new_v4());
    match reservations::reserve(deps, account_id, &reservation_id, Wanted::Waiting(endpoints)).await {
        Err(error) if error.reason() == Some(Reason::FeatureLimitExceeded) => Err(Reason::ActivationOverLimit.into()),
        outcome => outcome.map(|()| Some(reservation_id)),
    }
}

/// Deactivates or activates those of the collections that are not so yet. Returns them, and the jobs by which groups
/// follow.
///
/// # Errors
/// `TOO_MANY_IDS`; of an activation also `ACTIVATION_OVER_LIMIT`, `FEATURE_NOT_IN_PLAN`, and `UNAVAILABLE` when the plan
/// is not known.
pub async fn update_deactivated(
    deps: &Deps,
    caller: &Caller,
    ids: Vec<CollectionId>,
    is_deactivated: bool,
) -> Result<(Vec<Collection>, Vec<JobId>), Error> {
    let ids = visible(deps, caller, ids).await?;
    let reservation = if is_deactivated { None } else { reserve_activation(deps, caller.account_id, &ids).await? };
    let (changed, job_ids) = retrying(|| async {
        let mut tx = deps.db.begin().await?;
        // From the commit on the endpoints count themselves.
        if let Some(reservation_id) = &reservation {
            store::reservations::delete(&mut tx, reservation_id).await?;
        }
        let mut asked = Vec::new();
        for id in &ids {
            let known = store::collections::get_in(&mut tx, caller.account_id, *id).await?;
            if known.is_some_and(|known| known.deactivated != is_deactivated) {
                let task = Task::groups_of(*id);
                asked.push((*id, jobs::ask(deps, &mut tx, caller.account_id, task).await?));
            }
        }
        let (mut changed, mut job_ids) = (Vec::new(), Vec::new());
        for (id, job_id) in asked {
            if store::collections::update_deactivated(&mut tx, caller.account_id, id, is_deactivated).await? {
                job_ids.push(job_id);
                changed.extend(store::collections::get_in(&mut tx, caller.account_id, id).await?);
            }
        }
        let changed_ids: Vec<CollectionId> = changed.iter().map(|collection: &Collection| collection.id).collect();
        feed::touch_collections(&mut tx, caller.account_id, &changed_ids).await?;
        tx.commit().await?;
        Ok::<_, Error>((changed, job_ids))
    })
    .await?;
    if !changed.is_empty() {
        deps.peers.settle_edge().await;
    }
    Ok((changed, job_ids))
}
