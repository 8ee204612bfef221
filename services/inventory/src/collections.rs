use std::collections::HashMap;

use portolan_api::identity::v1::AddUserCollectionRequest;
use portolan_api::{Access, Feature, Reason};
use portolan_authz::{Caller, Scope};
use portolan_outbox::Change;
use portolan_store::retrying;
use regex::RegexBuilder;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::view::View;
use crate::{Deps, Error, access, collection_writes, edge, groups, jobs, reservations, store, text};
use portolan_runtime::now_s;

/// The collection that every account has.
pub const DEFAULT_ID: i32 = 0;
/// Stands for no collection where a request names none.
pub const NO_COLLECTION: i32 = -1;
const DEFAULT_NAME: &str = "Default";
/// What collections are limited by.
const FEATURE: &str = "API_COLLECTIONS";
/// Longest name, as documented.
const NAME_CHARACTERS_MAX: usize = 60;
/// Longest list of ids in a request.
pub(crate) const IDS_MAX: usize = 10_000;
/// Memory of a compiled pattern that a caller sends.
const PATTERN_BYTES_MAX: usize = 1 << 20;
pub const MCP_TAG: &str = "mcp-server";
pub const GEN_AI_TAG: &str = "gen-ai";
/// The value of [`GEN_AI_TAG`] that an import from an address gives; such collections are in the scope API as well.
const GEN_AI_IMPORT: &str = "Gen AI Import";
pub const DAST_TAG: &str = "dast";
/// The source of the tags that an endpoint agent gives.
const ENDPOINT_SOURCE: &str = "ENDPOINT";

/// A set of endpoints under one name: filled by imports, or by the traffic of one host.
#[derive(Clone, Debug, PartialEq)]
pub struct Collection {
    pub id: i32,
    pub name: String,
    pub description: Option<String>,
    /// Unix seconds.
    pub created_at: i64,
    /// Set for collections of live traffic.
    pub host_name: Option<String>,
    /// `API_GROUP`; nothing for a plain collection.
    pub kind: Option<String>,
    pub tags: Vec<Tag>,
    pub access_type: Option<String>,
    pub redacted: bool,
    pub deactivated: bool,
    pub out_of_testing_scope: bool,
    pub automated: bool,
    pub endpoint_count: i64,
    /// The write that made it.
    pub write_id: Option<String>,
    pub deleted: bool,
    /// What a group shows, as stored; nothing for a plain collection.
    pub conditions: Option<String>,
    /// No value of a redacted collection is left.
    pub values_removed: bool,
    /// The user that made it; nothing for those of hosts and of the installation.
    pub made_by: Option<i64>,
    /// Nothing but [`Sharing::None`] for a plain collection.
    pub sharing: Sharing,
}

/// Whether a group grants what it shows to those whose list names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Its readers see their part of it.
    #[default]
    None,
    /// An administrator wrote its conditions last.
    ByAdministrator,
    /// An administrator shared it.
    Marked,
}

impl Sharing {
    /// After a change of what a group shows: nobody else widens what an administrator granted.
    pub(crate) fn after_change(self, caller: &Caller) -> Self {
        match (is_administrator(caller), self) {
            (false, _) => Self::None,
            (true, Self::Marked) => Self::Marked,
            (true, _) => Self::ByAdministrator,
        }
    }
}

/// Whether a caller may grant others what a group shows.
pub(crate) fn is_administrator(caller: &Caller) -> bool {
    caller.grant.allows(Feature::AdminActions, Access::ReadWrite) && caller.grant.collections().is_none()
}

/// What a new collection is made of.
pub(crate) struct NewCollection {
    pub name: CollectionName,
    pub kind: Option<&'static str>,
    pub conditions: Option<String>,
}

/// A tag of a collection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tag {
    pub key_name: String,
    pub value: String,
    pub source: Option<String>,
    /// Unix seconds.
    pub updated_at: i64,
}

impl Collection {
    /// `<host> - <name>` for host collections with a name of their own, else the name.
    pub fn display_name(&self) -> String {
        match &self.host_name {
            Some(host) if *host != self.name => format!("{host} - {}", self.name),
            _ => self.name.clone(),
        }
    }

    pub fn is_group(&self) -> bool {
        self.kind.as_deref() == Some(groups::KIND)
    }

    pub fn has_tag(&self, key_name: &str) -> bool {
        self.tags.iter().any(|tag| tag.key_name == key_name)
    }

