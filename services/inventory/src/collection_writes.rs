//! Changes of collections that leave their endpoints alone: name, tags, test scope, activation.

use portolan_api::{Access, Feature, Reason};
use portolan_authz::{Caller, Scope};
use portolan_store::{Tx, retrying};

use crate::collections::{self, Collection, CollectionName, IDS_MAX, Tag, list};
use crate::environment::ENV_TYPE;
use crate::groups::conditions::{Conditions, too_long};
use crate::jobs::{self, JobKind};
use crate::reservations::{self, Wanted};
use crate::{Deps, Error, access, edge, groups, store, text};
use portolan_runtime::now_s;

/// Tags of one request and of one collection.
const TAGS_MAX: usize = 100;
/// Longest key or value of a tag.
const TAG_CHARACTERS_MAX: usize = 255;

/// Gives a collection another name.
///
/// # Errors
/// `COLLECTION_NOT_FOUND`, `COLLECTION_OF_TRAFFIC`, `COLLECTION_NAME_TAKEN`.
pub async fn rename(deps: &Deps, caller: &Caller, collection_id: i32, name: CollectionName) -> Result<(), Error> {
    let collection = access::writable(deps, caller, collection_id).await?;
    if collection.host_name.is_some() {
        return Err(Reason::CollectionOfTraffic.into());
    }
    let (account_id, key) = (caller.account_id, name.key());
    let renamed =
        async || store::collection_writes::rename(&deps.db, account_id, collection_id, name.as_str(), &key).await;
    match retrying(renamed).await {
        Ok(true) => Ok(()),
        // Two requests raced for the name.
        Ok(false) | Err(portolan_store::Error::UniqueViolation { .. }) => Err(Reason::CollectionNameTaken.into()),
        Err(error) => Err(error.into()),
    }
}

/// Those of the ids that the caller sees, in order.
async fn visible(deps: &Deps, caller: &Caller, mut ids: Vec<i32>) -> Result<Vec<i32>, Error> {
    if ids.len() > IDS_MAX {
        return Err(portolan_api::Error::new(Reason::TooManyIds).with("limit", IDS_MAX).into());
    }
    ids.sort_unstable();
    ids.dedup();
    let known = list(deps, caller).await?;
    ids.retain(|id| known.binary_search_by_key(id, |collection| collection.id).is_ok());
    Ok(ids)
}

/// How a request changes tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagChange {
    /// Removes all.
    Reset,
    /// Key and value of each: removed where it stands, else added.
    Toggle(Vec<(String, String)>),
}

/// Changes the tags of collections; groups follow. Ids that the caller cannot see are passed over.
///
/// # Errors
/// `TOO_MANY_IDS`; `ENV_TYPE_REQUIRED` for an empty list or a tag without a key; `LIST_TOO_LONG`, `TEXT_TOO_LONG`,
/// `TEXT_HAS_NUL`.
pub async fn update_tags(deps: &Deps, caller: &Caller, ids: Vec<i32>, change: TagChange) -> Result<(), Error> {
    if let TagChange::Toggle(tags) = &change {
        check_tags(tags)?;
    }
    let ids = visible(deps, caller, ids).await?;
    // What the first attempt made of each collection, so that a repetition after a commit of unknown outcome does not
    // toggle back.
    let mut made: std::collections::BTreeMap<i32, Vec<Tag>> = Default::default();
    let now = now_s();
    let job_ids = {
        let made = std::sync::Mutex::new(&mut made);
        retrying(|| async {
            let mut tx = deps.db.begin().await?;
            let mut job_ids = Vec::new();
            for id in &ids {
                store::collection_writes::hold(&mut tx, caller.account_id, *id).await?;
                let Some(known) = store::collections::get_in(&mut tx, caller.account_id, *id).await? else { continue };
                let before = made.lock().ok().and_then(|made| made.get(id).cloned());
                let tags = match before {
                    Some(tags) if tags == known.tags => continue,
                    Some(tags) => tags,
                    None => changed(&known.tags, &change, now),
                };
                if tags.len() > TAGS_MAX {
                    return Err(too_long("tagsList", TAGS_MAX));
                }
                check_move(caller, &known.tags, &tags)?;
                store::collection_writes::update_tags(&mut tx, caller.account_id, *id, &tags).await?;
                if let Ok(mut made) = made.lock() {
                    made.insert(*id, tags);
                }
                job_ids.push(jobs::ask(&mut tx, caller.account_id, JobKind::ComputeGroups, Some(*id)).await?);
            }
            tx.commit().await?;
            Ok::<_, Error>(job_ids)
        })
        .await?
    };
    follow_up(deps, caller.account_id, &job_ids).await;
    Ok(())
}

