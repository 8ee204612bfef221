mod deletion;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

pub use deletion::delete;
use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_ids::{AccountId, CollectionId};
use portolan_runtime::now_s;
use portolan_store::retrying;

use crate::{
    Deps, Error, access,
    model::{
        collections::{Collection, NO_COLLECTION},
        endpoints::{Endpoint, EndpointId, RawEndpoint, grouped, severity_weight},
        keys, text,
    },
    store,
    view::{Part, View},
};

/// Collections of one request whose endpoints are listed; further ids are passed over, as documented.
const COLLECTIONS_MAX: usize = 300;

/// Of more endpoints of one collection, all are read at once instead of each by its URL.
const LOOKED_UP_MAX: usize = 2_000;

/// The endpoints of a collection by URL and method, and whether the collection is redacted. An unknown collection has
/// none.
///
/// # Errors
/// `COLLECTION_DEACTIVATED`.
pub async fn list(deps: &Deps, caller: &Caller, collection_id: CollectionId) -> Result<(bool, Vec<Endpoint>), Error> {
    match access::readable(deps, caller, collection_id).await? {
        Some(group) if group.is_group() => Ok((group.redacted, shown_by(deps, caller, group.id).await?)),
        Some(collection) => Ok((collection.redacted, list_of(deps, caller, collection.id).await?)),
        None => Ok((false, Vec::new())),
    }
}

/// The endpoints of several collections, at most 300; those that the caller cannot read are passed over.
pub async fn list_many(
    deps: &Deps,
    caller: &Caller,
    collection_ids: Vec<CollectionId>,
) -> Result<BTreeMap<CollectionId, Vec<Endpoint>>, Error> {
    let mut lists = BTreeMap::new();
    for id in collection_ids.into_iter().take(COLLECTIONS_MAX) {
        let found = access::find(deps, caller, id).await?;
        if let Some(found) = found.filter(|found| !found.deactivated && !lists.contains_key(&id)) {
            let list = match found.is_group() {
                true => shown_by(deps, caller, id).await?,
                false => list_of(deps, caller, id).await?,
            };
            lists.insert(id, list);
        }
    }
    Ok(lists)
}

async fn list_of(deps: &Deps, caller: &Caller, collection_id: CollectionId) -> Result<Vec<Endpoint>, Error> {
    let account_id = caller.account_id;
    let mut tx = deps.db.begin_read().await?;
    let rows = store::endpoints::list(&mut tx, account_id, collection_id).await?;
    let sensitive = store::parameters::sensitive_endpoints(&mut tx, account_id, collection_id).await?;
    tx.rollback().await?;
    assemble(deps, caller, collection_id, rows, &sensitive).await
}

/// The endpoints of a plain collection that a caller reads.
pub(crate) async fn of_collection(
    deps: &Deps,
    caller: &Caller,
    collection_id: CollectionId,
    part: Part<'_>,
) -> Result<Vec<Endpoint>, Error> {
    let mut list = list_of(deps, caller, collection_id).await?;
    if let Part::Some(url_keys) = part {
        list.retain(|endpoint| url_keys.contains(&endpoint.id.url_key()));
    }
    Ok(list)
}

/// The endpoints of a collection with these effective URLs, by URL and method.
pub(crate) async fn of_urls(
    deps: &Deps,
    caller: &Caller,
    collection_id: CollectionId,
    url_keys: &[&str],
) -> Result<Vec<Endpoint>, Error> {
    let account_id = caller.account_id;
    let mut tx = deps.db.begin_read().await?;
    let rows = store::endpoints::by_url_keys_in(&mut tx, account_id, collection_id, url_keys).await?;
    let keys: Vec<&str> = rows.iter().map(|raw| raw.key.as_str()).collect();
    let sensitive = store::parameters::sensitive_among(&mut tx, account_id, collection_id, &keys).await?;
    tx.rollback().await?;
    assemble(deps, caller, collection_id, rows, &sensitive).await
}

