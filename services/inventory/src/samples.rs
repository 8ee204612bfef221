//! Stored calls of endpoints.

use std::collections::BTreeMap;

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_engine::{ParameterKey, Verdict, observe};
use portolan_record::Record;

use crate::endpoints::{EndpointId, raws_of};
use crate::{Deps, Error, access, data_types, endpoints, keys, markings, store};

/// Calls kept of an endpoint, the newest.
pub const SAMPLES_MAX: usize = 10;
/// Endpoints of one page, where the request names no number.
const PAGE_DEFAULT: usize = 50;
/// Endpoints of one page at most: each brings up to ten records of up to 5 MiB.
const PAGE_MAX: usize = 1_000;
/// Text of one page at most; further endpoints come with the next.
const PAGE_BYTES_MAX: usize = 128 << 20;

/// The stored calls of an endpoint as JSON texts, the newest first; nothing when there is none.
///
/// # Errors
/// `COLLECTION_DEACTIVATED`.
pub async fn list(deps: &Deps, caller: &Caller, id: &EndpointId) -> Result<Option<Vec<String>>, Error> {
    let Some((collection, id)) = access::readable_endpoint(deps, caller, id).await? else { return Ok(None) };
    let raws = raws_of(deps, caller.account_id, &id).await?;
    let keys: Vec<&str> = raws.iter().map(|raw| raw.key.as_str()).collect();
    let samples = store::samples::newest(&deps.db, caller.account_id, collection.id, &keys, SAMPLES_MAX).await?;
    let records: Vec<String> = samples.into_iter().map(|sample| sample.record).collect();
    Ok(Some(records).filter(|records| !records.is_empty()))
}

/// The stored calls of the endpoints of a collection, in the order of URL and method, after the first `skip`. Endpoints
/// without calls are left out, but count.
///
/// # Errors
/// `COLLECTION_NOT_FOUND`, `COLLECTION_DEACTIVATED`.
pub async fn list_all(
    deps: &Deps,
    caller: &Caller,
    collection_id: i32,
    skip: usize,
    limit: usize,
) -> Result<Vec<(EndpointId, Vec<String>)>, Error> {
    let account_id = caller.account_id;
    let collection = access::readable(deps, caller, collection_id).await?.ok_or(Reason::CollectionNotFound)?;
    let urls = endpoints::proven_urls(deps, account_id, &collection).await?;
    let limit = if limit == 0 { PAGE_DEFAULT } else { limit.min(PAGE_MAX) };
    let mut found = Vec::new();
    let mut bytes = 0;
    for (url, method) in urls.into_iter().skip(skip).take(limit) {
        let url_key = keys::endpoint_key(&method, &url);
        let raws = store::endpoints::by_url_key(&deps.db, account_id, collection.id, &url_key).await?;
        let keys: Vec<&str> = raws.iter().map(|raw| raw.key.as_str()).collect();
        let samples = store::samples::newest(&deps.db, account_id, collection.id, &keys, SAMPLES_MAX).await?;
        let records: Vec<String> = samples.into_iter().map(|sample| sample.record).collect();
        bytes += records.iter().map(String::len).sum::<usize>();
        if !records.is_empty() {
            found.push((EndpointId { collection_id: collection.id, url, method }, records));
        }
        if bytes > PAGE_BYTES_MAX {
            break;
        }
    }
    Ok(found)
}

/// The stored calls of an endpoint that show sensitive data, with the parameters that carry it.
///
/// # Errors
/// `COLLECTION_DEACTIVATED`.
pub async fn list_sensitive(
    deps: &Deps,
    caller: &Caller,
    id: &EndpointId,
) -> Result<BTreeMap<String, Vec<ParameterKey>>, Error> {
    let mut found = BTreeMap::new();
    let Some(records) = list(deps, caller, id).await? else { return Ok(found) };
    let detectors = data_types::detectors(deps).await?;
    let markings = markings::of_account(deps, caller.account_id).await?;
    for text in records {
        let Ok(record) = Record::parse(&text) else { continue };
        let Verdict::Seen(observations) = observe(&record, detectors.of(caller.account_id)) else { continue };
        let sightings = observations.into_iter().flat_map(|seen| seen.parameters);
        let sensitive = sightings
            .filter(|sighting| !sighting.repeats && markings.of(id, &sighting.key).unwrap_or(sighting.sensitive));
        let keys: Vec<ParameterKey> = sensitive.map(|sighting| sighting.key).collect();
        if !keys.is_empty() {
            found.insert(text, keys);
        }
    }
    Ok(found)
}
