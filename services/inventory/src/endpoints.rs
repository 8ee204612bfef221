use std::collections::{BTreeMap, BTreeSet, HashSet};

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_engine::{AccessType, ApiType, AuthSet, AuthType, DeclaredFacts};
use portolan_record::Source;
use portolan_store::retrying;
use serde::{Deserialize, Serialize};

use crate::collections::{Collection, NO_COLLECTION, Tag};
use crate::view::View;
use crate::{Deps, Error, access, keys, store, text};
use portolan_runtime::now_s;

/// Collections of one request whose endpoints are listed; further ids are passed over, as documented.
const COLLECTIONS_MAX: usize = 300;
/// Of more endpoints of one collection, all are read at once instead of each by its URL.
const LOOKED_UP_MAX: usize = 2_000;
/// The key of tags that come from a specification, which has values only.
const DECLARED_TAG: &str = "tag";
/// An endpoint counts as new for this long.
const NEW_S: i64 = 30 * 24 * 3_600;

/// How callers name an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId {
    pub collection_id: i32,
    /// The effective URL: static, or a template.
    pub url: String,
    pub method: String,
}

impl EndpointId {
    /// The key of the effective URL; methods are stored in upper case.
    pub(crate) fn url_key(&self) -> String {
        keys::endpoint_key(&self.method.to_ascii_uppercase(), &self.url)
    }
}

/// What is stored of one raw URL with one method.
#[derive(Clone, Debug, PartialEq)]
pub struct RawEndpoint {
    pub key: String,
    pub method: String,
    pub raw_url: String,
    pub url: String,
    /// A 2xx or 302 answer or a declaration was seen.
    pub proven: bool,
    /// Unix seconds.
    pub first_seen: i64,
    /// Unix seconds.
    pub last_seen: i64,
    pub facts: Facts,
    pub description: Option<String>,
    /// Unix seconds; of several raw URLs of one endpoint the last description counts.
    pub described_at: i64,
}

/// The part of a raw endpoint that no query selects by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    pub declared: bool,
    /// Calls by status code.
    pub status_counts: BTreeMap<i32, u64>,
    /// Further URLs of a declared operation, at its other servers.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub addresses: BTreeSet<String>,
    pub declared_codes: BTreeSet<i32>,
    /// Unix seconds of the oldest record that proves the endpoint.
    pub discovered: Option<i64>,
    pub hosts: BTreeSet<String>,
    /// Every distinct set of authentication types seen together.
    pub auth_sets: BTreeSet<AuthSet>,
    pub api_types: BTreeSet<ApiType>,
    /// What the addresses of its calls say.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub access_types: BTreeSet<AccessType>,
    /// The source to the time of its first record.
    pub sources: BTreeMap<Source, i64>,
    pub declaration: Option<DeclaredFacts>,
    /// Taken out of a template by hand.
    pub never_merge: bool,
}

impl Facts {
    /// Records that prove the endpoint, each of which showed its URL.
    pub fn proofs(&self) -> u64 {
        let proving = |(code, _): &(&i32, &u64)| matches!(code, 0 | 101 | 200..300 | 302);
        self.status_counts.iter().filter(proving).map(|(_, count)| count).sum()
    }
}

/// An endpoint: the raw URLs of one effective URL together.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    pub id: EndpointId,
    pub auth_sets: BTreeSet<AuthSet>,
    pub access_types: BTreeSet<AccessType>,
    pub api_type: ApiType,
    pub response_codes: Vec<i32>,
    /// Unix seconds.
    pub discovered_at: i64,
    /// Unix seconds.
    pub last_seen: i64,
    pub is_sensitive: bool,
    /// 0 to 5.
    pub risk_score: f64,
    pub sources: BTreeMap<Source, i64>,
    /// What a user wrote, else what a specification says.
    pub description: Option<String>,
    /// The groups that show it.
    pub group_ids: Vec<i32>,
    /// What specifications sort it under.
    pub tags: Vec<Tag>,
}

