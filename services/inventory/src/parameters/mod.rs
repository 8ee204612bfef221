pub mod data_types;
pub mod markings;
pub mod recent;

use std::collections::{BTreeMap, BTreeSet};

use portolan_authz::Caller;
use portolan_ids::{AccountId, CollectionId};

use crate::{
    Deps, Error, access,
    endpoints::raws_of,
    members,
    model::{
        endpoints::EndpointId,
        markings::Marked,
        parameters::{Parameter, SensitiveFilter, add, merge},
    },
    store,
    view::{Part, View},
};

/// URLs of one request, and those looked up at once, as documented.
const URLS_MAX: usize = 10_000;

const URLS_PER_BATCH: usize = 500;

/// Parameters answered for one such batch, as documented.
const PER_BATCH_MAX: usize = 2_000;

/// Parameters of one answer of [`list_private`], as documented.
const PRIVATE_MAX: usize = 3_000;

/// Share of values seen again of a private parameter, as documented.
const PRIVATE_SHARE_MAX: f64 = 0.1;

/// Distinct values below which nothing can be said.
const DISTINCT_MIN: usize = 10;

/// Parameters of one answer of [`list_sensitive`], as documented.
const SENSITIVE_MAX: usize = 10_000;

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
    let detectors = data_types::detectors_of(deps, caller.account_id).await?;
    let markings = markings::of_account(deps, caller.account_id).await?;
    let merged = merge(detectors.of(caller.account_id), &raws, rows);
    let wrap = |(key, mut seen)| {
        markings.apply(&endpoint, &key, &mut seen);
        Parameter { endpoint: endpoint.clone(), key, seen, with_values: true, group_ids: Vec::new() }
    };
    let mut found: Vec<Parameter> = merged.into_iter().map(wrap).collect();
    note_groups(deps, caller, &mut found).await?;
    Ok(found)
}

/// Notes beside parameters which groups show their endpoints.
pub(crate) async fn note_groups(deps: &Deps, caller: &Caller, found: &mut [Parameter]) -> Result<(), Error> {
    let endpoints: BTreeSet<&EndpointId> = found.iter().map(|parameter| &parameter.endpoint).collect();
    let showing = members::showing(deps, caller, endpoints).await?;
    if !showing.is_empty() {
        for parameter in found {
            parameter.group_ids = showing.get(&parameter.endpoint).cloned().unwrap_or_default();
        }
    }
    Ok(())
}

/// The parameters whose type is sensitive where they stand, or those of one type, by collection, URL, method and key, at
/// most 10,000; then, unless a type was asked for, what users said.
///
/// # Errors
/// `COLLECTION_DEACTIVATED`.
pub async fn list_sensitive(
    deps: &Deps,
    caller: &Caller,
    filter: SensitiveFilter,
) -> Result<(Vec<Parameter>, Vec<Marked>), Error> {
    let account_id = caller.account_id;
    let shown;
    let only_sensitive = filter.sub_type.is_none();
    // No stored text holds a NUL character, and Postgres refuses it in a comparison.
    if [&filter.url, &filter.method, &filter.sub_type].into_iter().flatten().any(|text| text.contains('\0')) {
        return Ok((Vec::new(), Vec::new()));
    }
    let view = View::of(deps, caller).await?;
    let parts: BTreeMap<CollectionId, Part<'_>> = match filter.collection_id {
        Some(id) => match access::readable(deps, caller, id).await? {
            Some(group) if group.is_group() => {
                shown = of_group(deps, &view, account_id, id).await?;
                shown.iter().map(|(owner, url_keys)| (*owner, Part::Some(url_keys))).collect()
            }
            Some(_) => BTreeMap::from([(id, Part::Whole)]),
            None => view.part_of(id).map(|part| (id, part)).into_iter().collect(),
        },
        None => view.owners().collect(),
    };
    let wanted = match &filter.sub_type {
        Some(name) => store::parameters::Wanted::SubType(name.clone()),
        None => store::parameters::Wanted::Sensitive,
    };
    let having = store::parameters::collections_having(&deps.db, account_id, &wanted).await?;
    let markings = markings::of_account(deps, account_id).await?;
    let method = filter.method.map(|method| method.to_ascii_uppercase());
    let mut found: Vec<Parameter> = Vec::new();
    for (id, part) in parts.iter().map(|(id, part)| (*id, *part)).filter(|(id, _)| having.contains(id)) {
        let (url, method) = (filter.url.as_deref(), method.as_deref());
        let rows = store::parameters::wanted(&deps.db, account_id, id, &wanted, url, method).await?;
        let mut merged = BTreeMap::new();
        for (url, method, key, seen) in rows {
            add(&mut merged, (url, method, key), seen);
        }
        found.extend(merged.into_iter().filter_map(|((url, method, key), mut seen)| {
            let endpoint = EndpointId { collection_id: id, url, method };
            markings.apply(&endpoint, &key, &mut seen);
            let wanted = (seen.sensitive || !only_sensitive) && part.has(&endpoint.url_key());
            wanted.then_some(Parameter { endpoint, key, seen, with_values: false, group_ids: Vec::new() })
        }));
        if found.len() >= SENSITIVE_MAX {
            found.truncate(SENSITIVE_MAX);
            break;
        }
    }
    note_groups(deps, caller, &mut found).await?;
    let mut marked = Vec::new();
    if only_sensitive {
        let (url, method) = (filter.url.as_deref(), method.as_deref());
        marked = markings::list(deps, caller).await?;
        marked.retain(|marked| {
            let place = &marked.place;
            parts.get(&place.collection_id).is_some_and(|part| part.has(&marked.url_key))
                && url.is_none_or(|url| place.url == url)
                && method.is_none_or(|method| place.method == method)
        });
    }
    Ok((found, marked))
}

