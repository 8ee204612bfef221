//! Billing: plans and limits of organizations, what their accounts use, and what users ask AI agents.
//!
//! Owns the tables `billing_accounts`, `billing_organizations`, `billing_overages`, `billing_leases`, `usage_events`,
//! `usage_buckets`, `usage_versions`, `usage_reports`, `agent_queries`, `agent_analyses`, `agent_topics` and
//! `agent_harms`, and its rows of `jobs`. Asks identity which accounts make up an organization, and identity and
//! inventory to count anew.
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
pub mod cloud_events;
mod deps;
mod domains;
pub mod entitlements;
pub mod forget;
mod migrations;
pub mod model;
mod options;
pub mod organizations;
mod peers;
pub mod provider;
pub mod readings;
pub mod refresh;
pub mod reports;
mod rpc;
mod service;
mod store;
pub mod subscriptions;
pub mod usage;
mod worker;

pub use deps::Deps;
pub use migrations::TABLES;
pub use model::{plans::Plans, stored::STORED};
pub use options::{BillingOptions, BillingRules, Options, ProviderName, StiggOptions};
pub use portolan_jobs::Clock;
pub use service::{Billing, plans};
