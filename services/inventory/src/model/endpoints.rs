use std::collections::{BTreeMap, BTreeSet};

use portolan_engine::{AccessType, ApiType, AuthSet, AuthType, EndpointKind, Facts, template::SplitUrl};
use portolan_ids::CollectionId;
use portolan_path::Template;
use portolan_record::Source;

use crate::model::{collections::Tag, keys};

/// An endpoint by what its parameters show.
#[derive(Clone, Debug, PartialEq)]
pub struct Activity {
    /// Which endpoint it is.
    pub id: EndpointId,
    /// Unix seconds of the first sight of a parameter, else of the endpoint.
    pub started_at: i64,
    /// How many it has.
    pub parameters: i64,
}

/// The key of tags that come from a specification, which has values only.
const DECLARED_TAG: &str = "tag";

/// An endpoint counts as new for this long.
const NEW_S: i64 = 30 * 24 * 3_600;

/// How callers name an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId {
    /// The collection that it is in.
    pub collection_id: CollectionId,
    /// The effective URL: static, or a template.
    pub url: String,
    /// In capital letters.
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
    /// What its rows are found by.
    pub key: String,
    /// In capital letters.
    pub method: String,
    /// As it was called, without query.
    pub raw_url: String,
    /// The template that it belongs to.
    pub url: String,
    /// A 2xx or 302 answer or a declaration was seen.
    pub proven: bool,
    /// Unix seconds.
    pub first_seen: i64,
    /// Unix seconds.
    pub last_seen: i64,
    /// What no query selects by.
    pub facts: Facts,
    /// As somebody wrote it.
    pub description: Option<String>,
    /// Unix seconds; of several raw URLs of one endpoint the last description counts.
    pub described_at: i64,
}

