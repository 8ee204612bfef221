//! Groups: collections that own no endpoints and show those of others that meet their conditions.
//!
//! # Invariants
//! - `group_members` is what the conditions say of the stored endpoints. Ingest keeps it so for what it changes, in its
//!   own transaction; a change of conditions, tags or activation is followed by a job that looks at every endpoint.
//! - Both hold the collection of an endpoint while they decide, and read the conditions after they hold it, so the last
//!   to decide knows the last conditions.
//! - Conditions of a caller who sees only some collections never show endpoints of others.
//! - Who reads a group meets of its members only what they may read (see [`crate::view`]).

pub mod conditions;
pub mod preview;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_outbox::Change;
use portolan_store::{Tx, retrying};
use serde_json::json;

use crate::collections::{self, Collection, CollectionName, NewCollection, Sharing};
use crate::endpoints::{self, EndpointId, RawEndpoint};
use crate::jobs::{self, Job, JobKind, Step};
use crate::{Deps, Error, access, store};
use conditions::{Conditions, ENDPOINTS_MAX, Seen, Written, too_long};

/// The kind of a collection that is a group.
pub const KIND: &str = "API_GROUP";
/// Endpoints that a job looks at in one transaction.
const ENDPOINTS_PER_STEP: usize = 500;
/// Collections that a job looks at in one transaction.
const COLLECTIONS_PER_STEP: usize = 50;

/// By group, how many members it has more or fewer.
pub(crate) type Counts = BTreeMap<i32, i64>;

/// Creates a group and has its members found. A repetition of the same write answers the same group.
///
/// # Errors
/// `COLLECTION_NAME_TAKEN`, `CONDITION_INVALID`, `PATTERN_INVALID`, `LIST_TOO_LONG`.
pub async fn create(
    deps: &Deps,
    caller: &Caller,
    name: CollectionName,
    written: Vec<Written>,
) -> Result<(Collection, String), Error> {
    let conditions = understood(deps, caller, written).await?;
    let new = NewCollection { name, kind: Some(KIND), conditions: Some(conditions.to_json()) };
    let group = collections::insert(deps, caller, new).await?;
    let job_id = find_members(deps, caller.account_id).await?;
    let group = store::collections::get(&deps.db, caller.account_id, group.id).await?.unwrap_or(group);
    Ok((group, job_id))
}

/// Replaces the conditions of a group. Endpoints that were added by hand stay beside them if the list that answers name
/// for them is written again.
///
/// # Errors
/// `COLLECTION_NOT_FOUND`, `GROUP_INVALID` for a collection that is no group, and those of [`create`].
pub async fn update(deps: &Deps, caller: &Caller, group_id: i32, written: Vec<Written>) -> Result<String, Error> {
    let understood = understood(deps, caller, written).await?;
    access::writable(deps, caller, group_id).await?;
    change(deps, caller, group_id, |known| {
        let mut conditions = understood.clone();
        conditions.keep_by_hand(&Conditions::stored(known));
        Ok(Some(conditions.to_json()))
    })
    .await?;
    find_members(deps, caller.account_id).await
}

/// Adds single endpoints to what the group with this name shows, and makes the group when no collection has the name. Answers the job
/// that finds the members, if there is anything to find.
///
/// # Errors
/// `ENDPOINTS_REQUIRED` for an empty list, `GROUP_INVALID_TO_ADD` when a collection has the name, the reasons of
/// [`CollectionName`].
pub async fn add_endpoints(
    deps: &Deps,
    caller: &Caller,
    name: Option<String>,
    endpoints: Option<Vec<EndpointId>>,
) -> Result<Option<String>, Error> {
    let endpoints = chosen(deps, caller, endpoints).await?;
    let group = match by_name(deps, caller, name.as_deref()).await? {
        Some(known) if known.is_group() => known,
        Some(_) => return Err(Reason::GroupInvalidToAdd.into()),
        None => {
            let name = CollectionName::parse(name)?;
            let conditions = Some(Conditions::default().to_json());
            collections::insert(deps, caller, NewCollection { name, kind: Some(KIND), conditions }).await?
        }
    };
    if endpoints.is_empty() {
        return Ok(None);
    }
    change(deps, caller, group.id, |known| {
        let mut conditions = Conditions::clone(&Conditions::stored(known));
        conditions.add_endpoints(endpoints.iter().cloned())?;
        Ok(Some(conditions.to_json()))
    })
    .await?;
    find_members(deps, caller.account_id).await.map(Some)
}

