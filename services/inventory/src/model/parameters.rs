use std::collections::{BTreeMap, btree_map::Entry};

use portolan_engine::{Aggregate, Detectors, ParameterKey, Values, joined_parameters};
use portolan_ids::CollectionId;

use crate::model::endpoints::{EndpointId, RawEndpoint};

/// A parameter of an endpoint with one of the types that its values were found to have.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Whose it is.
    pub endpoint: EndpointId,
    /// Which parameter it is.
    pub key: ParameterKey,
    /// What was seen of it.
    pub seen: Aggregate,
    /// Left out where many endpoints are listed.
    pub with_values: bool,
    /// The groups that show the endpoint.
    pub group_ids: Vec<CollectionId>,
}

/// A stored parameter of one raw URL.
#[derive(Clone, Debug, PartialEq)]
pub struct RawParameter {
    /// What the rows of its endpoint are found by.
    pub endpoint_key: String,
    /// Which parameter it is.
    pub key: ParameterKey,
    /// What was seen of it.
    pub seen: Aggregate,
}

/// Which sensitive parameters are asked for.
#[derive(Clone, Debug, Default)]
pub struct SensitiveFilter {
    /// Nothing for every collection that the caller may see.
    pub collection_id: Option<CollectionId>,
    /// Of one endpoint alone.
    pub url: Option<String>,
    /// Of one method alone.
    pub method: Option<String>,
    /// This type anywhere, sensitive or not.
    pub sub_type: Option<String>,
}

/// The parameters of the raw URLs of one endpoint as those of the endpoint, with the URL parameters that a raw URL has
/// only as part of it.
pub(crate) fn merge(
    detectors: &Detectors,
    raws: &[RawEndpoint],
    rows: Vec<RawParameter>,
) -> BTreeMap<ParameterKey, Aggregate> {
    let mut merged = BTreeMap::new();
    for row in rows {
        add(&mut merged, row.key, row.seen);
    }
    for raw in raws.iter().filter(|raw| raw.proven && raw.raw_url != raw.url) {
        for sighting in joined_parameters(&raw.raw_url, &raw.url, detectors) {
            let mut values = Values::Few(Default::default());
            if let Some(value) = sighting.value {
                values.add(value);
            }
            let seen = Aggregate {
                count: raw.facts.proofs(),
                first_seen: raw.facts.discovered.unwrap_or(raw.first_seen),
                last_seen: raw.last_seen,
                values,
                min: sighting.number,
                max: sighting.number,
                sensitive: sighting.sensitive,
            };
            add(&mut merged, sighting.key, seen);
        }
    }
    // What was stored before the kind was redacted is not answered either.
    for (_, seen) in merged.iter_mut().filter(|(key, _)| detectors.is_redacted(key.sub_type)) {
        seen.forget_values();
    }
    merged
}

pub(crate) fn add<K: Ord>(merged: &mut BTreeMap<K, Aggregate>, key: K, seen: Aggregate) {
    match merged.entry(key) {
        Entry::Vacant(place) => _ = place.insert(seen),
        Entry::Occupied(mut known) => known.get_mut().merge(seen),
    }
}
