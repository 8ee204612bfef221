//! Redaction: a collection keeps its structure and loses every value. New records lose theirs before they are written; a
//! job removes the old ones.
//!
//! # Invariants
//! - In a redacted collection nothing is stored under a URL that a template covers: its raw URLs become the template.
//!   This cannot be undone.
//! - Removing values twice changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use portolan_authz::Caller;
use portolan_engine::{Aggregate, EndpointDelta, Method, ParameterKey, Sample, template::BodyNames};
use portolan_ids::{AccountId, CollectionId, JobId};
use portolan_jobs::Portion;
use portolan_outbox::Change;
use portolan_record::Record;
use portolan_store::{Tx, Value, retrying};
use serde_json::json;

use crate::{
    Deps, Error, access, jobs,
    model::{
        deltas::{Deltas, to_delta, to_row},
        endpoints::RawEndpoint,
        jobs::{Cursor, Step, Task, next, over},
        keys,
        masking::{Hidden, MASK},
        parameters,
        parameters::RawParameter,
        samples::SAMPLES_MAX,
    },
    store,
};

/// Raw endpoints that the job looks at in one transaction.
const ENDPOINTS_PER_STEP: usize = 100;

/// Begins or ends the redaction of a collection; answers the id of the job that removes what is there.
///
/// # Errors
/// `COLLECTION_NOT_FOUND`.
pub async fn update(
    deps: &Deps,
    caller: &Caller,
    collection_id: CollectionId,
    is_redacted: bool,
) -> Result<Option<JobId>, Error> {
    let known = access::writable(deps, caller, collection_id).await?;
    let job_id = retrying(|| async {
        let mut tx = deps.db.begin().await?;
        let job_id = match is_redacted && !known.is_group() {
            true => {
                let task = Task::RedactCollection { collection_id };
                Some(jobs::ask(deps, &mut tx, caller.account_id, task).await?)
            }
            false => None,
        };
        // Whoever writes the collection at this moment is waited for; who comes later reads the new rules.
        store::collections::lock(&mut tx, caller.account_id, collection_id).await?;
        store::collections::update_redacted(
            &mut tx,
            caller.account_id,
            collection_id,
            is_redacted,
            !is_redacted || known.is_group(),
        )
        .await?;
        let change = Change::of("collection", collection_id)
            .before(&json!({ "redact": known.redacted }))
            .after(&json!({ "redact": is_redacted }));
        portolan_outbox::audit(&mut tx, caller, change).await?;
        store::demerged::raise_version(&mut tx).await?;
        tx.commit().await?;
        Ok::<_, Error>(job_id)
    })
    .await?;
    Ok(job_id)
}

/// Removes the values of some raw endpoints.
pub(crate) async fn step(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    cursor: &Cursor,
    portion: Portion,
) -> Result<Step, Error> {
    let held = store::collections::lock(tx, account_id, collection_id).await?;
    if held.is_none_or(|held| held.deleted) {
        return Ok(over(0));
    }
    if *cursor == Cursor::Others {
        store::collections::note_values_removed(tx, account_id, collection_id).await?;
        return Ok(over(0));
    }
    let after = match cursor {
        Cursor::After(key) => key.as_str(),
        _ => "",
    };
    let page = store::endpoints::page(tx, account_id, collection_id, after, portion.limit(ENDPOINTS_PER_STEP)).await?;
    let Some((last, _)) = page.last() else {
        store::demerged::forget_kept(tx, account_id, collection_id).await?;
        store::call_stats::forget_addresses(tx, account_id, collection_id).await?;
        store::collections::forget_removed_urls(tx, account_id, collection_id).await?;
        return Ok(next(Cursor::Others, 0));
    };
    let last = last.key.clone();
    let raw_keys: Vec<&str> = page.iter().map(|(raw, _)| raw.key.as_str()).collect();
    let mut parameters = store::parameters::by_endpoints_in(tx, account_id, collection_id, &raw_keys).await?;
    parameters.iter_mut().for_each(|row| row.seen.forget_values());
    let rows = parameters.iter().map(|row| (row.endpoint_key.as_str(), &row.key, &row.seen));
    store::parameters::save(tx, account_id, collection_id, rows).await?;
    let url_of: BTreeMap<&str, &str> = page.iter().map(|(raw, _)| (raw.key.as_str(), raw.url.as_str())).collect();
    let mut samples: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    for (key, record) in store::samples::records(tx, account_id, collection_id, &raw_keys).await? {
        let url = url_of.get(key.as_str()).copied().unwrap_or_default();
        samples.entry(key).or_default().push(masked_sample(&record, url));
    }
    store::samples::delete(tx, account_id, collection_id, &raw_keys).await?;
    store::samples::insert(tx, sample_rows(account_id, collection_id, samples)).await?;
    let url_keys: BTreeSet<String> = page.iter().map(|(raw, _)| keys::endpoint_key(&raw.method, &raw.url)).collect();
    collapse(tx, account_id, collection_id, &url_keys).await?;
    Ok(next(Cursor::After(last), page.len()))
}