/// Takes single endpoints out of the lists of the group with this name, first out of what was added by hand. Answers as [`add_endpoints`].
///
/// # Errors
/// `ENDPOINTS_REQUIRED` for an empty list, `GROUP_INVALID` when no group has the name.
pub async fn remove_endpoints(
    deps: &Deps,
    caller: &Caller,
    name: Option<String>,
    endpoints: Option<Vec<EndpointId>>,
) -> Result<Option<String>, Error> {
    let endpoints: BTreeSet<EndpointId> = chosen(deps, caller, endpoints).await?.into_iter().collect();
    let group = by_name(deps, caller, name.as_deref()).await?.filter(Collection::is_group);
    let group = group.ok_or(Reason::GroupInvalid)?;
    if endpoints.is_empty() {
        return Ok(None);
    }
    change(deps, caller, group.id, |known| {
        let mut conditions = Conditions::clone(&Conditions::stored(known));
        Ok(conditions.remove_endpoints(&endpoints).then(|| conditions.to_json()))
    })
    .await?;
    find_members(deps, caller.account_id).await.map(Some)
}

/// Makes a group a grant of its own to those whose list names it, or ends that.
///
/// # Errors
/// `COLLECTION_NOT_FOUND`, `GROUP_INVALID` for a collection that is no group; `ROLE_HAS_NO_ACCESS` for a caller who sees
/// only some collections and would grant what others have.
pub async fn share(deps: &Deps, caller: &Caller, group_id: i32, shared: bool) -> Result<(), Error> {
    access::writable(deps, caller, group_id).await?;
    if !collections::is_administrator(caller) {
        let role = caller.grant.display_role();
        return Err(portolan_api::Error::new(Reason::RoleHasNoAccess).with("role", role).into());
    }
    let account_id = caller.account_id;
    retrying(|| async {
        let mut tx = deps.db.begin().await?;
        let known = store::groups::lock(&mut tx, account_id, group_id).await?;
        let (conditions, sharing) = known.ok_or(Reason::GroupInvalid)?;
        let after = if shared { Sharing::Marked } else { Sharing::None };
        store::groups::update_conditions(&mut tx, account_id, group_id, &conditions, after).await?;
        let is_shared = |sharing| json!({ "shared": sharing != Sharing::None });
        let change = Change::of("collection", group_id).before(&is_shared(sharing)).after(&is_shared(after));
        portolan_outbox::audit(&mut tx, caller, change).await?;
        tx.commit().await?;
        Ok::<_, Error>(())
    })
    .await
}

/// Decides anew which endpoints the group with this name shows.
///
/// # Errors
/// `GROUP_INVALID` when no group has the name.
pub async fn compute(deps: &Deps, caller: &Caller, name: Option<String>) -> Result<String, Error> {
    let group = by_name(deps, caller, name.as_deref()).await?.filter(Collection::is_group);
    group.ok_or(Reason::GroupInvalid)?;
    find_members(deps, caller.account_id).await
}