impl Endpoint {
    /// `UNAUTHENTICATED` alone if any call had no authentication, else all that were seen.
    pub fn actual_auth_types(&self) -> Vec<AuthType> {
        let all: BTreeSet<AuthType> = self.auth_sets.iter().flat_map(|set| set.iter()).collect();
        match all.contains(&AuthType::Unauthenticated) {
            true => vec![AuthType::Unauthenticated],
            false => all.into_iter().collect(),
        }
    }

    /// The raw rows of one effective URL as one endpoint; nothing when none of them proves it.
    fn of(collection_id: i32, raws: &[RawEndpoint], is_sensitive: bool, now: i64) -> Option<Self> {
        let first = raws.first().filter(|_| raws.iter().any(|raw| raw.proven))?;
        let facts = || raws.iter().map(|raw| &raw.facts);
        let mut sources: BTreeMap<Source, i64> = BTreeMap::new();
        for (source, time) in facts().flat_map(|facts| &facts.sources) {
            sources.entry(*source).and_modify(|known| *known = (*known).min(*time)).or_insert(*time);
        }
        let codes: BTreeSet<i32> = facts()
            .flat_map(|facts| facts.status_counts.keys().chain(&facts.declared_codes))
            .copied()
            .filter(|code| *code > 0)
            .collect();
        let discovered_at = facts().filter_map(|facts| facts.discovered).min().unwrap_or_default();
        let written = raws.iter().filter(|raw| raw.description.is_some()).max_by_key(|raw| raw.described_at);
        let declared = || facts().filter_map(|facts| facts.declaration.as_ref()).max();
        let is_public = facts().any(|facts| facts.access_types.contains(&AccessType::Public));
        let is_new = now.saturating_sub(discovered_at) <= NEW_S;
        Some(Self {
            id: EndpointId { collection_id, url: first.url.clone(), method: first.method.clone() },
            auth_sets: facts().flat_map(|facts| facts.auth_sets.iter().copied()).collect(),
            access_types: facts().flat_map(|facts| facts.access_types.iter().copied()).collect(),
            // A special protocol outweighs plain calls beside it.
            api_type: facts().flat_map(|facts| facts.api_types.iter().copied()).max().unwrap_or(ApiType::Rest),
            response_codes: codes.into_iter().collect(),
            discovered_at,
            last_seen: raws.iter().map(|raw| raw.last_seen).max().unwrap_or_default(),
            is_sensitive,
            risk_score: f64::from(u8::from(is_new) + u8::from(is_sensitive) + u8::from(is_public)),
            sources,
            group_ids: Vec::new(),
            tags: declared_tags(raws),
            description: match written {
                Some(raw) => raw.description.clone(),
                None => declared().and_then(|declaration| declaration.description.clone()),
            },
        })
    }
}

/// The tags that specifications give the raw URLs of an endpoint, by value.
pub(crate) fn declared_tags(raws: &[RawEndpoint]) -> Vec<Tag> {
    let declarations = raws.iter().filter_map(|raw| raw.facts.declaration.as_ref());
    let mut values: BTreeMap<&str, i64> = BTreeMap::new();
    for (declaration, tag) in declarations.flat_map(|known| known.tags.iter().map(move |tag| (known, tag))) {
        let time = values.entry(tag).or_insert(declaration.time);
        *time = (*time).max(declaration.time);
    }
    let tag = |(value, updated_at): (&str, i64)| Tag {
        key_name: DECLARED_TAG.to_owned(),
        value: value.to_owned(),
        source: Some(Source::OpenApi.name().to_owned()),
        updated_at,
    };
    values.into_iter().map(tag).collect()
}

/// Groups rows by effective URL and method, in that order.
fn grouped(rows: Vec<RawEndpoint>) -> BTreeMap<(String, String), Vec<RawEndpoint>> {
    let mut groups: BTreeMap<(String, String), Vec<RawEndpoint>> = BTreeMap::new();
    for row in rows {
        groups.entry((row.url.clone(), row.method.clone())).or_default().push(row);
    }
    groups
}