async fn of_group(
    deps: &Deps,
    view: &View,
    account_id: AccountId,
    group_id: CollectionId,
) -> Result<BTreeMap<CollectionId, BTreeSet<String>>, Error> {
    let shown = view.of_group(deps, account_id, group_id).await?;
    Ok(shown.into_iter().map(|(owner, url_keys)| (owner, url_keys.into_iter().collect())).collect())
}

/// The sensitive parameters of endpoints by their URLs, in any collection that the caller may see: at most 2,000 for
/// each 500 of the URLs.
///
/// # Errors
/// `LIST_TOO_LONG`.
pub async fn list_sensitive_of_urls(deps: &Deps, caller: &Caller, urls: &[String]) -> Result<Vec<Parameter>, Error> {
    if urls.len() > URLS_MAX {
        let error = portolan_api::Error::new(portolan_api::Reason::ListTooLong);
        return Err(error.with("member", "urls").with("limit", URLS_MAX).into());
    }
    let view = View::of(deps, caller).await?;
    let markings = markings::of_account(deps, caller.account_id).await?;
    let mut found = Vec::new();
    for urls in urls.chunks(URLS_PER_BATCH) {
        let urls: Vec<&str> = urls.iter().map(String::as_str).filter(|url| !url.contains('\0')).collect();
        let mut merged = BTreeMap::new();
        for (endpoint, key, seen) in store::parameters::sensitive_of_urls(&deps.db, caller.account_id, &urls).await? {
            if view.shows(&endpoint) {
                add(&mut merged, (endpoint, key), seen);
            }
        }
        let batch = merged.into_iter().filter_map(|((endpoint, key), mut seen)| {
            markings.apply(&endpoint, &key, &mut seen);
            seen.sensitive.then_some(Parameter { endpoint, key, seen, with_values: false, group_ids: Vec::new() })
        });
        found.extend(batch.take(PER_BATCH_MAX));
    }
    note_groups(deps, caller, &mut found).await?;
    Ok(found)
}

/// Request parameters whose values belong to one caller each, as far as the inventory can tell: at most a tenth of the
/// known values were seen again. With each come the number of distinct values and of those seen again.
pub async fn list_private(deps: &Deps, caller: &Caller) -> Result<Vec<(Parameter, usize, u64)>, Error> {
    let mut found = Vec::new();
    let view = View::of(deps, caller).await?;
    for (owner, part) in view.owners() {
        let mut merged = BTreeMap::new();
        for (endpoint, key, seen) in store::parameters::of_requests(&deps.db, caller.account_id, owner).await? {
            if part.has(&endpoint.url_key()) {
                add(&mut merged, (endpoint, key), seen);
            }
        }
        for ((endpoint, key), seen) in merged {
            let unique = seen.values.list().count();
            let again = seen.count.saturating_sub(unique as u64);
            if unique >= DISTINCT_MIN && again as f64 <= PRIVATE_SHARE_MAX * unique as f64 {
                found.push((
                    Parameter { endpoint, key, seen, with_values: false, group_ids: Vec::new() },
                    unique,
                    again,
                ));
            }
        }
        if found.len() >= PRIVATE_MAX {
            found.truncate(PRIVATE_MAX);
            break;
        }
    }
    Ok(found)
}
