//! The imports service as a process of its own.

use std::process::ExitCode;

use portolan_imports::{Deps, PACKAGE, service, start_jobs};
use portolan_log::Log;
use portolan_runtime::{Built, process};

#[global_allocator]
static ALLOCATOR: portolan_runtime::Allocator = portolan_runtime::Allocator;

#[tokio::main]
async fn main() -> ExitCode {
    process::run_service(PACKAGE, async |process| {
        let config = &process.config;
        let log = Log::open(config.get("log.url"), config.get("log.topic"), &process.store).await?;
        let db = process.db("imports").await?;
        let deps = Deps::of(&process, log).await?;
        let routes = service(deps.clone()).await?;
        let (guard, relay) = portolan_outbox::start(&process, &db, process.remote_guard()).await?;
        let jobs = start_jobs(deps);
        Ok(Built::new(routes, guard).stopping(jobs.stop()).stopping(relay.stop()))
    })
    .await
}
