use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use portolan_authz::Caller;
use portolan_engine::{Aggregate, Detectors, ParameterKey, SubType, Values, joined_parameters};

use crate::endpoints::{EndpointId, RawEndpoint, raws_of};
use crate::{Deps, Error, access, collections, store};

/// Parameters of one answer of [`list_sensitive`], as documented.
const SENSITIVE_MAX: usize = 10_000;

/// A parameter of an endpoint with one of the types that its values were found to have.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    pub endpoint: EndpointId,
    pub key: ParameterKey,
    pub seen: Aggregate,
    /// Left out where many endpoints are listed.
    pub with_values: bool,
}

/// A stored parameter of one raw URL.
#[derive(Clone, Debug, PartialEq)]
pub struct RawParameter {
    pub endpoint_key: String,
    pub key: ParameterKey,
    pub seen: Aggregate,
}

/// Which sensitive parameters are asked for.
#[derive(Clone, Debug, Default)]
pub struct SensitiveFilter {
    /// Nothing for every collection that the caller may see.
    pub collection_id: Option<i32>,
    pub url: Option<String>,
    pub method: Option<String>,
    /// This type anywhere, sensitive or not.
    pub sub_type: Option<String>,
}

/// The parameters of an endpoint in the order of their keys. An unknown endpoint has none.
///
/// # Errors
/// `COLLECTION_DEACTIVATED`.
pub async fn list(deps: &Deps, caller: &Caller, id: &EndpointId) -> Result<Vec<Parameter>, Error> {
    let found = access::readable_endpoint(deps, caller, id).await?;
    let Some((collection, id)) = found else { return Ok(Vec::new()) };
    let raws = raws_of(deps, caller.account_id, &id).await?;
    let Some(first) = raws.first() else { return Ok(Vec::new()) };
    let endpoint = EndpointId { url: first.url.clone(), method: first.method.clone(), ..id };
    let keys: Vec<&str> = raws.iter().map(|raw| raw.key.as_str()).collect();
    let rows = store::parameters::by_endpoints(&deps.db, caller.account_id, collection.id, &keys).await?;
    let merged = merge(&raws, rows);
    let wrap = |(key, seen)| Parameter { endpoint: endpoint.clone(), key, seen, with_values: true };
    Ok(merged.into_iter().map(wrap).collect())
}

/// The parameters of the raw URLs of one endpoint as those of the endpoint, with the URL parameters that a raw URL has
/// only as part of it.
pub(crate) fn merge(raws: &[RawEndpoint], rows: Vec<RawParameter>) -> BTreeMap<ParameterKey, Aggregate> {
    let mut merged = BTreeMap::new();
    for row in rows {
        add(&mut merged, row.key, row.seen);
    }
    let detectors = Detectors::default();
    for raw in raws.iter().filter(|raw| raw.proven && raw.raw_url != raw.url) {
        for sighting in joined_parameters(&raw.raw_url, &raw.url, &detectors) {
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
    merged
}

fn add<K: Ord>(merged: &mut BTreeMap<K, Aggregate>, key: K, seen: Aggregate) {
    match merged.entry(key) {
        Entry::Vacant(place) => _ = place.insert(seen),
        Entry::Occupied(mut known) => known.get_mut().merge(seen),
    }
}

/// The parameters whose type is sensitive where they stand, or those of one type, by collection, URL, method and key.
/// At most 10,000.
///
/// # Errors
/// `COLLECTION_DEACTIVATED`.
pub async fn list_sensitive(deps: &Deps, caller: &Caller, filter: SensitiveFilter) -> Result<Vec<Parameter>, Error> {
    let account_id = caller.account_id;
    // No stored text holds a NUL character, and Postgres refuses it in a comparison.
    if [&filter.url, &filter.method].into_iter().flatten().any(|text| text.contains('\0')) {
        return Ok(Vec::new());
    }
    let collection_ids: Vec<i32> = match filter.collection_id {
        Some(id) => access::readable(deps, caller, id).await?.map(|collection| collection.id).into_iter().collect(),
        None => {
            let visible = collections::list(deps, caller).await?;
            visible.into_iter().filter(|collection| !collection.deactivated).map(|collection| collection.id).collect()
        }
    };
    let wanted = match &filter.sub_type {
        // A type that nothing can have.
        Some(name) if SubType::from_name(name).is_none() => return Ok(Vec::new()),
        Some(name) => store::parameters::Wanted::SubType(name.clone()),
        None => store::parameters::Wanted::Sensitive,
    };
    let having = store::parameters::collections_having(&deps.db, account_id, &wanted).await?;
    let method = filter.method.map(|method| method.to_ascii_uppercase());
    let mut found: Vec<Parameter> = Vec::new();
    for id in collection_ids.into_iter().filter(|id| having.contains(id)) {
        let (url, method) = (filter.url.as_deref(), method.as_deref());
        let rows = store::parameters::wanted(&deps.db, account_id, id, &wanted, url, method).await?;
        let mut merged = BTreeMap::new();
        for (url, method, key, seen) in rows {
            add(&mut merged, (url, method, key), seen);
        }
        found.extend(merged.into_iter().map(|((url, method, key), seen)| {
            let endpoint = EndpointId { collection_id: id, url, method };
            Parameter { endpoint, key, seen, with_values: false }
        }));
        if found.len() >= SENSITIVE_MAX {
            found.truncate(SENSITIVE_MAX);
            break;
        }
    }
    Ok(found)
}