/// Tags that move a collection between product scopes change whose roles decide over it, which is for an ADMIN.
pub(crate) fn check_move(caller: &Caller, before: &[Tag], after: &[Tag]) -> Result<(), Error> {
    let scopes = [Scope::Api, Scope::Mcp, Scope::GenAi, Scope::Dast, Scope::Endpoint];
    let moves =
        scopes.iter().any(|scope| collections::in_scope(before, *scope) != collections::in_scope(after, *scope));
    if moves && !caller.grant.allows(Feature::AdminActions, Access::ReadWrite) {
        let refused = portolan_api::Error::new(Reason::RoleHasNoAccess).with("role", caller.grant.display_role());
        return Err(refused.into());
    }
    Ok(())
}

/// Works on the first jobs of a request at once; the background does the others.
async fn follow_up(deps: &Deps, account_id: i64, job_ids: &[String]) {
    if let [job_id] = job_ids {
        jobs::run_inline(deps, account_id, job_id).await;
    }
    deps.shared.jobs.notify_one();
}

fn check_tags(tags: &[(String, String)]) -> Result<(), Error> {
    if tags.is_empty() || tags.iter().any(|(key, _)| key.is_empty()) {
        return Err(Reason::EnvTypeRequired.into());
    }
    if tags.len() > TAGS_MAX {
        return Err(too_long("envType", TAGS_MAX));
    }
    for (member, text) in tags.iter().flat_map(|(key, value)| [("keyName", key), ("value", value)]) {
        if text.chars().count() > TAG_CHARACTERS_MAX {
            let error = portolan_api::Error::new(Reason::TextTooLong);
            return Err(error.with("member", member).with("limit", TAG_CHARACTERS_MAX).into());
        }
        text::no_nul(member, text)?;
    }
    Ok(())
}

fn changed(known: &[Tag], change: &TagChange, now: i64) -> Vec<Tag> {
    let TagChange::Toggle(toggled) = change else { return Vec::new() };
    let mut tags = known.to_vec();
    for (key, value) in toggled {
        let is_same = |tag: &Tag| tag.key_name == *key && tag.value == *value;
        if tags.iter().any(is_same) {
            tags.retain(|tag| !is_same(tag));
            continue;
        }
        if key.eq_ignore_ascii_case(ENV_TYPE) {
            tags.retain(|tag| !tag.key_name.eq_ignore_ascii_case(ENV_TYPE));
        }
        tags.push(Tag {
            key_name: key.clone(),
            value: value.clone(),
            source: Some("USER".to_owned()),
            updated_at: now,
        });
    }
    tags
}

/// Takes collections out of the scope of tests, or back into it.
///
/// # Errors
/// `COLLECTIONS_REQUIRED`, `TOO_MANY_IDS`, `COLLECTIONS_NOT_ACCESSIBLE`.
pub async fn update_test_scope(deps: &Deps, caller: &Caller, ids: Vec<i32>, is_out: bool) -> Result<(), Error> {
    if ids.is_empty() {
        return Err(Reason::CollectionsRequired.into());
    }
    let ids = visible(deps, caller, ids).await?;
    if ids.is_empty() {
        return Err(Reason::CollectionsNotAccessible.into());
    }
    retrying(|| async {
        let mut tx = deps.db.begin().await?;
        for id in &ids {
            store::collection_writes::update_test_scope(&mut tx, caller.account_id, *id, is_out).await?;
        }
        tx.commit().await?;
        Ok::<_, Error>(())
    })
    .await
}

