mod deletion;
mod import_target;
pub(crate) mod removal;
mod state;
mod tags;

use std::collections::HashSet;

pub use deletion::delete;
pub use import_target::import_target;
use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_ids::{AccountId, CollectionId, NamedCollectionId, UserId};
use portolan_outbox::Change;
use portolan_runtime::now_s;
use portolan_store::retrying;
use regex::RegexBuilder;
use serde_json::json;
pub use state::{rename, update_deactivated, update_test_scope};
pub use tags::{TagChange, update_tags};

use crate::{
    Deps, Error, access,
    defaults::ensure_default,
    model::{
        collections::{Collection, CollectionName, NewCollection, Sharing, scope_tag, sees},
        text,
    },
    peers, reservations, store,
    view::View,
};

/// What collections are limited by.
const FEATURE: &str = "API_COLLECTIONS";

/// Memory of a compiled pattern that a caller sends.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Creates an empty collection in the caller's account. A repetition of the same write answers the same collection.
///
/// # Errors
/// `COLLECTION_NAME_TAKEN`; `FEATURE_LIMIT_EXCEEDED`, `FEATURE_NOT_IN_PLAN`, `BILLING_PROVIDER_UNAVAILABLE` when the plan is
/// not known.
pub async fn create(deps: &Deps, caller: &Caller, name: CollectionName) -> Result<Collection, Error> {
    insert(deps, caller, NewCollection { name, kind: None, conditions: None }).await
}

/// Inserts a collection or group and shows it to a creator who sees only some.
///
/// # Errors
/// `COLLECTION_NAME_TAKEN`.
pub(crate) async fn insert(deps: &Deps, caller: &Caller, new: NewCollection) -> Result<Collection, Error> {
    let NewCollection { name, kind, conditions } = new;
    ensure_default(deps, caller.account_id).await?;
    let now = now_s();
    let tags = scope_tag(caller.scope, now).into_iter().collect();
    let collection = Collection {
        id: deps.collection_id().await?,
        name: name.into_string(),
        description: None,
        created_at: now,
        host_name: None,
        kind: kind.map(str::to_owned),
        tags,
        access_type: None,
        redacted: false,
        deactivated: false,
        out_of_testing_scope: false,
        automated: false,
        endpoint_count: 0,
        write_id: Some(caller.info.write_id.clone()),
        deleted: false,
        conditions,
        values_removed: true,
        made_by: Some(caller.user_id).filter(|id| *id > UserId(0)),
        sharing: match kind {
            Some(_) => Sharing::None.after_change(caller),
            None => Sharing::None,
        },
    };
    // A repetition after a commit of unknown outcome finds its own row.
    let collection = match made_before(deps, caller, &collection).await? {
        Some(made) => made,
        None => insert_within_plan(deps, caller, collection).await?,
    };
    show_to_creator(deps, caller, collection.id).await?;
    Ok(collection)
}

/// What the same write has made before; nothing when no collection has the name.
///
/// # Errors
/// `COLLECTION_NAME_TAKEN` when another has it.
async fn made_before(deps: &Deps, caller: &Caller, collection: &Collection) -> Result<Option<Collection>, Error> {
    let key = collection.name.to_lowercase();
    match store::collections::by_name_key(&deps.db, caller.account_id, &key).await? {
        Some(holder) if holder.write_id != collection.write_id => Err(Reason::CollectionNameTaken.into()),
        holder => Ok(holder),
    }
}

/// Inserts a collection when the plan has room for it. Groups hold endpoints of others: the plan does not limit them.
async fn insert_within_plan(deps: &Deps, caller: &Caller, collection: Collection) -> Result<Collection, Error> {
    let plan = if collection.is_group() { None } else { Some(reservations::plan(deps, caller.account_id).await?) };
    // Nothing is allowed before billing was asked, which must not happen while this holds a transaction.
    let mut limit = plan.as_ref().map(|_| i64::MIN);
    loop {
        let attempt = retrying(|| async {
            let mut tx = deps.db.begin().await?;
            let used = match &plan {
                Some(plan) => plan.used(&mut tx, FEATURE).await?,
                None => 0,
            };
            if limit.is_some_and(|limit| used >= limit) {
                tx.rollback().await?;
                return Ok(Insert::Over { used });
            }
            let inserted = store::collections::insert(&mut tx, caller.account_id, &collection).await?;
            if inserted {
                let change = Change::of("collection", collection.id).after(&json!({ "name": collection.name }));
                portolan_outbox::audit(&mut tx, caller, change).await?;
            }
            tx.commit().await?;
            Ok::<_, Error>(if inserted { Insert::Done } else { Insert::Taken })
        });
        match attempt.await? {
            Insert::Done => return Ok(collection),
            Insert::Taken => {
                let made = made_before(deps, caller, &collection).await?;
                return made.ok_or_else(|| Reason::CollectionNameTaken.into());
            }
            // Whoever was faster may have used up the limit; billing judges whether a grace goes on.
            Insert::Over { used } => limit = deps.peers.limit(caller.account_id, FEATURE, 1, used).await?,
        }
    }
}

