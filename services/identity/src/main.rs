//! The identity service as a process of its own. It makes the first user and the first API key.

use std::{process::ExitCode, sync::Arc};

use portolan_authz::{API_KEYS, GRANTS, Guard};
use portolan_identity::{Deps, PACKAGE, first_start, grants, service};
use portolan_runtime::{Built, guarded, process};

#[global_allocator]
static ALLOCATOR: portolan_runtime::Allocator = portolan_runtime::Allocator;

#[tokio::main]
async fn main() -> ExitCode {
    process::run_service(PACKAGE, async |process| {
        let db = process.db("identity").await?;
        let (grants, keys) = (process.shared_cache(GRANTS), process.shared_cache(API_KEYS));
        let deps =
            Deps::open(db, process.peers.clone(), process.secrets.clone(), grants, keys, &process.config).await?;
        let limits = process.durable_limits(&deps.db).await?;
        let deps = deps.with_limits(limits);
        deps.start();
        let guard = Guard::new(Arc::new(grants::OwnIdentities(deps.clone())), process.peers.auth.clone())
            .with_limits(Arc::new(portolan_runtime::PeerLimits(process.peers.clone())));
        let (guard, relay) = portolan_outbox::start(&process, &deps.db, guard).await?;
        let routes = service(deps.clone());
        process.peers.identity.connect_local(guarded(routes.clone(), guard.clone()));
        let meter = portolan_meter::start(std::slice::from_ref(&deps.db));
        tokio::spawn(make_first_key(deps, process));
        Ok(Built::new(routes, guard).stopping(meter.stop()).stopping(relay.stop()))
    })
    .await
}

/// Repeated until the tokens service answers: processes start in any order, and tokens asks identity in turn.
async fn make_first_key(deps: Deps, process: portolan_runtime::Process) {
    let config = &process.config;
    let tokens = match config.get("peers.tokens") {
        "" => "no address in peers.tokens",
        addresses => addresses,
    };
    let mut said = String::new();
    for attempt in 0_u32.. {
        match first_start(&deps, config.get("admin.email"), config.get("admin.password"), &config.data_dir).await {
            Ok(made) => {
                if let Some((login, password)) = made.generated_password {
                    eprintln!("administrator {login} with password {password} (shown once)");
                }
                return;
            }
            // The first refusals are those of a service that starts at the same time.
            Err(error) if attempt >= 2 && error.to_string() != said => {
                said = error.to_string();
                tracing::warn!(%tokens, cause = said, "the first API key waits for the tokens service");
            }
            Err(_) => {}
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}