/// Raw rows as endpoints, with what users and groups say of them.
async fn assemble(
    deps: &Deps,
    caller: &Caller,
    collection_id: CollectionId,
    rows: Vec<RawEndpoint>,
    sensitive: &HashSet<String>,
) -> Result<Vec<Endpoint>, Error> {
    let account_id = caller.account_id;
    let marked = marked_urls(deps, account_id, collection_id).await?;
    let now = now_s();
    let groups = grouped(rows);
    let endpoints = groups.values().filter_map(|raws| {
        let is_marked =
            |raw: &RawEndpoint| !marked.is_empty() && marked.contains(&keys::endpoint_key(&raw.method, &raw.url));
        let is_sensitive = raws.iter().any(|raw| sensitive.contains(&raw.key)) || raws.first().is_some_and(is_marked);
        Endpoint::of(collection_id, raws, is_sensitive, now)
    });
    let mut endpoints: Vec<Endpoint> = endpoints.collect();
    let tested: HashMap<_, _> = store::issues::tested(&deps.db, account_id, collection_id).await?.into_iter().collect();
    if !tested.is_empty() {
        let mut scores: HashMap<String, f64> = HashMap::new();
        for (key, severity, count) in store::issues::severities(&deps.db, account_id, collection_id).await? {
            *scores.entry(key).or_default() += severity_weight(&severity) * count as f64;
        }
        for endpoint in &mut endpoints {
            let key = endpoint.id.url_key();
            if let Some(last_tested) = tested.get(&key) {
                endpoint.note_tests(*last_tested, scores.get(&key).copied().unwrap_or_default());
            }
        }
    }
    let mut showing = store::groups::by_collection(&deps.db, account_id, collection_id).await?;
    if !showing.is_empty() {
        for endpoint in &mut endpoints {
            let group_ids = showing.remove(&endpoint.id.url_key()).unwrap_or_default();
            endpoint.group_ids = group_ids.into_iter().filter(|id| caller.grant.sees(*id)).collect();
        }
    }
    Ok(endpoints)
}

/// The endpoints that a group shows its reader, by collection, URL and method.
pub(crate) async fn shown_by(deps: &Deps, caller: &Caller, group_id: CollectionId) -> Result<Vec<Endpoint>, Error> {
    let view = View::of(deps, caller).await?;
    let mut found = Vec::new();
    for (collection_id, url_keys) in view.of_group(deps, caller.account_id, group_id).await? {
        if url_keys.len() <= LOOKED_UP_MAX {
            let url_keys: Vec<&str> = url_keys.iter().map(String::as_str).collect();
            found.extend(of_urls(deps, caller, collection_id, &url_keys).await?);
            continue;
        }
        let shown: BTreeSet<String> = url_keys.into_iter().collect();
        let all = list_of(deps, caller, collection_id).await?;
        found.extend(all.into_iter().filter(|endpoint| shown.contains(&endpoint.id.url_key())));
    }
    Ok(found)
}

/// The keys of the effective URLs with a parameter that a user marked as sensitive.
async fn marked_urls(
    deps: &Deps,
    account_id: AccountId,
    collection_id: CollectionId,
) -> Result<HashSet<String>, Error> {
    let marked = store::markings::of_collection(&deps.db, account_id, collection_id).await?;
    Ok(marked.into_iter().filter(|marked| marked.sensitive).map(|marked| marked.url_key).collect())
}

