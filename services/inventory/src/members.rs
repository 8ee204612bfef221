use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use portolan_authz::Caller;
use portolan_ids::{AccountId, CollectionId, NamedCollectionId};
use portolan_jobs::Portion;
use portolan_store::Tx;

use crate::{
    Deps, Error,
    model::{
        collections::Collection,
        conditions::{Conditions, Seen},
        endpoints::{EndpointId, RawEndpoint, declared_tags},
        groups::Counts,
        jobs::{Cursor, Step, WalkPoint, next, over},
    },
    store,
};

/// Takes the endpoints of deleted collections out of all groups and of their lists of single endpoints. The transaction
/// holds the collections.
pub(crate) async fn leave_groups(tx: &mut Tx, account_id: AccountId, deleted: &[CollectionId]) -> Result<(), Error> {
    let mut counts = Counts::new();
    for id in deleted {
        for (group_id, count) in store::groups::delete_collection(tx, account_id, *id).await? {
            *counts.entry(group_id).or_default() -= count;
        }
    }
    for (group_id, conditions) in store::groups::conditions(tx, account_id).await? {
        let names_one =
            |conditions: &mut Conditions| conditions.retain_endpoints(|id| !deleted.contains(&id.collection_id));
        if !names_one(&mut Conditions::clone(&Conditions::stored(&conditions))) {
            continue;
        }
        // Read again under the lock: another request may have changed the list meanwhile.
        if let Some((conditions, sharing)) = store::groups::lock(tx, account_id, group_id).await? {
            let mut conditions = Conditions::clone(&Conditions::stored(&conditions));
            names_one(&mut conditions);
            store::groups::update_conditions(tx, account_id, group_id, &conditions.to_json(), sharing).await?;
        }
    }
    add_counts(tx, account_id, &counts).await
}

/// Endpoints that a job looks at in one transaction…
const ENDPOINTS_PER_STEP: usize = 500;

/// … and pairs of an endpoint and a group that may show it. At least one endpoint is looked at.
const PAIRS_PER_STEP: usize = 20_000;

/// Collections that a job looks at in one transaction.
const COLLECTIONS_PER_STEP: usize = 50;

/// A group and what its members meet.
type Group = (CollectionId, Arc<Conditions>);

/// Decides which groups show these endpoints of collections that the transaction holds, and answers by how much that
/// changes the number of members of each group.
pub(crate) async fn refresh(
    tx: &mut Tx,
    account_id: AccountId,
    endpoints: &[(CollectionId, Vec<&str>)],
) -> Result<Counts, Error> {
    decide(tx, account_id, None, endpoints).await
}

/// Decides as [`refresh`], of every group or of one.
async fn decide(
    tx: &mut Tx,
    account_id: AccountId,
    group_id: Option<CollectionId>,
    endpoints: &[(CollectionId, Vec<&str>)],
) -> Result<Counts, Error> {
    let mut counts = Counts::new();
    if endpoints.iter().all(|(_, url_keys)| url_keys.is_empty()) {
        return Ok(counts);
    }
    // Behind the lock of the collections: nobody changes a group and decides on them in between.
    let groups = match group_id {
        None => store::groups::conditions(tx, account_id).await?,
        Some(group_id) => store::groups::conditions_of(tx, account_id, group_id).await?.into_iter().collect(),
    };
    let groups: Vec<Group> = groups.into_iter().map(|(id, text)| (id, Conditions::stored(&text))).collect();
    if groups.is_empty() {
        return Ok(counts);
    }
    for (collection_id, url_keys) in endpoints.iter().filter(|(_, url_keys)| !url_keys.is_empty()) {
        let before = match group_id {
            None => store::groups::of_endpoints(tx, account_id, *collection_id, url_keys).await?,
            Some(id) => store::groups::of_endpoints_in(tx, account_id, *collection_id, id, url_keys).await?,
        };
        refresh_of(tx, account_id, *collection_id, url_keys, &groups, before, &mut counts).await?;
    }
    Ok(counts)
}

async fn refresh_of(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    url_keys: &[&str],
    groups: &[Group],
    before: BTreeSet<(CollectionId, String)>,
    counts: &mut Counts,
) -> Result<(), Error> {
    let mut after: BTreeSet<(CollectionId, String)> = BTreeSet::new();
    let collection = store::collections::get_in(tx, account_id, collection_id).await?;
    if let Some(collection) = collection.filter(|known| !known.deleted && !known.deactivated) {
        let rows = store::endpoints::by_url_keys_in(tx, account_id, collection_id, url_keys).await?;
        let mut endpoints: BTreeMap<(String, String), Vec<RawEndpoint>> = BTreeMap::new();
        for row in rows {
            endpoints.entry((row.url.clone(), row.method.clone())).or_default().push(row);
        }
        for ((url, method), raws) in endpoints {
            if !raws.iter().any(|raw| raw.proven) {
                continue;
            }
            let id = EndpointId { collection_id, url, method };
            let seen = seen(&collection, &id, &raws);
            let showing = groups.iter().filter(|(_, conditions)| conditions.matches(&seen));
            after.extend(showing.map(|(group_id, _)| (*group_id, id.url_key())));
        }
    }
    let row = |(group_id, url_key): &(CollectionId, String)| {
        [account_id.into(), (*group_id).into(), collection_id.into(), url_key.into()]
    };
    store::groups::insert(tx, after.difference(&before).map(row).collect()).await?;
    let mut lost: BTreeMap<CollectionId, Vec<&str>> = BTreeMap::new();
    for (group_id, url_key) in before.difference(&after) {
        lost.entry(*group_id).or_default().push(url_key);
        *counts.entry(*group_id).or_default() -= 1;
    }
    for (group_id, url_keys) in lost {
        store::groups::delete(tx, account_id, collection_id, group_id, &url_keys).await?;
    }
    for (group_id, _) in after.difference(&before) {
        *counts.entry(*group_id).or_default() += 1;
    }
    Ok(())
}