/// Understands conditions as this caller may state them: endpoints that the caller does not see are passed over, and
/// patterns find nothing beyond what the caller sees.
pub(crate) async fn understood(deps: &Deps, caller: &Caller, written: Vec<Written>) -> Result<Conditions, Error> {
    let written = written.into_iter().map(|written| Written { within: None, by_hand: false, ..written }).collect();
    let mut conditions = Conditions::parse(written)?;
    let visible = visible_ids(deps, caller).await?;
    conditions.retain_endpoints(|id| visible.contains(&id.collection_id));
    if let Some(ids) = caller.grant.collections() {
        conditions.bound(ids);
    }
    Ok(conditions)
}

/// The endpoints of a request whose collections the caller sees.
async fn chosen(deps: &Deps, caller: &Caller, endpoints: Option<Vec<EndpointId>>) -> Result<Vec<EndpointId>, Error> {
    let Some(mut endpoints) = endpoints else { return Ok(Vec::new()) };
    if endpoints.is_empty() {
        return Err(Reason::EndpointsRequired.into());
    }
    if endpoints.len() > ENDPOINTS_MAX {
        return Err(too_long("apiList", ENDPOINTS_MAX));
    }
    let visible = visible_ids(deps, caller).await?;
    endpoints.retain(|id| visible.contains(&id.collection_id));
    Ok(endpoints)
}

async fn visible_ids(deps: &Deps, caller: &Caller) -> Result<BTreeSet<i32>, Error> {
    Ok(collections::list(deps, caller).await?.into_iter().map(|collection| collection.id).collect())
}

async fn by_name(deps: &Deps, caller: &Caller, name: Option<&str>) -> Result<Option<Collection>, Error> {
    let Some(name) = name.filter(|name| !name.is_empty() && !name.contains('\0')) else { return Ok(None) };
    let visible = collections::list(deps, caller).await?;
    let key = name.to_lowercase();
    Ok(visible.into_iter().find(|known| known.display_name().to_lowercase() == key))
}

/// Changes the conditions of a group under its lock. One that somebody else than an administrator changes grants nothing
/// any more.
async fn change(
    deps: &Deps,
    caller: &Caller,
    group_id: i32,
    changed: impl Fn(&str) -> Result<Option<String>, Error>,
) -> Result<(), Error> {
    let account_id = caller.account_id;
    retrying(|| async {
        let mut tx = deps.db.begin().await?;
        let known = store::groups::lock(&mut tx, account_id, group_id).await?;
        let (known, sharing) = known.ok_or(Reason::GroupInvalid)?;
        if let Some(conditions) = changed(&known)? {
            let sharing = sharing.after_change(caller);
            store::groups::update_conditions(&mut tx, account_id, group_id, &conditions, sharing).await?;
        }
        tx.commit().await?;
        Ok::<_, Error>(())
    })
    .await
}

/// Has all groups of an account look at all endpoints; small accounts are done with the return.
async fn find_members(deps: &Deps, account_id: i64) -> Result<String, Error> {
    let job_id = retrying(|| async {
        let mut tx = deps.db.begin().await?;
        let job_id = jobs::ask(&mut tx, account_id, JobKind::ComputeGroups, None).await?;
        tx.commit().await?;
        Ok::<_, Error>(job_id)
    })
    .await?;
    jobs::run_inline(deps, account_id, &job_id).await;
    Ok(job_id)
}

