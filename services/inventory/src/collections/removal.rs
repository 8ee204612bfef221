//! The job that removes what a deleted collection held.

use portolan_store::Tx;

use crate::{
    Deps, Error,
    model::jobs::{Job, Step},
    peers, store,
};

/// Endpoints removed in one transaction: short enough that other writers do not wait for it.
const ENDPOINTS_PER_STEP: i64 = 200;

/// Memberships removed in one transaction.
const MEMBERS_PER_STEP: i64 = 2_000;

/// The place at which only other services are left.
pub(crate) const OTHERS: &str = "others";

/// Has other services forget the collection. It bears being done twice.
pub(crate) async fn tell_others(deps: &Deps, job: &Job) -> Result<(), Error> {
    Ok(peers::forget_collection(&deps.peers, job.account_id, job.collection_id).await?)
}

/// Removes some endpoints of a deleted collection with what belongs to them, or some members of a deleted group.
pub(crate) async fn step(tx: &mut Tx, job: &Job) -> Result<Step, Error> {
    let (account_id, collection_id) = (job.account_id, job.collection_id);
    if job.place == OTHERS {
        return Ok(Step::Over { done: 0 });
    }
    if store::groups::delete_some_members(tx, account_id, collection_id, MEMBERS_PER_STEP).await? > 0 {
        return Ok(Step::To { place: String::new(), done: 0 });
    }
    let keys = store::endpoints::some_keys(tx, account_id, collection_id, ENDPOINTS_PER_STEP).await?;
    if keys.is_empty() {
        store::belongings::delete_of_collection(tx, account_id, collection_id).await?;
        return Ok(Step::To { place: OTHERS.to_owned(), done: 0 });
    }
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    store::parameters::delete(tx, account_id, collection_id, &keys).await?;
    store::samples::delete(tx, account_id, collection_id, &keys).await?;
    store::endpoints::delete(tx, account_id, collection_id, &keys).await?;
    store::belongings::delete_stats(tx, account_id, collection_id, &keys).await?;
    Ok(Step::To { place: String::new(), done: i64::try_from(keys.len()).unwrap_or(i64::MAX) })
}
