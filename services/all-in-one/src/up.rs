//! The services in one process, all of them or those that are named: the same as in six, over channels that stay in the
//! process where both ends are in it.

use std::net::SocketAddr;

use portolan_gateway::GatewayDeps;
use portolan_runtime::{
    Config, DirectoryLock, Process, ProcessArgs, Stop,
    budget::CallBudget,
    grpc_routes, merge,
    process::{BoxError, expect_known, expect_shared, listen, look_at_cache, tell_connections, within_drain_time},
    serve_grpc, telemetry,
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{
    roles::{Role, Roles},
    services::Services,
};

/// What is started.
#[derive(clap::Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    process: ProcessArgs,
    /// Starts these alone, separated by commas, and reaches the others at the addresses of section `peers`.
    #[arg(long, value_name = "SERVICE,…", value_enum, value_delimiter = ',')]
    services: Vec<Role>,
}

/// Starts, prints the line `portolan ready …` on standard output, and serves until SIGTERM or SIGINT.
pub(crate) async fn run(arguments: &UpArgs) -> Result<(), BoxError> {
    let told = Stop::listen()?;
    let mut config = arguments.process.load()?;
    let roles = Roles::named(&arguments.services);
    let _telemetry = telemetry::init(&config, "portolan")?;
    let equal_ports = config.equal_ports();
    if !equal_ports.is_empty() {
        return Err(equal_ports.join("; ").into());
    }
    let start = async {
        let lock = enter(&mut config, &roles).await?;
        let http =
            if roles.have(Role::Gateway) { Some(listen("http.addr", &config.shared.http.addr).await?) } else { None };
        let grpc = if roles.serve_grpc() { Some(listen("grpc.addr", &config.shared.grpc.addr).await?) } else { None };
        let process = match roles.are_all() {
            true => Process { is_whole: true, ..Process::open(config).await? },
            false => Process::of_expected(config, &roles.names()).await?,
        };
        let started = serve(&process, &roles, http, grpc).await?;
        Ok::<_, BoxError>((lock, process, started))
    };
    let Some(started) = told.unless_told(start).await else { return Ok(()) };
    let (_lock, process, Started { services, servers, http, grpc, stop }) = started?;

    let data = process.config.data_dir.display();
    let mut ready = "portolan ready".to_owned();
    if !roles.are_all() {
        ready += &format!(" services={}", roles.names().join(","));
    }
    if let Some(address) = http {
        ready += &format!(" http={}://{address}", process.config.shared.http.scheme());
    }
    if let Some(address) = grpc {
        ready += &format!(" grpc={address}");
    }
    println!("{ready} data={data}");
    if let (true, Some(address)) = (roles.are_all(), http) {
        tell_first_call(&process.config, address);
    }
    told.after_delay(&process.config).await;
    stop.send_replace(true);
    let drained = async {
        for server in servers {
            // A server that failed has said so.
            let _ = server.await;
        }
        services.stop().await;
    };
    within_drain_time(drained).await;
    Ok(())
}

/// Takes the data directory. What is not configured, and data of an earlier version, is refused before anything is made or
/// changed.
async fn enter(config: &mut Config, roles: &Roles) -> Result<Option<DirectoryLock>, BoxError> {
    if !roles.are_all() {
        let names = roles.names();
        config.shared.peers.forget(&names);
        expect_shared(config, &names)?;
    }
    expect_known(config, &roles.tables()).await?;
    DirectoryLock::take(config)
}

/// What serves until it is told to stop.
struct Started {
    services: Services,
    servers: Vec<JoinHandle<()>>,
    http: Option<SocketAddr>,
    grpc: Option<SocketAddr>,
    stop: watch::Sender<bool>,
}

async fn serve(
    process: &Process,
    roles: &Roles,
    http: Option<TcpListener>,
    grpc: Option<TcpListener>,
) -> Result<Started, BoxError> {
    let config = &process.config;
    look_at_cache(process.redis.as_ref()).await;
    let services = Services::open(process, roles).await?;
    if let (true, Some(identity)) = (process.is_whole, services.identity()) {
        let admin = portolan_identity::Options::read(config)?.admin;
        portolan_identity::first_start(identity, &admin, &config.data_dir).await?.tell();
    }
    let db = process.db(roles.names()[0]).await?;
    let own = services.needs(process, process.readiness(&db)).shared();
    // One budget for calls, by either port.
    let budget = CallBudget::read(config)?;
    let (stop, stopped) = watch::channel(false);
    let stopping = |mut stopped: watch::Receiver<bool>| async move {
        // A sender that is gone means the same as its signal.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    if !config.shared.metrics.addr.is_empty() {
        telemetry::serve_metrics(listen("metrics.addr", &config.shared.metrics.addr).await?, own.clone());
    }
    let mut started = Started { services, servers: Vec::new(), http: None, grpc: None, stop };
    let services = &started.services;
    if let Some(listener) = grpc {
        started.grpc = Some(listener.local_addr()?);
        let health = grpc_routes(&services.packages(), own.clone()).await?;
        let routes = merge(services.routes().chain([health]));
        let (guard, tls) = (services.guard.clone(), process.tls.clone());
        let served = serve_grpc(listener, routes, guard, budget.clone(), tls, stopping(stopped.clone()));
        started.servers.push(tokio::spawn(async move {
            if let Err(error) = served.await {
                tracing::error!(%error, "the gRPC server ended");
            }
        }));
    }
    if let Some(listener) = http {
        started.http = Some(listener.local_addr()?);
        // By the name of its guard: a token that the guard is given is made for who speaks.
        let gateway = if process.is_whole { process.clone() } else { process.speaking_as(roles.names()[0]) };
        let readiness = services.needs(process, process.readiness_with_peers(&db)).shared();
        let backends = services.backends(process);
        let deps = GatewayDeps::open(&gateway, backends, services.guard.clone(), readiness, budget).await?;
        let router = portolan_gateway::router(deps)?;
        started.servers.push(tokio::spawn(portolan_gateway::serve(
            listener,
            router,
            process.http_tls()?,
            stopping(stopped),
        )));
    }
    tell_connections(&process.store).await?;
    Ok(started)
}

/// Says how the first call is made.
fn tell_first_call(config: &Config, http: SocketAddr) {
    let (data, scheme) = (config.data_dir.display(), config.shared.http.scheme());
    if config.data_dir.join("admin-api-key").exists() {
        eprintln!("the API key is in {data}/admin-api-key; try:");
        eprintln!(
            "  curl -s {scheme}://{http}/api/getAllCollections -H \"x-api-key: $(cat {data}/admin-api-key)\" \
             -H 'content-type: application/json' -d '{{}}'"
        );
    } else {
        eprintln!("{data}/admin-api-key is not there any more; `portolan keys create --data-dir {data}` makes a key");
    }
}
