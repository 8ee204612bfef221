use std::{
    path::PathBuf,
    sync::{
        Arc, LazyLock, PoisonError, RwLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use portolan_api::{Error, Seldom};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _,
    RedisError, Script, TlsCertificates, aio::MultiplexedConnection, io::tcp::TcpSettings,
};

/// A call that may be answered without Redis waits this long.
const HURRY: Duration = Duration::from_millis(250);
/// A call that needs Redis waits this long.
const PATIENCE: Duration = Duration::from_secs(1);
/// After a failure those in a hurry do not ask for this long.
const DOWN: Duration = Duration::from_millis(500);
/// Metric of calls that the server did not answer.
const FAILURES: &str = "portolan_cache_failures_total";

/// PEM files for `rediss://`. They are read at each connection, so that replaced ones count without a restart.
#[derive(Clone, Debug, Default)]
pub struct CertificateFiles {
    /// The authority of the server; those of the system without it.
    pub ca: Option<PathBuf>,
    /// What this program shows: certificate and key.
    pub own: Option<(PathBuf, PathBuf)>,
}

/// A Redis server, connected when first used and again after each failure.
///
/// Every key begins with the name of the installation, so that several may share a server, and what is cached also with
/// the id of the server's run: a connection never outlives a run, and what a restarted server reads back from its disk is
/// never looked at.
#[derive(Clone)]
pub struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    address: ConnectionInfo,
    files: CertificateFiles,
    /// As messages name it.
    name: String,
    installation: Arc<str>,
    /// The present connection; taken away by whoever sees it fail.
    session: RwLock<Option<LinkSession>>,
    connecting: tokio::sync::Mutex<()>,
    failed_at: RwLock<Option<Instant>>,
    numbers: AtomicU64,
    /// Calls without an answer yet.
    under_way: AtomicU32,
}

/// A call, from its question to its answer or to the moment in which nobody waits for it.
struct UnderWay<'i>(&'i Inner);

impl<'i> UnderWay<'i> {
    fn begin(inner: &'i Inner) -> Self {
        inner.under_way.fetch_add(1, Ordering::Relaxed);
        Self(inner)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One connection to one run of the server.
#[derive(Clone)]
pub struct LinkSession {
    number: u64,
    /// Shared by every caller.
    pub connection: MultiplexedConnection,
    /// What every key of this run begins with.
    pub prefix: Arc<str>,
    /// The name of the installation, with which every other key begins.
    pub installation: Arc<str>,
}

impl Redis {
    /// `redis://[user:password@]host:port[/database]`, or `rediss://…` over TLS. Connects later. All processes of one
    /// installation name it alike, and no other does.
    ///
    /// # Errors
    /// When the address cannot be read.
    pub fn new(url: &str, installation: &str) -> Result<Self, String> {
        Self::with_files(url, installation, CertificateFiles::default())
    }

    /// The same with certificates.
    ///
    /// # Errors
    /// When the address or a file cannot be read, and when certificates come with an address without TLS.
    pub fn with_files(url: &str, installation: &str, files: CertificateFiles) -> Result<Self, String> {
        let unreadable = |error: RedisError| format!("cache.url: {error}");
        // From zero on, so that the first failure is an increase.
        metrics::counter!(FAILURES).increment(0);
        // Many calls share a connection: a small one must not wait until the one before it is confirmed.
        let tcp = TcpSettings::default().set_nodelay(true);
        let address = url.into_connection_info().map_err(unreadable)?.set_tcp_settings(tcp);
        if matches!(address.addr(), ConnectionAddr::Tcp(_, 0) | ConnectionAddr::TcpTls { port: 0, .. }) {
            return Err("cache.url: its port is 0".to_owned());
        }
        let name = format!("Redis at {}", address.addr());
        let inner = Inner {
            address,
            files,
            name,
            installation: installation.into(),
            session: RwLock::default(),
            connecting: tokio::sync::Mutex::default(),
            failed_at: RwLock::default(),
            numbers: AtomicU64::new(0),
            under_way: AtomicU32::new(0),
        };
        inner.client()?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The server with its address.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Calls of this process that Redis has not answered yet.
    pub fn under_way(&self) -> u32 {
        self.inner.under_way.load(Ordering::Relaxed)
    }

    /// Runs a call whose answer can be had elsewhere: fails soon, and at once for a while after a failure.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn hurried<T, F>(&self, call: impl FnOnce(LinkSession) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let failed_at = *self.inner.failed_at.read().unwrap_or_else(PoisonError::into_inner);
        if failed_at.is_some_and(|at| at.elapsed() < DOWN) {
            return Err(Error::unavailable(format!("{} failed a moment ago", self.inner.name)));
        }
        self.within(HURRY, call).await
    }

    /// Runs a call that needs Redis.
    ///
    /// # Errors
    /// `UNAVAILABLE`. Whether the call was carried out is not known then.
    pub async fn patient<T, F>(&self, call: impl FnOnce(LinkSession) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        self.within(PATIENCE, call).await
    }

    /// For connections that are kept apart from those of calls, with the name of the installation.
    ///
    /// # Errors
    /// What is wrong with the certificates.
    pub(crate) fn client(&self) -> Result<(Client, Arc<str>), String> {
        Ok((self.inner.client()?, self.inner.installation.clone()))
    }

    /// Returns when Redis does, for readiness checks.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn ping(&self) -> Result<(), Error> {
        // A replica, a full memory and a user with too few rights answer PING all the same: this writes as changes do.
        static SCRIPT: LazyLock<Script> =
            LazyLock::new(|| Script::new("redis.call('SET', KEYS[1], '1', 'PX', '1000') return 0"));
        let ping = async |mut session: LinkSession| {
            let key = format!("portolan:{}:ready", session.installation);
            SCRIPT.key(key).invoke_async::<()>(&mut session.connection).await
        };
        self.patient(ping).await
    }

    async fn within<T, F>(&self, time: Duration, call: impl FnOnce(LinkSession) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let _under_way = UnderWay::begin(&self.inner);
        let mut used = None;
        let outcome = tokio::time::timeout(time, async {
            let session = self.session().await?;
            used = Some(session.number);
            call(session).await.map_err(|error| error.to_string())
        });
        let error = match outcome.await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => error,
            Err(_) => format!("no answer in {} ms", time.as_millis()),
        };
        metrics::counter!(FAILURES).increment(1);
        static TOLD: Seldom = Seldom::new();
        if TOLD.admits(&self.inner.name).is_some() {
            tracing::warn!(server = self.inner.name, error, "the cache does not answer");
        }
        let error = Error::unavailable(format!("{}: {error}", self.inner.name));
        *self.inner.failed_at.write().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let mut session = self.inner.session.write().unwrap_or_else(PoisonError::into_inner);
        if session.as_ref().map(|session| session.number) == used {
            *session = None;
        }
        Err(error)
    }

