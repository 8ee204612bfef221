use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    time::Instant,
};

use portolan_engine::template::Catalog;
use portolan_ids::{AccountId, CollectionId, NamedCollectionId};
use portolan_runtime::now_s;
use portolan_store::{Held, Tx};

use crate::{
    Deps, Error, announce,
    announce::News,
    catalogs::Catalogs,
    defaults::insert_defaults,
    ingest::{batch::Batch, repeats::Marks},
    model::{
        collections::DEFAULT_ID,
        deltas,
        deltas::{Delta, Deltas, Target},
    },
    redaction, store,
    store::positions::Progress,
    writer,
    writer::{Changed, CollectionWriter, note_changes},
};

/// Fault point before the commit of a batch.
const WRITTEN: &str = "ingest.written";

/// Attempts to find or make the collection of a host: another process may make or delete it meanwhile.
const HOST_ATTEMPTS_MAX: u32 = 3;

/// Metric of records whose new URLs had no room in their collection.
pub const DROPPED: &str = "portolan_ingest_dropped_total";

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Written(Held),
    /// Another consumer has written since the position was read; nothing is written.
    Overtaken,
}

/// Writes a batch and how far the partition is read in one transaction.
pub async fn apply(
    deps: &Deps,
    catalogs: &Catalogs,
    partition: i64,
    progress: &Progress,
    batch: &Batch,
    marks: &Marks,
) -> Result<Outcome, Error> {
    // Ids are taken in a transaction of their own, which would wait for this one.
    let hosts = batch.deltas.keys().filter(|(_, target)| matches!(target, Target::Host(_))).count();
    let mut fresh_ids = Vec::new();
    for _ in 0..unknown_hosts(deps, batch, hosts).await? {
        fresh_ids.push(deps.collection_id().await?);
    }
    let accounts: BTreeSet<AccountId> = batch.deltas.keys().map(|(account_id, _)| *account_id).collect();
    let new_accounts = deps.without_default(accounts);

    let mut tx = deps.db.begin().await?;
    let begun = Instant::now();
    let source = deps.log.source();
    if !store::positions::advance(&mut tx, source, partition, progress).await? {
        return Ok(Outcome::Overtaken);
    }
    for (lane, producer_id, mark) in marks.iter() {
        store::producers::save(&mut tx, source, partition, (lane, producer_id), mark, now_s()).await?;
    }
    insert_defaults(&mut tx, &new_accounts).await?;
    let Some(written) = put(&mut tx, catalogs, batch, fresh_ids).await? else { return Ok(Outcome::Overtaken) };
    deps.db.fault(WRITTEN).await?;
    let held = Held::since(begun, &deps.db);
    // The log has the records until more is committed, and so they are read again after a power failure.
    tx.commit_unsynced().await?;
    deps.note_default(&new_accounts);
    for Written { account_id, collection_id, version, catalog } in written {
        catalogs.put(account_id, collection_id, version, catalog);
    }
    Ok(Outcome::Written(held))
}

/// A collection as it is written, with what is to be remembered of it.
pub struct Written {
    account_id: AccountId,
    collection_id: CollectionId,
    version: i64,
    catalog: Catalog,
}

#[cfg(any(fuzzing, test))]
impl Written {
    /// Account and collection.
    pub fn place(&self) -> (AccountId, CollectionId) {
        (self.account_id, self.collection_id)
    }
}

