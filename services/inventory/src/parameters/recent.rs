//! Parameters by when they were first seen.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap},
};

use portolan_authz::Caller;
use portolan_engine::{Aggregate, ParameterKey, REQUEST};
use portolan_runtime::now_s;
use serde_json::Value;

use crate::{
    Deps, Error,
    model::{endpoints::EndpointId, parameters::Parameter},
    parameters,
    parameters::markings,
    store,
    view::View,
};

/// Parameters of one page, where the request names no number.
const PAGE_DEFAULT: usize = 50;

/// Parameters of one page at most.
const PAGE_MAX: usize = 200;

/// Parameters of the list of recent ones, as documented.
const RECENT_MAX: usize = 20_000;

/// A shorter text is no search.
const SEARCH_CHARACTERS_MIN: usize = 3;

/// Which parameters are asked for, and in which order.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// As the contract spells it.
    pub sort_key: String,
    /// 1 ascending, else descending.
    pub sort_order: i32,
    /// How many are passed over.
    pub skip: usize,
    /// 0 means 50.
    pub limit: usize,
    /// Member name to the values asked for.
    pub filters: HashMap<String, Vec<Value>>,
    /// Member name to `OR`, `AND` or `NOT`.
    pub operators: HashMap<String, String>,
    /// Unix seconds.
    pub start: i64,
    /// 0 means now.
    pub end: i64,
    /// Sensitive ones alone.
    pub sensitive: bool,
    /// With `sensitive`: requests or responses only.
    pub request: Option<bool>,
    /// What names hold; empty for every one.
    pub search: String,
}

/// A page of the parameters first seen in a time range, and how many there are.
pub async fn list(deps: &Deps, caller: &Caller, query: &Query) -> Result<(Vec<Parameter>, usize), Error> {
    let mut found = first_seen_between(deps, caller, query.start, query.end).await?;
    found.retain(|parameter| query.matches(parameter));
    found.sort_by(|a, b| query.order(a, b));
    let total = found.len();
    let limit = if query.limit == 0 { PAGE_DEFAULT } else { query.limit.min(PAGE_MAX) };
    let mut page: Vec<Parameter> = found.into_iter().skip(query.skip).take(limit).collect();
    parameters::note_groups(deps, caller, &mut page).await?;
    Ok((page, total))
}

/// The parameters first seen in a time range, the newest first.
pub async fn recent(deps: &Deps, caller: &Caller, start: i64, end: i64) -> Result<Vec<Parameter>, Error> {
    let mut found = first_seen_between(deps, caller, start, end).await?;
    found.sort_by(|a, b| b.seen.first_seen.cmp(&a.seen.first_seen).then_with(|| natural(a, b)));
    found.truncate(RECENT_MAX);
    parameters::note_groups(deps, caller, &mut found).await?;
    Ok(found)
}

/// How many parameters of each type were first seen in a time range, in requests and in responses.
pub async fn count_types(
    deps: &Deps,
    caller: &Caller,
    start: i64,
    end: i64,
) -> Result<[BTreeMap<&'static str, i64>; 2], Error> {
    let mut counts = [BTreeMap::new(), BTreeMap::new()];
    for parameter in first_seen_between(deps, caller, start, end).await? {
        let side = usize::from(parameter.key.response_code != REQUEST);
        *counts[side].entry(parameter.key.sub_type.name()).or_default() += 1;
    }
    Ok(counts)
}

async fn first_seen_between(deps: &Deps, caller: &Caller, start: i64, end: i64) -> Result<Vec<Parameter>, Error> {
    let end = if end <= 0 { now_s() } else { end };
    let view = View::of(deps, caller).await?;
    let markings = markings::of_account(deps, caller.account_id).await?;
    let mut merged: HashMap<(EndpointId, ParameterKey), Aggregate> = HashMap::new();
    for row in store::totals::changed_since(&deps.db, caller.account_id, start).await? {
        let endpoint = EndpointId { collection_id: row.collection_id, url: row.url, method: row.method };
        if !view.shows(&endpoint) {
            continue;
        }
        match merged.entry((endpoint, row.key)) {
            std::collections::hash_map::Entry::Vacant(place) => _ = place.insert(row.seen),
            std::collections::hash_map::Entry::Occupied(mut known) => known.get_mut().merge(row.seen),
        }
    }
    let in_range = merged.into_iter().filter(|(_, seen)| seen.first_seen >= start && seen.first_seen <= end);
    let wrap = |((endpoint, key), mut seen): ((EndpointId, ParameterKey), Aggregate)| {
        markings.apply(&endpoint, &key, &mut seen);
        Parameter { endpoint, key, seen, with_values: false, group_ids: Vec::new() }
    };
    Ok(in_range.map(wrap).collect())
}

