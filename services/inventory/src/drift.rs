//! Drift: where the specifications of a collection, those before them and its traffic differ.
//!
//! # Invariants
//! - Of each title the two newest specifications are kept with every operation they declare, whatever the order of their
//!   records. Which is newer follows from the time of the import, then from the place in the log.

use std::collections::{BTreeMap, HashMap, HashSet};

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_engine::{
    Method,
    template::{SplitUrl, decoded},
};
use portolan_ids::{AccountId, CollectionId};
use portolan_path::Segment;
use portolan_store::Tx;

use crate::{
    Deps, Error, access, kept,
    model::{
        drift::{Declared, Drift, DriftOperation, SpecificationDiff},
        endpoints::RawEndpoint,
    },
    store,
    store::{
        specifications as rows,
        specifications::{DeclaredRow, SpecificationRow},
    },
};

/// Specifications kept of one title.
const KEPT: usize = 2;

/// Entries of each list of an answer.
const LIST_MAX: usize = 10_000;

/// Writes what a batch declares, by raw endpoint. The transaction holds the collection.
pub async fn write(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    declared: BTreeMap<String, (Method, String, Declared)>,
) -> Result<(), Error> {
    let mut specifications: BTreeMap<String, SpecificationRow> = BTreeMap::new();
    let mut operations = Vec::new();
    for (key, (method, url, declared)) in declared {
        for (id, operation) in declared.0 {
            let row = specifications.entry(id.clone()).or_insert_with(|| SpecificationRow {
                id: id.clone(),
                title: operation.title.clone(),
                version: operation.version.clone(),
                declared_at: operation.at.0,
                log_offset: operation.at.1,
            });
            (row.declared_at, row.log_offset) = (row.declared_at, row.log_offset).max(operation.at);
            let (method, url) = (method.name().to_owned(), url.clone());
            operations.push((id, DeclaredRow { key: key.clone(), method, url, shape: operation.shape }));
        }
    }
    if specifications.is_empty() {
        return Ok(());
    }
    rows::save(tx, account_id, collection_id, specifications.values()).await?;
    rows::save_operations(tx, account_id, collection_id, &operations).await?;
    let titles: HashSet<&str> = specifications.values().map(|row| row.title.as_str()).collect();
    let mut kept: HashMap<String, usize> = HashMap::new();
    for row in rows::list_in(tx, account_id, collection_id).await? {
        let count = kept.entry(row.title.clone()).or_default();
        *count += 1;
        if *count > KEPT && titles.contains(row.title.as_str()) {
            rows::delete(tx, account_id, collection_id, &row.id).await?;
        }
    }
    Ok(())
}

/// Compares what a collection's specifications declare with what was seen and with the specifications before them.
///
/// # Errors
/// `COLLECTION_NOT_FOUND`, `COLLECTION_DEACTIVATED`.
pub async fn get(deps: &Deps, caller: &Caller, collection_id: CollectionId) -> Result<Drift, Error> {
    let account_id = caller.account_id;
    let collection = access::readable(deps, caller, collection_id).await?.ok_or(Reason::CollectionNotFound)?;
    let mut by_title: BTreeMap<String, Vec<SpecificationRow>> = BTreeMap::new();
    for row in rows::list(&deps.db, account_id, collection.id).await? {
        by_title.entry(row.title.clone()).or_default().push(row);
    }
    let mut drift = Drift { documented: !by_title.is_empty(), ..Drift::default() };
    let mut current = Vec::new();
    for (title, specifications) in by_title {
        let Some(newest) = specifications.first() else { continue };
        let operations = rows::operations(&deps.db, account_id, collection.id, &newest.id).await?;
        let mut change = SpecificationDiff {
            title,
            version: newest.version.clone(),
            previous_version: None,
            declared_at: newest.declared_at,
            added: Vec::new(),
            removed: Vec::new(),
            changed: Vec::new(),
        };
        if let Some(previous) = specifications.get(1) {
            change.previous_version = Some(previous.version.clone());
            let before = rows::operations(&deps.db, account_id, collection.id, &previous.id).await?;
            compare(&before, &operations, &mut change);
        }
        drift.specifications.push(change);
        current.extend(operations);
    }
    if let Some(kept) = kept::of(deps, account_id, collection.id).await? {
        drift.documented = true;
        let (title, version, declared_at) = (kept.title, kept.version, kept.updated_at);
        drift.specifications.push(SpecificationDiff {
            title,
            version,
            previous_version: None,
            declared_at,
            added: Vec::new(),
            removed: Vec::new(),
            changed: Vec::new(),
        });
        current.extend(kept.operations);
    }
    let mut tx = deps.db.begin_read().await?;
    let raws = store::endpoints::list(&mut tx, account_id, collection.id).await?;
    tx.rollback().await?;
    match_traffic(&raws, &current, &mut drift);
    Ok(drift)
}

