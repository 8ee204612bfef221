//! The shape of a service.
//!
//! Every service is a library with the same files, and arrows between them run down only:
//!
//! | file | what it holds |
//! |---|---|
//! | `lib.rs` | what the service owns, its tables, its invariants; modules and what they pass on |
//! | `main.rs` | one call of [`main`] |
//! | `service.rs` | a unit struct that is a [`Service`]: reads the options, opens the store, starts the worker, lists the routes |
//! | `options.rs` | a struct with `deny_unknown_fields` for each of its sections, read by [`crate::Config::section`] |
//! | `rpc/` | wire to model, one call, model to wire; one file a proto service |
//! | `worker.rs` | what runs by itself, begun in [`Tasks`]; calls nouns, never called by them |
//! | `<noun>.rs` | what may be done with a noun; imports `deps`, `model`, `store` and `peers` |
//! | `deps.rs` | what the nouns work with |
//! | `peers.rs` | what is asked of other services, from and to the model |
//! | `store/` | SQL in, model out; imports `model` alone |
//! | `model/` | what things are: no I/O, no wire, no SQL |
//!
//! `crates/testkit/tests/layers` refuses an arrow that runs back.

use std::{future::Future, process::ExitCode};

use portolan_authz::Guard;
use portolan_store::Tables;
use tonic::service::Routes;

use crate::{
    Tasks,
    error::BoxError,
    process::{Built, Process, run, run_service},
};

/// A service of the installation.
pub trait Service {
    /// In the store and in the configuration.
    const NAME: &'static str;
    /// The proto package whose services it serves.
    const PACKAGE: &'static str;
    /// What it owns in the store, and what of others its process brings to this version.
    const TABLES: &'static [Tables];

    /// Reads its options, migrates its tables and begins its tasks.
    fn open(process: &Process) -> impl Future<Output = Result<Opened, BoxError>> + Send;
}

/// A service that is ready to be served.
pub struct Opened {
    /// Its proto services, without a guard.
    pub routes: Routes,
    /// Of a process that runs this service alone.
    pub guard: Guard,
    /// What runs by itself.
    pub tasks: Tasks,
}

/// Runs a service as a process of its own until SIGTERM or SIGINT.
pub fn main<S: Service>() -> ExitCode {
    run(run_service(S::PACKAGE, S::TABLES, async |process| {
        let Opened { routes, guard, tasks } = S::open(&process).await?;
        let mut built = Built::new(routes, guard);
        for (name, check) in tasks.checks() {
            built = built.checking(name, check);
        }
        Ok(built.stopping(tasks.stop()))
    }))
}
