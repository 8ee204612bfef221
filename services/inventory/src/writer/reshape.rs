use std::collections::{BTreeMap, HashMap, btree_map::Entry};

use portolan_engine::{
    Aggregate, Detectors, EndpointDelta, Facts, Method, ParameterKey, Sample, Samples, Values, Verdict,
    joined_parameters, observe, raw_url_of,
    template::{BodyNames, SplitUrl},
};
use portolan_ids::{AccountId, CollectionId};
use portolan_path::Segment;
use portolan_record::Record;
use portolan_store::{Tx, Value};

use crate::{
    Error,
    model::{
        calls::Calls,
        deltas::{Target, take_away, to_delta, to_row},
        endpoints::RawEndpoint,
        keys, text,
    },
    redaction, store,
    writer::Changed,
};

/// How the URLs of a collection are written down.
pub(crate) struct Form<'d> {
    pub target: Target,
    pub is_redacted: bool,
    pub detectors: &'d Detectors,
}

/// What is to be stored of one raw URL, beside what is there.
struct Piece {
    method: Method,
    /// The effective URL where there is no row yet.
    url: String,
    seen: EndpointDelta,
    bodies: BodyNames,
    samples: Samples,
    calls: Calls,
    described: Option<(String, i64)>,
}

/// A raw URL that has another form today, or stored calls that have.
struct Stale {
    raw: RawEndpoint,
    bodies: BodyNames,
    raw_url: String,
    staying: Vec<String>,
    leaving: Vec<(String, String)>,
}

impl Form<'_> {
    /// The raw URL of a path, or what a raw URL of older rules is today.
    fn raw_url(&self, path: &str) -> String {
        let url = text::storable(&raw_url_of(path, self.detectors));
        match self.target {
            Target::Host(_) => url[SplitUrl::new(&url).origin.len()..].to_owned(),
            Target::Collection(_) => url,
        }
    }
}

/// Brings the raw URLs of some rows to the form of today. Rows that fall together are one; of a row whose stored calls
/// have other forms, these calls go there, and whatever else it counted stays. Declared operations and what was taken
/// apart by hand stay as they are. The transaction holds the collection.
pub(crate) async fn reshape(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    form: &Form<'_>,
    page: Vec<(RawEndpoint, BodyNames)>,
    changed: &mut Changed,
) -> Result<(), Error> {
    let stale = find(tx, account_id, collection_id, form, page).await?;
    if stale.is_empty() {
        return Ok(());
    }
    let old_keys: Vec<String> = stale.iter().map(|stale| stale.raw.key.clone()).collect();
    let old_keys: Vec<&str> = old_keys.iter().map(String::as_str).collect();
    let mut parameters: HashMap<String, BTreeMap<ParameterKey, Aggregate>> = HashMap::new();
    for row in store::parameters::by_endpoints_in(tx, account_id, collection_id, &old_keys).await? {
        parameters.entry(row.endpoint_key).or_default().insert(row.key, row.seen);
    }
    let mut calls = store::call_stats::of_endpoints(tx, account_id, collection_id, &old_keys).await?;
    let mut pieces: BTreeMap<String, Piece> = BTreeMap::new();
    let mut from: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for stale in stale {
        let (parameters, calls) = (parameters.remove(&stale.raw.key), calls.remove(&stale.raw.key));
        let old = (stale.raw.method.clone(), stale.raw.url.clone());
        for (key, piece) in cut(form, stale, parameters.unwrap_or_default(), calls.unwrap_or_default()) {
            from.entry(key.clone()).or_default().push(old.clone());
            match pieces.entry(key) {
                Entry::Vacant(place) => _ = place.insert(piece),
                Entry::Occupied(mut known) => known.get_mut().join(piece),
            }
        }
    }
    put(tx, account_id, collection_id, &old_keys, pieces, from, changed).await
}