/// Adds a batch to the tables; nothing when the rules that it was read by have changed.
pub async fn put(
    tx: &mut Tx,
    catalogs: &Catalogs,
    batch: &Batch,
    fresh_ids: Vec<CollectionId>,
) -> Result<Option<Vec<Written>>, Error> {
    let mut written = Vec::new();
    let mut news: BTreeMap<AccountId, Vec<News>> = BTreeMap::new();
    let locked = locked(tx, batch, fresh_ids).await?;
    // Whoever changes the rules of a collection holds it, so they stay as they are from here to the commit.
    if store::demerged::version(tx).await? != batch.rules.version {
        return Ok(None);
    }
    let mut changes: BTreeMap<(AccountId, CollectionId), Changed> = BTreeMap::new();
    let mut collapsed_collections = Vec::new();
    for ((account_id, collection_id), LockedCollection { version, redacted, mut deltas }) in locked {
        if redacted {
            redaction::strip_all(&mut deltas);
        }
        let mut catalog = catalogs.take(tx, account_id, collection_id, version).await?;
        let (deltas, rest) = writer::fit(&catalog, deltas, catalogs.urls_bytes_max);
        if !rest.is_empty() {
            let count = records_of(&rest);
            store::collections::add_dropped(tx, account_id, collection_id, count).await?;
            metrics::counter!(DROPPED).increment(count.unsigned_abs());
            tracing::warn!(
                account_id = account_id.get(),
                collection_id = collection_id.get(),
                count,
                "records of new URLs are dropped: the collection is full"
            );
        }
        let writer = CollectionWriter::new(tx, account_id, collection_id, &mut catalog);
        let mut changed = writer.write(deltas).await?;
        if redacted {
            announce::without_urls(&mut changed.news);
        }
        news.entry(account_id).or_default().append(&mut changed.news);
        let collapsed = redacted && redaction::collapse(tx, account_id, collection_id, &changed.url_keys).await?;
        changes.insert((account_id, collection_id), changed);
        if collapsed {
            collapsed_collections.push((account_id, collection_id));
        } else {
            written.push(Written { account_id, collection_id, version, catalog });
        }
    }
    note_changes(tx, &changes).await?;
    for (account_id, collection_id) in collapsed_collections {
        store::collections::forget_removed_urls(tx, account_id, collection_id).await?;
    }
    for (account_id, news) in &news {
        announce::put(tx, *account_id, news).await?;
    }
    Ok(Some(written))
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
struct LockedCollection {
    version: i64,
    redacted: bool,
    deltas: Deltas,
}

type Locked = BTreeMap<(AccountId, CollectionId), LockedCollection>;

/// Finds the collection of each target, holds it, and brings together what goes to the same one. Records for a deleted
/// or deactivated collection are dropped; those for one that the account never had go to the default collection.
async fn locked(tx: &mut Tx, batch: &Batch, mut fresh_ids: Vec<CollectionId>) -> Result<Locked, Error> {
    // All writers take locks in the order of ids, so that they do not wait for each other in a circle.
    let mut wanted: BTreeMap<(AccountId, NamedCollectionId), Vec<&Deltas>> = BTreeMap::new();
    for ((account_id, target), deltas) in &batch.deltas {
        let id = match target {
            Target::Collection(id) => *id,
            Target::Host(host) => ensure_host(tx, *account_id, host, &mut fresh_ids).await?.into(),
        };
        wanted.entry((*account_id, id)).or_default().push(deltas);
    }
    let mut locked = Locked::new();
    let mut strays: BTreeMap<AccountId, Vec<&Deltas>> = BTreeMap::new();
    for ((account_id, id), parts) in wanted {
        match store::collections::lock(tx, account_id, id).await? {
            Some(found) if found.deleted || found.deactivated => {
                let count = parts.iter().map(|part| records_of(part)).sum();
                store::collections::add_dropped(tx, account_id, id, count).await?;
                tracing::debug!(
                    account_id = account_id.get(),
                    collection_id = id.get(),
                    count,
                    "records of an inactive collection are dropped"
                );
            }
            Some(found) if !found.is_group => {
                let id = CollectionId::try_from(id).map_err(|_| Error::Internal(format!("collection id {id}")))?;
                let fresh =
                    || LockedCollection { version: found.version, redacted: found.redacted, deltas: Deltas::new() };
                add_parts(&mut locked.entry((account_id, id)).or_insert_with(fresh).deltas, parts);
            }
            _ => strays.entry(account_id).or_default().extend(parts),
        }
    }
    for (account_id, parts) in strays {
        let deltas = match locked.entry((account_id, DEFAULT_ID)) {
            Entry::Occupied(known) => &mut known.into_mut().deltas,
            Entry::Vacant(place) => match store::collections::lock(tx, account_id, DEFAULT_ID).await? {
                Some(found) if !found.deactivated => {
                    let fresh =
                        LockedCollection { version: found.version, redacted: found.redacted, deltas: Deltas::new() };
                    &mut place.insert(fresh).deltas
                }
                _ => {
                    let count = parts.iter().map(|part| records_of(part)).sum();
                    store::collections::add_dropped(tx, account_id, DEFAULT_ID, count).await?;
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
    let calls =
        |delta: &Delta| delta.seen.facts.status_counts.values().sum::<u64>() + u64::from(delta.seen.facts.declared);
    i64::try_from(deltas.values().map(calls).sum::<u64>()).unwrap_or(i64::MAX)
}

fn add_parts(deltas: &mut Deltas, parts: Vec<&Deltas>) {
    for part in parts {
        deltas::merge(deltas, part.clone());
    }
}

/// The collection of a host, made when there is none.
async fn ensure_host(
    tx: &mut Tx,
    account_id: AccountId,
    host: &str,
    fresh_ids: &mut Vec<CollectionId>,
) -> Result<CollectionId, Error> {
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