/// What an attempt to insert a collection found.
enum Insert {
    Done,
    /// Its name has a holder.
    Taken,
    /// As much as is known of the limit is used.
    Over {
        used: i64,
    },
}

/// A creator who sees only some collections sees the new one too.
async fn show_to_creator(deps: &Deps, caller: &Caller, collection_id: CollectionId) -> Result<(), Error> {
    if caller.grant.collections().is_some() {
        peers::show_collection(&deps.peers, caller, collection_id).await?;
    }
    Ok(())
}

/// The collections that the caller may see, by id. Groups have the number of endpoints that the caller meets in them.
pub async fn list(deps: &Deps, caller: &Caller) -> Result<Vec<Collection>, Error> {
    ensure_default(deps, caller.account_id).await?;
    let all = store::collections::list(&deps.db, caller.account_id).await?;
    let mut seen: Vec<Collection> = all.iter().filter(|known| sees(caller, known)).cloned().collect();
    if seen.iter().any(Collection::is_group) {
        let view = View::among(deps, caller, all).await?;
        view.count_groups(deps, caller.account_id, &mut seen).await?;
    }
    Ok(seen)
}

/// One collection, as [`list`] tells it.
pub async fn get(deps: &Deps, caller: &Caller, collection_id: CollectionId) -> Result<Option<Collection>, Error> {
    let mut found = access::find(deps, caller, collection_id).await?;
    if let Some(group) = found.as_mut().filter(|found| found.is_group()) {
        let view = View::of(deps, caller).await?;
        view.count_groups(deps, caller.account_id, std::slice::from_mut(group)).await?;
    }
    Ok(found)
}

/// Those of an account's collections that exist, whoever sees them.
pub async fn existing(deps: &Deps, account_id: AccountId, ids: &[NamedCollectionId]) -> Result<Vec<Collection>, Error> {
    ensure_default(deps, account_id).await?;
    let mut collections = store::collections::list(&deps.db, account_id).await?;
    collections.retain(|collection| ids.contains(&collection.id.into()));
    Ok(collections)
}

/// Those whose name and host match the patterns, any case; a blank pattern matches all.
///
/// # Errors
/// `PATTERN_INVALID`.
pub async fn list_matching(
    deps: &Deps,
    caller: &Caller,
    name_regex: Option<&str>,
    host_name_regex: Option<&str>,
) -> Result<Vec<Collection>, Error> {
    let (name, host_name) = (pattern(name_regex)?, pattern(host_name_regex)?);
    let mut collections = list(deps, caller).await?;
    collections.retain(|collection| {
        let host = collection.host_name.as_deref();
        name.as_ref().is_none_or(|pattern| pattern.is_match(&collection.name))
            && host_name.as_ref().is_none_or(|pattern| host.is_some_and(|host| pattern.is_match(host)))
    });
    Ok(collections)
}

fn pattern(text: Option<&str>) -> Result<Option<regex::Regex>, Error> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    let compiled = RegexBuilder::new(text).case_insensitive(true).size_limit(PATTERN_BYTES_MAX).build();
    compiled.map(Some).map_err(|_| Reason::PatternInvalid.into())
}

/// Counts the endpoints of an account, those of deactivated collections apart.
pub async fn count_endpoints(deps: &Deps, account_id: AccountId) -> Result<i64, Error> {
    Ok(store::collections::sum_endpoints(&deps.db, account_id).await?)
}

/// Sets the description; an empty one removes it. A system prompt is not a description and is not stored.
///
/// # Errors
/// `DESCRIPTION_REQUIRED`, `TEXT_TOO_LONG`, `TEXT_HAS_NUL`, `COLLECTION_NOT_FOUND`.
pub async fn update_description(
    deps: &Deps,
    caller: &Caller,
    collection_id: CollectionId,
    description: Option<String>,
    is_system_prompt: bool,
) -> Result<(), Error> {
    let description = text::description(description)?;
    access::writable(deps, caller, collection_id).await?;
    if is_system_prompt {
        return Ok(());
    }
    let description = Some(description.as_str()).filter(|text| !text.is_empty());
    let update = || store::collections::update_description(&deps.db, caller.account_id, collection_id, description);
    match retrying(update).await? {
        true => Ok(()),
        false => Err(Reason::CollectionNotFound.into()),
    }
}

/// The collections of these hosts, any case.
pub async fn collections_of_hosts(deps: &Deps, caller: &Caller, hosts: Vec<String>) -> Result<Vec<Collection>, Error> {
    if hosts.is_empty() {
        return Ok(Vec::new());
    }
    let wanted: HashSet<String> = hosts.iter().map(|host| host.trim().to_lowercase()).collect();
    let mut found = list(deps, caller).await?;
    let is_wanted = |host: &String| wanted.contains(&host.to_lowercase());
    found.retain(|collection| collection.host_name.as_ref().is_some_and(is_wanted));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_ignore_case_and_are_bounded() {
        assert!(pattern(Some("PAY")).unwrap().unwrap().is_match("payments"));
        assert!(pattern(Some(" ")).unwrap().is_none());
        assert!(pattern(Some("(")).is_err());
        assert!(pattern(Some("(a{1000}){1000}")).is_err());
    }
}
