//! The start and the end of a process: arguments, configuration, store, signals.

use std::{future::Future, net::SocketAddr, path::PathBuf, pin::Pin, process::ExitCode, sync::Arc, time::Duration};

use portolan_authz::{Cache, GRANTS, Guard, Redis, ServiceAuth};
use portolan_fetch::Fetch;
use portolan_limit::Limits;
use portolan_store::{Db, Store};
use tokio::net::TcpListener;
use tonic::service::Routes;

use crate::{Config, Peers, RemoteIdentities, Secrets, Stop, Tls, grpc_routes, merge, serve_grpc, telemetry};

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Work that goes on after the listeners have closed is cut off after this.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(9);

/// Flags of every process.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ProcessArgs {
    /// Where keys, uploads and the embedded database lie.
    #[arg(long, default_value = "./data", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// A TOML file; variables PORTOLAN__SECTION__KEY override it.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address of the HTTP server; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    pub http: Option<SocketAddr>,
    /// Address of the gRPC server; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    pub grpc: Option<SocketAddr>,
}

impl ProcessArgs {
    /// Reads the file and the environment; flags win.
    ///
    /// # Errors
    /// Every problem of the configuration.
    pub fn load(&self) -> Result<Config, BoxError> {
        let file = match &self.config {
            Some(path) => Some(std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?),
            None => None,
        };
        let mut config = Config::load(self.data_dir.clone(), file.as_deref(), std::env::vars())?;
        for (key, address) in [("http.addr", self.http), ("grpc.addr", self.grpc)] {
            if let Some(address) = address {
                config.set(key, address.to_string())?;
            }
        }
        Ok(config)
    }
}

/// What every process has.
#[derive(Clone)]
pub struct Process {
    pub config: Config,
    pub store: Store,
    pub secrets: Secrets,
    /// Where `cache.url` names one.
    pub redis: Option<Redis>,
    pub peers: Peers,
    /// Certificates of the connections between services, where they are configured.
    pub tls: Option<Arc<Tls>>,
    /// The client of every call that leaves the installation.
    pub fetch: Fetch,
    /// Whether one guard and one relay serve every service of this process.
    pub is_whole: bool,
}

impl Process {
    /// Opens the data directory, the secret key and the store.
    ///
    /// # Errors
    /// Whatever keeps the process from starting, worded for its operator.
    pub async fn open(config: Config) -> Result<Self, BoxError> {
        std::fs::create_dir_all(&config.data_dir)
            .map_err(|error| format!("data directory {}: {error}", config.data_dir.display()))?;
        let secrets = Secrets::load_or_create(&config.secret_key_file())?;
        let store = Store::connect(&config.store_url()).await?;
        let tls = Tls::open(&config)?;
        let auth = ServiceAuth::new(&secrets.derive("service token")).named(&program());
        let peers = Peers::with_tls(&config, auth, tls.clone())?;
        let fetch = Fetch::new(config.fetch_policy()?);
        let redis = match config.get("cache.url") {
            "memory:" => None,
            url => Some(Redis::new(url, &secrets.installation())?),
        };
        Ok(Self { config, store, secrets, redis, peers, tls, fetch, is_whole: false })
    }

    /// The store as one service sees it.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn db(&self, service: &str) -> Result<Db, BoxError> {
        Ok(self.store.service(service).await?)
    }

    /// A cache of values that other processes read or change too: in Redis, or none.
    pub fn shared_cache<V>(&self, space: &'static str) -> Cache<V> {
        match &self.redis {
            Some(redis) => Cache::redis(redis.clone(), space),
            None => Cache::Off,
        }
    }

    /// A cache of values that are read and changed in this process only, unless it shares a Redis with others.
    pub fn own_cache<V>(&self, space: &'static str) -> Cache<V> {
        match &self.redis {
            Some(redis) => Cache::redis(redis.clone(), space),
            None => Cache::memory(),
        }
    }

    /// Counters for many requests a second: in Redis, else in this process alone.
    pub fn limits(&self) -> Limits {
        self.redis.clone().map_or_else(Limits::memory, Limits::Redis)
    }

    /// Counters that every replica shares and that outlive a restart: in Redis, else beside the tables of `db`.
    ///
    /// # Errors
    /// When the store cannot be reached or migrated.
    pub async fn durable_limits(&self, db: &Db) -> Result<Limits, BoxError> {
        match &self.redis {
            Some(redis) => Ok(Limits::Redis(redis.clone())),
            None => Ok(Limits::in_table(db).await?),
        }
    }

    /// A guard that asks identity over its channel what the shared cache does not know.
    pub fn remote_guard(&self) -> Guard {
        let identities = RemoteIdentities::new(self.peers.clone(), self.shared_cache(GRANTS));
        let limits = crate::PeerLimits(self.peers.clone());
        Guard::new(Arc::new(identities), self.peers.auth.clone()).with_limits(Arc::new(limits))
    }
}

