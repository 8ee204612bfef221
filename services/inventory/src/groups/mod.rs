//! Groups: collections that own no endpoints and show those of others that meet their conditions.
//!
//! # Invariants
//! - `group_members` is what the conditions say of the stored endpoints. Ingest keeps it so for what it changes, in its
//!   own transaction; a change of conditions is followed by a job in which the group looks at every endpoint, one of tags
//!   or activation by a job in which every group looks at those of the collection.
//! - Both hold the collection of an endpoint while they decide, and read the conditions after they hold it, so the last
//!   to decide knows the last conditions.
//! - Conditions of a caller who sees only some collections never show endpoints of others.
//! - Who reads a group meets of its members only what they may read (see [`crate::view`]).

use crate::{jobs, model::collections::is_administrator};
pub mod preview;

use std::collections::BTreeSet;

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_ids::{AccountId, CollectionId, JobId};
use portolan_outbox::Change;
use portolan_store::{Tx, retrying};
use serde_json::json;

use crate::{
    Deps, Error, access, collections,
    model::{
        collections::{Collection, CollectionName, NewCollection, Sharing},
        conditions::{Conditions, ENDPOINTS_MAX, Written},
        endpoints::EndpointId,
        groups::GROUP_KIND,
        jobs::Task,
        text::{text_too_long, too_long},
    },
    store,
};

/// Groups of one account.
const GROUPS_MAX: usize = 500;

/// Patterns in their conditions…
const PATTERNS_MAX: usize = 200;

/// … and the memory of these when they are compiled.
const PATTERN_BYTES_MAX: usize = 16 << 20;

/// Their conditions as text: all are read whenever endpoints that one of them may show have changed.
const TEXT_CHARACTERS_MAX: usize = 16 << 20;

/// Creates a group, and asks for the job that finds its members. A repetition of the same write returns the same group.
///
/// # Errors
/// `COLLECTION_NAME_TAKEN`, `CONDITION_INVALID`, `PATTERN_INVALID`, `LIST_TOO_LONG`.
pub async fn create(
    deps: &Deps,
    caller: &Caller,
    name: CollectionName,
    written: Vec<Written>,
) -> Result<(Collection, JobId), Error> {
    let conditions = understood(deps, caller, written).await?;
    let text = conditions.to_json();
    expect_room(deps, caller, None, conditions.patterns(), text.len()).await?;
    let new = NewCollection { name, kind: Some(GROUP_KIND), conditions: Some(text) };
    let group = collections::insert(deps, caller, new).await?;
    let job_id = find_members(deps, caller.account_id, group.id).await?;
    Ok((group, job_id))
}

/// Replaces the conditions of a group. Endpoints that were added by hand stay beside them if the list that answers name
/// for them is written again.
///
/// # Errors
/// `COLLECTION_NOT_FOUND`, `GROUP_INVALID` for a collection that is no group, and those of [`create`].
pub async fn update(
    deps: &Deps,
    caller: &Caller,
    group_id: CollectionId,
    written: Vec<Written>,
) -> Result<JobId, Error> {
    let understood = understood(deps, caller, written).await?;
    access::writable(deps, caller, group_id).await?;
    expect_room(deps, caller, Some(group_id), understood.patterns(), 0).await?;
    change(deps, caller, group_id, |known| {
        let mut conditions = understood.clone();
        conditions.keep_by_hand(&Conditions::stored(known));
        Ok(Some(conditions.to_json()))
    })
    .await?;
    find_members(deps, caller.account_id, group_id).await
}

