use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use portolan_api::Error;
use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo as _, RedisError, aio::MultiplexedConnection,
    io::tcp::TcpSettings,
};

/// A call that may be answered without Redis waits this long.
const HURRY: Duration = Duration::from_millis(250);
/// A call that needs Redis waits this long.
const PATIENCE: Duration = Duration::from_secs(2);
/// After a failure those in a hurry do not ask for this long.
const DOWN: Duration = Duration::from_millis(500);

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
    client: Client,
    installation: Arc<str>,
    /// The present connection; taken away by whoever sees it fail.
    session: RwLock<Option<Session>>,
    connecting: tokio::sync::Mutex<()>,
    failed_at: RwLock<Option<Instant>>,
    numbers: AtomicU64,
}

/// One connection to one run of the server.
#[derive(Clone)]
pub struct Session {
    number: u64,
    pub connection: MultiplexedConnection,
    /// What every key of this run begins with.
    pub prefix: Arc<str>,
    /// The name of the installation, with which every other key begins.
    pub installation: Arc<str>,
}

impl Redis {
    /// `redis://[user:password@]host:port[/database]`. Connects later. All processes of one installation name it alike, and
    /// no other does.
    ///
    /// # Errors
    /// When the address cannot be read.
    pub fn new(url: &str, installation: &str) -> Result<Self, String> {
        let unreadable = |error: RedisError| format!("cache.url: {error}");
        // Many calls share a connection: a small one must not wait until the one before it is confirmed.
        let tcp = TcpSettings::default().set_nodelay(true);
        let address = url.into_connection_info().map_err(unreadable)?.set_tcp_settings(tcp);
        let client = Client::open(address).map_err(unreadable)?;
        let inner = Inner {
            client,
            installation: installation.into(),
            session: RwLock::default(),
            connecting: tokio::sync::Mutex::default(),
            failed_at: RwLock::default(),
            numbers: AtomicU64::new(0),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Runs a call whose answer can be had elsewhere: fails soon, and at once for a while after a failure.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn hurried<T, F>(&self, call: impl FnOnce(Session) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let failed_at = *self.inner.failed_at.read().unwrap_or_else(PoisonError::into_inner);
        if failed_at.is_some_and(|at| at.elapsed() < DOWN) {
            return Err(Error::unavailable("Redis failed a moment ago"));
        }
        self.within(HURRY, call).await
    }

    /// Runs a call that needs Redis.
    ///
    /// # Errors
    /// `UNAVAILABLE`. Whether the call was carried out is not known then.
    pub async fn patient<T, F>(&self, call: impl FnOnce(Session) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        self.within(PATIENCE, call).await
    }

    /// Answers when Redis does, for readiness checks.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn ping(&self) -> Result<(), Error> {
        let ping = async |mut session: Session| redis::cmd("PING").query_async::<()>(&mut session.connection).await;
        self.patient(ping).await
    }

    async fn within<T, F>(&self, time: Duration, call: impl FnOnce(Session) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let mut used = None;
        let outcome = tokio::time::timeout(time, async {
            let session = self.session().await?;
            used = Some(session.number);
            call(session).await
        });
        let error = match outcome.await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => Error::unavailable(error),
            Err(_) => Error::unavailable("Redis does not answer in time"),
        };
        *self.inner.failed_at.write().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let mut session = self.inner.session.write().unwrap_or_else(PoisonError::into_inner);
        if session.as_ref().map(|session| session.number) == used {
            *session = None;
        }
        Err(error)
    }

    fn present(&self) -> Option<Session> {
        self.inner.session.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn session(&self) -> Result<Session, RedisError> {
        if let Some(session) = self.present() {
            return Ok(session);
        }
        let _one = self.inner.connecting.lock().await;
        if let Some(session) = self.present() {
            return Ok(session);
        }
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
        let mut connection = self.inner.client.get_multiplexed_async_connection_with_config(&config).await?;
        let info: String = redis::cmd("INFO").arg("server").query_async(&mut connection).await?;
        let run = info.lines().find_map(|line| line.strip_prefix("run_id:")).map(str::trim).unwrap_or_default();
        if run.is_empty() {
            return Err(RedisError::from((redis::ErrorKind::UnexpectedReturnType, "INFO names no run_id")));
        }
        let session = Session {
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