    /// Whether the collection belongs to the product scope. What no tag takes elsewhere belongs to API.
    pub fn in_scope(&self, scope: Scope) -> bool {
        in_scope(&self.tags, scope)
    }
}

/// Whether tags put a collection into a product scope.
pub(crate) fn in_scope(tags: &[Tag], scope: Scope) -> bool {
    let has = |name: &str| tags.iter().any(|tag| tag.key_name == name);
    let is_of_endpoint = |tag: &Tag| tag.source.as_deref() == Some(ENDPOINT_SOURCE);
    match scope {
        Scope::Api => !tags.iter().any(|tag| {
            let elsewhere = [MCP_TAG, GEN_AI_TAG, DAST_TAG].contains(&tag.key_name.as_str()) || is_of_endpoint(tag);
            elsewhere && tag.value != GEN_AI_IMPORT
        }),
        Scope::Mcp => has(MCP_TAG),
        Scope::GenAi => has(GEN_AI_TAG),
        Scope::Agentic => has(MCP_TAG) || has(GEN_AI_TAG),
        Scope::Dast => has(DAST_TAG),
        Scope::Endpoint => tags.iter().any(is_of_endpoint),
    }
}

/// The tag that puts what is made in a scope there.
fn scope_tag(scope: Scope, now: i64) -> Option<Tag> {
    let (key_name, value, source) = match scope {
        Scope::Api => return None,
        Scope::Mcp => (MCP_TAG, "MCP Server", "USER"),
        Scope::GenAi | Scope::Agentic => (GEN_AI_TAG, "Gen AI", "USER"),
        Scope::Dast => (DAST_TAG, "DAST", "USER"),
        Scope::Endpoint => ("source", ENDPOINT_SOURCE, ENDPOINT_SOURCE),
    };
    let [key_name, value] = [key_name, value].map(str::to_owned);
    Some(Tag { key_name, value, source: Some(source.to_owned()), updated_at: now })
}

/// A name that a caller may give a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionName(String);

impl CollectionName {
    /// # Errors
    /// In this order: `COLLECTION_NAME_INVALID` for a missing or empty name, `COLLECTION_NAME_TOO_LONG`,
    /// `COLLECTION_NAME_CHARACTERS`.
    pub fn parse(name: Option<String>) -> Result<Self, Error> {
        let name = name.filter(|name| !name.is_empty()).ok_or(Reason::CollectionNameInvalid)?;
        if name.chars().count() > NAME_CHARACTERS_MAX {
            return Err(Reason::CollectionNameTooLong.into());
        }
        if !name.chars().all(allowed) {
            return Err(Reason::CollectionNameCharacters.into());
        }
        Ok(Self(name))
    }

    /// Makes a name from a title, file or host: other characters become `-`, and it is cut.
    ///
    /// # Errors
    /// `COLLECTION_NAME_INVALID` when nothing is left.
    pub fn clean(name: &str) -> Result<Self, Error> {
        let clean: String =
            name.trim().chars().take(NAME_CHARACTERS_MAX).map(|c| if allowed(c) { c } else { '-' }).collect();
        Self::parse(Some(clean))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn key(&self) -> String {
        self.0.to_lowercase()
    }
}

fn allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '_' | ' ')
}

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
        name: name.0,
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
        made_by: Some(caller.user_id).filter(|id| *id > 0),
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
async fn show_to_creator(deps: &Deps, caller: &Caller, collection_id: i32) -> Result<(), Error> {
    if caller.grant.collections().is_some() {
        let request =
            AddUserCollectionRequest { account_id: caller.account_id, user_id: caller.user_id, collection_id };
        deps.peers.identity().add_user_collection(request).await.map_err(portolan_api::Error::from)?;
    }
    Ok(())
}

/// Gives the account its default collection, when it has none.
pub(crate) async fn ensure_default(deps: &Deps, account_id: i64) -> Result<(), Error> {
    let missing = deps.without_default([account_id]);
    if !missing.is_empty() {
        retrying(|| async {
            let mut tx = deps.db.begin().await?;
            insert_defaults(&mut tx, &missing).await?;
            tx.commit().await?;
            Ok::<_, Error>(())
        })
        .await?;
        deps.note_default(&missing);
    }
    Ok(())
}

