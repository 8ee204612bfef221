mod apart;
mod retemplate;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use portolan_engine::{
    AccessType, Aggregate, AuthSet, Method, ParameterKey,
    template::{BodyNames, Catalog, RawEndpoint as CatalogEntry},
};
use portolan_store::Tx;
pub(crate) use retemplate::retemplate;

use crate::{
    Error, announce,
    announce::News,
    drift, feed, members,
    model::{
        deltas::{Deltas, to_delta, to_row},
        endpoints::RawEndpoint,
        groups::Counts,
        keys,
        samples::SAMPLES_MAX,
    },
    store,
};

/// What a write has changed of a collection.
#[derive(Clone, Debug, Default)]
pub struct Changed {
    /// Effective URLs whose endpoints may be new, gone, or other than before.
    pub url_keys: BTreeSet<String>,
    /// Sensitive parameters that their endpoints did not have before.
    pub news: Vec<News>,
}

/// Brings groups, their counts and the list of endpoints up to date with what was written, each lock in its turn.
pub async fn note_changes(tx: &mut Tx, changes: &BTreeMap<(i64, i32), Changed>) -> Result<(), Error> {
    let mut counts: BTreeMap<i64, Counts> = BTreeMap::new();
    for ((account_id, collection_id), changed) in changes {
        let url_keys: Vec<&str> = changed.url_keys.iter().map(String::as_str).collect();
        for (group_id, count) in members::refresh(tx, *account_id, *collection_id, &url_keys).await? {
            *counts.entry(*account_id).or_default().entry(group_id).or_default() += count;
        }
    }
    for (account_id, counts) in &counts {
        members::add_counts(tx, *account_id, counts).await?;
    }
    for ((account_id, collection_id), changed) in changes {
        let url_keys: Vec<&str> = changed.url_keys.iter().map(String::as_str).collect();
        feed::refresh(tx, *account_id, *collection_id, &url_keys).await?;
    }
    Ok(())
}

/// Adds deltas to what is stored of a collection that the transaction holds.
pub async fn write_collection(
    tx: &mut Tx,
    account_id: i64,
    collection_id: i32,
    catalog: &mut Catalog,
    deltas: Deltas,
) -> Result<Changed, Error> {
    let demerged = store::demerged::by_collection(tx, account_id, collection_id).await?;
    let keys: Vec<&str> = deltas.keys().map(String::as_str).collect();
    let mut rows: HashMap<String, (RawEndpoint, BodyNames)> = HashMap::new();
    for (row, bodies) in store::endpoints::by_keys(tx, account_id, collection_id, &keys).await? {
        rows.insert(row.key.clone(), (row, bodies));
    }
    let known: Vec<&str> = keys.iter().copied().filter(|key| rows.contains_key(*key)).collect();
    let mut old_places: HashMap<String, Place> = rows.iter().map(|(key, (row, _))| (key.clone(), place(row))).collect();
    let mut parameters: HashMap<String, BTreeMap<ParameterKey, Aggregate>> = HashMap::new();
    for row in store::parameters::by_endpoints_in(tx, account_id, collection_id, &known).await? {
        parameters.entry(row.endpoint_key).or_default().insert(row.key, row.seen);
    }
    let mut samples: HashMap<String, Vec<(String, i64)>> = HashMap::new();
    for (endpoint_key, sample_key, time) in store::samples::list_keys(tx, account_id, collection_id, &known).await? {
        samples.entry(endpoint_key).or_default().push((sample_key, time));
    }

    let mut changes: HashMap<String, (Method, String)> = HashMap::new();
    let mut joined = Vec::new();
    let (mut calls, mut declared) = (Vec::new(), BTreeMap::new());
    let mut merged_rows = Vec::with_capacity(deltas.len());
    let mut merged_parameters: Vec<(String, ParameterKey, Aggregate)> = Vec::new();
    let mut sensitive = Vec::new();
    let mut sample_rows = Vec::new();
    for (key, delta) in deltas {
        let row = rows.remove(&key);
        let stored = parameters.remove(&key).unwrap_or_default();
        let stored_keys: Vec<ParameterKey> = stored.keys().cloned().collect();
        let known_sensitive: BTreeSet<ParameterKey> =
            stored.iter().filter(|(_, seen)| seen.sensitive).map(|(key, _)| key.clone()).collect();
        let touched: BTreeSet<ParameterKey> = delta.seen.parameters.keys().cloned().collect();
        let new_facts = delta.seen.raw_endpoint();
        let (mut bodies, url, never_merge) = match &row {
            Some((row, bodies)) => (bodies.clone(), row.url.clone(), row.facts.never_merge),
            None => (BodyNames::default(), String::new(), false),
        };
        let never_merge = never_merge || delta.apart;
        bodies.absorb(&new_facts.bodies);
        let mut seen = delta.seen;
        if let Some((row, _)) = row {
            seen.merge(to_delta(seen.method, row, stored));
        }
        for key_dropped in stored_keys.iter().filter(|known| !seen.parameters.contains_key(known)) {
            store::parameters::delete_one(tx, account_id, collection_id, &key, key_dropped).await?;
        }
        let entry = CatalogEntry {
            bodies: bodies.clone(),
            never_merge,
            pinned: seen.declared,
            addresses: seen.addresses.clone(),
            proven: seen.proven,
            ..new_facts
        };
        for change in catalog.update(&entry) {
            if apart::joins(&demerged, &change) {
                joined.push((change.method, change.raw_url.clone()));
            }
            let changed = keys::endpoint_key(change.method.name(), &change.raw_url);
            changes.insert(changed, (change.method, change.effective_url));
        }
        if !delta.calls.hours.is_empty() {
            calls.push((key.clone(), delta.calls));
        }
        if !delta.declared.is_empty() {
            declared.insert(key.clone(), (seen.method, seen.raw_url.clone(), delta.declared));
        }
        let new_samples: Vec<_> = delta.samples.list().iter().collect();
        let kept = samples.remove(&key).unwrap_or_default();
        displace(tx, account_id, collection_id, &key, kept, new_samples, &mut sample_rows).await?;
        let parameters = std::mem::take(&mut seen.parameters);
        let changed = parameters.into_iter().filter(|(parameter, _)| touched.contains(parameter));
        let changed = changed.inspect(|(parameter, seen)| {
            if seen.sensitive && !known_sensitive.contains(parameter) {
                sensitive.push((key.clone(), parameter.clone()));
            }
        });
        merged_parameters.extend(changed.map(|(parameter, aggregate)| (key.clone(), parameter, aggregate)));
        merged_rows.push((to_row(key, url, seen, never_merge), bodies));
    }
    for key in apart::keep(catalog, &mut changes, &demerged, joined) {
        match merged_rows.iter_mut().find(|(row, _)| row.key == key) {
            Some((row, _)) => row.facts.never_merge = true,
            None => apart::mark(tx, account_id, collection_id, &key).await?,
        }
    }
    for (row, _) in &mut merged_rows {
        if let Some((_, url)) = changes.remove(&row.key) {
            row.url = url;
        } else if row.url.is_empty() {
            row.url.clone_from(&row.raw_url);
        }
    }
    let mut changes: Vec<_> = changes.into_iter().collect();
    changes.sort_unstable();

    let moved: Vec<&str> = changes.iter().map(|(key, _)| key.as_str()).collect();
    let mut affected: BTreeSet<String> =
        store::endpoints::url_keys(tx, account_id, collection_id, &moved).await?.into_iter().collect();
    affected.extend(changes.iter().map(|(_, (method, url))| keys::endpoint_key(method.name(), url)));
    for (row, _) in &merged_rows {
        let old = old_places.remove(&row.key);
        if old.as_ref() != Some(&place(row)) {
            affected.insert(keys::endpoint_key(&row.method, &row.url));
            affected.extend(old.map(|old| keys::endpoint_key(&row.method, &old.url)));
        }
    }
    let url_keys = affected;
    let affected: Vec<&str> = url_keys.iter().map(String::as_str).collect();
    let before = store::endpoints::count_proven(tx, account_id, collection_id, &affected).await?;

    store::endpoints::save(tx, account_id, collection_id, merged_rows.iter().map(|(row, bodies)| (row, bodies)))
        .await?;
    for (key, (method, url)) in &changes {
        store::endpoints::update_url(tx, account_id, collection_id, key, method.name(), url).await?;
    }
    let news = announce::find(tx, account_id, collection_id, &merged_rows, sensitive).await?;
    let rows = merged_parameters.iter().map(|(key, parameter, seen)| (key.as_str(), parameter, seen));
    store::parameters::save(tx, account_id, collection_id, rows).await?;
    store::samples::insert(tx, sample_rows).await?;
    store::call_stats::add(tx, account_id, collection_id, calls).await?;
    drift::write(tx, account_id, collection_id, declared).await?;
    let after = store::endpoints::count_proven(tx, account_id, collection_id, &affected).await?;
    if after != before {
        store::collections::add_endpoints(tx, account_id, collection_id, after - before).await?;
    }
    Ok(Changed { url_keys, news })
}

