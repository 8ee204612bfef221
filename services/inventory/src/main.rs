//! The inventory service as a process of its own.

use std::process::ExitCode;

use portolan_inventory::ingest::PROBE_ARGUMENT;
use portolan_inventory::{Deps, PACKAGE, SERVICE, log_readiness, probe, service, start_ingest};
use portolan_log::Log;
use portolan_runtime::{Built, process, readiness::check};

#[global_allocator]
static ALLOCATOR: portolan_runtime::Allocator = portolan_runtime::Allocator;

#[tokio::main]
async fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(PROBE_ARGUMENT) {
        return probe().await;
    }
    process::run_service(PACKAGE, async |process| {
        let config = &process.config;
        let open = async || Log::open(config.get("log.url"), config.get("log.topic"), &process.store).await;
        let log = process::waiting("the log", portolan_log::Error::transient, open).await?;
        let deps = Deps::new(process.db(SERVICE).await?, log.clone(), process.peers.clone()).configured(config);
        let deps = deps.probing_in(std::env::current_exe().ok());
        let routes = service(deps.clone()).await?;
        let (guard, relay) = portolan_outbox::start(&process, &deps.db, process.remote_guard()).await?;
        let meter = portolan_meter::start(std::slice::from_ref(&deps.db));
        let ingest = start_ingest(deps);
        let store = process.store.clone();
        let is_there = check(move || log_readiness(store.clone(), log.clone()));
        let built = Built::new(routes, guard).checking("log", is_there);
        Ok(built.stopping(ingest.stop()).stopping(meter.stop()).stopping(relay.stop()))
    })
    .await
}
