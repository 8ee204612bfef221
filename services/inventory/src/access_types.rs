//! Access types: who reaches an endpoint, by the addresses of its calls and the account's ranges. Ingest notes them; the
//! jobs here decide them anew after the ranges have changed, and derive those of collections.

use std::collections::{BTreeMap, BTreeSet};

use portolan_authz::Caller;
use portolan_engine::{AccessPolicy, AccessType, Method};
use portolan_ids::{AccountId, CollectionId, JobId};
use portolan_jobs::Portion;
use portolan_record::Record;
use portolan_store::{Tx, retrying};

use crate::{
    Deps, Error, jobs, members,
    model::{
        collections::IDS_MAX,
        endpoints::{EndpointId, RawEndpoint},
        jobs::{Cursor, Step, Task, WalkPoint, next, over},
        keys,
        text::too_long,
    },
    store,
    view::View,
};

/// Raw endpoints that a job looks at in one transaction.
const ENDPOINTS_PER_STEP: usize = 200;

/// Rows of one answer, as documented.
const LISTED_MAX: usize = 2_000;

/// Collections asked for at once.
const COLLECTIONS_PER_QUERY: usize = 128;

/// Has the access types of all endpoints decided anew; answers the job's id. A request that comes while the job runs
/// makes it start again.
pub async fn apply(deps: &Deps, caller: &Caller) -> Result<JobId, Error> {
    start(deps, caller.account_id, Task::ApplyAccessTypes).await
}

/// Has the access type of every collection derived from its endpoints; answers the job's id.
pub async fn reset_collections(deps: &Deps, caller: &Caller) -> Result<JobId, Error> {
    start(deps, caller.account_id, Task::ResetCollectionAccessTypes).await
}

async fn start(deps: &Deps, account_id: AccountId, task: Task) -> Result<JobId, Error> {
    let job_id = retrying(|| async {
        let mut tx = deps.db.begin().await?;
        let job_id = jobs::ask(deps, &mut tx, account_id, task.clone()).await?;
        tx.commit().await?;
        Ok::<_, Error>(job_id)
    })
    .await?;
    deps.jobs.notify();
    Ok(job_id)
}

/// The access types of the endpoints with these URLs in the collections that the caller may read; at most 2,000.
///
/// # Errors
/// `LIST_TOO_LONG`.
pub async fn list_by_urls(
    deps: &Deps,
    caller: &Caller,
    urls: Vec<String>,
) -> Result<Vec<(EndpointId, BTreeSet<AccessType>)>, Error> {
    if urls.len() > IDS_MAX {
        return Err(too_long("urls", IDS_MAX).into());
    }
    let urls: BTreeSet<String> = urls.into_iter().filter(|url| !url.is_empty()).collect();
    if urls.is_empty() {
        return Ok(Vec::new());
    }
    let key = |url: &String| Method::ALL.map(|method| keys::endpoint_key(method.name(), url));
    let url_keys: Vec<String> = urls.iter().flat_map(key).collect();
    let url_keys: Vec<&str> = url_keys.iter().map(String::as_str).collect();
    let view = View::of(deps, caller).await?;
    let readable: Vec<CollectionId> = view.owners().map(|(id, _)| id).collect();
    let mut found: BTreeMap<EndpointId, (bool, BTreeSet<AccessType>)> = BTreeMap::new();
    'all: for keys in url_keys.chunks(store::LIST_MAX) {
        for ids in readable.chunks(COLLECTIONS_PER_QUERY) {
            for (collection_id, raw) in store::access_types::by_url_keys(&deps.db, caller.account_id, ids, keys).await?
            {
                let id = EndpointId { collection_id, url: raw.url, method: raw.method };
                if !view.shows(&id) {
                    continue;
                }
                let known = found.entry(id).or_default();
                known.0 |= raw.proven;
                known.1.extend(raw.facts.access_types);
            }
            if found.len() > LISTED_MAX {
                break 'all;
            }
        }
    }
    let proven = found.into_iter().filter(|(_, (proven, _))| *proven);
    Ok(proven.map(|(id, (_, types))| (id, types)).take(LISTED_MAX).collect())
}

