//! Billing: plans and limits of organisations, what their accounts use, and what users ask AI agents.
//!
//! Owns the tables `billing_accounts`, `billing_organizations`, `billing_overages`, `billing_leases`, `usage_events`,
//! `usage_buckets`, `usage_versions`, `usage_refreshes`, `usage_refresh_jobs`, `usage_reports`, `agent_queries`,
//! `agent_analyses`, `agent_topics` and `agent_harms`. Asks identity which accounts make up an organisation, and identity and inventory
//! to count anew.
//!
//! # Invariants
//! - An event counts once: its key is claimed in the transaction that adds it to the sums. Keys are forgotten when
//!   their events are older than any that is still taken ([`forget`]).
//! - A count that another service keeps is set by its highest version, whatever the order of the reports.
//! - Sums are kept as events arrive; reading them costs the same at any number of events.
//! - Where a plan is not known, nothing more may be used.
//! - Usage to be told to the provider is in the database before it is told.
//!
//! Start reading at [`usage`] for what was used, at [`entitlements`] for what may be, at [`provider`] for who says so.

pub mod agents;
pub mod classifier;
mod clock;
pub mod cloud_events;
mod domains;
pub mod entitlements;
pub mod features;
pub mod forget;
pub mod jobs;
pub mod organizations;
pub mod plans;
pub mod provider;
pub mod readings;
pub mod refresh;
pub mod reports;
mod rpc;
mod store;
pub mod subscriptions;
pub mod usage;
pub mod windows;
mod worker;

use std::sync::Arc;

use portolan_api::{
    Error,
    billing::v1::{
        agent_analysis_service_server::AgentAnalysisServiceServer, billing_service_server::BillingServiceServer,
        job_service_server::JobServiceServer, metering_service_server::MeteringServiceServer,
        subscription_service_server::SubscriptionServiceServer,
    },
};
use portolan_runtime::{Config, Peers, Secrets};
use portolan_store::{Db, Migration, Migrations};
use tokio::sync::{Mutex, Notify};
use tonic::service::Routes;

pub use clock::Clock;
pub use plans::Plans;
pub use worker::{WorkHandle, start as start_work};

use provider::{
    Provider, SigningKey,
    stigg::{Stigg, StiggConfig},
};

/// The proto package whose services are served here.
pub const PACKAGE: &str = "portolan.billing.v1";
/// The name of the service in the store.
pub const SERVICE: &str = "billing";

pub const MIGRATIONS: Migrations = Migrations {
    service: SERVICE,
    steps: &[
        Migration {
            version: 1,
            name: "billing",
            sqlite: include_str!("../migrations/sqlite/0001_billing.sql"),
            postgres: include_str!("../migrations/postgres/0001_billing.sql"),
        },
        Migration {
            version: 2,
            name: "jobs",
            sqlite: include_str!("../migrations/sqlite/0002_jobs.sql"),
            postgres: include_str!("../migrations/postgres/0002_jobs.sql"),
        },
    ],
};

/// What the service works with.
#[derive(Clone)]
pub struct Deps {
    pub db: Db,
    pub peers: Peers,
    pub provider: Arc<Provider>,
    pub plans: Arc<Plans>,
    pub clock: Clock,
    pub settings: Settings,
    pub(crate) classifier: classifier::Classifier,
    /// Wakes the worker.
    pub(crate) wake: Arc<Notify>,
    /// One question to the provider at a time.
    pub(crate) fetching: Arc<Mutex<()>>,
}

/// Times and rules.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// For how long an answer of the provider is used without asking again.
    pub refresh_s: i64,
    /// For how long it is used while the provider does not answer.
    pub stale_s: i64,
    /// Between two reports to the provider.
    pub report_s: i64,
    /// Events from outside that are older are not taken, so that their keys need not be known for ever.
    pub event_window_s: i64,
    /// Whether users of the domain of an organisation's administrator get its customer token.
    pub email_domain_rule: bool,
}

impl Deps {
    /// Reads the configuration and migrates the tables.
    ///
    /// # Errors
    /// What is wrong with the configuration, for its operator, or why the store cannot be used.
    pub async fn open(db: Db, peers: Peers, config: &Config, secrets: &Secrets) -> Result<Self, Error> {
        let refused = |problem: String| Error::internal(format!("billing: {problem}"));
        let plans = match config.get("billing.plans_file") {
            "" => Plans::compiled_in(),
            path => {
                let text = std::fs::read_to_string(path).map_err(|error| refused(format!("{path}: {error}")))?;
                Plans::parse(&text).map_err(|problem| refused(format!("{path}: {problem}")))?
            }
        };
        let provider = match config.get("billing.provider") {
            "stigg" => {
                let feature_ids = config.get("stigg.feature_ids").split(',').filter_map(|pair| pair.split_once('='));
                Provider::Stigg(
                    Stigg::new(StiggConfig {
                        url: config.get("stigg.url").to_owned(),
                        server_key: config.get("stigg.server_key").to_owned(),
                        signing_key: config.get("stigg.signing_key").to_owned(),
                        first_plan_id: config.get("stigg.first_plan_id").to_owned(),
                        feature_ids: feature_ids.map(|(f, id)| (f.trim().to_owned(), id.trim().to_owned())).collect(),
                    })
                    .map_err(refused)?,
                )
            }
            _ => Provider::BuiltIn(SigningKey::new(secrets.derive("customer token"))),
        };
        let seconds = |key: &str| config.get(key).parse::<i64>().unwrap_or(0);
        let settings = Settings {
            refresh_s: seconds("billing.refresh_s"),
            stale_s: seconds("billing.stale_s"),
            report_s: seconds("billing.report_s"),
            event_window_s: seconds("billing.event_window_days").saturating_mul(86_400),
            email_domain_rule: config.flag("billing.email_domain_rule"),
        };
        Self::new(db, peers, provider, plans, Clock::system(), settings).await
    }

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
        settings: Settings,
    ) -> Result<Self, Error> {
        db.migrate(&MIGRATIONS).await?;
        let (provider, plans) = (Arc::new(provider), Arc::new(plans));
        let classifier = classifier::Classifier::default();
        let (wake, fetching) = (Arc::default(), Arc::default());
        Ok(Self { db, peers, provider, plans, clock, settings, classifier, wake, fetching })
    }
}

/// The service without its guard.
pub fn service(deps: Deps) -> Routes {
    let rpc = rpc::Rpc::new(deps);
    Routes::new(BillingServiceServer::new(rpc.clone()))
        .add_service(SubscriptionServiceServer::new(rpc.clone()))
        .add_service(MeteringServiceServer::new(rpc.clone()))
        .add_service(JobServiceServer::new(rpc.clone()))
        .add_service(AgentAnalysisServiceServer::new(rpc))
}
