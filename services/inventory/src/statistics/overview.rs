//! Counts over all collections that a caller may see.

use std::collections::{BTreeMap, BTreeSet};

use portolan_authz::Caller;
use portolan_ids::CollectionId;
use portolan_runtime::now_s;

use crate::{
    Deps, Error, access, collections, endpoints, members,
    model::endpoints::{Activity, Endpoint, EndpointId},
    parameters::markings,
    store,
    view::View,
};

/// Endpoints answered where the most sensitive ones are asked for, as documented.
const TOP: usize = 3;

/// Types that such an endpoint has at least.
const TOP_TYPES_MIN: usize = 2;

/// A risk score from here on is critical.
const CRITICAL: f64 = 4.0;

/// Collections of one request; further ids are passed over, as documented.
const COLLECTIONS_MAX: usize = 300;

/// The newest record of each collection and group that has any, in Unix seconds.
pub async fn last_seen(deps: &Deps, caller: &Caller) -> Result<BTreeMap<CollectionId, i64>, Error> {
    let view = View::of(deps, caller).await?;
    let mut times = store::totals::last_seen(&deps.db, caller.account_id).await?;
    let all = store::totals::last_seen_of_groups(&deps.db, caller.account_id, None).await?;
    let granted = store::totals::last_seen_of_groups(&deps.db, caller.account_id, Some(view.granting())).await?;
    for (id, time) in view.of_groups(all, granted) {
        times.entry(id).and_modify(|known| *known = time.max(*known)).or_insert(time);
    }
    times.retain(|id, _| view.lists(*id));
    Ok(times)
}

/// When each derived part was last brought up to date, in Unix seconds.
pub async fn last_calculated(deps: &Deps, caller: &Caller) -> Result<BTreeMap<&'static str, i64>, Error> {
    let (endpoints, issues) = store::totals::updated(&deps.db, caller.account_id).await?;
    // Types and scores follow from the records in the transaction that writes them.
    Ok(BTreeMap::from([
        ("lastIngest", endpoints),
        ("lastSensitiveInfo", endpoints),
        ("lastRiskScore", endpoints),
        ("lastIssues", issues),
    ]))
}

/// Whether there is any endpoint.
pub async fn has_endpoints(deps: &Deps, caller: &Caller) -> Result<bool, Error> {
    let visible = collections::list(deps, caller).await?;
    Ok(visible.iter().any(|collection| !collection.deactivated && collection.endpoint_count > 0))
}

/// Endpoints discovered until `end`, and until `start`; an end of 0 is now.
pub async fn count_discovered(deps: &Deps, caller: &Caller, start: i64, end: i64) -> Result<(i64, i64), Error> {
    let end = if end <= 0 { now_s() } else { end };
    let view = View::of(deps, caller).await?;
    let mut counts = [0, 0];
    for (count, until) in counts.iter_mut().zip([end, start]) {
        let all = store::totals::discovered_until(&deps.db, caller.account_id, until, None).await?;
        let granting = Some(view.granting());
        let granted = store::totals::discovered_until(&deps.db, caller.account_id, until, granting).await?;
        *count = view.of_owners(all, granted).iter().map(|(_, count)| count).sum();
    }
    Ok((counts[0], counts[1]))
}

/// The number of endpoints with a sensitive parameter, and the sensitive types of each collection and group.
pub async fn sensitive(
    deps: &Deps,
    caller: &Caller,
) -> Result<(usize, BTreeMap<CollectionId, BTreeSet<String>>), Error> {
    let mut types: BTreeMap<CollectionId, BTreeSet<String>> = BTreeMap::new();
    let view = View::of(deps, caller).await?;
    let endpoints = sensitive_endpoints(deps, caller, &view).await?;
    for (id, names) in &endpoints {
        types.entry(id.collection_id).or_default().extend(names.iter().map(|name| (*name).to_owned()));
    }
    types.retain(|id, _| view.lists(*id));
    for (id, group_ids) in members::showing(deps, caller, endpoints.keys()).await? {
        let names = endpoints.get(&id).into_iter().flatten();
        for group_id in group_ids.iter().filter(|group_id| view.lists(**group_id)) {
            types.entry(*group_id).or_default().extend(names.clone().map(|name| (*name).to_owned()));
        }
    }
    Ok((endpoints.len(), types))
}