/// The endpoints of a collection by URL and method, and whether the collection is redacted. An unknown collection has
/// none.
///
/// # Errors
/// `COLLECTION_DEACTIVATED`.
pub async fn list(deps: &Deps, caller: &Caller, collection_id: i32) -> Result<(bool, Vec<Endpoint>), Error> {
    match access::readable(deps, caller, collection_id).await? {
        Some(group) if group.is_group() => Ok((group.redacted, shown_by(deps, caller, group.id).await?)),
        Some(collection) => Ok((collection.redacted, list_of(deps, caller, collection.id).await?)),
        None => Ok((false, Vec::new())),
    }
}

/// The endpoints of several collections, at most 300; those that the caller cannot read are passed over.
pub async fn list_many(
    deps: &Deps,
    caller: &Caller,
    collection_ids: Vec<i32>,
) -> Result<BTreeMap<i32, Vec<Endpoint>>, Error> {
    let mut lists = BTreeMap::new();
    for id in collection_ids.into_iter().take(COLLECTIONS_MAX) {
        let found = access::find(deps, caller, id).await?;
        if let Some(found) = found.filter(|found| !found.deactivated && !lists.contains_key(&id)) {
            let list = match found.is_group() {
                true => shown_by(deps, caller, id).await?,
                false => list_of(deps, caller, id).await?,
            };
            lists.insert(id, list);
        }
    }
    Ok(lists)
}

async fn list_of(deps: &Deps, caller: &Caller, collection_id: i32) -> Result<Vec<Endpoint>, Error> {
    let account_id = caller.account_id;
    let mut tx = deps.db.begin_read().await?;
    let rows = store::endpoints::list(&mut tx, account_id, collection_id).await?;
    let sensitive = store::parameters::sensitive_endpoints(&mut tx, account_id, collection_id).await?;
    tx.rollback().await?;
    assemble(deps, caller, collection_id, rows, &sensitive).await
}

/// The endpoints of a collection with these effective URLs, by URL and method.
pub(crate) async fn of_urls(
    deps: &Deps,
    caller: &Caller,
    collection_id: i32,
    url_keys: &[&str],
) -> Result<Vec<Endpoint>, Error> {
    let account_id = caller.account_id;
    let mut tx = deps.db.begin_read().await?;
    let rows = store::endpoints::by_url_keys_in(&mut tx, account_id, collection_id, url_keys).await?;
    let keys: Vec<&str> = rows.iter().map(|raw| raw.key.as_str()).collect();
    let sensitive = store::parameters::sensitive_among(&mut tx, account_id, collection_id, &keys).await?;
    tx.rollback().await?;
    assemble(deps, caller, collection_id, rows, &sensitive).await
}

/// Raw rows as endpoints, with what users and groups say of them.
async fn assemble(
    deps: &Deps,
    caller: &Caller,
    collection_id: i32,
    rows: Vec<RawEndpoint>,
    sensitive: &HashSet<String>,
) -> Result<Vec<Endpoint>, Error> {
    let account_id = caller.account_id;
    let marked = marked_urls(deps, account_id, collection_id).await?;
    let now = now_s();
    let groups = grouped(rows);
    let endpoints = groups.values().filter_map(|raws| {
        let is_marked =
            |raw: &RawEndpoint| !marked.is_empty() && marked.contains(&keys::endpoint_key(&raw.method, &raw.url));
        let is_sensitive = raws.iter().any(|raw| sensitive.contains(&raw.key)) || raws.first().is_some_and(is_marked);
        Endpoint::of(collection_id, raws, is_sensitive, now)
    });
    let mut endpoints: Vec<Endpoint> = endpoints.collect();
    let mut showing = store::groups::by_collection(&deps.db, account_id, collection_id).await?;
    if !showing.is_empty() {
        for endpoint in &mut endpoints {
            let group_ids = showing.remove(&endpoint.id.url_key()).unwrap_or_default();
            endpoint.group_ids = group_ids.into_iter().filter(|id| caller.grant.sees(*id)).collect();
        }
    }
    Ok(endpoints)
}

