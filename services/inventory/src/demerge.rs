//! Taking templates apart, and putting them together again.
//!
//! # Invariants
//! - While a template is apart, no URL joins it: ingest stores what it covers under the URLs as they were called.
//! - What the template had gathered is kept. Putting it together gives what would have been without taking it apart:
//!   stored calls that were shown under their own URLs meanwhile are not counted twice.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::LazyLock,
};

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_engine::{
    Aggregate, Detectors, EndpointDelta, Facts, Method, ParameterKey, Sample, Samples, Verdict, joined_parameters,
    observe,
    template::{BodyNames, SplitUrl, decoded, shape},
};
use portolan_ids::{AccountId, CollectionId};
use portolan_outbox::Change;
use portolan_path::Segment;
use portolan_record::Record;
use portolan_runtime::now_s;
use portolan_store::{Tx, retrying};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Deps, Error, access,
    collections::list,
    model::{
        collections::NO_COLLECTION,
        conditions::method,
        deltas::{Delta, Deltas, Target, concrete_url, take_away, to_delta, to_row},
        endpoints::{EndpointId, RawEndpoint},
        keys,
        text::too_long,
    },
    store,
    view::View,
    writer::{Changed, CollectionWriter, note_changes, retemplate},
};

/// Templates of one request.
const LISTED_MAX: usize = 1_000;

static DETECTORS: LazyLock<Detectors> = LazyLock::new(Detectors::default);

