//! The gateway as a process of its own.

use std::{process::ExitCode, sync::Arc};

use portolan_gateway::{
    Backends, BodyBudget, GatewayDeps, GuardAuthenticator, IdempotencyTable, Options, Site, router, serve,
};
use portolan_runtime::{
    Process, Stop,
    process::{self, BoxError},
    telemetry,
};

const NAME: &str = "portolan-gateway";

#[global_allocator]
static ALLOCATOR: portolan_runtime::Allocator = portolan_runtime::Allocator;

#[tokio::main]
async fn main() -> ExitCode {
    process::finish(run().await)
}

async fn run() -> Result<(), BoxError> {
    let stop = Stop::listen()?;
    let config = process::parse(NAME).load()?;
    // One provider for every TLS connection of the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let _telemetry = telemetry::init(&config, NAME)?;
    let start = async {
        let listener = process::listen("http.addr", &config.shared.http.addr).await?;
        let process = Process::of_service(config, "gateway").await?;
        process::look_at_cache(process.redis.as_ref()).await;
        let peers = &process.peers;
        let mut backends = Backends::default();
        for (package, channel) in [
            ("portolan.identity.v1", &peers.identity),
            ("portolan.tokens.v1", &peers.tokens),
            ("portolan.inventory.v1", &peers.inventory),
            ("portolan.imports.v1", &peers.imports),
            ("portolan.billing.v1", &peers.billing),
        ] {
            backends.insert(package, channel.without_deadline());
        }
        let options = Options::read(&process.config)?;
        let db = process.db("gateway").await?;
        let (guard, relay) = portolan_outbox::start(&process, &db, process.remote_guard()).await?;
        let router = router(GatewayDeps {
            backends,
            authenticator: Arc::new(GuardAuthenticator::new(guard, peers.auth.clone())),
            site: Site::new(&options.public_url, process.proxies.clone())?,
            readiness: process.readiness_with_peers(&db).shared(),
            idempotency: Arc::new(IdempotencyTable::open(db).await?),
            sunset: options.sunset,
            bodies: BodyBudget::read(&process.config)?,
        })?;
        if !process.config.shared.metrics.addr.is_empty() {
            let address = process::listen("metrics.addr", &process.config.shared.metrics.addr).await?;
            telemetry::serve_metrics(address, process.readiness(&process.db("gateway").await?).shared());
        }
        process::tell_connections(&process.store).await?;
        Ok::<_, BoxError>((listener, process, router, relay))
    };
    let Some(started) = stop.unless_told(start).await else { return Ok(()) };
    let (listener, process, router, relay) = started?;
    let tls = process.http_tls()?;
    println!("{NAME} ready http=http://{}", listener.local_addr()?);
    let work = async {
        serve(listener, router, tls, stop.after_delay(&process.config)).await;
        relay.stop().await;
    };
    process::within_drain_time(work).await;
    Ok(())
}