/// Decides the types of some raw endpoints from their stored calls; one without calls keeps what it has, and so does one
/// of a redacted collection, whose calls tell no address.
pub(crate) async fn apply_step(
    tx: &mut Tx,
    account_id: AccountId,
    cursor: &Cursor,
    policy: &AccessPolicy,
    portion: Portion,
) -> Result<Step, Error> {
    let from = cursor.place();
    let Some(collection_id) = store::collections::next_plain(tx, account_id, from.collection_id).await? else {
        return Ok(over(0));
    };
    let after_key = if from.collection_id == collection_id.into() { from.key.as_str() } else { "" };
    let next_collection = || next(Cursor::At(WalkPoint::behind(collection_id)), 0);
    store::collections::hold(tx, account_id, collection_id).await?;
    let collection = store::collections::get_in(tx, account_id, collection_id).await?;
    if collection.is_none_or(|known| known.deleted || known.redacted) {
        return Ok(next_collection());
    }
    let page =
        store::endpoints::page(tx, account_id, collection_id, after_key, portion.limit(ENDPOINTS_PER_STEP)).await?;
    let Some((last, _)) = page.last() else { return Ok(next_collection()) };
    let place = WalkPoint { collection_id: collection_id.into(), key: last.key.clone(), ..WalkPoint::default() };
    let raw_keys: Vec<&str> = page.iter().map(|(raw, _)| raw.key.as_str()).collect();
    let mut told: BTreeMap<String, BTreeSet<AccessType>> = BTreeMap::new();
    for (endpoint_key, record) in store::samples::records(tx, account_id, collection_id, &raw_keys).await? {
        let types = told.entry(endpoint_key).or_default();
        types.extend(Record::parse(&record).ok().and_then(|record| policy.judge(&record)));
    }
    let done = page.len();
    let mut changed: Vec<(RawEndpoint, _)> = Vec::new();
    for (mut raw, bodies) in page {
        if let Some(types) = told.remove(&raw.key).filter(|types| *types != raw.facts.access_types) {
            raw.facts.access_types = types;
            changed.push((raw, bodies));
        }
    }
    store::endpoints::save(tx, account_id, collection_id, changed.iter().map(|(raw, bodies)| (raw, bodies))).await?;
    let url_keys: BTreeSet<String> = changed.iter().map(|(raw, _)| keys::endpoint_key(&raw.method, &raw.url)).collect();
    let url_keys: Vec<&str> = url_keys.iter().map(String::as_str).collect();
    let counts = members::refresh(tx, account_id, &[(collection_id, url_keys)]).await?;
    members::add_counts(tx, account_id, &counts).await?;
    Ok(next(Cursor::At(place), done))
}

/// Derives the types of collections: with a public endpoint it is the account's own, else with a private one or one of a
/// third party it is a third party's, else it keeps what it has.
pub(crate) async fn reset_step(
    tx: &mut Tx,
    account_id: AccountId,
    cursor: &Cursor,
    portion: Portion,
) -> Result<Step, Error> {
    let from = cursor.place();
    let Some(collection_id) = store::collections::next_plain(tx, account_id, from.collection_id).await? else {
        return Ok(over(0));
    };
    let from = if from.collection_id == collection_id.into() { from } else { WalkPoint::default() };
    let mut types = from.access_types;
    store::collections::hold(tx, account_id, collection_id).await?;
    let page =
        store::endpoints::page(tx, account_id, collection_id, &from.key, portion.limit(ENDPOINTS_PER_STEP)).await?;
    types.extend(page.iter().filter(|(raw, _)| raw.proven).flat_map(|(raw, _)| raw.facts.access_types.iter().copied()));
    if let Some((last, _)) = page.last() {
        let collection_id = collection_id.into();
        return Ok(next(
            Cursor::At(WalkPoint { collection_id, key: last.key.clone(), access_types: types, ..WalkPoint::default() }),
            0,
        ));
    }
    let access_type = match () {
        () if types.contains(&AccessType::Public) => Some("Internal"),
        () if types.contains(&AccessType::Private) || types.contains(&AccessType::ThirdParty) => Some("Third party"),
        () => None,
    };
    if let Some(access_type) = access_type {
        store::collections::update_access_type(tx, account_id, collection_id, access_type).await?;
    }
    Ok(next(Cursor::At(WalkPoint::behind(collection_id)), 1))
}
