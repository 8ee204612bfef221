use std::sync::Arc;

use portolan_api::Result;
use portolan_jobs::{Clock, Jobs};
use portolan_runtime::Peers;
use portolan_store::Db;
use tokio::sync::Mutex;

use crate::{
    classifier::Classifier,
    migrations::TABLES,
    model::{plans::Plans, refresh::Task},
    options::BillingRules,
    provider::Provider,
};

/// What the service works with.
#[derive(Clone)]
pub struct Deps {
    /// The tables of the service.
    pub db: Db,
    /// The other services.
    pub peers: Peers,
    /// Who says what an organization may use.
    pub provider: Arc<Provider>,
    /// What the built-in provider sells.
    pub plans: Arc<Plans>,
    /// What windows and leases end by.
    pub clock: Clock,
    /// Times and rules of the configuration.
    pub rules: BillingRules,
    /// Recomputations.
    pub jobs: Jobs<Task>,
    pub(crate) classifier: Classifier,
    /// One question to the provider at a time.
    pub(crate) fetching: Arc<Mutex<()>>,
}

impl Deps {
    /// Migrates the tables.
    ///
    /// # Errors
    /// When the store cannot be reached or migrated.
    pub async fn new(
        db: Db,
        peers: Peers,
        provider: Provider,
        plans: Plans,
        clock: Clock,
        rules: BillingRules,
    ) -> Result<Self> {
        db.migrate_tables(&TABLES).await?;
        let jobs = Jobs::open(db.clone(), clock.clone()).await?;
        let (provider, plans) = (Arc::new(provider), Arc::new(plans));
        let (classifier, fetching) = (Classifier::default(), Arc::default());
        Ok(Self { db, peers, provider, plans, clock, rules, jobs, classifier, fetching })
    }
}
