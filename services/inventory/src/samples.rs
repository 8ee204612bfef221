//! Stored calls of endpoints.

use std::collections::BTreeMap;

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_engine::{ParameterKey, Verdict, observe};
use portolan_ids::{AccountId, CollectionId};
use portolan_record::Record;

use crate::{
    Deps, Error, access, endpoints,
    endpoints::raws_of,
    members,
    model::{
        collections::NO_COLLECTION,
        endpoints::EndpointId,
        masking,
        samples::{Calls, SAMPLES_MAX},
    },
    parameters::{data_types, markings},
    store,
};

/// Endpoints of one page, where the request names no number.
const PAGE_DEFAULT: usize = 50;

/// Endpoints of one page at most: each brings up to ten records of up to 5 MiB.
const PAGE_MAX: usize = 1_000;

/// Text of one page at most; further endpoints come with the next.
const PAGE_BYTES_MAX: usize = 128 << 20;

/// The stored calls of an endpoint; nothing when there is none. The id of a group stands for every collection whose
/// endpoint with this URL it shows.
///
/// # Errors
/// `COLLECTION_DEACTIVATED`.
pub async fn list(deps: &Deps, caller: &Caller, id: &EndpointId) -> Result<Vec<Calls>, Error> {
    let mut found = Vec::new();
    for (_, id) in access::readable_endpoints(deps, caller, id).await? {
        found.extend(stored(deps, caller.account_id, id).await?);
    }
    note_groups(deps, caller, &mut found).await?;
    Ok(found)
}

/// The calls of an endpoint, without values of kinds that are redacted now.
pub(crate) async fn stored(deps: &Deps, account_id: AccountId, endpoint: EndpointId) -> Result<Option<Calls>, Error> {
    let raws = raws_of(deps, account_id, &endpoint).await?;
    let keys: Vec<&str> = raws.iter().map(|raw| raw.key.as_str()).collect();
    let samples = store::samples::newest(&deps.db, account_id, endpoint.collection_id, &keys, SAMPLES_MAX).await?;
    let detectors = data_types::detectors_of(deps, account_id).await?;
    let mask = |record: String| masking::masked_text(&record, detectors.of(account_id)).unwrap_or(record);
    let records: Vec<String> = samples.into_iter().map(|sample| mask(sample.record)).collect();
    Ok(Some(Calls { endpoint, group_ids: Vec::new(), records }).filter(|calls| !calls.records.is_empty()))
}

async fn note_groups(deps: &Deps, caller: &Caller, found: &mut [Calls]) -> Result<(), Error> {
    let mut showing = members::showing(deps, caller, found.iter().map(|calls| &calls.endpoint)).await?;
    for calls in found {
        calls.group_ids = showing.remove(&calls.endpoint).unwrap_or_default();
    }
    Ok(())
}

/// The stored calls of the endpoints of a collection, in the order of URL and method, or of those that a group shows,
/// after the first `skip`. Endpoints without calls are left out, but count.
///
/// # Errors
/// `COLLECTION_NOT_FOUND`, `COLLECTION_DEACTIVATED`.
pub async fn list_all(
    deps: &Deps,
    caller: &Caller,
    collection_id: CollectionId,
    skip: usize,
    limit: usize,
) -> Result<Vec<Calls>, Error> {
    let account_id = caller.account_id;
    let ids = match collection_id {
        NO_COLLECTION => return Err(Reason::CollectionNotFound.into()),
        id => endpoints::list_keys(deps, caller, id, skip).await?,
    };
    let limit = if limit == 0 { PAGE_DEFAULT } else { limit.min(PAGE_MAX) };
    let mut found: Vec<Calls> = Vec::new();
    let mut bytes = 0;
    for id in ids.into_iter().take(limit) {
        if let Some(calls) = stored(deps, account_id, id).await? {
            bytes += calls.records.iter().map(String::len).sum::<usize>();
            found.push(calls);
        }
        if bytes > PAGE_BYTES_MAX {
            break;
        }
    }
    note_groups(deps, caller, &mut found).await?;
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
    let detectors = data_types::detectors_of(deps, caller.account_id).await?;
    let markings = markings::of_account(deps, caller.account_id).await?;
    for (_, id) in access::readable_endpoints(deps, caller, id).await? {
        let raws = raws_of(deps, caller.account_id, &id).await?;
        let keys: Vec<&str> = raws.iter().map(|raw| raw.key.as_str()).collect();
        let samples = store::samples::newest(&deps.db, caller.account_id, id.collection_id, &keys, SAMPLES_MAX).await?;
        for text in samples.into_iter().map(|sample| sample.record) {
            let detectors = detectors.of(caller.account_id);
            let Ok(record) = Record::parse(&text) else { continue };
            // The kinds are found in what is stored; what is answered lacks the values of redacted ones.
            let Verdict::Seen(observations) = observe(&record, detectors) else { continue };
            let masked = masking::masked(&record, &observations, detectors);
            let sightings = observations.into_iter().flat_map(|seen| seen.parameters);
            let sensitive = sightings
                .filter(|sighting| !sighting.repeats && markings.of(&id, &sighting.key).unwrap_or(sighting.sensitive));
            let keys: Vec<ParameterKey> = sensitive.map(|sighting| sighting.key).collect();
            if !keys.is_empty() {
                drop(record);
                found.insert(masked.unwrap_or(text), keys);
            }
        }
    }
    Ok(found)
}