/// What decides which endpoint a raw URL belongs to, since when it is there, and which groups show it.
#[derive(PartialEq)]
struct Place {
    url: String,
    proven: bool,
    discovered: Option<i64>,
    auth_sets: BTreeSet<AuthSet>,
    access_types: BTreeSet<AccessType>,
    declared_tags: Vec<String>,
}

fn place(row: &RawEndpoint) -> Place {
    Place {
        url: row.url.clone(),
        proven: row.proven,
        discovered: row.facts.discovered,
        auth_sets: row.facts.auth_sets.clone(),
        access_types: row.facts.access_types.clone(),
        declared_tags: row.facts.declaration.as_ref().map(|known| known.tags.clone()).unwrap_or_default(),
    }
}

/// Finds out which samples stay: removes those that newer ones displace and notes the rows to insert.
async fn displace(
    tx: &mut Tx,
    account_id: i64,
    collection_id: i32,
    endpoint_key: &str,
    kept: Vec<(String, i64)>,
    new: Vec<&portolan_engine::Sample>,
    rows: &mut Vec<[portolan_store::Value; 6]>,
) -> Result<(), Error> {
    let mut all: Vec<(std::cmp::Reverse<i64>, String, Option<&portolan_engine::Sample>)> = Vec::new();
    all.extend(kept.into_iter().map(|(key, time)| (std::cmp::Reverse(time), key, None)));
    for sample in new {
        let key = hex::encode(sample.digest);
        if !all.iter().any(|(_, known, _)| *known == key) {
            all.push((std::cmp::Reverse(sample.time), key, Some(sample)));
        }
    }
    all.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let displaced: Vec<&str> =
        all.iter().skip(SAMPLES_MAX).filter(|(_, _, new)| new.is_none()).map(|(_, key, _)| key.as_str()).collect();
    store::samples::delete_displaced(tx, account_id, collection_id, endpoint_key, &displaced).await?;
    rows.extend(all.iter().take(SAMPLES_MAX).filter_map(|(_, key, new)| {
        let sample = (*new)?;
        Some([
            account_id.into(),
            collection_id.into(),
            endpoint_key.into(),
            key.into(),
            sample.time.into(),
            (&sample.text).into(),
        ])
    }));
    Ok(())
}