/// An endpoint: the raw URLs of one effective URL together.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Which endpoint it is.
    pub id: EndpointId,
    /// Each combination of authentication types that one call had.
    pub auth_sets: BTreeSet<AuthSet>,
    /// Who reaches it.
    pub access_types: BTreeSet<AccessType>,
    /// What it speaks.
    pub api_type: ApiType,
    /// What it is for those who look for APIs.
    pub kind: EndpointKind,
    /// The URL with the names of its variables in braces.
    pub template: String,
    /// Status codes of its answers, in their order.
    pub response_codes: Vec<i32>,
    /// Unix seconds.
    pub discovered_at: i64,
    /// Unix seconds.
    pub last_seen: i64,
    /// One of its parameters is.
    pub is_sensitive: bool,
    /// Unix seconds; 0 when it was never tested.
    pub last_tested: i64,
    /// Unix seconds of the newest fact that the scores rest on.
    pub last_calculated: i64,
    /// What its open issues weigh together.
    pub severity_score: f64,
    /// 0 to 5.
    pub risk_score: f64,
    /// When each source showed it last, in Unix seconds.
    pub sources: BTreeMap<Source, i64>,
    /// What a user wrote, else what a specification says.
    pub description: Option<String>,
    /// The groups that show it.
    pub group_ids: Vec<CollectionId>,
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

    /// Takes in what testers report of it.
    pub(crate) fn note_tests(&mut self, last_tested: i64, severity_score: f64) {
        self.last_tested = last_tested;
        self.last_calculated = self.last_calculated.max(last_tested);
        self.severity_score = severity_score;
        self.risk_score += severity_risk(severity_score);
    }

    /// The raw rows of one effective URL as one endpoint; nothing when none of them proves it.
    pub(crate) fn of(collection_id: CollectionId, raws: &[RawEndpoint], is_sensitive: bool, now: i64) -> Option<Self> {
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
            kind: facts().flat_map(|facts| facts.kinds.iter().copied()).min().unwrap_or(EndpointKind::Api),
            template: named_url(raws),
            response_codes: codes.into_iter().collect(),
            discovered_at,
            last_seen: raws.iter().map(|raw| raw.last_seen).max().unwrap_or_default(),
            is_sensitive,
            last_tested: 0,
            last_calculated: raws.iter().map(|raw| raw.last_seen).max().unwrap_or_default(),
            severity_score: 0.0,
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

/// The effective URL of the rows with the names of its variables: those that the newest declaration gives, else numbers.
fn named_url(raws: &[RawEndpoint]) -> String {
    let url = raws.first().map(|raw| raw.url.as_str()).unwrap_or_default();
    let (origin, path) = url.split_at(SplitUrl::new(url).origin.len());
    let mut template = Template::of_words(path);
    template.name_variables(&variables_of(url, raws));
    format!("{origin}{}", template.names())
}

/// The names of the variables of an effective URL in their order, by the newest declaration that names each of them;
/// none where there is no such.
pub(crate) fn variables_of(url: &str, raws: &[RawEndpoint]) -> Vec<String> {
    let count = Template::of_words(&url[SplitUrl::new(url).origin.len()..]).variables().count();
    let declarations = raws.iter().filter_map(|raw| raw.facts.declaration.as_ref());
    let newest = declarations.filter(|known| known.variables.len() == count).max();
    newest.map(|known| known.variables.clone()).unwrap_or_default()
}

/// What an open issue of a severity adds to the score of its endpoint.
pub(crate) fn severity_weight(severity: &str) -> f64 {
    match severity {
        "CRITICAL" | "HIGH" => 100.0,
        "MEDIUM" => 10.0,
        "LOW" => 1.0,
        _ => 0.0,
    }
}

/// What the score of open issues adds to the risk of an endpoint.
fn severity_risk(severity_score: f64) -> f64 {
    match severity_score {
        score if score >= 100.0 => 2.0,
        score if score >= 10.0 => 1.0,
        score if score > 0.0 => 0.5,
        _ => 0.0,
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
pub(crate) fn grouped(rows: Vec<RawEndpoint>) -> BTreeMap<(String, String), Vec<RawEndpoint>> {
    let mut groups: BTreeMap<(String, String), Vec<RawEndpoint>> = BTreeMap::new();
    for row in rows {
        groups.entry((row.url.clone(), row.method.clone())).or_default().push(row);
    }
    groups
}

#[cfg(test)]
mod tests {
    use portolan_engine::DeclaredFacts;

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
        assert!(Endpoint::of(CollectionId(1), &[raw("/a/x", 404, &jwt)], false, 0).is_none());
        let endpoint =
            Endpoint::of(CollectionId(1), &[raw("/a/x", 404, &jwt), raw("/a/y", 200, &jwt)], true, 150).unwrap();
        assert_eq!(endpoint.response_codes, [200, 404]);
        assert_eq!(endpoint.risk_score, 2.0);
        assert_eq!(
            Endpoint::of(CollectionId(1), &[raw("/a/y", 200, &jwt)], false, 100 + NEW_S + 1).unwrap().risk_score,
            0.0
        );
    }

    #[test]
    fn one_unauthenticated_call_outweighs_all() {
        let of = |raws: &[RawEndpoint]| Endpoint::of(CollectionId(1), raws, false, 0).unwrap().actual_auth_types();
        let both = [AuthType::Jwt, AuthType::Basic];
        assert_eq!(of(&[raw("/a/x", 200, &both), raw("/a/y", 200, &[AuthType::Bearer])]).len(), 3);
        assert_eq!(of(&[raw("/a/x", 200, &both), raw("/a/y", 200, &[])]), [AuthType::Unauthenticated]);
    }

    #[test]
    fn a_written_description_outweighs_a_declared_one() {
        let mut raw = raw("/a/x", 200, &[]);
        raw.facts.declaration = Some(DeclaredFacts {
            time: 1,
            description: Some("declared".into()),
            deprecated: false,
            tags: Vec::new(),
            variables: Vec::new(),
        });
        let description =
            |raw: &RawEndpoint| Endpoint::of(CollectionId(1), std::slice::from_ref(raw), false, 0).unwrap().description;
        assert_eq!(description(&raw).as_deref(), Some("declared"));
        raw.description = Some(String::new());
        assert_eq!(description(&raw).as_deref(), Some(""));
    }
}
