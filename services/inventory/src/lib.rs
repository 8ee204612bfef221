//! Inventory: collections, their endpoints and parameters, samples of calls, and the ingest that fills them.
//!
//! Owns the tables `collections`, `endpoints`, `api_endpoints`, `parameters`, `samples`, `ingest_cursors`,
//! `ingest_consumers`, `ingest_lanes`, `ingest_marks`, `inventory_sequences`, `endpoint_reservations`, and
//! rows of `jobs`. Asks identity to add a new collection to those that a restricted user may see, and which accounts
//! share a plan; asks billing what the plan allows.
//!
//! # Invariants
//! - Collection ids are positive, come from one sequence of the installation and are never used again. Collection 0,
//!   "Default", exists in every account.
//! - Everything is stored under the raw URL of a call; the effective URL is a column that may change, so that merging
//!   URLs loses nothing and can be undone.
//! - What a batch of records adds and how far the partition was read are written in one transaction. The tables are a
//!   function of the set of records, whatever their order, their batches and the crashes between.
//! - Only the holder of a collection's row ([`store::collections::lock`]) writes its endpoints, parameters and samples.
//! - An id that is unknown, foreign, deleted or not visible to the caller answers alike.
//!
//! Start reading at [`rpc`] for the way of a request and at [`ingest`] for the way of a record.

mod access;
pub mod access_types;
mod announce;
mod catalogs;
/// What may be done with collections.
pub mod collections;
mod copies;
mod defaults;
pub mod demerge;
mod deps;
pub mod drift;
/// What may be done with endpoints.
pub mod endpoints;
mod error;
pub mod export;
pub mod feed;
#[cfg(any(fuzzing, test))]
mod fuzzing;
pub mod groups;
pub mod ingest;
mod jobs;
mod kept;
mod members;
mod migrations;
/// What things are.
pub mod model;
mod options;
/// What may be done with parameters.
pub mod parameters;
mod peers;
pub mod platform;
mod policies;
pub mod redaction;
pub mod reservations;
/// What is stored, brought to the rules of templates in force.
pub mod retemplating;
pub mod retention;
mod rpc;
pub mod runner;
pub mod samples;
mod service;
/// Counts over endpoints, calls, and issues.
pub mod statistics;
mod store;
mod unreadable;
mod view;
mod worker;
mod writer;

pub use deps::Deps;
pub use error::Error;
#[cfg(fuzzing)]
pub use fuzzing::{Tables, check_rules};
pub use ingest::{dropped, lag, log_readiness, oldest_unread, probe};
pub use migrations::{SERVICE, TABLES};
pub use options::Options;
pub use service::{Inventory, start};
pub use unreadable::unreadable_settings;
