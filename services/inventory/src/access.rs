//! Which collections a caller sees, and what is answered for the others.

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_ids::CollectionId;

use crate::{
    Deps, Error,
    defaults::ensure_default,
    model::{
        collections::{Collection, DEFAULT_ID, sees},
        endpoints::EndpointId,
    },
    store,
    view::View,
};

/// The collection, when the caller may see it.
pub async fn find(deps: &Deps, caller: &Caller, collection_id: CollectionId) -> Result<Option<Collection>, Error> {
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
pub async fn readable(deps: &Deps, caller: &Caller, collection_id: CollectionId) -> Result<Option<Collection>, Error> {
    match find(deps, caller, collection_id).await? {
        Some(collection) if collection.deactivated => Err(Reason::CollectionDeactivated.into()),
        found => Ok(found),
    }
}

/// The collection that owns an endpoint, and the endpoint by its id, for a read of its data. A group stands for the
/// collections whose endpoints it shows, as far as the caller reads them.
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
    let url_key = id.url_key();
    let owners = match readable(deps, caller, id.collection_id).await? {
        Some(collection) if !collection.is_group() => return Ok(vec![(collection, id.clone())]),
        Some(group) => store::groups::owners(&deps.db, caller.account_id, group.id, &url_key).await?,
        // One of a collection that is not on the list may be granted by a group that is.
        None if caller.grant.collections().is_some() => vec![id.collection_id],
        None => return Ok(Vec::new()),
    };
    // Whoever sees every collection needs no more than the owners themselves.
    let view = match caller.grant.collections() {
        Some(_) => Some(View::of(deps, caller).await?),
        None => None,
    };
    let mut found = Vec::new();
    for owner in owners {
        let Some(owner) = store::collections::get(&deps.db, caller.account_id, owner).await? else { continue };
        let is_shown = match &view {
            Some(view) => view.shows_key(owner.id, &url_key),
            None => sees(caller, &owner) && !owner.deactivated,
        };
        if is_shown {
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
pub async fn writable(deps: &Deps, caller: &Caller, collection_id: CollectionId) -> Result<Collection, Error> {
    find(deps, caller, collection_id).await?.ok_or_else(|| Reason::CollectionNotFound.into())
}
