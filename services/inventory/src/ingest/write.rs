use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use portolan_engine::template::{BodyNames, Catalog, RawEndpoint as CatalogEntry};
use portolan_engine::{AccessType, Aggregate, AuthSet, EndpointDelta, Method, ParameterKey};
use portolan_store::Tx;

use super::apart;
use super::batch::{self, Batch, Deltas, Target};
use super::catalogs::Catalogs;
use super::repeats::Marks;
use crate::announce::News;
use crate::collections::{DEFAULT_ID, insert_defaults};
use crate::endpoints::{Facts, RawEndpoint};
use crate::samples::SAMPLES_MAX;
use crate::{Deps, Error, announce, drift, edge, groups, keys, redaction, store};
use portolan_runtime::now_s;

/// Fault point before the commit of a batch.
const WRITTEN: &str = "ingest.written";
/// Attempts to find or make the collection of a host: another process may make or delete it meanwhile.
const HOST_ATTEMPTS_MAX: u32 = 3;

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Written,
    /// Another consumer has moved the position since it was read; nothing is written.
    Overtaken,
}

/// Writes a batch and the partition's next offset in one transaction.
pub async fn apply(
    deps: &Deps,
    catalogs: &Catalogs,
    partition: i64,
    expected: i64,
    next: i64,
    batch: &Batch,
    marks: &Marks,
) -> Result<Outcome, Error> {
    // Ids are taken in a transaction of their own, which would wait for this one.
    let hosts = batch.deltas.keys().filter(|(_, target)| matches!(target, Target::Host(_))).count();
    let mut fresh_ids = Vec::new();
    for _ in 0..unknown_hosts(deps, batch, hosts).await? {
        fresh_ids.push(deps.collection_id().await?);
    }
    let accounts: BTreeSet<i64> = batch.deltas.keys().map(|(account_id, _)| *account_id).collect();
    let new_accounts = deps.without_default(accounts);

    let mut tx = deps.db.begin().await?;
    let source = deps.log.source();
    if !store::positions::advance(&mut tx, source, partition, expected, next).await? {
        return Ok(Outcome::Overtaken);
    }
    for (producer_id, mark) in marks.iter() {
        store::producers::save(&mut tx, source, partition, producer_id, mark, now_s()).await?;
    }
    insert_defaults(&mut tx, &new_accounts).await?;
    let mut written = Vec::new();
    let mut news: BTreeMap<i64, Vec<News>> = BTreeMap::new();
    let locked = locked(&mut tx, batch, fresh_ids).await?;
    // Whoever changes the rules of a collection holds it, so they stay as they are from here to the commit.
    if store::demerged::version(&mut tx).await? != batch.rules.version {
        return Ok(Outcome::Overtaken);
    }
    let mut changes: BTreeMap<(i64, i32), Changed> = BTreeMap::new();
    let mut collapsed_collections = Vec::new();
    for ((account_id, collection_id), Found { version, redacted, mut deltas }) in locked {
        if redacted {
            redaction::strip_all(&mut deltas);
        }
        let mut catalog = catalogs.take(&mut tx, account_id, collection_id, version).await?;
        let mut changed = write_collection(&mut tx, account_id, collection_id, &mut catalog, deltas).await?;
        if redacted {
            announce::without_urls(&mut changed.news);
        }
        news.entry(account_id).or_default().append(&mut changed.news);
        let collapsed = redacted && redaction::collapse(&mut tx, account_id, collection_id, &changed.url_keys).await?;
        changes.insert((account_id, collection_id), changed);
        if collapsed {
            collapsed_collections.push((account_id, collection_id));
        } else {
            written.push((account_id, collection_id, version, catalog));
        }
    }
    note_changes(&mut tx, &changes).await?;
    for (account_id, collection_id) in collapsed_collections {
        store::collection_writes::forget_removed_urls(&mut tx, account_id, collection_id).await?;
    }
    for (account_id, news) in &news {
        announce::put(&mut tx, *account_id, news).await?;
    }
    deps.db.fault(WRITTEN).await?;
    tx.commit().await?;
    deps.note_default(&new_accounts);
    for (account_id, collection_id, version, catalog) in written {
        catalogs.put(account_id, collection_id, version, catalog);
    }
    Ok(Outcome::Written)
}

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
    let mut counts: BTreeMap<i64, groups::Counts> = BTreeMap::new();
    for ((account_id, collection_id), changed) in changes {
        let url_keys: Vec<&str> = changed.url_keys.iter().map(String::as_str).collect();
        for (group_id, count) in groups::refresh(tx, *account_id, *collection_id, &url_keys).await? {
            *counts.entry(*account_id).or_default().entry(group_id).or_default() += count;
        }
    }
    for (account_id, counts) in &counts {
        groups::add_counts(tx, *account_id, counts).await?;
    }
    for ((account_id, collection_id), changed) in changes {
        let url_keys: Vec<&str> = changed.url_keys.iter().map(String::as_str).collect();
        edge::refresh(tx, *account_id, *collection_id, &url_keys).await?;
    }
    Ok(())
}

/// How many hosts of the batch have no collection yet.
async fn unknown_hosts(deps: &Deps, batch: &Batch, hosts: usize) -> Result<usize, Error> {
    if hosts == 0 {
        return Ok(0);
    }
    let mut tx = deps.db.begin_read().await?;
    let mut unknown = 0;
    for (account_id, target) in batch.deltas.keys() {
        if let Target::Host(host) = target
            && store::collections::host_id(&mut tx, *account_id, host).await?.is_none()
        {
            unknown += 1;
        }
    }
    tx.rollback().await?;
    Ok(unknown)
}

/// What goes to a collection that is held.
struct Found {
    version: i64,
    redacted: bool,
    deltas: Deltas,
}