    fn present(&self) -> Option<LinkSession> {
        self.inner.session.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn session(&self) -> Result<LinkSession, String> {
        let text = |error: RedisError| error.to_string();
        if let Some(session) = self.present() {
            return Ok(session);
        }
        let _one = self.inner.connecting.lock().await;
        if let Some(session) = self.present() {
            return Ok(session);
        }
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
        let mut connection =
            self.inner.client()?.get_multiplexed_async_connection_with_config(&config).await.map_err(text)?;
        let info: String = redis::cmd("INFO").arg("server").query_async(&mut connection).await.map_err(text)?;
        let run = info.lines().find_map(|line| line.strip_prefix("run_id:")).map(str::trim).unwrap_or_default();
        if run.is_empty() {
            return Err("INFO names no run_id".into());
        }
        let session = LinkSession {
            number: self.inner.numbers.fetch_add(1, Ordering::Relaxed),
            connection,
            prefix: format!("portolan:{}:{}:", self.inner.installation, &run[..run.len().min(16)]).into(),
            installation: self.inner.installation.clone(),
        };
        *self.inner.session.write().unwrap_or_else(PoisonError::into_inner) = Some(session.clone());
        *self.inner.failed_at.write().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(session)
    }
}

impl Inner {
    fn client(&self) -> Result<Client, String> {
        let unusable = |error: RedisError| format!("{}: {error}", self.name);
        let read = |path: &PathBuf| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        let CertificateFiles { ca, own } = &self.files;
        if ca.is_none() && own.is_none() {
            return Client::open(self.address.clone()).map_err(unusable);
        }
        if !matches!(self.address.addr(), ConnectionAddr::TcpTls { .. }) {
            return Err("cache.url: certificates need rediss://".into());
        }
        let client_tls = match own {
            Some((cert, key)) => Some(ClientTlsConfig { client_cert: read(cert)?, client_key: read(key)? }),
            None => None,
        };
        let root_cert = ca.as_ref().map(read).transpose()?;
        Client::build_with_tls(self.address.clone(), TlsCertificates { client_tls, root_cert }).map_err(unusable)
    }
}
