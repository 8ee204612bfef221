//! The inventory service as a process of its own.

use std::process::ExitCode;

use portolan_inventory::{Deps, PACKAGE, SERVICE, service, start_ingest};
use portolan_log::Log;
use portolan_runtime::{Built, process};

#[tokio::main]
async fn main() -> ExitCode {
    process::run_service(PACKAGE, async |process| {
        let config = &process.config;
        let log = Log::open(config.get("log.url"), config.get("log.topic"), &process.store).await?;
        let deps = Deps::new(process.db(SERVICE).await?, log, process.peers.clone());
        let routes = service(deps.clone()).await?;
        let ingest = start_ingest(deps);
        Ok(Built { on_stop: Box::pin(ingest.stop()), ..Built::new(routes, process.remote_guard()) })
    })
    .await
}