pub(crate) async fn insert_defaults(tx: &mut portolan_store::Tx, account_ids: &[i64]) -> Result<(), Error> {
    Ok(store::collections::insert_default(tx, account_ids, DEFAULT_NAME, now_s()).await?)
}

/// The collections that the caller may see, by id. Groups have the number of endpoints that the caller meets in them.
pub async fn list(deps: &Deps, caller: &Caller) -> Result<Vec<Collection>, Error> {
    ensure_default(deps, caller.account_id).await?;
    let all = store::collections::list(&deps.db, caller.account_id).await?;
    let mut seen: Vec<Collection> = all.iter().filter(|known| access::sees(caller, known)).cloned().collect();
    if seen.iter().any(Collection::is_group) {
        let view = View::among(deps, caller, all).await?;
        view.count_groups(deps, caller.account_id, &mut seen).await?;
    }
    Ok(seen)
}

/// One collection, as [`list`] tells it.
pub async fn get(deps: &Deps, caller: &Caller, collection_id: i32) -> Result<Option<Collection>, Error> {
    let mut found = access::find(deps, caller, collection_id).await?;
    if let Some(group) = found.as_mut().filter(|found| found.is_group()) {
        let view = View::of(deps, caller).await?;
        view.count_groups(deps, caller.account_id, std::slice::from_mut(group)).await?;
    }
    Ok(found)
}

