use std::collections::{BTreeMap, btree_map::Entry};

use portolan_engine::{
    Aggregate, EndpointDelta, Method, ParameterKey, Samples,
    template::{SplitUrl, without_query},
};
use portolan_ids::NamedCollectionId;
use portolan_record::Record;

use crate::model::{calls::Calls, drift::Declared, endpoints::RawEndpoint, text};

/// Where a record belongs, before it is known which collections exist.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The collection that the record names.
    Collection(NamedCollectionId),
    /// The collection of a host, in lower case.
    Host(String),
}

/// What a batch says of one raw URL and method.
#[derive(Clone, Debug, PartialEq)]
pub struct Delta {
    /// What its records say of it.
    pub seen: EndpointDelta,
    /// The newest of its calls.
    pub samples: Samples,
    /// How often it was called.
    pub calls: Calls,
    /// What each specification declares of it.
    pub declared: Declared,
}

/// Endpoint key to what is new of it.
pub type Deltas = BTreeMap<String, Delta>;

impl Delta {
    /// A delta without samples and calls yet.
    pub fn new(seen: EndpointDelta) -> Self {
        Self { seen, samples: Samples::default(), calls: Calls::default(), declared: Declared::default() }
    }
}

/// Adds what other records say.
pub fn merge(known: &mut Deltas, other: Deltas) {
    for (key, delta) in other {
        match known.entry(key) {
            Entry::Vacant(place) => _ = place.insert(delta),
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.seen.merge(delta.seen);
                known.samples.merge(delta.samples);
                known.calls.merge(delta.calls);
                known.declared.merge(delta.declared);
            }
        }
    }
}

/// The URL of a record as it was called, in the form in which the target's URLs are stored.
pub fn concrete_url(record: &Record<'_>, target: &Target) -> String {
    let url = text::storable(without_query(&record.path));
    match target {
        Target::Host(_) => url[SplitUrl::new(&url).origin.len()..].to_owned(),
        Target::Collection(_) => url,
    }
}

/// A stored row as the sum of the records that made it.
pub(crate) fn to_delta(
    method: Method,
    row: RawEndpoint,
    parameters: BTreeMap<ParameterKey, Aggregate>,
) -> EndpointDelta {
    EndpointDelta {
        method,
        raw_url: row.raw_url,
        proven: row.proven,
        first_seen: row.first_seen,
        last_seen: row.last_seen,
        facts: row.facts,
        parameters,
    }
}

/// Takes calls that are counted elsewhere out of the counters; sets stay as they are.
pub(crate) fn take_away(delta: &mut EndpointDelta, replayed: &EndpointDelta) {
    for (code, count) in &replayed.facts.status_counts {
        if let Some(known) = delta.facts.status_counts.get_mut(code) {
            *known = known.saturating_sub(*count);
        }
    }
    delta.facts.status_counts.retain(|_, count| *count > 0);
    let proofs: u64 = replayed.facts.status_counts.values().sum();
    for (key, seen) in &mut delta.parameters {
        let shown = replayed.parameters.get(key).map_or(if key.is_url_param { proofs } else { 0 }, |seen| seen.count);
        seen.count = seen.count.saturating_sub(shown);
    }
}

pub(crate) fn to_row(key: String, url: String, seen: EndpointDelta) -> RawEndpoint {
    RawEndpoint {
        key,
        method: seen.method.name().to_owned(),
        raw_url: seen.raw_url,
        url,
        proven: seen.proven,
        first_seen: seen.first_seen,
        last_seen: seen.last_seen,
        facts: seen.facts,
        description: None,
        described_at: 0,
    }
}
