//! The imports service as a process of its own.

use std::process::ExitCode;

use portolan_imports::{Deps, PACKAGE, service, start_jobs};
use portolan_log::Log;
use portolan_runtime::{Built, process, readiness::check};

#[global_allocator]
static ALLOCATOR: portolan_runtime::Allocator = portolan_runtime::Allocator;

#[tokio::main]
async fn main() -> ExitCode {
    process::run_service(PACKAGE, async |process| {
        let config = &process.config;
        let open = async || Log::open(config.get("log.url"), config.get("log.topic"), &process.store).await;
        let log = process::waiting("the log", portolan_log::Error::transient, open).await?;
        let db = process.db("imports").await?;
        let deps = Deps::of(&process, log.clone()).await?;
        let routes = service(deps.clone()).await?;
        let (guard, relay) = portolan_outbox::start(&process, &db, process.remote_guard()).await?;
        let jobs = start_jobs(deps);
        let is_there = check(move || portolan_log::is_there(log.clone()));
        let built = Built::new(routes, guard).checking("log", is_there);
        Ok(built.stopping(jobs.stop()).stopping(relay.stop()))
    })
    .await
}