/// The endpoints with most sensitive types.
pub async fn most_sensitive(deps: &Deps, caller: &Caller) -> Result<Vec<(Endpoint, Vec<String>)>, Error> {
    let view = View::of(deps, caller).await?;
    let mut ranked: Vec<_> = sensitive_endpoints(deps, caller, &view)
        .await?
        .into_iter()
        .filter(|(_, types)| types.len() >= TOP_TYPES_MIN)
        .collect();
    ranked.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.0.cmp(&b.0)));
    let mut top = Vec::new();
    for (id, types) in ranked.into_iter().take(TOP) {
        if let Some(endpoint) = endpoints::get(deps, caller, &id).await? {
            top.push((endpoint, types.into_iter().map(str::to_owned).collect()));
        }
    }
    Ok(top)
}

async fn sensitive_endpoints(
    deps: &Deps,
    caller: &Caller,
    view: &View,
) -> Result<BTreeMap<EndpointId, BTreeSet<&'static str>>, Error> {
    let markings = markings::of_account(deps, caller.account_id).await?;
    let mut found: BTreeMap<EndpointId, BTreeSet<&'static str>> = BTreeMap::new();
    for (id, key) in store::totals::sensitive(&deps.db, caller.account_id).await? {
        if view.shows(&id) && markings.of(&id, &key) != Some(false) {
            found.entry(id).or_default().insert(key.sub_type.name());
        }
    }
    for marked in markings::list(deps, caller).await?.into_iter().filter(|marked| marked.sensitive) {
        let id = EndpointId {
            collection_id: marked.place.collection_id,
            url: marked.place.url.clone(),
            method: marked.place.method.clone(),
        };
        let parameters = crate::parameters::list(deps, caller, &id).await?;
        let at_place = |key: &portolan_engine::ParameterKey| {
            (key.response_code, key.is_header) == (marked.place.response_code, marked.place.is_header)
                && key.name == marked.place.name
        };
        let types = parameters.iter().filter(|known| at_place(&known.key)).map(|known| known.key.sub_type.name());
        found.entry(id).or_default().extend(types);
    }
    Ok(found)
}

/// The number of endpoints with a critical risk score, and the highest score of each collection.
pub async fn risk_scores(deps: &Deps, caller: &Caller) -> Result<(usize, BTreeMap<CollectionId, f64>), Error> {
    let view = View::of(deps, caller).await?;
    let (mut critical, mut highest) = (0, BTreeMap::new());
    // Groups show what plain collections have, so each endpoint is read once, however many groups there are.
    for (owner, part) in view.owners() {
        for endpoint in endpoints::of_collection(deps, caller, owner, part).await? {
            critical += usize::from(endpoint.risk_score >= CRITICAL);
            for id in endpoint.group_ids.iter().chain([&owner]).filter(|id| view.lists(**id)) {
                let score = highest.entry(*id).or_insert(endpoint.risk_score);
                *score = endpoint.risk_score.max(*score);
            }
        }
    }
    Ok((critical, highest))
}

/// The endpoints of a collection with the first sight and number of their parameters.
///
/// # Errors
/// `COLLECTION_NOT_FOUND`, `COLLECTION_DEACTIVATED`.
pub async fn activity(deps: &Deps, caller: &Caller, collection_id: CollectionId) -> Result<Vec<Activity>, Error> {
    let collection = access::readable(deps, caller, collection_id).await?;
    let collection = collection.ok_or(portolan_api::Reason::CollectionNotFound)?;
    let (_, list) = endpoints::list(deps, caller, collection.id).await?;
    let owners: BTreeSet<CollectionId> = list.iter().map(|known| known.id.collection_id).collect();
    let mut known = BTreeMap::new();
    for owner in owners {
        for ((url, method), found) in store::totals::activity(&deps.db, caller.account_id, owner).await? {
            known.insert(EndpointId { collection_id: owner, url, method }, found);
        }
    }
    let wrap = |endpoint: Endpoint| {
        let (started_at, parameters) = known.get(&endpoint.id).copied().unwrap_or((endpoint.discovered_at, 0));
        Activity { id: endpoint.id, started_at, parameters }
    };
    Ok(list.into_iter().map(wrap).collect())
}

/// As [`activity`] for several collections, at most 300; those that the caller cannot read are passed over.
pub async fn activity_of_many(
    deps: &Deps,
    caller: &Caller,
    ids: Vec<CollectionId>,
) -> Result<BTreeMap<CollectionId, Vec<Activity>>, Error> {
    let mut lists = BTreeMap::new();
    for id in ids.into_iter().take(COLLECTIONS_MAX) {
        let found = access::find(deps, caller, id).await?;
        if found.is_some_and(|collection| !collection.deactivated) && !lists.contains_key(&id) {
            lists.insert(id, activity(deps, caller, id).await?);
        }
    }
    Ok(lists)
}