/// Reserves room in the plan for the endpoints of the deactivated ones among these collections; `None` when there are
/// none.
async fn reserve_activation(deps: &Deps, account_id: i64, ids: &[i32]) -> Result<Option<String>, Error> {
    let mut endpoints = 0;
    for id in ids {
        let found = store::collections::get(&deps.db, account_id, *id).await?;
        // Groups hold endpoints of others, which count there.
        let waiting = found.filter(|collection| collection.deactivated && collection.kind.is_none());
        endpoints += waiting.map_or(0, |collection| collection.endpoint_count);
    }
    if endpoints == 0 {
        return Ok(None);
    }
    let reservation_id = format!("activation/{}", uuid::Uuid::new_v4());
    match reservations::reserve(deps, account_id, &reservation_id, Wanted::Waiting(endpoints)).await {
        Err(error) if error.reason() == Some(Reason::FeatureLimitExceeded) => Err(Reason::ActivationOverLimit.into()),
        outcome => outcome.map(|()| Some(reservation_id)),
    }
}

/// Deactivates or activates those of the collections that are not so yet, and answers them; groups follow.
///
/// # Errors
/// `TOO_MANY_IDS`; of an activation also `ACTIVATION_OVER_LIMIT`, `FEATURE_NOT_IN_PLAN`, and `UNAVAILABLE` when the plan
/// is not known.
pub async fn update_deactivated(
    deps: &Deps,
    caller: &Caller,
    ids: Vec<i32>,
    is_deactivated: bool,
) -> Result<Vec<Collection>, Error> {
    let ids = visible(deps, caller, ids).await?;
    let reservation = if is_deactivated { None } else { reserve_activation(deps, caller.account_id, &ids).await? };
    let (changed, job_ids) = retrying(|| async {
        let mut tx = deps.db.begin().await?;
        // From the commit on the endpoints count themselves.
        if let Some(reservation_id) = &reservation {
            store::reservations::delete(&mut tx, reservation_id).await?;
        }
        let (mut changed, mut job_ids) = (Vec::new(), Vec::new());
        for id in &ids {
            if store::collection_writes::update_deactivated(&mut tx, caller.account_id, *id, is_deactivated).await? {
                job_ids.push(jobs::ask(&mut tx, caller.account_id, JobKind::ComputeGroups, Some(*id)).await?);
                changed.extend(store::collections::get_in(&mut tx, caller.account_id, *id).await?);
            }
        }
        let changed_ids: Vec<i32> = changed.iter().map(|collection: &Collection| collection.id).collect();
        edge::touch_collections(&mut tx, caller.account_id, &changed_ids).await?;
        tx.commit().await?;
        Ok::<_, Error>((changed, job_ids))
    })
    .await?;
    if !changed.is_empty() {
        deps.peers.settle_edge().await;
    }
    follow_up(deps, caller.account_id, &job_ids).await;
    Ok(changed)
}

/// Takes the endpoints of deleted collections out of all groups and of their lists of single endpoints. The transaction
/// holds the collections.
pub(crate) async fn leave_groups(tx: &mut Tx, account_id: i64, deleted: &[i32]) -> Result<(), Error> {
    let mut counts = groups::Counts::new();
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
    groups::add_counts(tx, account_id, &counts).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toggle(known: &[Tag], tags: &[(&str, &str)]) -> Vec<Tag> {
        let tags = tags.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        changed(known, &TagChange::Toggle(tags), 7)
    }

    fn texts(tags: &[Tag]) -> Vec<String> {
        tags.iter().map(|tag| format!("{}={}", tag.key_name, tag.value)).collect()
    }

    #[test]
    fn a_toggle_adds_removes_and_keeps_one_environment() {
        let tags = toggle(&[], &[("envType", "STAGING"), ("team", "a")]);
        assert_eq!(texts(&tags), ["envType=STAGING", "team=a"]);
        assert_eq!(texts(&toggle(&tags, &[("ENVTYPE", "QA")])), ["team=a", "ENVTYPE=QA"]);
        assert_eq!(texts(&toggle(&tags, &[("team", "b")])), ["envType=STAGING", "team=a", "team=b"]);
        assert_eq!(texts(&toggle(&tags, &[("envType", "STAGING")])), ["team=a"]);
        assert!(changed(&tags, &TagChange::Reset, 7).is_empty());
    }
}