/// What a template had gathered under its own URL.
#[derive(Serialize, Deserialize)]
struct Kept {
    proven: bool,
    first_seen: i64,
    last_seen: i64,
    facts: Facts,
    bodies: BodyNames,
    description: Option<String>,
    described_at: i64,
    parameters: Vec<KeptParameter>,
    /// Records as JSON text.
    samples: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct KeptParameter {
    key: store::parameters::StoredKey,
    seen: Aggregate,
}

/// Takes a template apart.
///
/// # Errors
/// `DEMERGE_URL_REQUIRED`, `DEMERGE_METHOD_REQUIRED`, `DEMERGE_METHOD_INVALID`, `DEMERGE_NOT_MERGED`,
/// `COLLECTION_NOT_FOUND`.
pub async fn demerge(
    deps: &Deps,
    caller: &Caller,
    collection_id: CollectionId,
    url: Option<&str>,
    method_name: Option<&str>,
) -> Result<(), Error> {
    let url = url.filter(|url| !url.is_empty()).ok_or(Reason::DemergeUrlRequired)?;
    let method_name = method_name.filter(|name| !name.is_empty()).ok_or(Reason::DemergeMethodRequired)?;
    let method = method(method_name).ok_or(Reason::DemergeMethodInvalid)?;
    let is_template = SplitUrl::new(url).segments().any(|token| !Segment::of_words(token).is_literal());
    if !is_template || url.contains('\0') {
        return Err(Reason::DemergeNotMerged.into());
    }
    let collection = access::writable(deps, caller, collection_id).await?;
    if collection.is_group() {
        return Err(Reason::DemergeNotMerged.into());
    }
    let target = match &collection.host_name {
        Some(host) => Target::Host(host.clone()),
        None => Target::Collection(collection_id.into()),
    };
    retrying(|| take_apart(deps, caller, collection_id, method, url, &target)).await
}

/// Takes several templates apart; answers how many were, and why the others were not.
///
/// # Errors
/// `LIST_TOO_LONG`.
pub async fn demerge_many(
    deps: &Deps,
    caller: &Caller,
    ids: Vec<EndpointId>,
) -> Result<(usize, Vec<(EndpointId, Error)>), Error> {
    if ids.len() > LISTED_MAX {
        return Err(too_long("apiInfoKeyList", LISTED_MAX).into());
    }
    let (mut done, mut failures) = (0, Vec::new());
    for id in ids {
        match demerge(deps, caller, id.collection_id, Some(&id.url), Some(&id.method)).await {
            Ok(()) => done += 1,
            Err(error) if error.reason().is_some() => failures.push((id, error)),
            Err(error) => return Err(error),
        }
    }
    Ok((done, failures))
}

/// The templates that are apart, in the collections that the caller sees.
pub async fn list_demerged(deps: &Deps, caller: &Caller) -> Result<Vec<EndpointId>, Error> {
    let visible: BTreeSet<CollectionId> = list(deps, caller).await?.into_iter().map(|known| known.id).collect();
    let view = View::of(deps, caller).await?;
    let rows = store::demerged::by_account(&deps.db, caller.account_id).await?;
    let ids =
        rows.into_iter().map(|row| EndpointId { collection_id: row.collection_id, url: row.url, method: row.method });
    Ok(ids.filter(|id| visible.contains(&id.collection_id) || view.shows(id)).collect())
}

/// Puts templates together again; those that are not apart, or that the caller cannot see, are passed over.
///
/// # Errors
/// `LIST_TOO_LONG`.
pub async fn undo(deps: &Deps, caller: &Caller, ids: Vec<EndpointId>) -> Result<(), Error> {
    if ids.len() > LISTED_MAX {
        return Err(too_long("mergedUrls", LISTED_MAX).into());
    }
    for id in ids.into_iter().filter(|id| id.collection_id != NO_COLLECTION) {
        let Some(collection) = access::find(deps, caller, id.collection_id).await? else { continue };
        let Some(method) = method(&id.method) else { continue };
        let target = match &collection.host_name {
            Some(host) => Target::Host(host.clone()),
            None => Target::Collection(id.collection_id.into()),
        };
        retrying(|| put_together(deps, caller, id.collection_id, method, &id.url, &target)).await?;
    }
    Ok(())
}

async fn take_apart(
    deps: &Deps,
    caller: &Caller,
    collection_id: CollectionId,
    method: Method,
    url: &str,
    target: &Target,
) -> Result<(), Error> {
    let account_id = caller.account_id;
    let mut tx = deps.db.begin().await?;
    let held = store::collections::lock(&mut tx, account_id, collection_id).await?;
    let Some(held) = held.filter(|held| !held.deleted) else { return Err(Reason::CollectionNotFound.into()) };
    let url_key = keys::endpoint_key(method.name(), url);
    let raws = store::endpoints::by_url_keys_in(&mut tx, account_id, collection_id, &[&url_key]).await?;
    let raw_keys: Vec<&str> = raws.iter().map(|raw| raw.key.as_str()).collect();
    let mut rows = store::endpoints::by_keys(&mut tx, account_id, collection_id, &raw_keys).await?;
    let mut kept = None;
    let mut deltas = Deltas::new();
    for (raw, bodies) in &mut rows {
        if raw.raw_url != url || raw.facts.declared || held.redacted {
            raw.facts.never_merge = true;
            continue;
        }
        let (parameters, samples) = belongings(&mut tx, account_id, collection_id, &raw.key).await?;
        deltas = concrete_deltas(&samples, url, target);
        kept = Some(serde_json::to_string(&Kept {
            proven: raw.proven,
            first_seen: raw.first_seen,
            last_seen: raw.last_seen,
            facts: raw.facts.clone(),
            bodies: bodies.clone(),
            description: raw.description.clone(),
            described_at: raw.described_at,
            parameters,
            samples,
        })?);
    }
    let noted = store::demerged::insert(
        &mut tx,
        account_id,
        collection_id,
        &url_key,
        (method.name(), url),
        kept.clone(),
        now_s(),
    )
    .await?;
    if !noted {
        return Ok(());
    }
    let stays = |raw: &RawEndpoint| kept.is_none() || raw.raw_url != url;
    let marked = rows.iter().filter(|(raw, _)| stays(raw)).map(|(raw, bodies)| (raw, bodies));
    store::endpoints::save(&mut tx, account_id, collection_id, marked).await?;
    if kept.is_some() {
        remove_raw(&mut tx, account_id, collection_id, &[&url_key]).await?;
    }
    let mut changed = Changed { url_keys: BTreeSet::from([url_key]), ..Changed::default() };
    let mut catalog = retemplate(&mut tx, account_id, collection_id, &mut changed).await?;
    let written = CollectionWriter::new(&mut tx, account_id, collection_id, &mut catalog).write(deltas).await?;
    changed.url_keys.extend(written.url_keys);
    finish(tx, caller, collection_id, changed, &json!({ "demerged": format!("{} {url}", method.name()) })).await
}

async fn put_together(
    deps: &Deps,
    caller: &Caller,
    collection_id: CollectionId,
    method: Method,
    url: &str,
    target: &Target,
) -> Result<(), Error> {
    let account_id = caller.account_id;
    let mut tx = deps.db.begin().await?;
    let held = store::collections::lock(&mut tx, account_id, collection_id).await?;
    if held.is_none_or(|held| held.deleted) {
        return Ok(());
    }
    let url_key = keys::endpoint_key(method.name(), url);
    let Some(kept) = store::demerged::delete(&mut tx, account_id, collection_id, &url_key).await? else {
        return Ok(());
    };
    let others = store::demerged::by_collection(&mut tx, account_id, collection_id).await?;
    let apart = store::endpoints::never_merged(&mut tx, account_id, collection_id, method.name()).await?;
    let is_other = |raw: &str| others.iter().any(|(name, other)| *name == method.name() && covers(other, raw));
    let mut changed = Changed { url_keys: BTreeSet::from([url_key.clone()]), ..Changed::default() };
    let mut freed: Vec<(RawEndpoint, BodyNames)> = Vec::new();
    let mut shaped: Vec<(RawEndpoint, BodyNames)> = Vec::new();
    for (mut raw, bodies) in apart {
        if raw.raw_url != url && (!covers(url, &raw.raw_url) || is_other(&raw.raw_url)) {
            continue;
        }
        changed.url_keys.insert(keys::endpoint_key(method.name(), &raw.url));
        raw.facts.never_merge = false;
        match raw.raw_url != url && shape(&raw.raw_url, &DETECTORS).0 == url && !raw.facts.declared {
            true => shaped.push((raw, bodies)),
            false => freed.push((raw, bodies)),
        }
    }
    store::endpoints::save(&mut tx, account_id, collection_id, freed.iter().map(|(raw, bodies)| (raw, bodies))).await?;
    if kept.is_some() || !shaped.is_empty() {
        let kept: Option<Kept> = kept.as_deref().map(serde_json::from_str).transpose()?;
        restore(&mut tx, account_id, collection_id, (method, url), target, kept, shaped).await?;
    }
    retemplate(&mut tx, account_id, collection_id, &mut changed).await?;
    finish(tx, caller, collection_id, changed, &json!({ "merged": format!("{} {url}", method.name()) })).await
}

/// Writes the row of a template's own URL again: what was kept, and what its URLs have gathered since.
async fn restore(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    (method, url): (Method, &str),
    target: &Target,
    kept: Option<Kept>,
    shaped: Vec<(RawEndpoint, BodyNames)>,
) -> Result<(), Error> {
    let key = keys::endpoint_key(method.name(), url);
    let mut replayed = Deltas::new();
    let (mut whole, mut bodies, mut texts, mut description) = (None, BodyNames::default(), Vec::new(), None);
    if let Some(kept) = kept {
        replayed = concrete_deltas(&kept.samples, url, target);
        bodies = kept.bodies;
        texts = kept.samples;
        description = kept.description.map(|text| (text, kept.described_at));
        let parameters = kept.parameters.into_iter().map(|row| (row.key.into(), row.seen)).collect();
        let row = RawEndpoint {
            key: key.clone(),
            method: method.name().to_owned(),
            raw_url: url.to_owned(),
            url: url.to_owned(),
            proven: kept.proven,
            first_seen: kept.first_seen,
            last_seen: kept.last_seen,
            facts: kept.facts,
            description: None,
            described_at: 0,
        };
        whole = Some(to_delta(method, row, parameters));
    }
    for (raw, known) in shaped {
        bodies.absorb(&known);
        let (parameters, samples) = belongings(tx, account_id, collection_id, &raw.key).await?;
        texts.extend(samples);
        let mut parameters: BTreeMap<ParameterKey, Aggregate> =
            parameters.into_iter().map(|row| (row.key.into(), row.seen)).collect();
        for sighting in joined_parameters(&raw.raw_url, url, &DETECTORS) {
            let mut values = portolan_engine::Values::Few(BTreeSet::new());
            sighting.value.into_iter().for_each(|value| values.add(value));
            let seen = Aggregate {
                count: raw.facts.proofs(),
                first_seen: raw.facts.discovered.unwrap_or(raw.first_seen),
                last_seen: raw.last_seen,
                values,
                min: sighting.number,
                max: sighting.number,
                sensitive: sighting.sensitive,
            };
            parameters.insert(sighting.key, seen);
        }
        let replayed = replayed.get(&raw.key);
        let raw_key = raw.key.clone();
        let mut delta = to_delta(method, raw, parameters);
        if let Some(replayed) = replayed {
            take_away(&mut delta, &replayed.seen);
        }
        delta.raw_url = url.to_owned();
        match &mut whole {
            None => whole = Some(delta),
            Some(whole) => whole.merge(delta),
        }
        remove_raw(tx, account_id, collection_id, &[&raw_key]).await?;
    }
    let Some(mut whole) = whole else { return Ok(()) };
    let parameters = std::mem::take(&mut whole.parameters);
    whole.facts.never_merge = false;
    let row = to_row(key.clone(), url.to_owned(), whole);
    store::endpoints::save(tx, account_id, collection_id, [(&row, &bodies)]).await?;
    if let Some((text, described_at)) = description {
        store::endpoints::describe(tx, account_id, collection_id, &key, &text, described_at).await?;
    }
    let rows = parameters.iter().map(|(parameter, seen)| (key.as_str(), parameter, seen));
    store::parameters::save(tx, account_id, collection_id, rows).await?;
    let samples: Samples =
        texts.iter().filter_map(|text| Some(Sample::new(Record::parse(text).ok()?.time, text.as_str()))).collect();
    let rows = samples.list().iter().map(|sample| {
        [
            account_id.into(),
            collection_id.into(),
            key.as_str().into(),
            hex::encode(sample.digest).into(),
            sample.time.into(),
            (&sample.text).into(),
        ]
    });
    Ok(store::samples::insert(tx, rows.collect()).await?)
}

/// Ends a change of templates: counts, groups, lists, consumers.
async fn finish(
    mut tx: Tx,
    caller: &Caller,
    collection_id: CollectionId,
    changed: Changed,
    after: &serde_json::Value,
) -> Result<(), Error> {
    let account_id = caller.account_id;
    store::collections::recount(&mut tx, account_id, collection_id).await?;
    let change = Change::of("collection", collection_id).after(after);
    portolan_outbox::audit(&mut tx, caller, change).await?;
    store::demerged::raise_version(&mut tx).await?;
    note_changes(&mut tx, &BTreeMap::from([((account_id, collection_id), changed)])).await?;
    tx.commit().await?;
    Ok(())
}

async fn belongings(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    key: &str,
) -> Result<(Vec<KeptParameter>, Vec<String>), Error> {
    let rows = store::parameters::by_endpoints_in(tx, account_id, collection_id, &[key]).await?;
    let records = store::samples::records(tx, account_id, collection_id, &[key]).await?;
    let parameters = rows.into_iter().map(|row| KeptParameter { key: row.key.into(), seen: row.seen }).collect();
    Ok((parameters, records.into_iter().map(|(_, record)| record).collect()))
}

async fn remove_raw(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    keys: &[&str],
) -> Result<(), Error> {
    store::parameters::delete(tx, account_id, collection_id, keys).await?;
    store::samples::delete(tx, account_id, collection_id, keys).await?;
    Ok(store::endpoints::delete(tx, account_id, collection_id, keys).await?)
}

/// What stored calls of a template say of the URLs that were called.
fn concrete_deltas(samples: &[String], url: &str, target: &Target) -> Deltas {
    let mut deltas: HashMap<String, Delta> = HashMap::new();
    for text in samples {
        let Ok(record) = Record::parse(text) else { continue };
        let Verdict::Seen(observations) = observe(&record, &DETECTORS) else { continue };
        for mut observation in observations.into_iter().filter(|seen| seen.proves_endpoint && !seen.declared) {
            let concrete = concrete_url(&record, target);
            if concrete == url {
                continue;
            }
            observation.raw_url = concrete;
            observation.parameters.retain(|sighting| !sighting.key.is_url_param);
            let key = keys::endpoint_key(observation.method.name(), &observation.raw_url);
            let sample = Sample::new(record.time, text.as_str());
            match deltas.get_mut(&key) {
                Some(known) => {
                    known.seen.fold(observation);
                    known.samples.add(sample);
                }
                None => {
                    let mut seen = EndpointDelta::new(observation);
                    seen.facts.never_merge = true;
                    let samples = [sample].into_iter().collect();
                    deltas.insert(key, Delta { samples, ..Delta::new(seen) });
                }
            }
        }
    }
    deltas.into_iter().collect()
}

/// Whether a template stands for a URL.
fn covers(template: &str, url: &str) -> bool {
    let (template, url) = (SplitUrl::new(template), SplitUrl::new(url));
    template.frame() == url.frame()
        && template.segments().count() == url.segments().count()
        && template
            .segments()
            .zip(url.segments())
            .all(|(own, token)| own == token || Segment::of_words(own).matches(&decoded(token)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_cover_by_segment() {
        assert!(covers("https://h/a/INTEGER/STRING", "https://h/a/5/x"));
        assert!(!covers("https://h/a/INTEGER", "https://h/a/x"));
        assert!(!covers("https://h/a/INTEGER", "https://g/a/5"));
        assert!(!covers("/a/INTEGER", "/a/5/x"));
        assert!(!covers("/a/INTEGER", "/a/5/"));
    }
}
