//! The tokens service as a process of its own.

use std::process::ExitCode;

use portolan_authz::API_KEYS;
use portolan_runtime::{Built, process};
use portolan_tokens::{Deps, PACKAGE, Settings, enforce::Edge, service};

#[global_allocator]
static ALLOCATOR: portolan_runtime::Allocator = portolan_runtime::Allocator;

#[tokio::main]
async fn main() -> ExitCode {
    process::run_service(PACKAGE, async |process| {
        let key_changes = process.shared_cache::<()>(API_KEYS).changes();
        let settings = Settings::read(&process.config)?;
        let db = process.db("tokens").await?;
        let edge = Edge::open(&process, db.clone()).await?;
        let secrets = process.secrets.clone();
        let fetch = process.fetch.clone();
        let deps = Deps::open(db, process.peers.clone(), key_changes, secrets, settings, edge.clone(), fetch).await?;
        let deps = deps.with_limits(process.limits());
        let (guard, relay) = portolan_outbox::start(&process, &deps.db, process.remote_guard()).await?;
        Ok(Built::new(service(deps), guard).stopping(async move {
            edge.stop().await;
            relay.stop().await;
        }))
    })
    .await
}
