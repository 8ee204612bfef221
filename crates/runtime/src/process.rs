//! The start and the end of a process: arguments, configuration, store, signals.

use std::{future::Future, net::SocketAddr, path::PathBuf, pin::Pin, process::ExitCode, sync::Arc, time::Duration};

use portolan_authz::{Cache, Changes, GRANTS, Guard, INSTALLATION, Redis};
use portolan_fetch::Fetch;
use portolan_limit::Limits;
use portolan_proxies::Proxies;
use portolan_store::{Db, Dialect, Store, Tables};
use tokio::net::TcpListener;
use tonic::service::Routes;

use crate::{
    Config, Keys, Peers, Readiness, RemoteIdentities, Secrets, Stop, Tls, budget::CallBudget, caches::Caches,
    directory, grpc_routes, key_mark, key_watch, measures, merge, readiness::check, serve_grpc, stores, telemetry, tls,
};

/// Work that goes on after the listeners have closed is cut off after this.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(9);
/// An embedded database has one writer, and a busy one is no missing one.
const EMBEDDED_TIME_MAX: Duration = Duration::from_secs(10);

/// The services that a process of their own may run.
const SERVICES: [&str; 5] = ["identity", "tokens", "inventory", "imports", "billing"];

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
        let (config, problems) = self.read()?;
        Ok(config.checked(problems)?)
    }

    /// Reads the same, and returns the problems beside a configuration that has them.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&self) -> Result<(Config, Vec<String>), BoxError> {
        let file = match &self.config {
            Some(path) => {
                let name = path.display().to_string();
                Some((std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?, name))
            }
            None => None,
        };
        let file = file.as_ref().map(|(text, name)| (name.as_str(), text.as_str()));
        let flags = [("http.addr", self.http), ("grpc.addr", self.grpc)];
        let flags = flags.into_iter().filter_map(|(key, address)| Some((key, address?.to_string())));
        Ok(Config::read(self.data_dir.clone(), file, std::env::vars(), flags))
    }
}

/// What every process has.
#[derive(Clone)]
pub struct Process {
    /// What it was told.
    pub config: Config,
    /// The database of its services.
    pub store: Store,
    /// The root key, or the derived keys of the one service of the process.
    pub keys: Arc<Keys>,
    /// Where `cache.url` names one.
    pub redis: Option<Redis>,
    /// The ways to the services of the installation.
    pub peers: Peers,
    /// Certificates of the connections between services, where they are configured.
    pub tls: Option<Arc<Tls>>,
    /// Whose word on the client of a request counts.
    pub proxies: Arc<Proxies>,
    /// The client of every call that leaves the installation.
    pub fetch: Fetch,
    /// Caches in the memory of this process.
    pub caches: Caches,
    /// Whether one guard and one relay serve every service of this process.
    pub is_whole: bool,
}

impl Process {
    /// Opens the data directory, the store and the secret key of an installation in one process; what is missing is made, and
    /// a server that does not answer yet is waited for.
    ///
    /// # Errors
    /// Whatever keeps the process from starting, worded for its operator.
    pub async fn open(config: Config) -> Result<Self, BoxError> {
        directory::prepare(&config)?;
        let (store, db) = stores::opened(&config, SERVICES[0]).await?;
        Self::keyed(config, store, &db, &[]).await
    }

    /// Opens what the services of one process share with those of others, and waits for a store that is not there yet.
    /// Identity makes the first key. `tables` are those of the services, of which there is one at least.
    ///
    /// # Errors
    /// What is not configured, by the names of the variables; whatever else keeps the process from starting.
    pub async fn of_services(config: Config, services: &[&str], tables: &[Tables]) -> Result<Self, BoxError> {
        expect_shared(&config, services)?;
        stores::expect_known(&config, tables).await?;
        Self::of_expected(config, services).await
    }