/// The endpoints that a group shows its reader, by collection, URL and method.
pub(crate) async fn shown_by(deps: &Deps, caller: &Caller, group_id: i32) -> Result<Vec<Endpoint>, Error> {
    let view = View::of(deps, caller).await?;
    let mut found = Vec::new();
    for (collection_id, url_keys) in view.of_group(deps, caller.account_id, group_id).await? {
        if url_keys.len() <= LOOKED_UP_MAX {
            let url_keys: Vec<&str> = url_keys.iter().map(String::as_str).collect();
            found.extend(of_urls(deps, caller, collection_id, &url_keys).await?);
            continue;
        }
        let shown: BTreeSet<String> = url_keys.into_iter().collect();
        let all = list_of(deps, caller, collection_id).await?;
        found.extend(all.into_iter().filter(|endpoint| shown.contains(&endpoint.id.url_key())));
    }
    Ok(found)
}

/// The keys of the effective URLs with a parameter that a user marked as sensitive.
async fn marked_urls(deps: &Deps, account_id: i64, collection_id: i32) -> Result<HashSet<String>, Error> {
    let marked = store::markings::of_collection(&deps.db, account_id, collection_id).await?;
    Ok(marked.into_iter().filter(|marked| marked.sensitive).map(|marked| marked.url_key).collect())
}

/// The URLs and methods of a collection in order, after the first `skip`.
///
/// # Errors
/// `COLLECTION_ID_REQUIRED`, `COLLECTION_NOT_FOUND`, `COLLECTION_DEACTIVATED`.
pub async fn list_keys(
    deps: &Deps,
    caller: &Caller,
    collection_id: i32,
    skip: usize,
) -> Result<Vec<EndpointId>, Error> {
    if collection_id == NO_COLLECTION {
        return Err(Reason::CollectionIdRequired.into());
    }
    let collection = access::readable(deps, caller, collection_id).await?.ok_or(Reason::CollectionNotFound)?;
    if collection.is_group() {
        let shown = shown_by(deps, caller, collection.id).await?;
        return Ok(shown.into_iter().skip(skip).map(|endpoint| endpoint.id).collect());
    }
    let urls = proven_urls(deps, caller.account_id, &collection).await?;
    let ids = urls.into_iter().skip(skip);
    Ok(ids.map(|(url, method)| EndpointId { collection_id, url, method }).collect())
}

/// Effective URL and method of every endpoint, in order.
pub(crate) async fn proven_urls(
    deps: &Deps,
    account_id: i64,
    collection: &Collection,
) -> Result<Vec<(String, String)>, Error> {
    let mut urls = store::endpoints::proven_urls(&deps.db, account_id, collection.id).await?;
    urls.sort_unstable();
    Ok(urls)
}

/// One endpoint. A URL that is not found is tried without its leading slash.
pub async fn get(deps: &Deps, caller: &Caller, id: &EndpointId) -> Result<Option<Endpoint>, Error> {
    let without_slash = || Some(EndpointId { url: id.url.strip_prefix('/')?.to_owned(), ..id.clone() });
    let mut found = access::readable_endpoint(deps, caller, id).await?;
    if found.is_none()
        && let Some(id) = without_slash()
    {
        found = access::readable_endpoint(deps, caller, &id).await?;
    }
    let Some((collection, owned)) = found else { return Ok(None) };
    let mut raws = raws_of(deps, caller.account_id, &owned).await?;
    if raws.is_empty()
        && let Some(id) = without_slash()
    {
        let id = EndpointId { collection_id: collection.id, ..id };
        raws = raws_of(deps, caller.account_id, &id).await?;
    }
    let keys: Vec<&str> = raws.iter().map(|raw| raw.key.as_str()).collect();
    let is_marked = match raws.first() {
        Some(raw) => marked_urls(deps, caller.account_id, collection.id)
            .await?
            .contains(&keys::endpoint_key(&raw.method, &raw.url)),
        None => false,
    };
    let is_sensitive =
        is_marked || store::parameters::any_sensitive(&deps.db, caller.account_id, collection.id, &keys).await?;
    let mut endpoint = Endpoint::of(collection.id, &raws, is_sensitive, now_s());
    if let Some(endpoint) = &mut endpoint {
        let url_key = endpoint.id.url_key();
        endpoint.group_ids = store::groups::showing(&deps.db, caller.account_id, collection.id, &url_key).await?;
        endpoint.group_ids.retain(|id| caller.grant.sees(*id));
    }
    Ok(endpoint)
}

