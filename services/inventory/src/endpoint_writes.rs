//! Deletion of single endpoints.

use std::collections::{BTreeMap, BTreeSet};

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_engine::Method;
use portolan_engine::template::{Catalog, RawEndpoint as CatalogEntry};
use portolan_outbox::Change;
use portolan_store::{Tx, retrying};
use serde_json::json;

use crate::collections::list;
use crate::endpoints::EndpointId;
use crate::groups::conditions::{ENDPOINTS_MAX, too_long};
use crate::ingest::write::{Changed, note_changes};
use crate::{Deps, Error, keys, store};

/// Rows read at once while a collection is looked through.
const PAGE: i64 = 2_000;

/// Deletes endpoints with everything that was seen of them. Those that the caller cannot see are passed over.
///
/// # Errors
/// `ENDPOINTS_REQUIRED`, `LIST_TOO_LONG`.
pub async fn delete(deps: &Deps, caller: &Caller, endpoints: Vec<EndpointId>) -> Result<(), Error> {
    if endpoints.is_empty() {
        return Err(Reason::EndpointsRequired.into());
    }
    if endpoints.len() > ENDPOINTS_MAX {
        return Err(too_long("apiList", ENDPOINTS_MAX));
    }
    let visible = list(deps, caller).await?;
    let mut by_collection: BTreeMap<i32, BTreeSet<String>> = BTreeMap::new();
    for id in &endpoints {
        if visible.binary_search_by_key(&id.collection_id, |known| known.id).is_ok() {
            by_collection.entry(id.collection_id).or_default().insert(id.url_key());
        }
    }
    for (collection_id, url_keys) in by_collection {
        retrying(|| delete_of(deps, caller, collection_id, &url_keys)).await?;
    }
    Ok(())
}

async fn delete_of(deps: &Deps, caller: &Caller, collection_id: i32, url_keys: &BTreeSet<String>) -> Result<(), Error> {
    let account_id = caller.account_id;
    let mut tx = deps.db.begin().await?;
    let held = store::collections::lock(&mut tx, account_id, i64::from(collection_id)).await?;
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
    store::collection_writes::recount(&mut tx, account_id, collection_id).await?;
    let names: BTreeSet<String> = raws.iter().map(|raw| format!("{} {}", raw.method, raw.url)).collect();
    let change = Change::of("collection", collection_id).before(&json!({ "endpoints": names }));
    portolan_outbox::audit(&mut tx, caller, change).await?;
    note_changes(&mut tx, &BTreeMap::from([((account_id, collection_id), changed)])).await?;
    tx.commit().await?;
    Ok(())
}

/// Gives every raw URL of a collection that the transaction holds the effective URL that follows from what is stored,
/// and answers the catalog of it.
pub(crate) async fn retemplate(
    tx: &mut Tx,
    account_id: i64,
    collection_id: i32,
    changed: &mut Changed,
) -> Result<Catalog, Error> {
    let mut catalog = Catalog::default();
    let mut places: Vec<(Method, String, String, String)> = Vec::new();
    let mut after = String::new();
    loop {
        let page = store::endpoints::page(tx, account_id, collection_id, &after, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after.clone_from(&last.key);
        for (raw, bodies) in page {
            let method = Method::parse(&raw.method);
            catalog.update(&CatalogEntry {
                method,
                pinned: raw.facts.declared,
                addresses: raw.facts.addresses,
                proven: raw.proven,
                never_merge: raw.facts.never_merge,
                url: raw.raw_url.clone(),
                bodies,
            });
            places.push((method, raw.key, raw.raw_url, raw.url));
        }
    }
    for (method, key, raw_url, url) in places {
        let effective = catalog.effective(method, &raw_url).unwrap_or(raw_url);
        if effective != url {
            store::endpoints::update_url(tx, account_id, collection_id, &key, method.name(), &effective).await?;
            changed.url_keys.insert(keys::endpoint_key(method.name(), &url));
            changed.url_keys.insert(keys::endpoint_key(method.name(), &effective));
        }
    }
    Ok(catalog)
}