/// The URLs and methods of a collection in order, after the first `skip`.
///
/// # Errors
/// `COLLECTION_ID_REQUIRED`, `COLLECTION_NOT_FOUND`, `COLLECTION_DEACTIVATED`.
pub async fn list_keys(
    deps: &Deps,
    caller: &Caller,
    collection_id: CollectionId,
    skip: usize,
) -> Result<Vec<EndpointId>, Error> {
    if collection_id == NO_COLLECTION {
        return Err(Reason::CollectionIdRequired.into());
    }
    let collection = access::readable(deps, caller, collection_id).await?.ok_or(Reason::CollectionNotFound)?;
    if collection.is_group() {
        let shown = shown_by(deps, caller, collection.id).await?;
        return Ok(shown.into_iter().skip(skip).map(|endpoint| endpoint.id).collect());
    }
    let urls = proven_urls(deps, caller.account_id, &collection).await?;
    let ids = urls.into_iter().skip(skip);
    Ok(ids.map(|(url, method)| EndpointId { collection_id, url, method }).collect())
}

/// Effective URL and method of every endpoint, in order.
pub(crate) async fn proven_urls(
    deps: &Deps,
    account_id: AccountId,
    collection: &Collection,
) -> Result<Vec<(String, String)>, Error> {
    let mut urls = store::endpoints::proven_urls(&deps.db, account_id, collection.id).await?;
    urls.sort_unstable();
    Ok(urls)
}

/// One endpoint. A URL that is not found is tried without its leading slash.
pub async fn get(deps: &Deps, caller: &Caller, id: &EndpointId) -> Result<Option<Endpoint>, Error> {
    let without_slash = || Some(EndpointId { url: id.url.strip_prefix('/')?.to_owned(), ..id.clone() });
    let mut found = access::readable_endpoint(deps, caller, id).await?;
    if found.is_none()
        && let Some(id) = without_slash()
    {
        found = access::readable_endpoint(deps, caller, &id).await?;
    }
    let Some((collection, owned)) = found else { return Ok(None) };
    let mut raws = raws_of(deps, caller.account_id, &owned).await?;
    if raws.is_empty()
        && let Some(id) = without_slash()
    {
        let id = EndpointId { collection_id: collection.id, ..id };
        raws = raws_of(deps, caller.account_id, &id).await?;
    }
    let keys: Vec<&str> = raws.iter().map(|raw| raw.key.as_str()).collect();
    let is_marked = match raws.first() {
        Some(raw) => marked_urls(deps, caller.account_id, collection.id)
            .await?
            .contains(&keys::endpoint_key(&raw.method, &raw.url)),
        None => false,
    };
    let is_sensitive =
        is_marked || store::parameters::any_sensitive(&deps.db, caller.account_id, collection.id, &keys).await?;
    let mut endpoint = Endpoint::of(collection.id, &raws, is_sensitive, now_s());
    if let Some(endpoint) = &mut endpoint {
        let url_key = endpoint.id.url_key();
        endpoint.group_ids = store::groups::showing(&deps.db, caller.account_id, collection.id, &url_key).await?;
        endpoint.group_ids.retain(|id| caller.grant.sees(*id));
    }
    Ok(endpoint)
}

/// The raw rows of an effective URL, by raw URL.
pub(crate) async fn raws_of(deps: &Deps, account_id: AccountId, id: &EndpointId) -> Result<Vec<RawEndpoint>, Error> {
    Ok(store::endpoints::by_url_key(&deps.db, account_id, id.collection_id, &id.url_key()).await?)
}

/// Sets the description of an endpoint, also the empty one; an endpoint that does not exist stays so.
///
/// # Errors
/// `DESCRIPTION_REQUIRED`, `TEXT_TOO_LONG`, `TEXT_HAS_NUL`, `COLLECTION_NOT_FOUND`.
pub async fn update_description(
    deps: &Deps,
    caller: &Caller,
    id: &EndpointId,
    description: Option<String>,
) -> Result<(), Error> {
    let description = text::description(description)?;
    access::writable(deps, caller, id.collection_id).await?;
    let (key, now) = (id.url_key(), now_s());
    let account_id = caller.account_id;
    retrying(|| store::endpoints::update_description(&deps.db, account_id, id.collection_id, &key, &description, now))
        .await?;
    Ok(())
}