/// Removes the values of everything that is about to be written.
pub(crate) fn strip_all(deltas: &mut Deltas) {
    for delta in deltas.values_mut() {
        strip(&mut delta.seen);
        let samples = std::mem::take(&mut delta.samples);
        let url = &delta.seen.raw_url;
        delta.samples = samples.list().iter().map(|sample| masked_sample(&sample.text, url)).collect();
    }
}

/// Removes the values of parameters.
pub(crate) fn strip(seen: &mut EndpointDelta) {
    seen.parameters.values_mut().for_each(Aggregate::forget_values);
}

/// Puts the raw URLs of these templates together under the template, so that no covered segment stays; says whether any
/// were. The transaction holds the collection, whose catalog is out of date afterwards.
pub(crate) async fn collapse(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    url_keys: &BTreeSet<String>,
) -> Result<bool, Error> {
    let url_keys: Vec<&str> = url_keys.iter().map(String::as_str).collect();
    let rows = store::endpoints::by_url_keys_in(tx, account_id, collection_id, &url_keys).await?;
    let mut by_url: BTreeMap<(String, String), Vec<RawEndpoint>> = BTreeMap::new();
    for row in rows {
        by_url.entry((row.url.clone(), row.method.clone())).or_default().push(row);
    }
    by_url.retain(|_, raws| raws.iter().any(|raw| raw.raw_url != raw.url));
    for ((url, method), raws) in &by_url {
        collapse_one(tx, account_id, collection_id, (url, method), raws).await?;
    }
    Ok(!by_url.is_empty())
}

/// The values of the segments go, so only what the program itself knows of them tells their types.
static DETECTORS: std::sync::LazyLock<portolan_engine::Detectors> =
    std::sync::LazyLock::new(portolan_engine::Detectors::default);

async fn collapse_one(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    (url, method): (&str, &str),
    raws: &[RawEndpoint],
) -> Result<(), Error> {
    let key = keys::endpoint_key(method, url);
    let raw_keys: Vec<&str> = raws.iter().map(|raw| raw.key.as_str()).collect();
    let mut bodies = BodyNames::default();
    for (_, known) in store::endpoints::by_keys(tx, account_id, collection_id, &raw_keys).await? {
        bodies.absorb(&known);
    }
    let rows: Vec<RawParameter> = store::parameters::by_endpoints_in(tx, account_id, collection_id, &raw_keys).await?;
    let mut merged: BTreeMap<ParameterKey, Aggregate> = parameters::merge(&DETECTORS, raws, rows);
    merged.values_mut().for_each(Aggregate::forget_values);
    let records = store::samples::records(tx, account_id, collection_id, &raw_keys).await?;
    let samples: portolan_engine::Samples = records.iter().map(|(_, record)| masked_sample(record, url)).collect();

    let known_method = Method::parse(method);
    let deltas = raws.iter().map(|raw| to_delta(known_method, raw.clone(), BTreeMap::new()));
    let whole = deltas.reduce(|mut whole, next| {
        whole.merge(next);
        whole
    });
    let Some(mut whole) = whole else { return Ok(()) };
    whole.raw_url = url.to_owned();
    let described = raws.iter().filter(|raw| raw.description.is_some()).max_by_key(|raw| raw.described_at);

    store::parameters::delete(tx, account_id, collection_id, &raw_keys).await?;
    store::samples::delete(tx, account_id, collection_id, &raw_keys).await?;
    store::endpoints::delete(tx, account_id, collection_id, &raw_keys).await?;
    store::call_stats::join(tx, account_id, collection_id, &raw_keys, &key).await?;
    whole.facts.never_merge = raws.iter().any(|raw| raw.raw_url == *url && raw.facts.never_merge);
    let row = to_row(key.clone(), url.to_owned(), whole);
    store::endpoints::save(tx, account_id, collection_id, [(&row, &bodies)]).await?;
    if let Some(RawEndpoint { description: Some(text), described_at, .. }) = described {
        store::endpoints::describe(tx, account_id, collection_id, &key, text, *described_at).await?;
    }
    let rows = merged.iter().map(|(parameter, seen)| (key.as_str(), parameter, seen));
    store::parameters::save(tx, account_id, collection_id, rows).await?;
    let samples = BTreeMap::from([(key, samples.list().to_vec())]);
    Ok(store::samples::insert(tx, sample_rows(account_id, collection_id, samples)).await?)
}

