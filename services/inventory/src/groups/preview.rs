//! What conditions would show, before a group is made of them.

use std::collections::BTreeMap;

use portolan_authz::Caller;
use portolan_ids::AccountId;

use crate::{
    Deps, Error, endpoints,
    members::seen,
    model::{
        collections::Collection,
        conditions::{Conditions, Written},
        endpoints::{Activity, Endpoint, EndpointId, RawEndpoint},
    },
    store,
    view::{Part, View},
};

/// Endpoints of one answer, as documented.
const SHOWN_MAX: usize = 200;

/// Effective URLs that are looked at in one transaction.
const PAGE: i64 = 500;

/// Marks a collection whose tags contradict its traffic.
const MISMATCH_TAG: &str = "tags-mismatch";

/// Endpoints that meet conditions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matching {
    /// At most 200, by collection, URL and method.
    pub endpoints: Vec<Endpoint>,
    /// The same by what their parameters show.
    pub activity: Vec<Activity>,
    /// Of all.
    pub count: i64,
}

/// The endpoints that meet conditions, as far as the caller may read them.
///
/// # Errors
/// `CONDITION_INVALID`, `PATTERN_INVALID`, `LIST_TOO_LONG`.
pub async fn list(
    deps: &Deps,
    caller: &Caller,
    written: Vec<Written>,
    skip_tags_mismatch: bool,
) -> Result<Matching, Error> {
    let mut matching = Matching::default();
    for (collection, keys, count) in search(deps, caller, written, skip_tags_mismatch).await? {
        matching.count += count;
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        if keys.is_empty() {
            continue;
        }
        let (account_id, collection_id) = (caller.account_id, collection.id);
        let activity = store::totals::activity_of(&deps.db, account_id, collection_id, &keys).await?;
        for endpoint in endpoints::of_urls(deps, caller, collection_id, &keys).await? {
            let place = (endpoint.id.url.clone(), endpoint.id.method.clone());
            let (started_at, parameters) = activity.get(&place).copied().unwrap_or((endpoint.discovered_at, 0));
            matching.activity.push(Activity { id: endpoint.id.clone(), started_at, parameters });
            matching.endpoints.push(endpoint);
        }
    }
    Ok(matching)
}

/// How many endpoints meet conditions, of those that the caller may read.
///
/// # Errors
/// As [`list`].
pub async fn count(deps: &Deps, caller: &Caller, written: Vec<Written>) -> Result<i64, Error> {
    Ok(search(deps, caller, written, false).await?.into_iter().map(|(_, _, count)| count).sum())
}

/// Each collection with the first effective URLs that match, together at most 200, and the number of all.
async fn search(
    deps: &Deps,
    caller: &Caller,
    written: Vec<Written>,
    skip_tags_mismatch: bool,
) -> Result<Vec<(Collection, Vec<String>, i64)>, Error> {
    let conditions = super::understood(deps, caller, written).await?;
    if conditions.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let mut left = SHOWN_MAX;
    let view = View::of(deps, caller).await?;
    for (owner, part) in view.owners() {
        let Some(collection) = store::collections::get(&deps.db, caller.account_id, owner).await? else { continue };
        if skip_tags_mismatch && collection.has_tag(MISMATCH_TAG) {
            continue;
        }
        let (keys, count) = search_in(deps, caller.account_id, &collection, part, &conditions, left).await?;
        left -= keys.len();
        found.push((collection, keys, count));
    }
    Ok(found)
}

async fn search_in(
    deps: &Deps,
    account_id: AccountId,
    collection: &Collection,
    part: Part<'_>,
    conditions: &Conditions,
    limit: usize,
) -> Result<(Vec<String>, i64), Error> {
    let (mut found, mut count, mut after) = (Vec::new(), 0, String::new());
    loop {
        let mut tx = deps.db.begin_read().await?;
        let page = store::endpoints::some_url_keys(&mut tx, account_id, collection.id, &after, PAGE).await?;
        let keys: Vec<&str> = page.iter().map(String::as_str).collect();
        let rows = store::endpoints::by_url_keys_in(&mut tx, account_id, collection.id, &keys).await?;
        tx.rollback().await?;
        let mut raws: BTreeMap<(String, String), Vec<RawEndpoint>> = BTreeMap::new();
        for row in rows {
            raws.entry((row.url.clone(), row.method.clone())).or_default().push(row);
        }
        for ((url, method), raws) in raws {
            let id = EndpointId { collection_id: collection.id, url, method };
            let is_shown = part.has(&id.url_key()) && raws.iter().any(|raw| raw.proven);
            if is_shown && conditions.matches(&seen(collection, &id, &raws)) {
                count += 1;
                if found.len() < limit {
                    found.push(id.url_key());
                }
            }
        }
        match page.into_iter().last() {
            Some(last) => after = last,
            None => return Ok((found, count)),
        }
    }
}
