//! Deletion of single endpoints.

use std::collections::{BTreeMap, BTreeSet};

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_ids::CollectionId;
use portolan_outbox::Change;
use portolan_store::retrying;
use serde_json::json;

use crate::{
    Deps, Error,
    collections::list,
    copies,
    model::{conditions::ENDPOINTS_MAX, endpoints::EndpointId, text::too_long},
    store,
    writer::{Changed, note_changes, retemplate},
};

/// Deletes endpoints with everything that was seen of them. Those that the caller cannot see are passed over.
///
/// # Errors
/// `ENDPOINTS_REQUIRED`, `LIST_TOO_LONG`.
pub async fn delete(deps: &Deps, caller: &Caller, endpoints: Vec<EndpointId>) -> Result<(), Error> {
    if endpoints.is_empty() {
        return Err(Reason::EndpointsRequired.into());
    }
    if endpoints.len() > ENDPOINTS_MAX {
        return Err(too_long("apiList", ENDPOINTS_MAX).into());
    }
    let visible = list(deps, caller).await?;
    let mut by_collection: BTreeMap<CollectionId, BTreeSet<String>> = BTreeMap::new();
    for id in &endpoints {
        if visible.binary_search_by_key(&id.collection_id, |known| known.id).is_ok() {
            by_collection.entry(id.collection_id).or_default().insert(id.url_key());
        }
    }
    for (collection_id, url_keys) in by_collection {
        retrying(|| delete_of(deps, caller, collection_id, &url_keys)).await?;
    }
    // Where a long read keeps a log, the request fails and its repetition empties it: the deletion ends here.
    copies::remove(deps).await?;
    Ok(())
}

async fn delete_of(
    deps: &Deps,
    caller: &Caller,
    collection_id: CollectionId,
    url_keys: &BTreeSet<String>,
) -> Result<(), Error> {
    let account_id = caller.account_id;
    let mut tx = deps.db.begin().await?;
    let held = store::collections::lock(&mut tx, account_id, collection_id).await?;
    if held.is_none_or(|held| held.deleted || held.is_group) {
        return Ok(());
    }
    let texts: Vec<&str> = url_keys.iter().map(String::as_str).collect();
    let raws = store::endpoints::by_url_keys_in(&mut tx, account_id, collection_id, &texts).await?;
    if raws.is_empty() {
        return Ok(());
    }
    let raw_keys: Vec<&str> = raws.iter().map(|raw| raw.key.as_str()).collect();
    store::parameters::delete(&mut tx, account_id, collection_id, &raw_keys).await?;
    store::samples::delete(&mut tx, account_id, collection_id, &raw_keys).await?;
    store::endpoints::delete(&mut tx, account_id, collection_id, &raw_keys).await?;
    store::belongings::delete_of_endpoints(&mut tx, account_id, collection_id, &texts, &raw_keys).await?;
    let mut changed = Changed { url_keys: url_keys.clone(), ..Changed::default() };
    retemplate(&mut tx, account_id, collection_id, &mut changed).await?;
    store::collections::recount(&mut tx, account_id, collection_id).await?;
    let names: BTreeSet<String> = raws.iter().map(|raw| format!("{} {}", raw.method, raw.url)).collect();
    let change = Change::of("collection", collection_id).before(&json!({ "endpoints": names }));
    portolan_outbox::audit(&mut tx, caller, change).await?;
    note_changes(&mut tx, &BTreeMap::from([((account_id, collection_id), changed)])).await?;
    tx.commit().await?;
    Ok(())
}
