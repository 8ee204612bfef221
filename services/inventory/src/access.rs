//! Which collections a caller sees, and what is answered for the others.

use portolan_api::Reason;
use portolan_authz::Caller;

use crate::collections::{Collection, DEFAULT_ID, ensure_default};
use crate::{Deps, Error, store};

/// Whether the collection stands in the caller's list.
pub fn sees(caller: &Caller, collection: &Collection) -> bool {
    !collection.deleted && caller.grant.sees(collection.id) && collection.in_scope(caller.scope)
}

/// The collection, when the caller may see it.
pub async fn find(deps: &Deps, caller: &Caller, collection_id: i32) -> Result<Option<Collection>, Error> {
    if collection_id == DEFAULT_ID {
        ensure_default(deps, caller.account_id).await?;
    }
    let collection = store::collections::get(&deps.db, caller.account_id, collection_id).await?;
    Ok(collection.filter(|collection| sees(caller, collection)))
}

/// The collection for a read of its data.
///
/// # Errors
/// `COLLECTION_DEACTIVATED`.
pub async fn readable(deps: &Deps, caller: &Caller, collection_id: i32) -> Result<Option<Collection>, Error> {
    match find(deps, caller, collection_id).await? {
        Some(collection) if collection.deactivated => Err(Reason::CollectionDeactivated.into()),
        found => Ok(found),
    }
}

/// The collection for a write.
///
/// # Errors
/// `COLLECTION_NOT_FOUND`.
pub async fn writable(deps: &Deps, caller: &Caller, collection_id: i32) -> Result<Collection, Error> {
    find(deps, caller, collection_id).await?.ok_or_else(|| Reason::CollectionNotFound.into())
}
