//! Collections as OpenAPI documents, of version 3.0.1 where that can say all, a page of endpoints at a time, from what is known of their parameters.

mod document;
mod names;
mod operation;
mod schema;
mod security;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_engine::template::SplitUrl;
use portolan_ids::{AccountId, CollectionId};

use crate::{
    Deps, Error, access, drift, endpoints,
    endpoints::proven_urls,
    export::operation::{Head, Operation},
    kept,
    model::{
        collections::Collection,
        endpoints::{RawEndpoint, variables_of},
        keys, parameters,
        parameters::RawParameter,
    },
    parameters::data_types,
    store,
};

/// Endpoints of one document, as documented.
const PAGE: usize = 100;

/// What to write.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// What is exported.
    pub collection_id: CollectionId,
    /// Also the headers of requests.
    pub include_headers: bool,
    /// URL and method where the page before ended.
    pub after: Option<(String, String)>,
    /// URL and method of the only endpoints to write; all when empty.
    pub only: HashSet<(String, String)>,
}

/// One document.
#[derive(Clone, Debug)]
pub struct Page {
    /// JSON text.
    pub document: String,
    /// URL and method of the last endpoint, when more follow.
    pub next: Option<(String, String)>,
}

/// Writes up to 100 endpoints in the order of URL and method.
///
/// # Errors
/// `COLLECTION_NOT_FOUND`, `COLLECTION_DEACTIVATED`.
pub async fn generate(deps: &Deps, caller: &Caller, selection: Selection) -> Result<Page, Error> {
    let collection = access::readable(deps, caller, selection.collection_id).await?;
    let collection = collection.ok_or(Reason::CollectionNotFound)?;
    let owned = owned_urls(deps, caller, &collection).await?;
    let mut ids: Vec<&(String, String)> = owned.keys().collect();
    ids.retain(|id| selection.only.is_empty() || selection.only.contains(id));
    if let Some(after) = &selection.after {
        ids.retain(|id| *id > after);
    }
    let more = ids.len() > PAGE;
    ids.truncate(PAGE);
    let mut by_owner: BTreeMap<CollectionId, Vec<(String, String)>> = BTreeMap::new();
    for id in &ids {
        by_owner.entry(owned[*id]).or_default().push((*id).clone());
    }
    let mut operations = Vec::new();
    for (owner, ids) in by_owner {
        operations.extend(load(deps, caller.account_id, owner, &ids).await?);
    }
    operations.sort_by(|a, b| (&a.url, &a.method).cmp(&(&b.url, &b.method)));
    let head = Head {
        title: collection.display_name(),
        version: "1.0.0".to_owned(),
        description: Some("Endpoints of the collection as observed and declared.".to_owned()),
        host_name: collection.host_name.clone(),
    };
    let document = document::write(&head, &operations, selection.include_headers);
    let next = ids.pop().filter(|_| more).cloned();
    Ok(Page { document: serde_json::to_string(&document)?, next })
}

/// URL and method of every endpoint of a collection, or of those that a group shows its reader, each with the collection
/// that has it. Of several with the same URL a document has room for one.
async fn owned_urls(
    deps: &Deps,
    caller: &Caller,
    collection: &Collection,
) -> Result<BTreeMap<(String, String), CollectionId>, Error> {
    if collection.is_group() {
        let shown = endpoints::shown_by(deps, caller, collection.id).await?;
        let owned = shown.into_iter().rev().map(|known| ((known.id.url, known.id.method), known.id.collection_id));
        return Ok(owned.collect());
    }
    let urls = proven_urls(deps, caller.account_id, collection).await?;
    Ok(urls.into_iter().map(|id| (id, collection.id)).collect())
}

