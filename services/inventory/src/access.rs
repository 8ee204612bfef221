//! Which collections a caller sees, and what is answered for the others.

use portolan_api::Reason;
use portolan_authz::Caller;

use crate::collections::{Collection, DEFAULT_ID, ensure_default};
use crate::endpoints::EndpointId;
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

/// The collection that owns an endpoint, and the endpoint by its id, for a read of its data. A group stands for the
/// collections whose endpoints it shows: who may see the group may see them.
///
/// # Errors
/// `COLLECTION_DEACTIVATED`.
pub async fn readable_endpoint(
    deps: &Deps,
    caller: &Caller,
    id: &EndpointId,
) -> Result<Option<(Collection, EndpointId)>, Error> {
    Ok(readable_endpoints(deps, caller, id).await?.into_iter().next())
}

/// As [`readable_endpoint`], every endpoint that the id stands for: a group may show the same URL of several collections.
///
/// # Errors
/// `COLLECTION_DEACTIVATED`.
pub async fn readable_endpoints(
    deps: &Deps,
    caller: &Caller,
    id: &EndpointId,
) -> Result<Vec<(Collection, EndpointId)>, Error> {
    let Some(collection) = readable(deps, caller, id.collection_id).await? else { return Ok(Vec::new()) };
    if !collection.is_group() {
        return Ok(vec![(collection, id.clone())]);
    }
    let mut found = Vec::new();
    for owner in store::groups::owners(&deps.db, caller.account_id, collection.id, &id.url_key()).await? {
        let owner = store::collections::get(&deps.db, caller.account_id, owner).await?;
        let shown = |owner: &Collection| !owner.deleted && !owner.deactivated && owner.in_scope(caller.scope);
        if let Some(owner) = owner.filter(shown) {
            let id = EndpointId { collection_id: owner.id, ..id.clone() };
            found.push((owner, id));
        }
    }
    Ok(found)
}

/// The collection for a write.
///
/// # Errors
/// `COLLECTION_NOT_FOUND`.
pub async fn writable(deps: &Deps, caller: &Caller, collection_id: i32) -> Result<Collection, Error> {
    find(deps, caller, collection_id).await?.ok_or_else(|| Reason::CollectionNotFound.into())
}

/// The collections whose data the caller may read, by id.
pub async fn active(deps: &Deps, caller: &Caller) -> Result<Vec<Collection>, Error> {
    let mut visible = crate::collections::list(deps, caller).await?;
    visible.retain(|collection| !collection.deactivated);
    Ok(visible)
}
