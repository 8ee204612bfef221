use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use portolan_engine::{
    Method,
    template::{BodyNames, Catalog, RawEndpoint as CatalogEntry},
};
use portolan_ids::{AccountId, CollectionId};
use portolan_store::Tx;

use crate::{Error, model::endpoints::RawEndpoint, store};

/// Memory of all remembered catalogs together, in bytes. The catalog in use is beyond this.
const BYTES_MAX: usize = 256 << 20;

/// Rows read at once while a catalog is built.
const PAGE: i64 = 2_000;

/// The catalogs of the collections that were written last. An entry is taken out to be used and comes back after the
/// commit, so that a failed transaction forgets it.
pub struct Catalogs {
    kept: Mutex<Kept>,
    /// Memory for the URLs of one collection.
    pub urls_bytes_max: usize,
}

#[derive(Default)]
struct Kept {
    entries: HashMap<(AccountId, CollectionId), Entry>,
    bytes: usize,
    clock: u64,
}

struct Entry {
    catalog: Catalog,
    /// The collection's ingest version that the catalog stands at.
    version: i64,
    used: u64,
}

impl Catalogs {
    pub fn new(urls_bytes_max: usize) -> Self {
        Self { kept: Mutex::default(), urls_bytes_max }
    }

    /// The catalog of a collection as it was before `version`, from memory or from the tables. The transaction holds the
    /// collection.
    pub async fn take(
        &self,
        tx: &mut Tx,
        account_id: AccountId,
        collection_id: CollectionId,
        version: i64,
    ) -> Result<Catalog, Error> {
        match self.remove((account_id, collection_id)) {
            Some(entry) if entry.version == version - 1 => Ok(entry.catalog),
            _ => load(tx, account_id, collection_id).await,
        }
    }

    /// Remembers a catalog whose changes are committed.
    pub fn put(&self, account_id: AccountId, collection_id: CollectionId, version: i64, catalog: Catalog) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clock += 1;
        let entry = Entry { version, used: kept.clock, catalog };
        kept.bytes += entry.catalog.bytes();
        if let Some(replaced) = kept.entries.insert((account_id, collection_id), entry) {
            kept.bytes -= replaced.catalog.bytes();
        }
        while kept.bytes > BYTES_MAX && kept.entries.len() > 1 {
            let oldest = kept.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| *key);
            let Some(entry) = oldest.and_then(|key| kept.entries.remove(&key)) else { break };
            kept.bytes -= entry.catalog.bytes();
        }
    }

    fn remove(&self, key: (AccountId, CollectionId)) -> Option<Entry> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = kept.entries.remove(&key)?;
        kept.bytes -= entry.catalog.bytes();
        Some(entry)
    }
}

/// The catalog of the one collection that a job works on, so that not every step reads all of its raw URLs.
#[derive(Default)]
pub struct OneCatalog {
    kept: Mutex<Option<((AccountId, CollectionId), Entry)>>,
}

impl OneCatalog {
    /// The catalog of a collection that stands at an ingest version, if it is remembered.
    pub fn take(&self, account_id: AccountId, collection_id: CollectionId, version: i64) -> Option<Catalog> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let is_wanted = kept.0 == (account_id, collection_id) && kept.1.version == version;
        is_wanted.then_some(kept.1.catalog)
    }

    /// Remembers a catalog, whether or not the step is committed: it is that of a version that is.
    pub fn put(&self, account_id: AccountId, collection_id: CollectionId, version: i64, catalog: Catalog) {
        let entry = Entry { catalog, version, used: 0 };
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(((account_id, collection_id), entry));
    }
}

/// The catalog of a collection, from the tables.
pub async fn load(tx: &mut Tx, account_id: AccountId, collection_id: CollectionId) -> Result<Catalog, Error> {
    load_each(tx, account_id, collection_id, |_| ()).await
}

/// As [`load`], and shows each raw URL of the collection on the way.
pub async fn load_each(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    mut show: impl FnMut(&RawEndpoint) + Send,
) -> Result<Catalog, Error> {
    let mut catalog = Catalog::default();
    let mut after = String::new();
    loop {
        let page = store::endpoints::page(tx, account_id, collection_id, &after, PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(catalog) };
        after.clone_from(&last.key);
        page.iter().for_each(|(raw, _)| show(raw));
        let entry = |(raw, bodies): (RawEndpoint, BodyNames)| CatalogEntry {
            method: Method::parse(&raw.method),
            pinned: raw.facts.declared,
            addresses: raw.facts.addresses,
            proven: raw.proven,
            never_merge: raw.facts.never_merge,
            url: raw.raw_url,
            bodies,
        };
        catalog.update_all(&page.into_iter().map(entry).collect::<Vec<_>>());
    }
}
