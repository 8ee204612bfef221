use std::collections::{BTreeMap, BTreeSet, HashMap};

use portolan_engine::{
    AccessType, Aggregate, AuthSet, Method, ParameterKey,
    template::{BodyNames, Catalog, RawEndpoint as CatalogEntry, Retemplated},
};
use portolan_ids::{AccountId, CollectionId};
use portolan_store::{Tx, Value};

use crate::{
    Error, announce, drift,
    model::{
        calls::Calls,
        deltas::{Delta, Deltas, to_delta, to_row},
        drift::Declared,
        endpoints::RawEndpoint,
        keys,
        samples::SAMPLES_MAX,
    },
    store,
    writer::{Changed, Moves, apart, apart::Demerged},
};

/// Adds deltas to what is stored of one collection that the transaction holds: [`write`](Self::write) loads what is
/// stored of the raw URLs, folds each delta into it, templates the URLs, finds what differs, and saves it.
pub struct CollectionWriter<'t> {
    tx: &'t mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    catalog: &'t mut Catalog,
}

/// What is stored of the raw URLs that deltas name.
#[derive(Default)]
struct Stored {
    demerged: Demerged,
    rows: HashMap<String, (RawEndpoint, BodyNames)>,
    /// Where each raw URL stood before.
    places: HashMap<String, Standing>,
    parameters: HashMap<String, BTreeMap<ParameterKey, Aggregate>>,
    /// Key and time of each sample.
    samples: HashMap<String, Vec<(String, i64)>>,
}

/// What is to be saved.
#[derive(Default)]
struct Folded {
    rows: Vec<(RawEndpoint, BodyNames)>,
    parameters: Vec<(String, ParameterKey, Aggregate)>,
    /// Sensitive parameters that were not so before.
    sensitive: Vec<(String, ParameterKey)>,
    samples: Vec<[Value; 6]>,
    calls: Vec<(String, Calls)>,
    declared: BTreeMap<String, (Method, String, Declared)>,
    /// What the catalog has to know of the raw URLs.
    entries: Vec<CatalogEntry>,
}

/// Effective URLs that the catalog has changed.
#[derive(Default)]
struct Templates {
    /// By the key of the raw URL.
    changes: HashMap<String, (Method, String)>,
    /// Raw URLs that joined a template which was taken apart.
    joined: Vec<(Method, String)>,
}

impl Templates {
    fn note(&mut self, demerged: &Demerged, change: Retemplated) {
        if apart::joins(demerged, &change) {
            self.joined.push((change.method, change.raw_url.clone()));
        }
        let key = keys::endpoint_key(change.method.name(), &change.raw_url);
        self.changes.insert(key, (change.method, change.effective_url));
    }
}

/// What a write changes of endpoints.
struct Differences {
    /// Effective URLs whose endpoints may be new, gone, or other than before.
    url_keys: BTreeSet<String>,
    /// The new effective URL of raw URLs that the deltas do not name.
    updates: Vec<(String, (Method, String))>,
    moves: Moves,
}

impl<'t> CollectionWriter<'t> {
    pub fn new(tx: &'t mut Tx, account_id: AccountId, collection_id: CollectionId, catalog: &'t mut Catalog) -> Self {
        Self { tx, account_id, collection_id, catalog }
    }

