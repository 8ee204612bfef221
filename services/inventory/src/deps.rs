use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use portolan_api::Reason;
use portolan_api::identity::v1::GetAccountSettingsRequest;
use portolan_engine::AccessPolicy;
use portolan_log::{Log, Positions};
use portolan_runtime::{Config, Peers};
use portolan_store::Db;
use tokio::sync::{Notify, watch};

use crate::data_types::DetectorSet;
use crate::ingest::rules::Rules;
use crate::{Error, store};

/// Ids taken from the sequence at once. A restart loses the rest of them, which 2^31 ids bear for a long time.
const IDS_RESERVED: i64 = 64;
/// Accounts remembered as having their default collection; beyond this the memory starts anew.
const ACCOUNTS_MAX: usize = 100_000;
const DAY_S: i64 = 24 * 3_600;
/// Days for which calls are counted by minute, where nothing else is said.
const CALL_STATS_DAYS: i64 = 90;
/// A change of an account's ranges holds for new calls after this long.
const POLICY_FRESH: Duration = Duration::from_secs(5);
/// Private ranges of an account that has none of its own, where identity cannot be asked.
const PRIVATE_RANGES: [&str; 13] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/4",
    "192.0.2.0/24",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "255.255.255.255/32",
    "100.64.0.0/10",
    "192.88.99.0/24",
    "240.0.0.0/4",
];

/// What the service works with; cheap to clone. One per process.
#[derive(Clone)]
pub struct Deps {
    pub db: Db,
    pub log: Log,
    pub peers: Peers,
    /// Proxies whose forwarding headers count.
    pub(crate) trusted_proxies: Arc<[String]>,
    /// How long calls are counted by minute.
    pub(crate) call_stats_s: i64,
    /// The program that [`crate::probe`] runs in, apart from this process; none in a library.
    pub(crate) probe_program: Option<Arc<std::path::Path>>,
    pub(crate) shared: Arc<Shared>,
}

/// State that all clones share.
pub(crate) struct Shared {
    ids: tokio::sync::Mutex<std::ops::Range<i64>>,
    with_default: Mutex<HashSet<i64>>,
    /// How far each partition is in the inventory.
    pub positions: watch::Sender<Positions>,
    /// Wakes the runner of jobs.
    pub jobs: Notify,
    rules: Mutex<Option<Arc<Rules>>>,
    /// Address ranges of accounts, with the moment when they were asked for.
    policies: Mutex<HashMap<i64, (Instant, Arc<AccessPolicy>)>>,
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
            rules: Mutex::default(),
            policies: Mutex::default(),
            detectors: tokio::sync::Mutex::default(),
        };
        let call_stats_s = CALL_STATS_DAYS * DAY_S;
        Self {
            db,
            log,
            peers,
            trusted_proxies: Arc::new([]),
            call_stats_s,
            probe_program: None,
            shared: Arc::new(shared),
        }
    }

    /// As the configuration says, which was checked.
    #[must_use]
    pub fn configured(self, config: &Config) -> Self {
        let days = config.get("inventory.call_stats_days").parse().unwrap_or(CALL_STATS_DAYS);
        Self { call_stats_s: days * DAY_S, ..self.trusting(config.get("http.trusted_proxies")) }
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

    /// The rules of ingest that were read last.
    pub(crate) fn rules(&self) -> Option<Arc<Rules>> {
        self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn note_rules(&self, rules: Arc<Rules>) {
        *self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner) = Some(rules);
    }

    /// The address ranges of accounts that were asked for a moment ago.
    pub(crate) fn access_policies(&self) -> HashMap<i64, Arc<AccessPolicy>> {
        let mut policies = self.shared.policies.lock().unwrap_or_else(PoisonError::into_inner);
        if policies.len() > ACCOUNTS_MAX {
            policies.clear();
        }
        let fresh = policies.iter().filter(|(_, (at, _))| at.elapsed() < POLICY_FRESH);
        fresh.map(|(account_id, (_, policy))| (*account_id, policy.clone())).collect()
    }

    /// The address ranges of an account; nothing when there is no such account, or it has ended. While identity does not
    /// answer, the last known or the built-in ones stand in: a call is not held up for them, and the job that applies them
    /// later asks again.
    pub(crate) async fn access_policy(&self, account_id: i64) -> Option<Arc<AccessPolicy>> {
        match self.access_policy_now(account_id).await {
            Ok(policy) => Some(Arc::new(policy)),
            Err(error) if error.reason() == Some(Reason::AccountNotFound) => {
                self.shared.policies.lock().unwrap_or_else(PoisonError::into_inner).remove(&account_id);
                None
            }
            Err(error) => {
                tracing::debug!(account_id, %error, "address ranges are not known for now");
                let mut policies = self.shared.policies.lock().unwrap_or_else(PoisonError::into_inner);
                let built_in = || Arc::new(self.policy(PRIVATE_RANGES, []));
                let (at, policy) = policies.entry(account_id).or_insert_with(|| (Instant::now(), built_in()));
                *at = Instant::now();
                Some(policy.clone())
            }
        }
    }

    /// The address ranges of an account as identity has them at this moment.
    pub(crate) async fn access_policy_now(&self, account_id: i64) -> Result<AccessPolicy, Error> {
        let request = GetAccountSettingsRequest { account_id };
        let settings = self.peers.directory().get_account_settings(request).await;
        let settings = settings.map_err(portolan_api::Error::from)?.into_inner();
        let policy = self.policy(
            settings.private_cidr_list.iter().map(String::as_str),
            settings.partner_ip_list.iter().map(String::as_str),
        );
        let mut policies = self.shared.policies.lock().unwrap_or_else(PoisonError::into_inner);
        policies.insert(account_id, (Instant::now(), Arc::new(policy.clone())));
        Ok(policy)
    }

    fn policy<'a>(
        &'a self,
        private: impl IntoIterator<Item = &'a str>,
        partners: impl IntoIterator<Item = &'a str>,
    ) -> AccessPolicy {
        AccessPolicy::new(private, partners, self.trusted_proxies.iter().map(String::as_str))
    }
}