/// The names of those of an account's collections that exist, whoever sees them.
pub async fn names(deps: &Deps, account_id: i64, ids: &[i64]) -> Result<Vec<(i64, String)>, Error> {
    ensure_default(deps, account_id).await?;
    let collections = store::collections::list(&deps.db, account_id).await?;
    let named = collections.into_iter().map(|collection| (i64::from(collection.id), collection.name));
    Ok(named.filter(|(id, _)| ids.contains(id)).collect())
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
pub async fn count_endpoints(deps: &Deps, account_id: i64) -> Result<i64, Error> {
    Ok(store::collections::sum_endpoints(&deps.db, account_id).await?)
}

/// Sets the description; an empty one removes it. A system prompt is not a description and is not stored.
///
/// # Errors
/// `DESCRIPTION_REQUIRED`, `TEXT_TOO_LONG`, `TEXT_HAS_NUL`, `COLLECTION_NOT_FOUND`.
pub async fn update_description(
    deps: &Deps,
    caller: &Caller,
    collection_id: i32,
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

/// Deletes collections. From the commit on nobody sees them; durable jobs, whose ids are answered, remove what they hold.
/// Ids that the caller cannot see are passed over.
///
/// # Errors
/// `TOO_MANY_IDS`; `COLLECTION_DEFAULT` when the default collection is among them. Then nothing is deleted.
pub async fn delete(deps: &Deps, caller: &Caller, mut ids: Vec<i32>) -> Result<Vec<String>, Error> {
    if ids.len() > IDS_MAX {
        return Err(portolan_api::Error::new(Reason::TooManyIds).with("limit", IDS_MAX).into());
    }
    if ids.contains(&DEFAULT_ID) {
        return Err(Reason::CollectionDefault.into());
    }
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let visible = list(deps, caller).await?;
    ids.retain(|id| visible.binary_search_by_key(id, |collection| collection.id).is_ok());
    let now = now_s();
    let job_ids = retrying(|| async {
        let mut tx = deps.db.begin().await?;
        let mut job_ids = Vec::new();
        for id in &ids {
            if store::collections::mark_deleted(&mut tx, caller.account_id, *id, now).await? {
                let kind = jobs::JobKind::DeleteCollection;
                job_ids.push(jobs::ask(&mut tx, caller.account_id, kind, Some(*id)).await?);
            }
        }
        collection_writes::leave_groups(&mut tx, caller.account_id, &ids).await?;
        edge::remove_collections(&mut tx, caller.account_id, &ids).await?;
        tx.commit().await?;
        Ok::<_, Error>(job_ids)
    })
    .await?;
    deps.shared.jobs.notify_one();
    if !job_ids.is_empty() {
        deps.peers.settle_edge().await;
    }
    Ok(job_ids)
}

/// The collection that an import fills: the one with the name, made when there is none, or the one with the id.
///
/// # Errors
/// The reasons of [`CollectionName`]; `COLLECTION_NAME_TAKEN` when the caller may not see who has the name.
pub async fn import_target(
    deps: &Deps,
    caller: &Caller,
    id: Option<i32>,
    name: Option<String>,
    clean_name: bool,
    tags: HashMap<String, String>,
) -> Result<Option<Collection>, Error> {
    let target = named_target(deps, caller, id, name, clean_name).await?;
    match target {
        Some(target) if !tags.is_empty() => add_tags(deps, caller, target, tags).await.map(Some),
        target => Ok(target),
    }
}

/// Adds the tags that the collection does not have.
async fn add_tags(
    deps: &Deps,
    caller: &Caller,
    mut collection: Collection,
    tags: HashMap<String, String>,
) -> Result<Collection, Error> {
    let now = now_s();
    let missing = tags.into_iter().filter(|(key, _)| !collection.has_tag(key)).map(|(key_name, value)| Tag {
        key_name,
        value,
        source: Some("USER".to_owned()),
        updated_at: now,
    });
    let missing: Vec<_> = missing.collect();
    if !missing.is_empty() {
        // The tag of an import from an address leaves the collection in its scope.
        let moving = missing.iter().filter(|tag| tag.value != GEN_AI_IMPORT);
        let moved: Vec<_> = collection.tags.iter().chain(moving).cloned().collect();
        collection_writes::check_move(caller, &collection.tags, &moved)?;
        collection.tags.extend(missing);
        retrying(|| async {
            let mut tx = deps.db.begin().await?;
            store::collections::set_tags(&mut tx, caller.account_id, collection.id, &collection.tags).await?;
            tx.commit().await?;
            Ok::<_, Error>(())
        })
        .await?;
    }
    Ok(collection)
}

async fn named_target(
    deps: &Deps,
    caller: &Caller,
    id: Option<i32>,
    name: Option<String>,
    clean_name: bool,
) -> Result<Option<Collection>, Error> {
    let Some(name) = name else {
        return match id {
            Some(id) => access::find(deps, caller, id).await,
            None => Ok(None),
        };
    };
    let name = if clean_name { CollectionName::clean(&name)? } else { CollectionName::parse(Some(name))? };
    let key = name.key();
    ensure_default(deps, caller.account_id).await?;
    if let Some(known) = store::collections::by_name_key(&deps.db, caller.account_id, &key).await? {
        return usable(caller, known).map(Some);
    }
    match create(deps, caller, name).await {
        // Another request was faster.
        Err(error) if error.reason() == Some(Reason::CollectionNameTaken) => {
            let known = store::collections::by_name_key(&deps.db, caller.account_id, &key).await?;
            usable(caller, known.ok_or(Reason::CollectionNameTaken)?).map(Some)
        }
        outcome => outcome.map(Some),
    }
}

fn usable(caller: &Caller, known: Collection) -> Result<Collection, Error> {
    if access::sees(caller, &known) { Ok(known) } else { Err(Reason::CollectionNameTaken.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(name: Option<&str>) -> Reason {
        CollectionName::parse(name.map(str::to_owned)).unwrap_err().reason().unwrap()
    }

    #[test]
    fn names_are_checked_in_the_documented_order() {
        assert_eq!(refusal(None), Reason::CollectionNameInvalid);
        assert_eq!(refusal(Some("")), Reason::CollectionNameInvalid);
        assert_eq!(refusal(Some(&"é".repeat(61))), Reason::CollectionNameTooLong);
        assert_eq!(refusal(Some("a/b")), Reason::CollectionNameCharacters);
        let longest = "Az09-._ ".repeat(7) + "abcd";
        assert_eq!(CollectionName::parse(Some(longest.clone())).unwrap().as_str(), longest);
    }

    #[test]
    fn names_from_elsewhere_are_cleaned_and_cut() {
        assert_eq!(CollectionName::clean("api.example.com:8443").unwrap().as_str(), "api.example.com-8443");
        assert_eq!(CollectionName::clean(&"ü".repeat(90)).unwrap().as_str(), "-".repeat(60));
        assert!(CollectionName::clean("  ").is_err());
    }

    #[test]
    fn patterns_ignore_case_and_are_bounded() {
        assert!(pattern(Some("PAY")).unwrap().unwrap().is_match("payments"));
        assert!(pattern(Some(" ")).unwrap().is_none());
        assert!(pattern(Some("(")).is_err());
        assert!(pattern(Some("(a{1000}){1000}")).is_err());
    }
}