/// The groups on the caller's list that show these endpoints; those that none shows are left out.
pub(crate) async fn showing<'e>(
    deps: &Deps,
    caller: &Caller,
    endpoints: impl IntoIterator<Item = &'e EndpointId>,
) -> Result<HashMap<EndpointId, Vec<CollectionId>>, Error> {
    let mut by_collection: BTreeMap<CollectionId, BTreeMap<String, &EndpointId>> = BTreeMap::new();
    for id in endpoints {
        by_collection.entry(id.collection_id).or_default().insert(id.url_key(), id);
    }
    let mut found: HashMap<EndpointId, Vec<CollectionId>> = HashMap::new();
    let mut tx = deps.db.begin_read().await?;
    for (collection_id, ids) in by_collection {
        let keys: Vec<&str> = ids.keys().map(String::as_str).collect();
        for (group_id, key) in store::groups::of_endpoints(&mut tx, caller.account_id, collection_id, &keys).await? {
            if let Some(id) = ids.get(&key).filter(|_| caller.grant.sees(group_id)) {
                found.entry((*id).clone()).or_default().push(group_id);
            }
        }
    }
    tx.rollback().await?;
    Ok(found)
}

/// An endpoint as conditions look at it.
pub(crate) fn seen<'a>(collection: &'a Collection, id: &'a EndpointId, raws: &[RawEndpoint]) -> Seen<'a> {
    Seen {
        id,
        host_name: collection.host_name.as_deref(),
        tags: &collection.tags,
        endpoint_tags: declared_tags(raws),
        auth: raws.iter().flat_map(|raw| &raw.facts.auth_sets).flat_map(|set| set.iter()).collect(),
        access: raws.iter().flat_map(|raw| &raw.facts.access_types).copied().collect(),
    }
}

/// Notes changed numbers of members, in the order of groups. The transaction takes no collection after this.
pub(crate) async fn add_counts(tx: &mut Tx, account_id: AccountId, counts: &Counts) -> Result<(), Error> {
    for (group_id, count) in counts.iter().filter(|(_, count)| **count != 0) {
        store::collections::add_endpoints(tx, account_id, *group_id, *count).await?;
    }
    Ok(())
}

/// Has every group or one of them look at some endpoints of the account, or of the one collection that the job is about.
pub(crate) async fn step(
    tx: &mut Tx,
    account_id: AccountId,
    only: Option<CollectionId>,
    group_id: Option<CollectionId>,
    cursor: &Cursor,
    portion: Portion,
) -> Result<Step, Error> {
    let group_count = match group_id {
        None => store::groups::count(tx, account_id).await?,
        Some(_) => 1,
    };
    let endpoints_max = portion.of(ENDPOINTS_PER_STEP).min(portion.of(PAIRS_PER_STEP) / group_count.max(1)).max(1);
    let WalkPoint { collection_id: mut from_id, key: mut after_key, .. } = cursor.place();
    let (mut done, mut found) = (0, Vec::new());
    let place = 'looking: {
        for _ in 0..portion.of(COLLECTIONS_PER_STEP) {
            let following = match only {
                None => store::collections::next_plain(tx, account_id, from_id).await?,
                Some(id) => Some(id).filter(|id| NamedCollectionId::from(*id) >= from_id),
            };
            let Some(collection_id) = following else { break 'looking None };
            if from_id != collection_id.into() {
                after_key.clear();
            }
            let limit = i64::try_from(endpoints_max - done).unwrap_or_default();
            store::collections::hold(tx, account_id, collection_id).await?;
            let keys = store::endpoints::some_url_keys(tx, account_id, collection_id, &after_key, limit).await?;
            done += keys.len();
            let last = keys.last().filter(|_| done >= endpoints_max).cloned();
            found.push((collection_id, keys));
            if let Some(key) = last {
                break 'looking Some(WalkPoint { collection_id: collection_id.into(), key, ..WalkPoint::default() });
            }
            from_id = WalkPoint::behind(collection_id).collection_id;
            after_key.clear();
        }
        Some(WalkPoint { collection_id: from_id, ..WalkPoint::default() })
    };
    let endpoints: Vec<(CollectionId, Vec<&str>)> =
        found.iter().map(|(id, keys)| (*id, keys.iter().map(String::as_str).collect())).collect();
    let counts = decide(tx, account_id, group_id, &endpoints).await?;
    add_counts(tx, account_id, &counts).await?;
    Ok(match place {
        Some(place) => next(Cursor::At(place), done),
        None => over(done),
    })
}
