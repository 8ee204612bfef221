use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use portolan_log::{Log, Positions};
use portolan_runtime::Peers;
use portolan_store::Db;
use tokio::sync::{Notify, watch};

use crate::data_types::DetectorSet;
use crate::{Error, store};

/// Ids taken from the sequence at once. A restart loses the rest of them, which 2^31 ids bear for a long time.
const IDS_RESERVED: i64 = 64;
/// Accounts remembered as having their default collection; beyond this the memory starts anew.
const ACCOUNTS_MAX: usize = 100_000;

/// What the service works with; cheap to clone. One per process.
#[derive(Clone)]
pub struct Deps {
    pub db: Db,
    pub log: Log,
    pub peers: Peers,
    pub(crate) shared: Arc<Shared>,
}

/// State that all clones share.
pub(crate) struct Shared {
    ids: tokio::sync::Mutex<std::ops::Range<i64>>,
    with_default: Mutex<HashSet<i64>>,
    /// How far each partition is in the inventory.
    pub positions: watch::Sender<Positions>,
    /// Wakes the runner of deletion jobs.
    pub jobs: Notify,
    /// The detectors of all accounts, with the version of what they follow from.
    pub detectors: tokio::sync::Mutex<Option<(i64, Arc<DetectorSet>)>>,
}

impl Deps {
    /// `db` is the store's handle of the service `inventory`.
    pub fn new(db: Db, log: Log, peers: Peers) -> Self {
        let shared = Shared {
            ids: tokio::sync::Mutex::new(0..0),
            with_default: Mutex::default(),
            positions: watch::Sender::new(Positions::new()),
            jobs: Notify::new(),
            detectors: tokio::sync::Mutex::default(),
        };
        Self { db, log, peers, shared: Arc::new(shared) }
    }

    /// A collection id that nobody had before.
    pub(crate) async fn collection_id(&self) -> Result<i32, Error> {
        let mut ids = self.shared.ids.lock().await;
        if ids.is_empty() {
            let first = store::collections::reserve_ids(&self.db, IDS_RESERVED).await?;
            *ids = first..first + IDS_RESERVED;
        }
        let id = ids.next().unwrap_or_default();
        i32::try_from(id).ok().filter(|id| *id > 0).ok_or_else(|| Error::Internal(format!("no collection id: {id}")))
    }

    /// The accounts among these that are not known to have their default collection.
    pub(crate) fn without_default(&self, account_ids: impl IntoIterator<Item = i64>) -> Vec<i64> {
        let known = self.shared.with_default.lock().unwrap_or_else(PoisonError::into_inner);
        account_ids.into_iter().filter(|id| !known.contains(id)).collect()
    }

    /// Notes accounts whose default collection is committed.
    pub(crate) fn note_default(&self, account_ids: &[i64]) {
        let mut known = self.shared.with_default.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() > ACCOUNTS_MAX {
            known.clear();
        }
        known.extend(account_ids);
    }
}
