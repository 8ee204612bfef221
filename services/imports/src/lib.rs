//! Imports: uploads, their logs, and the jobs that turn files into ingest records.
//!
//! Owns the tables `uploads`, `upload_groups`, `upload_operations`, `postman_credentials` and
//! `import_specifications`, and the spool directory `uploads` under the data directory. Records leave through the log;
//! collections are asked of the inventory with the rights of the user; every call that leaves the installation goes
//! through [`portolan_fetch`].
//!
//! # Invariants
//! - A file that is refused changes nothing: it is checked before the first record is appended.
//! - An import is answered only when its records, or its file, are stored durably.
//! - Every append has a producer and a sequence that follow from the upload, so that nothing is ingested twice.
//! - A raw file is removed as soon as its job ends.
//! - A job that always fails, panics, hangs, or cannot be read ends as failed, with its reason, and holds up no other.
//!
//! Start at `receive`, `har`, `openapi` and `postman` for what comes in, at `import_job` for what becomes of it.

mod announce;
mod convert;
mod deps;
mod documents;
mod error;
mod har;
mod imperva;
mod import_job;
mod ingest;
mod jobs;
mod maintenance;
mod migrations;
mod model;
mod openapi;
mod options;
mod peek;
mod peers;
mod postman;
mod receive;
mod retention;
mod rpc;
mod service;
mod sight;
mod spool;
mod store;
mod targets;
mod turns;
mod uploads;
mod url_import;
mod worker;

use error::Error;

pub use deps::Deps;
pub use migrations::TABLES;
pub use model::sealed::SEALED;
pub use options::{ImportsOptions, Options, PostmanOptions};
pub use service::{Imports, routes, start};