    /// As [`Process::of_services`], where [`expect_shared`] and [`expect_known`] have been asked already.
    ///
    /// # Errors
    /// Whatever keeps the process from starting.
    pub async fn of_expected(config: Config, services: &[&str]) -> Result<Self, BoxError> {
        directory::prepare(&config)?;
        let (store, db) = stores::opened(&config, services[0]).await?;
        let process = Self::keyed(config, store, &db, services).await?;
        for service in &services[1..] {
            let db = process.db(service).await?;
            key_mark::open(&db).await?;
            key_mark::keys(&db, &process.config, false).await?;
        }
        Ok(process)
    }

    /// The same process as one of its services sees it, which speaks to others by its own name.
    #[must_use]
    pub fn speaking_as(&self, service: &str) -> Self {
        let mut process = self.clone();
        process.peers.auth = process.peers.auth.speaking_as(service).named(&program());
        process
    }

    /// Opens an installation that is there, for a command that looks at it or changes rows of it. Nothing is made.
    ///
    /// # Errors
    /// What was looked for and is not there; data of an earlier version.
    pub async fn existing(config: Config, tables: &[Tables]) -> Result<Self, BoxError> {
        let store = existing_store(&config, tables).await?;
        let keys = Keys::load(&config.secret_key_file())?;
        let db = store.service(SERVICES[0]).await?;
        key_mark::open(&db).await?;
        key_mark::check(&db, &keys).await?;
        let speaker = keys.speaker();
        Self::with(config, store, keys, &speaker)
    }

    /// Of these services; of all where none is named.
    async fn keyed(config: Config, store: Store, db: &Db, services: &[&str]) -> Result<Self, BoxError> {
        key_mark::open(db).await?;
        let makes = services.is_empty() || services.contains(&SERVICES[0]);
        let keys = key_mark::keys(db, &config, makes).await?;
        let only = match services {
            [service] => Some(*service),
            _ => None,
        };
        keys.expect(only)?;
        key_watch::start(&keys, db);
        Self::with(config, store, keys, only.unwrap_or(INSTALLATION))
    }

    fn with(config: Config, store: Store, keys: Arc<Keys>, speaker: &str) -> Result<Self, BoxError> {
        let tls = Tls::open(&config)?;
        tls::tell_ends_of_stores(&config);
        let auth = keys.auth(speaker).named(&program());
        let peers = Peers::with_tls(&config, auth, tls.clone())?;
        let fetch = Fetch::new(config.fetch_policy()?);
        let proxies = Arc::new(config.proxies()?);
        let redis = stores::redis(&config, &keys.installation())?;
        if let Some(measured) = redis.clone() {
            measures::also(move || metrics::gauge!("portolan_cache_calls_under_way").set(measured.under_way()));
        }
        measures::tell_disk(config.data_dir.clone());
        let caches = Caches::default();
        Ok(Self { config, store, keys, redis, peers, tls, proxies, fetch, caches, is_whole: false })
    }

    /// The secrets of one service.
    ///
    /// # Errors
    /// When the process has the derived keys of another one.
    pub fn secrets(&self, service: &str) -> Result<Secrets, BoxError> {
        Ok(Secrets::of(&self.keys, service)?)
    }

    /// What the gateway speaks where it asks its clients for a certificate.
    ///
    /// # Errors
    /// When it is to ask and there are no certificates.
    pub fn http_tls(&self) -> Result<Option<Arc<Tls>>, BoxError> {
        match (self.config.shared.http.tls, &self.tls) {
            (false, _) => Ok(None),
            (true, Some(tls)) => Ok(Some(tls.clone())),
            (true, None) => Err("http.tls needs the certificates of [tls]".into()),
        }
    }