/// The rows that have another form today.
async fn find(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    form: &Form<'_>,
    page: Vec<(RawEndpoint, BodyNames)>,
) -> Result<Vec<Stale>, Error> {
    let mut found = Vec::new();
    for (raw, bodies) in page {
        if raw.facts.declared || raw.facts.never_merge {
            continue;
        }
        let raw_url = form.raw_url(&raw.raw_url);
        let has_variable = SplitUrl::new(&raw.raw_url).segments().any(|token| !Segment::of_words(token).is_literal());
        if has_variable || raw_url != raw.raw_url {
            found.push(Stale { raw, bodies, raw_url, staying: Vec::new(), leaving: Vec::new() });
        }
    }
    let keys: Vec<String> = found.iter().map(|stale| stale.raw.key.clone()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let places: HashMap<&str, usize> = keys.iter().enumerate().map(|(at, key)| (*key, at)).collect();
    for (key, record) in store::samples::records(tx, account_id, collection_id, &keys).await? {
        let Some(stale) = places.get(key.as_str()).and_then(|at| found.get_mut(*at)) else { continue };
        match Record::parse(&record).ok().map(|record| form.raw_url(&record.path)) {
            Some(url) if url != stale.raw_url => stale.leaving.push((url, record)),
            _ => stale.staying.push(record),
        }
    }
    found.retain(|stale| stale.raw_url != stale.raw.raw_url || !stale.leaving.is_empty());
    Ok(found)
}

/// What becomes of a row, by the keys of the raw URLs.
fn cut(
    form: &Form<'_>,
    stale: Stale,
    parameters: BTreeMap<ParameterKey, Aggregate>,
    mut calls: Calls,
) -> Vec<(String, Piece)> {
    let Stale { raw, bodies, raw_url, mut staying, leaving } = stale;
    let method = Method::parse(&raw.method);
    let described = raw.description.clone().map(|text| (text, raw.described_at));
    let (old_url, was_alone) = (raw.url.clone(), raw.url == raw.raw_url);
    let old_raw_url = raw.raw_url.clone();
    let mut rest = to_delta(method, raw, parameters);
    let mut parts: BTreeMap<String, Piece> = BTreeMap::new();
    for (url, record) in leaving {
        let Some((seen, part_calls)) = seen_at(form, &record, &url, &rest) else {
            staying.push(record);
            continue;
        };
        take_away(&mut rest, &seen);
        calls.take_away(&part_calls);
        let bodies = seen.raw_endpoint().bodies;
        let samples = [sample(form, &record, &url)].into_iter().collect();
        let described = described.clone();
        let piece = Piece { method, url: url.clone(), seen, bodies, samples, calls: part_calls, described };
        match parts.entry(url) {
            Entry::Vacant(place) => _ = place.insert(piece),
            Entry::Occupied(mut known) => known.get_mut().join(piece),
        }
    }
    let has_left = !parts.is_empty();
    let mut pieces: Vec<_> =
        parts.into_iter().map(|(url, piece)| (keys::endpoint_key(method.name(), &url), piece)).collect();
    let proofs = rest.facts.proofs();
    let mut rest_bodies = bodies;
    if has_left && proofs == 0 {
        // What proved the endpoint has left; other answers are counted where they were.
        rest = EndpointDelta {
            proven: false,
            facts: Facts {
                discovered: None,
                auth_sets: Default::default(),
                api_types: Default::default(),
                access_types: Default::default(),
                ..rest.facts
            },
            parameters: BTreeMap::new(),
            ..rest
        };
        rest_bodies = BodyNames::default();
        if rest.facts.status_counts.is_empty() {
            return pieces;
        }
    } else if has_left {
        rest.parameters.retain(|_, seen| seen.count > 0);
    }
    add_parameters(form, &mut rest, &old_raw_url, &raw_url, proofs);
    rest.raw_url.clone_from(&raw_url);
    let samples = staying.iter().map(|record| sample(form, record, &raw_url)).collect();
    let url = if was_alone { raw_url.clone() } else { old_url };
    let piece = Piece { method, url, seen: rest, bodies: rest_bodies, samples, calls, described };
    pieces.push((keys::endpoint_key(method.name(), &raw_url), piece));
    pieces
}

/// Adds the parameters of the segments that are variable in the new form alone.
fn add_parameters(form: &Form<'_>, seen: &mut EndpointDelta, old: &str, new: &str, count: u64) {
    if old == new || count == 0 {
        return;
    }
    for sighting in joined_parameters(old, new, form.detectors) {
        let mut values = Values::Few(Default::default());
        sighting.value.into_iter().for_each(|value| values.add(value));
        let mut found = Aggregate {
            count,
            first_seen: seen.facts.discovered.unwrap_or(seen.first_seen),
            last_seen: seen.last_seen,
            values,
            min: sighting.number,
            max: sighting.number,
            sensitive: sighting.sensitive,
        };
        if form.is_redacted {
            found.forget_values();
        }
        match seen.parameters.entry(sighting.key) {
            Entry::Vacant(place) => _ = place.insert(found),
            Entry::Occupied(mut known) => known.get_mut().merge(found),
        }
    }
}

/// What one stored call says under its own URL; nothing when it says nothing.
fn seen_at(form: &Form<'_>, record: &str, url: &str, whole: &EndpointDelta) -> Option<(EndpointDelta, Calls)> {
    let record = Record::parse(record).ok()?;
    let Verdict::Seen(list) = observe(&record, form.detectors) else { return None };
    let mut observation = list.into_iter().find(|seen| seen.proves_endpoint && !seen.declared)?;
    observation.raw_url = url.to_owned();
    for sighting in observation.parameters.iter_mut().filter(|sighting| sighting.key.name.contains('\0')) {
        sighting.key.name = text::storable(&sighting.key.name).into();
    }
    let mut calls = Calls::default();
    calls.add(record.time, if form.is_redacted { "" } else { &record.ip });
    let mut seen = EndpointDelta::new(observation);
    // Which addresses are whose is not asked again.
    seen.facts.access_types.clone_from(&whole.facts.access_types);
    if form.is_redacted {
        redaction::strip(&mut seen);
    }
    Some((seen, calls))
}

fn sample(form: &Form<'_>, record: &str, url: &str) -> Sample {
    if form.is_redacted {
        return redaction::masked_sample(record, url);
    }
    Sample::new(Record::parse(record).map_or(0, |record| record.time), record)
}

impl Piece {
    fn join(&mut self, other: Self) {
        self.seen.merge(other.seen);
        self.bodies.absorb(&other.bodies);
        self.samples.merge(other.samples);
        self.calls.merge(other.calls);
        self.described = later(self.described.take(), other.described);
    }
}

/// The description that was written last.
fn later(left: Option<(String, i64)>, right: Option<(String, i64)>) -> Option<(String, i64)> {
    left.into_iter().chain(right).max_by_key(|(_, described_at)| *described_at)
}

/// Removes the old rows and writes the pieces, each beside what its raw URL has.
async fn put(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    old_keys: &[&str],
    mut pieces: BTreeMap<String, Piece>,
    from: BTreeMap<String, Vec<(String, String)>>,
    changed: &mut Changed,
) -> Result<(), Error> {
    let new_keys: Vec<String> = pieces.keys().cloned().collect();
    let new_keys: Vec<&str> = new_keys.iter().map(String::as_str).collect();
    let others: Vec<&str> = new_keys.iter().copied().filter(|key| !old_keys.contains(key)).collect();
    let mut kept: HashMap<String, (RawEndpoint, BodyNames)> = HashMap::new();
    for (row, bodies) in store::endpoints::by_keys(tx, account_id, collection_id, &others).await? {
        kept.insert(row.key.clone(), (row, bodies));
    }
    let mut parameters: HashMap<String, BTreeMap<ParameterKey, Aggregate>> = HashMap::new();
    for row in store::parameters::by_endpoints_in(tx, account_id, collection_id, &others).await? {
        parameters.entry(row.endpoint_key).or_default().insert(row.key, row.seen);
    }
    for (key, record) in store::samples::records(tx, account_id, collection_id, &others).await? {
        let time = Record::parse(&record).map_or(0, |record| record.time);
        pieces.entry(key).and_modify(|piece| piece.samples.add(Sample::new(time, record)));
    }
    let mut rows = Vec::with_capacity(pieces.len());
    let mut described = Vec::new();
    let (mut seen_parameters, mut samples, mut calls) = (Vec::new(), Vec::<[Value; 6]>::new(), Vec::new());
    let mut affected = std::collections::BTreeSet::new();
    for (key, piece) in pieces {
        let Piece { method, url, mut seen, mut bodies, samples: kept_samples, calls: piece_calls, described: text } =
            piece;
        let (mut row_url, mut known_text) = (url, None);
        if let Some((row, known)) = kept.remove(&key) {
            bodies.absorb(&known);
            row_url.clone_from(&row.url);
            known_text = row.description.clone().map(|text| (text, row.described_at));
            seen.merge(to_delta(method, row, parameters.remove(&key).unwrap_or_default()));
        }
        if let Some(text) = later(known_text, text) {
            described.push((key.clone(), text));
        }
        affected.insert(keys::endpoint_key(method.name(), &row_url));
        for (old_method, old_url) in from.get(&key).into_iter().flatten() {
            affected.insert(keys::endpoint_key(old_method, old_url));
            changed.moves.add(old_method, old_url, &row_url);
        }
        let list = std::mem::take(&mut seen.parameters);
        seen_parameters.extend(list.into_iter().map(|(parameter, seen)| (key.clone(), parameter, seen)));
        samples.extend(kept_samples.list().iter().map(|sample| {
            let digest = hex::encode(sample.digest);
            let text: Value = (&sample.text).into();
            [account_id.into(), collection_id.into(), (&key).into(), digest.into(), sample.time.into(), text]
        }));
        calls.push((key.clone(), piece_calls));
        rows.push((to_row(key, row_url, seen), bodies));
    }
    let affected_keys: Vec<&str> = affected.iter().map(String::as_str).collect();
    let before = store::endpoints::count_proven(tx, account_id, collection_id, &affected_keys).await?;
    for keys in [old_keys, &others] {
        store::parameters::delete(tx, account_id, collection_id, keys).await?;
        store::samples::delete(tx, account_id, collection_id, keys).await?;
    }
    store::belongings::delete_stats(tx, account_id, collection_id, old_keys).await?;
    store::endpoints::delete(tx, account_id, collection_id, old_keys).await?;
    store::endpoints::save(tx, account_id, collection_id, rows.iter().map(|(row, bodies)| (row, bodies))).await?;
    for (key, (text, described_at)) in &described {
        store::endpoints::describe(tx, account_id, collection_id, key, text, *described_at).await?;
    }
    let list = seen_parameters.iter().map(|(key, parameter, seen)| (key.as_str(), parameter, seen));
    store::parameters::save(tx, account_id, collection_id, list).await?;
    store::samples::insert(tx, samples).await?;
    store::call_stats::add(tx, account_id, collection_id, calls).await?;
    let after = store::endpoints::count_proven(tx, account_id, collection_id, &affected_keys).await?;
    if after != before {
        store::collections::add_endpoints(tx, account_id, collection_id, after - before).await?;
    }
    changed.url_keys.extend(affected);
    Ok(())
}