fn sample_rows(
    account_id: AccountId,
    collection_id: CollectionId,
    samples: BTreeMap<String, Vec<Sample>>,
) -> Vec<[Value; 6]> {
    let row = |key: &str, sample: &Sample| -> [Value; 6] {
        [
            account_id.into(),
            collection_id.into(),
            key.into(),
            hex::encode(sample.digest).into(),
            sample.time.into(),
            (&sample.text).into(),
        ]
    };
    let newest = |list: Vec<Sample>| list.into_iter().collect::<portolan_engine::Samples>();
    let rows = samples.into_iter().flat_map(|(key, list)| {
        newest(list).list().iter().take(SAMPLES_MAX).map(|sample| row(&key, sample)).collect::<Vec<_>>()
    });
    rows.collect()
}

pub(crate) fn masked_sample(json: &str, url: &str) -> Sample {
    match Record::parse(json) {
        Ok(record) => Sample::new(record.time, masked(&record, url)),
        // Nothing else was ever stored; if it was, it is no longer.
        Err(_) => Sample::new(0, "{}"),
    }
}

/// A record as JSON with its structure and without values; `url` is the stored URL that it belongs to.
pub(crate) fn masked(record: &Record<'_>, url: &str) -> String {
    let hidden = Hidden::All;
    let path = match record.path.split_once('?') {
        Some((_, query)) => format!("{url}?{}", hidden.pairs(query.split('#').next().unwrap_or_default())),
        None => url.to_owned(),
    };
    let address = |text: &str| if text.is_empty() { "" } else { MASK };
    let masked = Record {
        path: path.into(),
        request_headers: hidden.headers(&record.request_headers).into(),
        response_headers: hidden.headers(&record.response_headers).into(),
        request_payload: hidden.body(&record.request_payload, true).into(),
        response_payload: hidden.body(&record.response_payload, true).into(),
        ip: address(&record.ip).into(),
        dest_ip: address(&record.dest_ip).into(),
        ..record.clone()
    };
    crate::model::text::storable(&masked.to_json())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_keep_their_structure_only() {
        let record = Record {
            method: "POST".into(),
            path: "https://h/users/secret1/42?token=secret2&secret3#secret4".into(),
            request_headers: r#"{"cookie":"sid=secret5; b=secret6","x-key":"secret7"}"#.into(),
            request_payload: r#"{"a":["secret8",{"b":5551234}],"c":null}"#.into(),
            response_headers: "secret9".into(),
            response_payload: "<x>secret10</x>".into(),
            status_code: 200,
            time: 9,
            ip: "77.1.2.3".into(),
            ..Record::default()
        };
        let text = masked(&record, "https://h/users/STRING/INTEGER");
        assert!(!text.contains("secret") && !text.contains("5551234") && !text.contains("77.1"), "{text}");
        let again = Record::parse(&text).unwrap();
        assert_eq!(again.path, "https://h/users/STRING/INTEGER?token=****&****");
        assert_eq!(again.request_headers, r#"{"cookie":"sid=****; b=****;","x-key":"****"}"#);
        assert_eq!(again.request_payload, r#"{"a":["****",{"b":"****"}],"c":"****"}"#);
        assert_eq!((&*again.response_headers, &*again.response_payload), ("{}", "****"));
        assert_eq!((again.time, again.status_code), (9, 200));
        // Once more changes nothing.
        assert_eq!(masked(&again, "https://h/users/STRING/INTEGER"), text);
    }
}