/// Adds single endpoints to what the group with this name shows, and makes the group when no collection has the name.
/// Returns the job that finds the members, if there is anything to find.
///
/// # Errors
/// `ENDPOINTS_REQUIRED` for an empty list, `GROUP_INVALID_TO_ADD` when a collection has the name, the reasons of
/// [`CollectionName`].
pub async fn add_endpoints(
    deps: &Deps,
    caller: &Caller,
    name: Option<String>,
    endpoints: Option<Vec<EndpointId>>,
) -> Result<Option<JobId>, Error> {
    let endpoints = chosen(deps, caller, endpoints).await?;
    let group = match by_name(deps, caller, name.as_deref()).await? {
        Some(known) if known.is_group() => known,
        Some(_) => return Err(Reason::GroupInvalidToAdd.into()),
        None => {
            let name = CollectionName::parse(name)?;
            let conditions = Conditions::default().to_json();
            expect_room(deps, caller, None, (0, 0), conditions.len()).await?;
            let new = NewCollection { name, kind: Some(GROUP_KIND), conditions: Some(conditions) };
            collections::insert(deps, caller, new).await?
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
    find_members(deps, caller.account_id, group.id).await.map(Some)
}

/// Takes single endpoints out of the lists of the group with this name, first out of what was added by hand. Returns as
/// [`add_endpoints`] does.
///
/// # Errors
/// `ENDPOINTS_REQUIRED` for an empty list, `GROUP_INVALID` when no group has the name.
pub async fn remove_endpoints(
    deps: &Deps,
    caller: &Caller,
    name: Option<String>,
    endpoints: Option<Vec<EndpointId>>,
) -> Result<Option<JobId>, Error> {
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
    find_members(deps, caller.account_id, group.id).await.map(Some)
}

/// Each record of an account is held against the conditions of all its groups, so there is an end of them. What is wanted
/// has so many patterns, with the memory of these, and, for a new group, so many bytes of text.
///
/// # Errors
/// `LIST_TOO_LONG` when the account has too many groups with a new one, or patterns with these; `TEXT_TOO_LONG` when the
/// conditions of a new one take too much with those of the others.
async fn expect_room(
    deps: &Deps,
    caller: &Caller,
    changed: Option<CollectionId>,
    (count, bytes): (usize, usize),
    text: usize,
) -> Result<(), Error> {
    let mut tx = deps.db.begin_read().await?;
    let mut others = store::groups::conditions(&mut tx, caller.account_id).await?;
    if changed.is_none() {
        expect_text(&mut tx, caller.account_id, text).await?;
    }
    tx.rollback().await?;
    others.retain(|(id, _)| Some(*id) != changed);
    if changed.is_none() && others.len() >= GROUPS_MAX {
        return Err(too_long("groups of one account", GROUPS_MAX).into());
    }
    if count == 0 {
        return Ok(());
    }
    let counted = tokio::task::spawn_blocking(move || {
        let of_others = others.iter().map(|(_, conditions)| Conditions::stored(conditions).patterns());
        of_others.fold((count, bytes), |all, other| (all.0 + other.0, all.1 + other.1))
    });
    let (count, bytes) = counted.await.map_err(|error| Error::Internal(format!("counting patterns: {error}")))?;
    if count > PATTERNS_MAX {
        return Err(too_long("patterns in the groups of one account", PATTERNS_MAX).into());
    }
    if bytes > PATTERN_BYTES_MAX {
        return Err(too_long("patterns in the groups of one account, compiled into bytes,", PATTERN_BYTES_MAX).into());
    }
    Ok(())
}

/// Expects that the conditions of all groups of an account are not too long with so much more.
async fn expect_text(tx: &mut Tx, account_id: AccountId, more: usize) -> Result<(), Error> {
    if store::groups::text_characters(tx, account_id).await?.saturating_add(more) > TEXT_CHARACTERS_MAX {
        return Err(text_too_long("the conditions of all groups together", TEXT_CHARACTERS_MAX).into());
    }
    Ok(())
}

/// Makes a group a grant of its own to those whose list names it, or ends that.
///
/// # Errors
/// `COLLECTION_NOT_FOUND`, `GROUP_INVALID` for a collection that is no group; `ROLE_HAS_NO_ACCESS` for a caller who sees
/// only some collections and would grant what others have.
pub async fn share(deps: &Deps, caller: &Caller, group_id: CollectionId, shared: bool) -> Result<(), Error> {
    access::writable(deps, caller, group_id).await?;
    if !is_administrator(caller) {
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
pub async fn compute(deps: &Deps, caller: &Caller, name: Option<String>) -> Result<JobId, Error> {
    let group = by_name(deps, caller, name.as_deref()).await?.filter(Collection::is_group);
    let group = group.ok_or(Reason::GroupInvalid)?;
    find_members(deps, caller.account_id, group.id).await
}

/// Understands conditions as this caller may state them: endpoints that the caller does not see are passed over, and
/// patterns find nothing beyond what the caller sees.
pub(crate) async fn understood(deps: &Deps, caller: &Caller, written: Vec<Written>) -> Result<Conditions, Error> {
    let written = written.into_iter().map(|written| Written { within: None, by_hand: false, ..written }).collect();
    // Patterns take a while to compile, so that other requests go first.
    let understood = portolan_runtime::in_background(move || Conditions::parse(written)).await;
    let mut conditions = understood.map_err(|error| Error::Internal(format!("compiling patterns: {error}")))??;
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
        return Err(too_long("apiList", ENDPOINTS_MAX).into());
    }
    let visible = visible_ids(deps, caller).await?;
    endpoints.retain(|id| visible.contains(&id.collection_id));
    Ok(endpoints)
}

async fn visible_ids(deps: &Deps, caller: &Caller) -> Result<BTreeSet<CollectionId>, Error> {
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
    group_id: CollectionId,
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
            if conditions.len() > known.len() {
                expect_text(&mut tx, account_id, 0).await?;
            }
        }
        tx.commit().await?;
        Ok::<_, Error>(())
    })
    .await
}

/// Has a group look at all endpoints; returns the id of the job that does it.
async fn find_members(deps: &Deps, account_id: AccountId, group_id: CollectionId) -> Result<JobId, Error> {
    let job_id = retrying(|| async {
        let mut tx = deps.db.begin().await?;
        let job_id = jobs::ask(deps, &mut tx, account_id, Task::members_of(group_id)).await?;
        tx.commit().await?;
        Ok::<_, Error>(job_id)
    })
    .await?;
    // The workers are not told: a request that waits for the job works on it itself, and tells them after that.
    Ok(job_id)
}