/// The raw rows of an effective URL, by raw URL.
pub(crate) async fn raws_of(deps: &Deps, account_id: i64, id: &EndpointId) -> Result<Vec<RawEndpoint>, Error> {
    Ok(store::endpoints::by_url_key(&deps.db, account_id, id.collection_id, &id.url_key()).await?)
}

/// Sets the description of an endpoint, also the empty one; an endpoint that does not exist stays so.
///
/// # Errors
/// `DESCRIPTION_REQUIRED`, `TEXT_TOO_LONG`, `TEXT_HAS_NUL`, `COLLECTION_NOT_FOUND`.
pub async fn update_description(
    deps: &Deps,
    caller: &Caller,
    id: &EndpointId,
    description: Option<String>,
) -> Result<(), Error> {
    let description = text::description(description)?;
    access::writable(deps, caller, id.collection_id).await?;
    let (key, now) = (id.url_key(), now_s());
    let account_id = caller.account_id;
    retrying(|| store::endpoints::update_description(&deps.db, account_id, id.collection_id, &key, &description, now))
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(url: &str, status: i32, auth: &[AuthType]) -> RawEndpoint {
        let proven = status == 200;
        RawEndpoint {
            key: String::new(),
            method: "GET".into(),
            raw_url: url.into(),
            url: "/a/STRING".into(),
            proven,
            first_seen: 100,
            last_seen: 200,
            facts: Facts {
                status_counts: BTreeMap::from([(status, 1)]),
                auth_sets: BTreeSet::from([AuthSet::from_iter(auth.iter().copied())]),
                discovered: proven.then_some(100),
                ..Facts::default()
            },
            description: None,
            described_at: 0,
        }
    }

    #[test]
    fn unproven_urls_join_but_make_no_endpoint() {
        let jwt = [AuthType::Jwt];
        assert!(Endpoint::of(1, &[raw("/a/x", 404, &jwt)], false, 0).is_none());
        let endpoint = Endpoint::of(1, &[raw("/a/x", 404, &jwt), raw("/a/y", 200, &jwt)], true, 150).unwrap();
        assert_eq!(endpoint.response_codes, [200, 404]);
        assert_eq!(endpoint.risk_score, 2.0);
        assert_eq!(Endpoint::of(1, &[raw("/a/y", 200, &jwt)], false, 100 + NEW_S + 1).unwrap().risk_score, 0.0);
    }

    #[test]
    fn one_unauthenticated_call_outweighs_all() {
        let of = |raws: &[RawEndpoint]| Endpoint::of(1, raws, false, 0).unwrap().actual_auth_types();
        let both = [AuthType::Jwt, AuthType::Basic];
        assert_eq!(of(&[raw("/a/x", 200, &both), raw("/a/y", 200, &[AuthType::Bearer])]).len(), 3);
        assert_eq!(of(&[raw("/a/x", 200, &both), raw("/a/y", 200, &[])]), [AuthType::Unauthenticated]);
    }

    #[test]
    fn a_written_description_outweighs_a_declared_one() {
        let mut raw = raw("/a/x", 200, &[]);
        raw.facts.declaration =
            Some(DeclaredFacts { time: 1, description: Some("declared".into()), deprecated: false, tags: Vec::new() });
        let description = |raw: &RawEndpoint| Endpoint::of(1, std::slice::from_ref(raw), false, 0).unwrap().description;
        assert_eq!(description(&raw).as_deref(), Some("declared"));
        raw.description = Some(String::new());
        assert_eq!(description(&raw).as_deref(), Some(""));
    }
}