type Locked = BTreeMap<(i64, i32), Found>;

/// Finds the collection of each target, holds it, and brings together what goes to the same one. Records for a deleted
/// or deactivated collection are dropped; those for one that the account never had go to the default collection.
async fn locked(tx: &mut Tx, batch: &Batch, mut fresh_ids: Vec<i32>) -> Result<Locked, Error> {
    // All writers take locks in the order of ids, so that they do not wait for each other in a circle.
    let mut wanted: BTreeMap<(i64, i64), Vec<&Deltas>> = BTreeMap::new();
    for ((account_id, target), deltas) in &batch.deltas {
        let id = match target {
            Target::Collection(id) => *id,
            Target::Host(host) => i64::from(ensure_host(tx, *account_id, host, &mut fresh_ids).await?),
        };
        wanted.entry((*account_id, id)).or_default().push(deltas);
    }
    let mut locked = Locked::new();
    let mut strays: BTreeMap<i64, Vec<&Deltas>> = BTreeMap::new();
    for ((account_id, id), parts) in wanted {
        match store::collections::lock(tx, account_id, id).await? {
            Some(found) if found.deleted || found.deactivated => {
                let count = parts.iter().map(|part| records_of(part)).sum();
                store::collection_writes::add_dropped(tx, account_id, id, count).await?;
                tracing::debug!(account_id, collection_id = id, count, "records of an inactive collection are dropped");
            }
            Some(found) if !found.is_group => {
                let id = i32::try_from(id).map_err(|_| Error::Internal(format!("collection id {id}")))?;
                let fresh = || Found { version: found.version, redacted: found.redacted, deltas: Deltas::new() };
                add_parts(&mut locked.entry((account_id, id)).or_insert_with(fresh).deltas, parts);
            }
            _ => strays.entry(account_id).or_default().extend(parts),
        }
    }
    for (account_id, parts) in strays {
        let deltas = match locked.entry((account_id, DEFAULT_ID)) {
            Entry::Occupied(known) => &mut known.into_mut().deltas,
            Entry::Vacant(place) => match store::collections::lock(tx, account_id, i64::from(DEFAULT_ID)).await? {
                Some(found) if !found.deactivated => {
                    let fresh = Found { version: found.version, redacted: found.redacted, deltas: Deltas::new() };
                    &mut place.insert(fresh).deltas
                }
                _ => {
                    let count = parts.iter().map(|part| records_of(part)).sum();
                    store::collection_writes::add_dropped(tx, account_id, i64::from(DEFAULT_ID), count).await?;
                    continue;
                }
            },
        };
        add_parts(deltas, parts);
    }
    Ok(locked)
}

/// How many records made these deltas.
fn records_of(deltas: &Deltas) -> i64 {
    let calls = |delta: &batch::Delta| delta.seen.status_counts.values().sum::<u64>() + u64::from(delta.seen.declared);
    i64::try_from(deltas.values().map(calls).sum::<u64>()).unwrap_or(i64::MAX)
}

fn add_parts(deltas: &mut Deltas, parts: Vec<&Deltas>) {
    for part in parts {
        batch::merge(deltas, part.clone());
    }
}

/// The collection of a host, made when there is none.
async fn ensure_host(tx: &mut Tx, account_id: i64, host: &str, fresh_ids: &mut Vec<i32>) -> Result<i32, Error> {
    for _ in 0..HOST_ATTEMPTS_MAX {
        if let Some(id) = store::collections::host_id(tx, account_id, host).await? {
            return Ok(id);
        }
        let Some(id) = fresh_ids.pop() else { break };
        let now = now_s();
        // A collection made by hand may have the host as its name; then this one has no name that must be unique.
        if store::collections::insert_host(tx, account_id, id, host, true, now).await?
            || store::collections::insert_host(tx, account_id, id, host, false, now).await?
        {
            return Ok(id);
        }
        fresh_ids.push(id);
    }
    // The batch is repeated with the ids it needs.
    Err(portolan_store::Error::Conflict(format!("the collection of {host} was deleted meanwhile")).into())
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

/// A stored row as the sum of the records that made it.
pub(crate) fn to_delta(
    method: Method,
    row: RawEndpoint,
    parameters: BTreeMap<ParameterKey, Aggregate>,
) -> EndpointDelta {
    let facts = row.facts;
    EndpointDelta {
        method,
        raw_url: row.raw_url,
        declared: facts.declared,
        proven: row.proven,
        status_counts: facts.status_counts,
        addresses: facts.addresses,
        declared_codes: facts.declared_codes,
        first_seen: row.first_seen,
        last_seen: row.last_seen,
        discovered: facts.discovered,
        hosts: facts.hosts,
        auth_sets: facts.auth_sets,
        api_types: facts.api_types,
        access_types: facts.access_types,
        sources: facts.sources,
        declaration: facts.declaration,
        parameters,
    }
}

pub(crate) fn to_row(key: String, url: String, seen: EndpointDelta, never_merge: bool) -> RawEndpoint {
    RawEndpoint {
        key,
        method: seen.method.name().to_owned(),
        raw_url: seen.raw_url,
        url,
        proven: seen.proven,
        first_seen: seen.first_seen,
        last_seen: seen.last_seen,
        facts: Facts {
            declared: seen.declared,
            status_counts: seen.status_counts,
            addresses: seen.addresses,
            declared_codes: seen.declared_codes,
            discovered: seen.discovered,
            hosts: seen.hosts,
            auth_sets: seen.auth_sets,
            api_types: seen.api_types,
            access_types: seen.access_types,
            sources: seen.sources,
            declaration: seen.declaration,
            never_merge,
        },
        description: None,
        described_at: 0,
    }
}