/// Decides which groups show these endpoints of a collection that the transaction holds, and answers by how much that
/// changes the number of members of each group.
pub(crate) async fn refresh(
    tx: &mut Tx,
    account_id: i64,
    collection_id: i32,
    url_keys: &[&str],
) -> Result<Counts, Error> {
    let mut counts = Counts::new();
    let groups = store::groups::conditions(tx, account_id).await?;
    if groups.is_empty() || url_keys.is_empty() {
        return Ok(counts);
    }
    let before = store::groups::of_endpoints(tx, account_id, collection_id, url_keys).await?;
    let mut after: BTreeSet<(i32, String)> = BTreeSet::new();
    let collection = store::collections::get_in(tx, account_id, collection_id).await?;
    if let Some(collection) = collection.filter(|known| !known.deleted && !known.deactivated) {
        let groups: Vec<_> = groups.into_iter().map(|(id, conditions)| (id, Conditions::stored(&conditions))).collect();
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
    let row = |(group_id, url_key): &(i32, String)| {
        [account_id.into(), (*group_id).into(), collection_id.into(), url_key.into()]
    };
    store::groups::insert(tx, after.difference(&before).map(row).collect()).await?;
    let mut lost: BTreeMap<i32, Vec<&str>> = BTreeMap::new();
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
    Ok(counts)
}

/// The groups on the caller's list that show these endpoints; those that none shows are left out.
pub(crate) async fn showing<'e>(
    deps: &Deps,
    caller: &Caller,
    endpoints: impl IntoIterator<Item = &'e EndpointId>,
) -> Result<HashMap<EndpointId, Vec<i32>>, Error> {
    let mut by_collection: BTreeMap<i32, BTreeMap<String, &EndpointId>> = BTreeMap::new();
    for id in endpoints {
        by_collection.entry(id.collection_id).or_default().insert(id.url_key(), id);
    }
    let mut found: HashMap<EndpointId, Vec<i32>> = HashMap::new();
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
        endpoint_tags: endpoints::declared_tags(raws),
        auth: raws.iter().flat_map(|raw| &raw.facts.auth_sets).flat_map(|set| set.iter()).collect(),
        access: raws.iter().flat_map(|raw| &raw.facts.access_types).copied().collect(),
    }
}

/// Notes changed numbers of members, in the order of groups. The transaction takes no collection after this.
pub(crate) async fn add_counts(tx: &mut Tx, account_id: i64, counts: &Counts) -> Result<(), Error> {
    for (group_id, count) in counts.iter().filter(|(_, count)| **count != 0) {
        store::collections::add_endpoints(tx, account_id, *group_id, *count).await?;
    }
    Ok(())
}

/// Looks at some endpoints of the account, or of the one collection that the job is about. The place is the collection
/// and the last effective URL that was looked at.
pub(crate) async fn step(tx: &mut Tx, job: &Job) -> Result<Step, Error> {
    let (from_id, after_key) = job.place.split_once('/').unwrap_or(("0", ""));
    let mut from_id: i64 = from_id.parse().map_err(|_| Error::Internal(format!("job place {}", job.place)))?;
    let mut after_key = after_key.to_owned();
    let (mut done, mut counts) = (0, Counts::new());
    let place = 'looking: {
        for _ in 0..COLLECTIONS_PER_STEP {
            let next = match job.collection_id {
                collections::NO_COLLECTION => store::collection_writes::next_plain(tx, job.account_id, from_id).await?,
                id => Some(id).filter(|id| i64::from(*id) >= from_id),
            };
            let Some(collection_id) = next else { break 'looking None };
            if i64::from(collection_id) != from_id {
                after_key.clear();
            }
            let limit = i64::try_from(ENDPOINTS_PER_STEP - done).unwrap_or_default();
            store::collection_writes::hold(tx, job.account_id, collection_id).await?;
            let keys = store::endpoints::some_url_keys(tx, job.account_id, collection_id, &after_key, limit).await?;
            let texts: Vec<&str> = keys.iter().map(String::as_str).collect();
            for (group_id, count) in refresh(tx, job.account_id, collection_id, &texts).await? {
                *counts.entry(group_id).or_default() += count;
            }
            done += keys.len();
            match keys.last() {
                Some(last) if done >= ENDPOINTS_PER_STEP => break 'looking Some(format!("{collection_id}/{last}")),
                _ => from_id = i64::from(collection_id) + 1,
            }
            after_key.clear();
        }
        Some(format!("{from_id}/"))
    };
    add_counts(tx, job.account_id, &counts).await?;
    let done = i64::try_from(done).unwrap_or(i64::MAX);
    Ok(match place {
        Some(place) => Step::To { place, done },
        None => Step::Over { done },
    })
}