impl Query {
    fn matches(&self, parameter: &Parameter) -> bool {
        let is_request = parameter.key.response_code == REQUEST;
        if self.sensitive && (!parameter.seen.sensitive || self.request.is_some_and(|request| request != is_request)) {
            return false;
        }
        let search = self.search.to_lowercase();
        if search.chars().count() >= SEARCH_CHARACTERS_MIN
            && ![parameter.endpoint.url.as_str(), &parameter.key.name]
                .iter()
                .any(|text| text.to_lowercase().contains(&search))
        {
            return false;
        }
        self.filters.iter().all(|(name, values)| self.passes(parameter, name, values))
    }

    fn passes(&self, parameter: &Parameter, name: &str, values: &[Value]) -> bool {
        if values.is_empty() {
            return true;
        }
        if matches!(name, "timestamp" | "lastSeen" | "count") {
            let number = number(parameter, name);
            let bound = |at: usize, default: i64| values.get(at).and_then(Value::as_i64).unwrap_or(default);
            return (bound(0, i64::MIN)..=bound(1, i64::MAX)).contains(&number);
        }
        // A member that a parameter does not have selects nothing away.
        let Some(member) = member(parameter, name) else { return true };
        let equals = |value: &Value| match value {
            Value::String(text) => text.eq_ignore_ascii_case(&member),
            // By its text: a number and the same number as text select alike.
            other => format!("{other}") == member,
        };
        match self.operators.get(name).map(String::as_str) {
            Some("NOT") => !values.iter().any(equals),
            Some("AND") => values.iter().all(equals),
            _ => values.iter().any(equals),
        }
    }

    fn order(&self, a: &Parameter, b: &Parameter) -> Ordering {
        let by_key = match self.sort_key.as_str() {
            "lastSeen" | "count" => number(a, &self.sort_key).cmp(&number(b, &self.sort_key)),
            "apiCollectionId" => a.endpoint.collection_id.cmp(&b.endpoint.collection_id),
            "responseCode" => a.key.response_code.cmp(&b.key.response_code),
            "url" | "method" | "param" | "subType" => member(a, &self.sort_key).cmp(&member(b, &self.sort_key)),
            _ => a.seen.first_seen.cmp(&b.seen.first_seen),
        };
        let by_key = if self.sort_order == 1 { by_key } else { by_key.reverse() };
        by_key.then_with(|| natural(a, b))
    }
}

fn natural(a: &Parameter, b: &Parameter) -> Ordering {
    (&a.endpoint, &a.key).cmp(&(&b.endpoint, &b.key))
}

fn number(parameter: &Parameter, name: &str) -> i64 {
    match name {
        "lastSeen" => parameter.seen.last_seen,
        "count" => i64::try_from(parameter.seen.count).unwrap_or(i64::MAX),
        _ => parameter.seen.first_seen,
    }
}

fn member(parameter: &Parameter, name: &str) -> Option<String> {
    let (endpoint, key) = (&parameter.endpoint, &parameter.key);
    Some(match name {
        "url" => endpoint.url.clone(),
        "method" => endpoint.method.clone(),
        "apiCollectionId" => endpoint.collection_id.to_string(),
        "param" => key.name.to_string(),
        "subType" | "subTypeString" => key.sub_type.name().to_owned(),
        "responseCode" => key.response_code.to_string(),
        "isHeader" => key.is_header.to_string(),
        "isUrlParam" => key.is_url_param.to_string(),
        "isQueryParam" => key.is_query_param.to_string(),
        "location" if key.is_header => "header".to_owned(),
        "location" if key.is_url_param => "urlParam".to_owned(),
        "location" => "payload".to_owned(),
        _ => return None,
    })
}