/// A service that is ready to be served.
pub struct Built {
    pub routes: Routes,
    pub guard: Guard,
    /// Ends background work at its next safe point; run when the server has ended.
    pub on_stop: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Built {
    /// A service without background work.
    pub fn new(routes: Routes, guard: Guard) -> Self {
        Self { routes, guard, on_stop: Box::pin(std::future::ready(())) }
    }

    /// Also ends this work, after what was added before.
    #[must_use]
    pub fn stopping(self, work: impl Future<Output = ()> + Send + 'static) -> Self {
        let before = self.on_stop;
        Self {
            on_stop: Box::pin(async move {
                before.await;
                work.await;
            }),
            ..self
        }
    }
}

/// Runs the services of one proto package as a process of their own until SIGTERM or SIGINT.
pub async fn run_service<F>(package: &'static str, build: impl FnOnce(Process) -> F) -> ExitCode
where
    F: Future<Output = Result<Built, BoxError>>,
{
    let result = async {
        let stop = Stop::listen()?;
        // One provider for every TLS connection of the process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = parse(package).load()?;
        let _telemetry = telemetry::init(&config, package)?;
        let start = async {
            let listener = listen(&config, "grpc.addr").await?;
            let process = Process::open(config.clone()).await?;
            let tls = process.tls.clone();
            let built = build(process).await?;
            let routes = merge([grpc_routes(&[package]).await?, built.routes]);
            if !config.get("metrics.addr").is_empty() {
                telemetry::serve_metrics(listen(&config, "metrics.addr").await?);
            }
            Ok::<_, BoxError>((listener, routes, built.guard, tls, built.on_stop))
        };
        let Some(started) = stop.unless_told(start).await else { return Ok(()) };
        let (listener, routes, guard, tls, on_stop) = started?;
        println!("{package} ready grpc={}", listener.local_addr()?);
        let work = async {
            serve_grpc(listener, routes, guard, tls, stop.after_delay(&config)).await?;
            on_stop.await;
            Ok::<_, BoxError>(())
        };
        within_drain_time(work).await.unwrap_or(Ok(()))
    };
    finish(result.await)
}

/// Listens on the address of a configuration key.
///
/// # Errors
/// Names the key, the address and what is wrong with them.
pub async fn listen(config: &Config, key: &str) -> Result<TcpListener, BoxError> {
    let address = config.get(key);
    Ok(TcpListener::bind(address).await.map_err(|error| format!("{key} {address}: {error}"))?)
}

/// The name of this program, under which peers log it.
fn program() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The exit code, with the error on standard error.
pub fn finish(result: Result<(), BoxError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

pub use crate::stop::is_draining;

/// Runs the work of a process until it ends, or is cut off [`DRAIN_TIME_MAX`] after the signal; then `None`.
pub async fn within_drain_time<T>(work: impl Future<Output = T>) -> Option<T> {
    let cut_off = async {
        while !is_draining() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tokio::time::sleep(DRAIN_TIME_MAX).await;
    };
    tokio::select! {
        done = work => Some(done),
        () = cut_off => {
            eprintln!("warning: work was still under way after {} s and was cut off", DRAIN_TIME_MAX.as_secs());
            None
        }
    }
}

/// The arguments of a process with this name.
pub fn parse(name: &'static str) -> ProcessArgs {
    use clap::{Args as _, FromArgMatches as _};
    let command = ProcessArgs::augment_args(clap::Command::new(name).version(env!("CARGO_PKG_VERSION")));
    ProcessArgs::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}
