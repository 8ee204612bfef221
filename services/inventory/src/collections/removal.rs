//! The job that removes what a deleted collection held.

use portolan_ids::{AccountId, CollectionId};
use portolan_jobs::Portion;
use portolan_store::Tx;

use crate::{
    Error,
    model::jobs::{Cursor, Step, next, over},
    store,
};

/// Endpoints removed in one transaction: short enough that other writers do not wait for it.
const ENDPOINTS_PER_STEP: usize = 200;
/// Memberships removed in one transaction.
const MEMBERS_PER_STEP: usize = 2_000;

/// Removes some endpoints of a deleted collection with what belongs to them, or some members of a deleted group.
pub(crate) async fn step(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    cursor: &Cursor,
    portion: Portion,
) -> Result<Step, Error> {
    if *cursor == Cursor::Others {
        return Ok(over(0));
    }
    if store::groups::delete_some_members(tx, account_id, collection_id, portion.limit(MEMBERS_PER_STEP)).await? > 0 {
        return Ok(next(Cursor::Start, 0));
    }
    let keys = store::endpoints::some_keys(tx, account_id, collection_id, portion.limit(ENDPOINTS_PER_STEP)).await?;
    if keys.is_empty() {
        store::belongings::delete_of_collection(tx, account_id, collection_id).await?;
        return Ok(next(Cursor::Others, 0));
    }
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    store::parameters::delete(tx, account_id, collection_id, &keys).await?;
    store::samples::delete(tx, account_id, collection_id, &keys).await?;
    store::endpoints::delete(tx, account_id, collection_id, &keys).await?;
    store::belongings::delete_stats(tx, account_id, collection_id, &keys).await?;
    Ok(next(Cursor::Start, keys.len()))
}
