//! The inventory service as a process of its own.

use std::process::ExitCode;

use portolan_inventory::ingest::PROBE_ARGUMENT;
use portolan_inventory::{Deps, PACKAGE, SERVICE, probe, service, start_ingest};
use portolan_log::Log;
use portolan_runtime::{Built, process};

#[global_allocator]
static ALLOCATOR: portolan_runtime::Allocator = portolan_runtime::Allocator;

#[tokio::main]
async fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(PROBE_ARGUMENT) {
        return probe().await;
    }
    process::run_service(PACKAGE, async |process| {
        let config = &process.config;
        let log = Log::open(config.get("log.url"), config.get("log.topic"), &process.store).await?;
        let deps = Deps::new(process.db(SERVICE).await?, log, process.peers.clone()).configured(config);
        let deps = deps.probing_in(std::env::current_exe().ok());
        let routes = service(deps.clone()).await?;
        let (guard, relay) = portolan_outbox::start(&process, &deps.db, process.remote_guard()).await?;
        let meter = portolan_meter::start(std::slice::from_ref(&deps.db));
        let ingest = start_ingest(deps);
        Ok(Built::new(routes, guard).stopping(ingest.stop()).stopping(meter.stop()).stopping(relay.stop()))
    })
    .await
}
