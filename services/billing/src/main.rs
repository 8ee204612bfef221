//! The billing service as a process of its own.

use std::process::ExitCode;

use portolan_billing::{Deps, PACKAGE, SERVICE, service, start_work};
use portolan_runtime::{Built, process};

#[global_allocator]
static ALLOCATOR: portolan_runtime::Allocator = portolan_runtime::Allocator;

#[tokio::main]
async fn main() -> ExitCode {
    process::run_service(PACKAGE, async |process| {
        let db = process.db(SERVICE).await?;
        let (guard, relay) = portolan_outbox::start(&process, &db, process.remote_guard()).await?;
        let deps = Deps::open(db, process.peers.clone(), &process.config, &process.secrets).await?;
        let work = start_work(deps.clone());
        Ok(Built::new(service(deps), guard).stopping(work.stop()).stopping(relay.stop()))
    })
    .await
}