    /// Adds the deltas.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn write(mut self, deltas: Deltas) -> Result<Changed, Error> {
        let mut stored = self.load(&deltas).await?;
        let mut folded = Folded::default();
        for (key, delta) in deltas {
            self.fold(&mut stored, key, delta, &mut folded).await?;
        }
        let updates = self.template(&stored.demerged, &mut folded).await?;
        let differences = self.diff(&mut stored.places, &folded.rows, updates).await?;
        self.save(folded, differences).await
    }

    async fn load(&mut self, deltas: &Deltas) -> Result<Stored, Error> {
        let (tx, account_id, collection_id) = (&mut *self.tx, self.account_id, self.collection_id);
        let keys: Vec<&str> = deltas.keys().map(String::as_str).collect();
        let mut stored = Stored {
            demerged: store::demerged::by_collection(tx, account_id, collection_id).await?,
            ..Stored::default()
        };
        for (row, bodies) in store::endpoints::by_keys(tx, account_id, collection_id, &keys).await? {
            stored.places.insert(row.key.clone(), place(&row));
            stored.rows.insert(row.key.clone(), (row, bodies));
        }
        let known: Vec<&str> = keys.into_iter().filter(|key| stored.rows.contains_key(*key)).collect();
        for row in store::parameters::by_endpoints_in(tx, account_id, collection_id, &known).await? {
            stored.parameters.entry(row.endpoint_key).or_default().insert(row.key, row.seen);
        }
        for (key, sample, time) in store::samples::list_keys(tx, account_id, collection_id, &known).await? {
            stored.samples.entry(key).or_default().push((sample, time));
        }
        Ok(stored)
    }

    /// Brings one delta together with what is stored of its raw URL.
    async fn fold(&mut self, stored: &mut Stored, key: String, delta: Delta, folded: &mut Folded) -> Result<(), Error> {
        let parameters = stored.parameters.remove(&key).unwrap_or_default();
        let known: Vec<ParameterKey> = parameters.keys().cloned().collect();
        let known_sensitive: BTreeSet<ParameterKey> =
            parameters.iter().filter(|(_, seen)| seen.sensitive).map(|(key, _)| key.clone()).collect();
        let touched: BTreeSet<ParameterKey> = delta.seen.parameters.keys().cloned().collect();

        let entry = delta.seen.raw_endpoint();
        let (mut bodies, mut url) = (BodyNames::default(), String::new());
        let mut seen = delta.seen;
        if let Some((row, row_bodies)) = stored.rows.remove(&key) {
            bodies = row_bodies;
            url.clone_from(&row.url);
            seen.merge(to_delta(seen.method, row, parameters));
        }
        bodies.absorb(&entry.bodies);
        folded.entries.push(CatalogEntry {
            bodies: bodies.clone(),
            never_merge: seen.facts.never_merge,
            pinned: seen.facts.declared,
            addresses: seen.facts.addresses.clone(),
            proven: seen.proven,
            ..entry
        });

        for dropped in known.iter().filter(|known| !seen.parameters.contains_key(known)) {
            store::parameters::delete_one(self.tx, self.account_id, self.collection_id, &key, dropped).await?;
        }
        for (parameter, aggregate) in std::mem::take(&mut seen.parameters) {
            if !touched.contains(&parameter) {
                continue;
            }
            if aggregate.sensitive && !known_sensitive.contains(&parameter) {
                folded.sensitive.push((key.clone(), parameter.clone()));
            }
            folded.parameters.push((key.clone(), parameter, aggregate));
        }
        let kept = stored.samples.remove(&key).unwrap_or_default();
        self.displace(&key, kept, delta.samples.list(), &mut folded.samples).await?;
        if !delta.calls.hours.is_empty() {
            folded.calls.push((key.clone(), delta.calls));
        }
        if !delta.declared.is_empty() {
            folded.declared.insert(key.clone(), (seen.method, seen.raw_url.clone(), delta.declared));
        }
        folded.rows.push((to_row(key, url, seen), bodies));
        Ok(())
    }

    /// Gives each row the effective URL that the catalog found for it, and returns the changes of other raw URLs. What
    /// joined a template that was taken apart stays apart.
    async fn template(
        &mut self,
        demerged: &Demerged,
        folded: &mut Folded,
    ) -> Result<Vec<(String, (Method, String))>, Error> {
        let mut templates = Templates::default();
        for change in self.catalog.update_all(&std::mem::take(&mut folded.entries)) {
            templates.note(demerged, change);
        }
        let Templates { mut changes, joined } = templates;
        for key in apart::keep(self.catalog, &mut changes, demerged, joined) {
            match folded.rows.iter_mut().find(|(row, _)| row.key == key) {
                Some((row, _)) => row.facts.never_merge = true,
                None => apart::mark(self.tx, self.account_id, self.collection_id, &key).await?,
            }
        }
        for (row, _) in &mut folded.rows {
            if let Some((_, url)) = changes.remove(&row.key) {
                row.url = url;
            } else if row.url.is_empty() {
                row.url.clone_from(&row.raw_url);
            }
        }
        let mut changes: Vec<_> = changes.into_iter().collect();
        changes.sort_unstable();
        Ok(changes)
    }

    /// Finds the endpoints that the write may change, by where their raw URLs stand and stood.
    async fn diff(
        &mut self,
        places: &mut HashMap<String, Standing>,
        rows: &[(RawEndpoint, BodyNames)],
        updates: Vec<(String, (Method, String))>,
    ) -> Result<Differences, Error> {
        let moved: Vec<&str> = updates.iter().map(|(key, _)| key.as_str()).collect();
        let left = store::endpoints::urls(self.tx, self.account_id, self.collection_id, &moved).await?;
        let (mut moves, mut url_keys) = (Moves::default(), BTreeSet::new());
        for (key, (method, url)) in &updates {
            if let Some(old) = left.get(key) {
                url_keys.insert(keys::endpoint_key(method.name(), old));
                moves.add(method.name(), old, url);
            }
        }
        url_keys.extend(updates.iter().map(|(_, (method, url))| keys::endpoint_key(method.name(), url)));
        for (row, _) in rows {
            let old = places.remove(&row.key);
            if old.as_ref() != Some(&place(row)) {
                url_keys.insert(keys::endpoint_key(&row.method, &row.url));
                if let Some(old) = old {
                    url_keys.insert(keys::endpoint_key(&row.method, &old.url));
                    moves.add(&row.method, &old.url, &row.url);
                }
            }
        }
        Ok(Differences { url_keys, updates, moves })
    }

    async fn save(
        self,
        folded: Folded,
        Differences { url_keys, updates, moves }: Differences,
    ) -> Result<Changed, Error> {
        let Self { tx, account_id, collection_id, .. } = self;
        let affected: Vec<&str> = url_keys.iter().map(String::as_str).collect();
        let before = store::endpoints::count_proven(tx, account_id, collection_id, &affected).await?;
        let rows = folded.rows.iter().map(|(row, bodies)| (row, bodies));
        store::endpoints::save(tx, account_id, collection_id, rows).await?;
        for (key, (method, url)) in &updates {
            store::endpoints::update_url(tx, account_id, collection_id, key, method.name(), url).await?;
        }
        let news = announce::find(tx, account_id, collection_id, &folded.rows, folded.sensitive).await?;
        let parameters = folded.parameters.iter().map(|(key, parameter, seen)| (key.as_str(), parameter, seen));
        store::parameters::save(tx, account_id, collection_id, parameters).await?;
        store::samples::insert(tx, folded.samples).await?;
        store::call_stats::add(tx, account_id, collection_id, folded.calls).await?;
        drift::write(tx, account_id, collection_id, folded.declared).await?;
        let after = store::endpoints::count_proven(tx, account_id, collection_id, &affected).await?;
        if after != before {
            store::collections::add_endpoints(tx, account_id, collection_id, after - before).await?;
        }
        Ok(Changed { url_keys, news, moves })
    }

    /// Finds out which samples stay: removes those that newer ones displace and notes the rows to insert.
    async fn displace(
        &mut self,
        endpoint_key: &str,
        kept: Vec<(String, i64)>,
        new: &[portolan_engine::Sample],
        rows: &mut Vec<[Value; 6]>,
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
        let (account_id, collection_id) = (self.account_id, self.collection_id);
        store::samples::delete_displaced(self.tx, account_id, collection_id, endpoint_key, &displaced).await?;
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
}

/// What decides which endpoint a raw URL belongs to, since when it is there, and which groups show it.
#[derive(PartialEq)]
struct Standing {
    url: String,
    proven: bool,
    discovered: Option<i64>,
    auth_sets: BTreeSet<AuthSet>,
    access_types: BTreeSet<AccessType>,
    declared_tags: Vec<String>,
}

fn place(row: &RawEndpoint) -> Standing {
    Standing {
        url: row.url.clone(),
        proven: row.proven,
        discovered: row.facts.discovered,
        auth_sets: row.facts.auth_sets.clone(),
        access_types: row.facts.access_types.clone(),
        declared_tags: row.facts.declaration.as_ref().map(|known| known.tags.clone()).unwrap_or_default(),
    }
}