    /// The store as one service sees it.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn db(&self, service: &str) -> Result<Db, BoxError> {
        Ok(self.store.service(service).await?)
    }

    /// A cache of values that other processes read or change too: in Redis with copies in each process, or none.
    pub fn shared_cache<V>(&self, space: &'static str) -> Cache<V> {
        match &self.redis {
            Some(redis) => Cache::near(redis.clone(), space),
            None => Cache::Off,
        }
    }

    /// A cache of values that are read and changed in this process only, unless it shares a Redis with others.
    pub fn own_cache<V: Send + Sync + 'static>(&self, space: &'static str) -> Cache<V> {
        match &self.redis {
            Some(redis) => Cache::near(redis.clone(), space),
            None => self.caches.cache(space),
        }
    }

    /// Through which a service announces changes of what another one caches: in Redis, else in the memory of a process
    /// that runs both, else to nobody.
    ///
    /// # Errors
    /// In a process with every service before the one that caches is opened: changes would be announced to nobody.
    pub fn changes(&self, space: &'static str) -> Result<Changes, BoxError> {
        match (&self.redis, self.caches.changes(space)) {
            (Some(redis), _) => Ok(Cache::<()>::near(redis.clone(), space).changes()),
            (None, Some(changes)) => Ok(changes),
            (None, None) if self.is_whole => Err(format!("nobody has made the cache of {space} yet").into()),
            (None, None) => Ok(Changes::off()),
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

    /// What this process needs: the store, which must take writes, and the cache where it is a server. A process that is
    /// told to end is ready for nothing.
    pub fn readiness(&self, db: &Db) -> Readiness {
        let (db, dialect) = (db.clone(), db.dialect());
        let store = check(move || {
            let db = db.clone();
            async move {
                match is_draining() {
                    true => Err("the process is ending".to_owned()),
                    false => db.probe().await.map(|()| format!("{dialect:?} takes writes")).map_err(|e| e.to_string()),
                }
            }
        });
        let all = match dialect {
            Dialect::Sqlite => Readiness::new().with_time("store", EMBEDDED_TIME_MAX, store),
            Dialect::Postgres => Readiness::new().with("store", store),
        };
        let Some(redis) = self.redis.clone() else { return all };
        let cache = check(move || {
            let redis = redis.clone();
            async move {
                let answer = redis.ping().await.map(|()| format!("{} answers", redis.name()));
                answer.map_err(|error| error.cause())
            }
        });
        all.with("cache", cache)
    }

    /// The same, and the services of other processes, each of which says whether it is ready itself.
    pub fn readiness_with_peers(&self, db: &Db) -> Readiness {
        self.peers.remote().into_iter().fold(self.readiness(db), |all, (name, channel)| {
            let peers = self.peers.clone();
            let ready = check(move || {
                let (peers, channel) = (peers.clone(), channel.clone());
                async move { peers.expect_ready(name, channel).await }
            });
            all.with_peer(name, ready)
        })
    }

    /// A guard that asks identity over its channel what the shared cache does not know.
    pub fn remote_guard(&self) -> Guard {
        let identities = RemoteIdentities::new(self.peers.clone(), self.shared_cache(GRANTS));
        let limits = crate::PeerLimits(self.peers.clone());
        let guard = Guard::new(Arc::new(identities), self.peers.auth.clone()).with_limits(Arc::new(limits));
        guard.behind(self.proxies.clone()).with_near_copies(self.redis.as_ref())
    }
}

/// Refuses a configuration that lacks what every process of several must be told, since a default of its own would be
/// another installation. `own` are the services of the process, whose addresses it does not need.
///
/// # Errors
/// The variables that are not set.
pub fn expect_shared(config: &Config, own: &[&str]) -> Result<(), BoxError> {
    let peers = config.shared.peers.each().into_iter().filter(|(service, _)| !own.contains(service));
    let peers = peers.map(|(service, addresses)| (format!("PEERS__{}", service.to_uppercase()), addresses));
    let told = std::iter::once(("STORE__URL".to_owned(), config.shared.store.url.as_str())).chain(peers);
    let missing = told.filter(|(_, value)| value.is_empty());
    let missing = missing.map(|(name, _)| format!("PORTOLAN__{name}")).collect::<Vec<_>>();
    if missing.is_empty() {
        return Ok(());
    }
    let (own, missing) = (own.join(","), missing.join(", "));
    Err(format!("{own} is one process of several and must be told what they share; not set: {missing}").into())
}

/// A service that is ready to be served.
pub struct Built {
    /// What it serves.
    pub routes: Routes,
    /// Goes before all of it.
    pub guard: Guard,
    /// What the service needs beside store and cache.
    pub checks: Vec<(&'static str, crate::readiness::Check)>,
    /// Ends background work at its next safe point; run when the server has ended.
    pub on_stop: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Built {
    /// A service without background work.
    pub fn new(routes: Routes, guard: Guard) -> Self {
        Self { routes, guard, checks: Vec::new(), on_stop: Box::pin(std::future::ready(())) }
    }

    /// Also is ready only while this succeeds.
    #[must_use]
    pub fn checking(mut self, name: &'static str, check: crate::readiness::Check) -> Self {
        self.checks.push((name, check));
        self
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
///
/// # Errors
/// Whatever keeps the process from starting, worded for its operator; a listener that fails later.
pub async fn run_service<F>(
    package: &'static str,
    tables: &'static [Tables],
    build: impl FnOnce(Process) -> F,
) -> Result<(), BoxError>
where
    F: Future<Output = Result<Built, BoxError>>,
{
    let stop = Stop::listen()?;
    // One provider for every TLS connection of the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = parse(package).load()?;
    let _telemetry = telemetry::init(&config, package)?;
    let start = async {
        let listener = listen("grpc.addr", &config.shared.grpc.addr).await?;
        let service = package.split('.').nth(1).unwrap_or(package);
        let process = Process::of_services(config.clone(), &[service], tables).await?;
        let tls = process.tls.clone();
        let readiness = process.readiness(&process.db(service).await?);
        let store = process.store.clone();
        stores::look_at_cache(process.redis.as_ref()).await;
        let built = build(process).await?;
        stores::tell_connections(&store).await?;
        let parts = built.checks.into_iter();
        let readiness = parts.fold(readiness, |all, (name, check)| all.with(name, check)).shared();
        let routes = merge([grpc_routes(&[package], readiness.clone()).await?, built.routes]);
        let metrics = &config.shared.metrics.addr;
        if !metrics.is_empty() {
            telemetry::serve_metrics(listen("metrics.addr", metrics).await?, readiness);
        }
        let budget = CallBudget::read(&config)?;
        Ok::<_, BoxError>((listener, routes, built.guard, budget, tls, built.on_stop))
    };
    let Some(started) = stop.unless_told(start).await else { return Ok(()) };
    let (listener, routes, guard, budget, tls, on_stop) = started?;
    println!("{package} ready grpc={}", listener.local_addr()?);
    let work = async {
        serve_grpc(listener, routes, guard, budget, tls, stop.after_delay(&config)).await?;
        on_stop.await;
        Ok::<_, BoxError>(())
    };
    within_drain_time(work).await.unwrap_or(Ok(()))
}

/// Runs the work of a program on a runtime with a thread for each core.
pub fn run(work: impl Future<Output = Result<(), BoxError>>) -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => finish(runtime.block_on(work)),
        Err(error) => finish(Err(error.into())),
    }
}

/// Listens on the address that a configuration key holds.
///
/// # Errors
/// Names the key, the address and what is wrong with them.
pub async fn listen(key: &str, address: &str) -> Result<TcpListener, BoxError> {
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

pub use crate::{
    error::BoxError,
    stop::is_draining,
    stores::{existing_store, expect_known, look_at_cache, redis, tell_connections, waiting},
};

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
    crate::keep_private();
    let command = ProcessArgs::augment_args(clap::Command::new(name).version(env!("CARGO_PKG_VERSION")));
    ProcessArgs::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}
