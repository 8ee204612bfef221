use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use portolan_engine::AccessPolicy;
use portolan_ids::{AccountId, CollectionId};
use portolan_jobs::{Clock, Jobs};
use portolan_limit::Management;
use portolan_log::{Log, Positions};
use portolan_runtime::{Peers, options::kept_s};
use portolan_store::Db;
use tokio::sync::watch;

use crate::{
    Error,
    catalogs::OneCatalog,
    migrations::TABLES,
    model::jobs::Task,
    model::{
        detectors::{DetectorSet, Versions},
        reached::Reached,
        rules::Rules,
    },
    options::Options,
    store,
};

/// Ids taken from the sequence at once. A restart loses the rest of them, which 2^31 ids bear for a long time.
const IDS_RESERVED: i64 = 64;

/// Accounts remembered as having their default collection; beyond this the memory starts anew.
pub(crate) const ACCOUNTS_MAX: usize = 100_000;

const DAY_S: i64 = 24 * 3_600;

/// Days for which calls are counted by minute, where nothing else is said.
const CALL_STATS_DAYS: i64 = 90;

/// What the service works with; cheap to clone. One per process.
#[derive(Clone)]
pub struct Deps {
    /// The tables of the service.
    pub db: Db,
    /// Where records come from.
    pub log: Log,
    /// The other services.
    pub peers: Peers,
    /// Durable work.
    pub jobs: Jobs<Task>,
    /// Calls of vendors.
    pub(crate) management: Management,
    /// Proxies whose forwarding headers count.
    pub(crate) trusted_proxies: Arc<[String]>,
    /// How long calls are counted by minute.
    pub(crate) call_stats_s: i64,
    /// How long the rest is kept.
    pub(crate) kept: Kept,
    /// Memory for the URLs of one collection.
    pub(crate) urls_bytes_max: usize,
    /// The program that [`crate::probe`] runs in, apart from this process; none in a library.
    pub(crate) probe_program: Option<Arc<std::path::Path>>,
    pub(crate) shared: Arc<Shared>,
}

/// For how long something is kept, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    pub closed_issues_s: i64,
    pub samples_s: i64,
    pub rejected_s: i64,
}

/// State that all clones share.
pub(crate) struct Shared {
    ids: tokio::sync::Mutex<std::ops::Range<i64>>,
    with_default: Mutex<HashSet<AccountId>>,
    /// How far each partition is that this process has read, after its last commit.
    pub reached: watch::Sender<BTreeMap<i64, Reached>>,
    rules: Mutex<Option<Arc<Rules>>>,
    /// Address ranges of accounts, with the moment when they were asked for.
    pub policies: Mutex<HashMap<AccountId, (Instant, Arc<AccessPolicy>)>>,
    /// The raw URLs of the collection whose templates are being brought to other rules.
    pub retemplated: OneCatalog,
    /// The detectors of all accounts, with the versions of what they follow from.
    pub detectors: tokio::sync::Mutex<Option<(Versions, Arc<DetectorSet>)>>,
}

impl Deps {
    /// Migrates the tables. `db` is the store's handle of the service `inventory`.
    ///
    /// # Errors
    /// When the store cannot be reached or migrated.
    pub async fn open(db: Db, log: Log, peers: Peers) -> Result<Self, Error> {
        db.migrate_tables(&TABLES).await?;
        let jobs = Jobs::open(db.clone(), Clock::system()).await?;
        let shared = Shared {
            ids: tokio::sync::Mutex::new(0..0),
            with_default: Mutex::default(),
            reached: watch::Sender::default(),
            rules: Mutex::default(),
            policies: Mutex::default(),
            retemplated: OneCatalog::default(),
            detectors: tokio::sync::Mutex::default(),
        };
        let call_stats_s = CALL_STATS_DAYS * DAY_S;
        Ok(Self {
            db,
            log,
            peers,
            jobs,
            management: Management::unlimited(),
            trusted_proxies: Arc::new([]),
            call_stats_s,
            kept: Kept { closed_issues_s: i64::MAX, samples_s: i64::MAX, rejected_s: i64::MAX },
            urls_bytes_max: usize::MAX,
            probe_program: None,
            shared: Arc::new(shared),
        })
    }

    /// Keeps what grows as long, and as much of it, as the options say.
    #[must_use]
    pub fn configured(self, options: &Options) -> Self {
        let (closed_issues_s, samples_s) = (kept_s(options.closed_issues_days), kept_s(options.samples_days));
        let kept = Kept { closed_issues_s, samples_s, ..self.kept };
        let call_stats_s = i64::from(options.call_stats_days) * DAY_S;
        Self { call_stats_s, kept, urls_bytes_max: options.urls_bytes_max, ..self }
    }

    /// Keeps records that could not be read for so many days, and for ever with 0.
    #[must_use]
    pub fn keeping_rejected(self, days: u32) -> Self {
        Self { kept: Kept { rejected_s: kept_s(days), ..self.kept }, ..self }
    }

    /// Counts the calls of vendors.
    #[must_use]
    pub fn counting(self, management: Management) -> Self {
        Self { management, ..self }
    }

    /// Tries suspicious records in a process of this program, whose `main` calls [`crate::probe`].
    #[must_use]
    pub fn probing_in(self, program: Option<std::path::PathBuf>) -> Self {
        Self { probe_program: program.map(Arc::from), ..self }
    }

    /// Believes the forwarding headers of calls that come from these addresses and ranges, separated by commas.
    #[must_use]
    pub fn trusting(self, proxies: &str) -> Self {
        let proxies = proxies.split(',').map(|proxy| proxy.trim().to_owned()).filter(|proxy| !proxy.is_empty());
        Self { trusted_proxies: proxies.collect(), ..self }
    }

    /// Returns once this process has read each of the partitions up to its offset.
    pub async fn read_to(&self, ends: &Positions) {
        let is_read = |known: &BTreeMap<i64, Reached>| {
            ends.iter().all(|(partition, end)| known.get(partition).is_some_and(|reached| reached.position >= *end))
        };
        // The sender lives as long as this.
        let _ = self.shared.reached.subscribe().wait_for(is_read).await;
    }

    /// A collection id that nobody had before.
    pub(crate) async fn collection_id(&self) -> Result<CollectionId, Error> {
        let mut ids = self.shared.ids.lock().await;
        if ids.is_empty() {
            let first = store::collections::reserve_ids(&self.db, IDS_RESERVED).await?;
            *ids = first..first + IDS_RESERVED;
        }
        let id = ids.next().unwrap_or_default();
        let fresh = i32::try_from(id).ok().filter(|id| *id > 0);
        fresh.map(CollectionId).ok_or_else(|| Error::Internal(format!("no collection id: {id}")))
    }

    /// The accounts among these that are not known to have their default collection.
    pub(crate) fn without_default(&self, account_ids: impl IntoIterator<Item = AccountId>) -> Vec<AccountId> {
        let known = self.shared.with_default.lock().unwrap_or_else(PoisonError::into_inner);
        account_ids.into_iter().filter(|id| !known.contains(id)).collect()
    }

    /// Notes accounts whose default collection is committed.
    pub(crate) fn note_default(&self, account_ids: &[AccountId]) {
        let mut known = self.shared.with_default.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() > ACCOUNTS_MAX {
            known.clear();
        }
        known.extend(account_ids);
    }

    /// The rules of ingest that were read last.
    pub(crate) fn rules(&self) -> Option<Arc<Rules>> {
        self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn note_rules(&self, rules: Arc<Rules>) {
        *self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner) = Some(rules);
    }
}