async fn load(
    deps: &Deps,
    account_id: AccountId,
    collection_id: CollectionId,
    ids: &[(String, String)],
) -> Result<Vec<Operation>, Error> {
    let url_keys: Vec<String> = ids.iter().map(|(url, method)| keys::endpoint_key(method, url)).collect();
    let url_keys: Vec<&str> = url_keys.iter().map(String::as_str).collect();
    let raws = store::endpoints::by_url_keys(&deps.db, account_id, collection_id, &url_keys).await?;
    let raw_keys: Vec<&str> = raws.iter().map(|raw| raw.key.as_str()).collect();
    let mut by_raw: HashMap<String, Vec<RawParameter>> = HashMap::new();
    for row in store::parameters::by_endpoints(&deps.db, account_id, collection_id, &raw_keys).await? {
        by_raw.entry(row.endpoint_key.clone()).or_default().push(row);
    }
    let mut by_id: BTreeMap<(String, String), Vec<RawEndpoint>> = BTreeMap::new();
    for raw in raws {
        by_id.entry((raw.url.clone(), raw.method.clone())).or_default().push(raw);
    }
    let detectors = data_types::detectors_of(deps, account_id).await?;
    let operations = by_id.into_iter().map(|((url, method), raws)| {
        let rows = raws.iter().flat_map(|raw| by_raw.remove(&raw.key).unwrap_or_default()).collect();
        let parameters = parameters::merge(detectors.of(account_id), &raws, rows);
        let facts = || raws.iter().map(|raw| &raw.facts);
        let seen = facts().flat_map(|facts| facts.status_counts.keys().chain(&facts.declared_codes));
        let answered = parameters.keys().map(|key| &key.response_code);
        let response_codes = seen.chain(answered).copied().filter(|code| (100..600).contains(code)).collect();
        let declared = || facts().filter_map(|facts| facts.declaration.as_ref()).max();
        let variables = variables_of(&url, &raws);
        let written = raws.iter().filter(|raw| raw.description.is_some()).max_by_key(|raw| raw.described_at);
        Operation {
            url,
            method,
            variables,
            response_codes,
            summary: None,
            auth_sets: facts().flat_map(|facts| facts.auth_sets.iter().copied()).collect(),
            description: match written {
                Some(raw) => raw.description.clone(),
                None => declared().and_then(|declaration| declaration.description.clone()),
            },
            deprecated: declared().is_some_and(|declaration| declaration.deprecated),
            parameters,
        }
    });
    Ok(operations.collect())
}

/// Paths and methods that the specifications of a collection declare.
///
/// # Errors
/// `COLLECTION_NOT_FOUND`, `COLLECTION_DEACTIVATED`.
pub async fn declared_methods(
    deps: &Deps,
    caller: &Caller,
    collection_id: CollectionId,
) -> Result<BTreeMap<String, BTreeSet<String>>, Error> {
    let collection = access::readable(deps, caller, collection_id).await?.ok_or(Reason::CollectionNotFound)?;
    let mut methods: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut operations = drift::current_operations(deps, caller.account_id, collection.id).await?;
    operations
        .extend(kept::of(deps, caller.account_id, collection.id).await?.into_iter().flat_map(|kept| kept.operations));
    for operation in operations {
        let path = &operation.url[SplitUrl::new(&operation.url).origin.len()..];
        methods.entry(path.to_owned()).or_default().insert(operation.method);
    }
    Ok(methods)
}

/// The document of all endpoints that the specifications of a collection declare, as the inventory knows them.
///
/// # Errors
/// `OPENAPI_SCHEMA_NOT_FOUND`, `COLLECTION_DEACTIVATED`.
pub async fn declared_document(deps: &Deps, caller: &Caller, collection_id: CollectionId) -> Result<String, Error> {
    let missing = || portolan_api::Error::new(Reason::OpenapiSchemaNotFound).with("id", collection_id);
    let collection = access::readable(deps, caller, collection_id).await?.ok_or_else(missing)?;
    // Of several specifications the newest counts, of one second that which was ingested; the kept one is returned as it is.
    let newest = store::specifications::list(&deps.db, caller.account_id, collection.id).await?.into_iter().next();
    let declared_at = newest.as_ref().map_or(i64::MIN, |row| row.declared_at);
    if let Some(kept) = kept::of(deps, caller.account_id, collection.id).await?
        && kept.updated_at > declared_at
    {
        return Ok(kept.document);
    }
    let declared = drift::current_operations(deps, caller.account_id, collection.id).await?;
    if declared.is_empty() {
        return Err(missing().into());
    }
    let keys: HashSet<String> = declared.into_iter().map(|operation| operation.key).collect();
    let mut ids = BTreeSet::new();
    let mut tx = deps.db.begin_read().await?;
    for raw in store::endpoints::list(&mut tx, caller.account_id, collection.id).await? {
        if keys.contains(&raw.key) {
            ids.insert((raw.url, raw.method));
        }
    }
    tx.rollback().await?;
    let ids: Vec<(String, String)> = ids.into_iter().collect();
    let mut operations = load(deps, caller.account_id, collection.id, &ids).await?;
    for operation in &mut operations {
        operation.summary = operation.description.take();
    }
    let (title, version) = newest.map(|row| (row.title, row.version)).unwrap_or_default();
    let head = Head {
        title: if title.is_empty() { collection.display_name() } else { title },
        version: if version.is_empty() { "1.0.0".to_owned() } else { version },
        description: None,
        host_name: collection.host_name.clone(),
    };
    Ok(serde_json::to_string(&document::write(&head, &operations, true))?)
}
