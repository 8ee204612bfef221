//! The gateway as a part of a process, and as a process of its own.

use std::{process::ExitCode, sync::Arc};

use portolan_authz::Guard;
use portolan_runtime::{
    Peers, Process, Readiness, Stop,
    budget::CallBudget,
    process::{self, BoxError},
    telemetry,
};

use crate::{
    authenticator::GuardAuthenticator,
    idempotency_table::{IdempotencyTable, TABLES},
    options::Options,
    origin::Site,
    ports::{Backends, GatewayDeps},
};

/// Of its process, and in the store.
const NAME: &str = "gateway";
const PROGRAM: &str = "portolan-gateway";

impl Backends {
    /// Every service at its address, or in this process. Calls keep the deadlines of their clients: an upload may last
    /// for hours.
    pub fn of(peers: &Peers) -> Self {
        let mut backends = Self::default();
        for (package, channel) in [
            ("portolan.identity.v1", &peers.identity),
            ("portolan.tokens.v1", &peers.tokens),
            ("portolan.inventory.v1", &peers.inventory),
            ("portolan.imports.v1", &peers.imports),
            ("portolan.billing.v1", &peers.billing),
        ] {
            backends.insert(package, channel.without_deadline());
        }
        backends
    }
}

impl GatewayDeps {
    /// What the gateway of a process works with; `guard` checks credentials, `readiness` is what `/readyz` says, and
    /// `budget` counts what calls take.
    ///
    /// # Errors
    /// What is wrong with the options; when the store cannot be reached or migrated.
    pub async fn open(
        process: &Process,
        backends: Backends,
        guard: Guard,
        readiness: Arc<Readiness>,
        budget: CallBudget,
    ) -> Result<Self, BoxError> {
        let options = Options::read(&process.config)?;
        Ok(Self {
            backends,
            authenticator: Arc::new(GuardAuthenticator::new(guard, process.peers.auth.clone())),
            site: Site::new(&options.public_url, process.proxies.clone())?,
            readiness,
            idempotency: Arc::new(IdempotencyTable::open(process.db(NAME).await?).await?),
            sunset: options.sunset,
            budget,
        })
    }
}

/// Runs the gateway as a process of its own until SIGTERM or SIGINT.
pub fn main() -> ExitCode {
    process::run(run())
}

async fn run() -> Result<(), BoxError> {
    let stop = Stop::listen()?;
    let config = process::parse(PROGRAM).load()?;
    // One provider for every TLS connection of the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let _telemetry = telemetry::init(&config, PROGRAM)?;
    let start = async {
        let listener = process::listen("http.addr", &config.shared.http.addr).await?;
        let process = Process::of_services(config, &[NAME], &[TABLES]).await?;
        process::look_at_cache(process.redis.as_ref()).await;
        let db = process.db(NAME).await?;
        let (guard, relay) = portolan_outbox::start(&process, &db, process.remote_guard()).await?;
        let (backends, readiness) = (Backends::of(&process.peers), process.readiness_with_peers(&db).shared());
        let budget = CallBudget::read(&process.config)?;
        let router = crate::router(GatewayDeps::open(&process, backends, guard, readiness, budget).await?)?;
        if !process.config.shared.metrics.addr.is_empty() {
            let address = process::listen("metrics.addr", &process.config.shared.metrics.addr).await?;
            telemetry::serve_metrics(address, process.readiness(&db).shared());
        }
        process::tell_connections(&process.store).await?;
        Ok::<_, BoxError>((listener, process, router, relay))
    };
    let Some(started) = stop.unless_told(start).await else { return Ok(()) };
    let (listener, process, router, relay) = started?;
    let tls = process.http_tls()?;
    let scheme = process.config.shared.http.scheme();
    println!("{PROGRAM} ready http={scheme}://{}", listener.local_addr()?);
    let work = async {
        crate::serve(listener, router, tls, stop.after_delay(&process.config)).await;
        relay.stop().await;
    };
    process::within_drain_time(work).await;
    Ok(())
}
