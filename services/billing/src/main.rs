//! The billing service as a process of its own.

use std::process::ExitCode;

use portolan_billing::{Deps, PACKAGE, service};
use portolan_runtime::{Built, process};

#[tokio::main]
async fn main() -> ExitCode {
    process::run_service(PACKAGE, async |process| {
        let db = process.db("billing").await?;
        let (guard, relay) = portolan_outbox::start(&process, &db, process.remote_guard()).await?;
        Ok(Built::new(service(Deps { peers: process.peers.clone() }), guard).stopping(relay.stop()))
    })
    .await
}
