//! Everything in one process: the same services, gateway and calls as in six, over channels that stay in it.

use std::sync::Arc;

use portolan_authz::Guard;
use portolan_billing::Billing;
use portolan_gateway::{Backends, GatewayDeps, GuardAuthenticator, IdempotencyTable, Site};
use portolan_identity::Identity;
use portolan_imports::Imports;
use portolan_inventory::Inventory;
use portolan_log::Log;
use portolan_runtime::{
    DirectoryLock, GrpcService, Opened, Process, ProcessArgs, Readiness, Service as _, Stop, Tasks,
    budget::BodyBudget,
    grpc_routes, guarded, merge,
    process::{BoxError, listen, look_at_cache, tell_connections, waiting, within_drain_time},
    readiness::check,
    serve_grpc, telemetry,
};
use portolan_tokens::Tokens;
use tokio::sync::watch;
use tonic::service::Routes;

/// Starts, prints the line `portolan ready …` on standard output, and serves until SIGTERM or SIGINT.
pub(crate) async fn run(arguments: &ProcessArgs) -> Result<(), BoxError> {
    let told = Stop::listen()?;
    let config = arguments.load()?;
    let _telemetry = telemetry::init(&config, "portolan")?;
    let equal_ports = config.equal_ports();
    if !equal_ports.is_empty() {
        return Err(equal_ports.join("; ").into());
    }
    let _lock = DirectoryLock::take(&config)?;
    let start = async {
        let http = listen("http.addr", &config.shared.http.addr).await?;
        let grpc = listen("grpc.addr", &config.shared.grpc.addr).await?;
        let process = Process { is_whole: true, ..Process::open(config.clone()).await? };
        look_at_cache(process.redis.as_ref()).await;
        let services = Services::open(&process).await?;
        let admin = portolan_identity::Options::read(&config)?.admin;
        portolan_identity::first_start(&services.identity, &admin, &config.data_dir).await?.tell();
        Ok::<_, BoxError>((http, grpc, process, services))
    };
    let Some(started) = told.unless_told(start).await else { return Ok(()) };
    let (http, grpc, process, services) = started?;
    let config = &process.config;

    let (store, log) = (process.store.clone(), services.log.clone());
    let readiness = process
        .readiness(&services.identity.db)
        .with("log", check(move || portolan_inventory::log_readiness(store.clone(), log.clone())))
        .shared();
    if !config.shared.metrics.addr.is_empty() {
        telemetry::serve_metrics(listen("metrics.addr", &config.shared.metrics.addr).await?, readiness.clone());
    }
    let (stop, stopped) = watch::channel(false);
    let stopping = |mut stopped: watch::Receiver<bool>| async move {
        // A sender that is gone means the same as its signal.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let grpc_address = grpc.local_addr()?;
    let packages = services.routes.iter().map(|(package, _)| *package).collect::<Vec<_>>();
    let all = merge(
        services
            .routes
            .iter()
            .map(|(_, routes)| routes.clone())
            .chain([grpc_routes(&packages, readiness.clone()).await?]),
    );
    let (guard, bodies) = (services.guard.clone(), BodyBudget::read(&process.config)?);
    let grpc =
        tokio::spawn(serve_grpc(grpc, all, guard, bodies.clone(), process.tls.clone(), stopping(stopped.clone())));
    let router = portolan_gateway::router(gateway(&process, &services, readiness, bodies).await?)?;
    tell_connections(&process.store).await?;
    let http_address = http.local_addr()?;
    let http = tokio::spawn(portolan_gateway::serve(http, router, process.http_tls()?, stopping(stopped)));

    let data = config.data_dir.display();
    println!("portolan ready http=http://{http_address} grpc={grpc_address} data={data}");
    if config.data_dir.join("admin-api-key").exists() {
        eprintln!("the API key is in {data}/admin-api-key; try:");
        eprintln!(
            "  curl -s http://{http_address}/api/getAllCollections -H \"x-api-key: $(cat {data}/admin-api-key)\" \
             -H 'content-type: application/json' -d '{{}}'"
        );
    } else {
        eprintln!("{data}/admin-api-key is not there any more; `portolan keys create --data-dir {data}` makes a key");
    }
    told.after_delay(config).await;
    stop.send_replace(true);
    let drained = async {
        let _ = tokio::join!(http, grpc);
        services.stop().await;
    };
    within_drain_time(drained).await;
    Ok(())
}

/// The services of the process, connected to each other.
pub(crate) struct Services {
    identity: portolan_identity::Deps,
    guard: Guard,
    /// By proto package, without guards.
    routes: Vec<(&'static str, Routes)>,
    /// By proto package, with guards.
    guarded: Vec<(&'static str, GrpcService)>,
    relay: portolan_outbox::RelayHandle,
    meter: portolan_meter::FoldHandle,
    /// Of imports, inventory, tokens, identity and billing, in the order of their ends.
    tasks: [Tasks; 5],
    log: Log,
}

impl Services {
    /// Migrates and opens every service.
    pub(crate) async fn open(process: &Process) -> Result<Self, BoxError> {
        let peers = &process.peers;
        let config = &process.config;
        let open = async || Log::open(&config.shared.log.url, &config.shared.log.topic, &process.store).await;
        // Tables are there or not; a broker is waited for.
        let is_away = |error: &portolan_log::Error| matches!(error, portolan_log::Error::Broker(_));
        let log = waiting("the log", is_away, open).await?;

        let (Opened { routes: identity_routes, guard, tasks: identity_tasks }, identity) =
            Identity::open_with_deps(process).await?;
        let Opened { routes: tokens_routes, tasks: tokens_tasks, .. } = Tokens::open(process).await?;
        let Opened { routes: inventory_routes, tasks: inventory, .. } =
            Inventory::open_on(process, log.clone()).await?;
        let Opened { routes: imports_routes, tasks: imports, .. } = Imports::open_on(process, log.clone()).await?;

        let Opened { routes: billing_routes, tasks: billing_tasks, .. } = Billing::open(process).await?;

        let routes = vec![
            (Identity::PACKAGE, identity_routes),
            (Tokens::PACKAGE, tokens_routes),
            (Inventory::PACKAGE, inventory_routes),
            (Imports::PACKAGE, imports_routes),
            (Billing::PACKAGE, billing_routes),
        ];
        // The guard of identity serves all: it asks identity without the wire, which every request would pay for.
        let guard = guard.with_audit(Arc::new(portolan_outbox::AuditLog::new(identity.db.clone())));
        let channels = [&peers.identity, &peers.tokens, &peers.inventory, &peers.imports, &peers.billing];
        let mut services = Vec::new();
        for ((package, routes), channel) in routes.iter().zip(channels) {
            let service = guarded(routes.clone(), guard.clone());
            channel.connect_local(service.clone());
            services.push((*package, service));
        }
        let mut relay = portolan_outbox::Relay::to_services(peers);
        for service in ["identity", "tokens", "inventory", "imports"] {
            relay = relay.with_db(&process.db(service).await?);
        }
        let relay = relay.start();
        let meter = portolan_meter::start(&[process.db("identity").await?, process.db("inventory").await?]);
        let tasks = [imports, inventory, tokens_tasks, identity_tasks, billing_tasks];
        Ok(Self { identity, guard, routes, guarded: services, relay, meter, tasks, log })
    }

    /// Ends background work at its next safe point.
    pub(crate) async fn stop(self) {
        for tasks in self.tasks {
            tasks.stop().await;
        }
        self.meter.stop().await;
        self.relay.stop().await;
    }
}

async fn gateway(
    process: &Process,
    services: &Services,
    readiness: Arc<Readiness>,
    bodies: BodyBudget,
) -> Result<GatewayDeps, BoxError> {
    let mut backends = Backends::default();
    for (package, service) in &services.guarded {
        backends.insert(package, service.clone());
    }
    let options = portolan_gateway::Options::read(&process.config)?;
    let db = process.db("gateway").await?;
    Ok(GatewayDeps {
        backends,
        authenticator: Arc::new(GuardAuthenticator::new(services.guard.clone(), process.peers.auth.clone())),
        site: Site::new(&options.public_url, process.proxies.clone())?,
        readiness,
        idempotency: Arc::new(IdempotencyTable::open(db).await?),
        sunset: options.sunset,
        bodies,
    })
}
