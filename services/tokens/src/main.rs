//! The tokens service as a process of its own.

use std::{process::ExitCode, sync::Arc};

use portolan_runtime::{Built, process};
use portolan_tokens::{Deps, PACKAGE, Settings, service};

#[tokio::main]
async fn main() -> ExitCode {
    process::run_service(PACKAGE, async |process| {
        // Nobody caches keys while services are separate, so there is nobody to tell of a change.
        let announce = Arc::new(|_: &str| Box::new(()) as Box<dyn Send + Sync>);
        let settings = Settings::read(&process.config)?;
        let db = process.db("tokens").await?;
        let deps = Deps::open(db, process.peers.clone(), announce, process.secrets.clone(), settings).await?;
        let (guard, relay) = portolan_outbox::start(&process, &deps.db, process.remote_guard()).await?;
        Ok(Built::new(service(deps), guard).stopping(relay.stop()))
    })
    .await
}