/// The operations of the specifications that count now, of a collection that the caller may read.
pub async fn current_operations(
    deps: &Deps,
    account_id: AccountId,
    collection_id: CollectionId,
) -> Result<Vec<DeclaredRow>, Error> {
    let mut titles = HashSet::new();
    let mut operations = Vec::new();
    for row in rows::list(&deps.db, account_id, collection_id).await? {
        if titles.insert(row.title.clone()) {
            operations.extend(rows::operations(&deps.db, account_id, collection_id, &row.id).await?);
        }
    }
    Ok(operations)
}

fn compare(before: &[DeclaredRow], after: &[DeclaredRow], change: &mut SpecificationDiff) {
    let place = |row: &DeclaredRow| DriftOperation { url: row.url.clone(), method: row.method.clone(), last_seen: 0 };
    let old: HashMap<&str, &DeclaredRow> = before.iter().map(|row| (row.key.as_str(), row)).collect();
    let new: HashSet<&str> = after.iter().map(|row| row.key.as_str()).collect();
    for row in after {
        match old.get(row.key.as_str()) {
            None => change.added.push(place(row)),
            Some(known) => {
                let changes = known.shape.changes(&row.shape);
                if !changes.is_empty() {
                    change.changed.push((place(row), changes));
                }
            }
        }
    }
    change.removed = before.iter().filter(|row| !new.contains(row.key.as_str())).map(place).collect();
    change.added.sort_unstable();
    change.removed.sort_unstable();
    change.changed.sort_unstable();
    change.added.truncate(LIST_MAX);
    change.removed.truncate(LIST_MAX);
    change.changed.truncate(LIST_MAX);
}

/// Fills in which endpoints are seen and not declared, declared and not seen, deprecated and seen.
fn match_traffic(raws: &[RawEndpoint], current: &[DeclaredRow], drift: &mut Drift) {
    let declared: HashMap<&str, usize> = current.iter().enumerate().map(|(at, row)| (row.key.as_str(), at)).collect();
    let mut endpoints: BTreeMap<(&str, &str), (bool, i64, Vec<usize>)> = BTreeMap::new();
    for raw in raws {
        let entry = endpoints.entry((raw.url.as_str(), raw.method.as_str())).or_default();
        if raw.facts.proofs() > 0 {
            entry.0 = true;
            entry.1 = entry.1.max(raw.last_seen);
        }
        entry.2.extend(declared.get(raw.key.as_str()));
    }
    let by_path = ByPath::new(current);
    let mut seen_at: Vec<i64> = vec![0; current.len()];
    for ((url, method), (seen, last_seen, mut operations)) in endpoints {
        if !seen {
            continue;
        }
        if operations.is_empty() {
            operations = by_path.find(method, url);
        }
        if operations.is_empty() {
            drift.shadow.push(DriftOperation { url: url.to_owned(), method: method.to_owned(), last_seen });
        }
        for at in operations {
            seen_at[at] = seen_at[at].max(last_seen.max(1));
        }
    }
    for (row, last_seen) in current.iter().zip(seen_at) {
        let place = DriftOperation { url: row.url.clone(), method: row.method.clone(), last_seen };
        match last_seen {
            0 => drift.orphan.push(place),
            _ if row.shape.deprecated => drift.zombie.push(place),
            _ => {}
        }
    }
    for list in [&mut drift.shadow, &mut drift.orphan, &mut drift.zombie] {
        list.sort_unstable();
        list.dedup();
        list.truncate(LIST_MAX);
    }
}

/// Operations declared without a host, which stand for calls of any host, or the other way round.
struct ByPath<'r> {
    rows: HashMap<(&'r str, usize), Vec<PathRow<'r>>>,
}

/// The place of a declared operation, its URL and the segments of its path.
type PathRow<'r> = (usize, &'r str, Vec<&'r str>);

impl<'r> ByPath<'r> {
    fn new(current: &'r [DeclaredRow]) -> Self {
        let mut rows: HashMap<_, Vec<_>> = HashMap::new();
        for (at, row) in current.iter().enumerate() {
            let split = SplitUrl::new(&row.url);
            let segments: Vec<&str> = split.segments().collect();
            rows.entry((row.method.as_str(), segments.len())).or_default().push((at, split.origin, segments));
        }
        Self { rows }
    }

    fn find(&self, method: &str, url: &str) -> Vec<usize> {
        let split = SplitUrl::new(url);
        let segments: Vec<&str> = split.segments().collect();
        let fits = |(_, origin, declared): &&(usize, &str, Vec<&str>)| {
            (origin.is_empty() || split.origin.is_empty() || *origin == split.origin)
                && declared
                    .iter()
                    .zip(&segments)
                    .all(|(wanted, segment)| wanted == segment || Segment::of_words(wanted).matches(&decoded(segment)))
        };
        let of_method = |method| {
            let candidates = self.rows.get(&(method, segments.len())).into_iter().flatten();
            candidates.filter(fits).map(|(at, ..)| *at).collect::<Vec<_>>()
        };
        // An operation of any method stands for the methods that are not declared beside it.
        Some(of_method(method)).filter(|found| !found.is_empty()).unwrap_or_else(|| of_method("ANY"))
    }
}
