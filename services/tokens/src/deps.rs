use portolan_authz::{API_KEYS, Changes};
use portolan_fetch::Fetch;
use portolan_limit::Management;
use portolan_outbox::FailureLog;
use portolan_runtime::{Peers, Process, Secrets, process::BoxError};
use portolan_store::Db;

use crate::{
    enforce::Edge,
    migrations::TABLES,
    options::{Options, TokenRules},
    rates::Rates,
};

/// What the service works with.
#[derive(Clone)]
pub struct Deps {
    /// The tables of the service.
    pub db: Db,
    /// The other services.
    pub peers: Peers,
    /// Through which changes of API keys are announced to those who cache their owners.
    pub key_changes: Changes,
    /// Seals what must be readable again.
    pub secrets: Secrets,
    /// Bounds and times of the configuration.
    pub rules: TokenRules,
    /// Counts what credentials use.
    pub rates: Rates,
    /// Calls of vendors.
    pub management: Management,
    /// Credentials that were refused, on their way into the audit.
    pub failures: FailureLog,
    /// Every call that leaves the installation.
    pub fetch: Fetch,
    /// Decides at the edge; every change of a client, a profile or an access token is settled with it.
    pub edge: Edge,
}

impl Deps {
    /// Migrates the tables.
    ///
    /// # Errors
    /// What is wrong with the options of the edge; when the store cannot be reached or migrated.
    pub async fn open(process: &Process, db: Db, options: &Options) -> Result<Self, BoxError> {
        db.migrate_tables(&TABLES).await?;
        let failures = FailureLog::new(db.clone());
        let edge = Edge::open(process, db.clone(), failures.clone(), &options.edge).await?;
        Ok(Self {
            db,
            peers: process.peers.clone(),
            key_changes: process.changes(API_KEYS)?,
            secrets: process.secrets("tokens")?,
            rules: options.rules(),
            management: Management::new(process.limits(), options.tokens.management_rate_limit),
            rates: Rates::new(process.limits()),
            failures,
            fetch: process.fetch.clone(),
            edge,
        })
    }
}
