//! Whether the server of a store can be reached at all.

use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::Error;

/// A wait for a connection that is longer raises the question whether there is a server.
const SUSPICION: Duration = Duration::from_millis(250);
/// Longest wait for a server to take a connection. Its kernel does that, however busy the server is.
const CONNECT_TIME_MAX: Duration = Duration::from_millis(500);

/// The addresses of a server, or of the servers of a cluster. Callers that wait for it share one attempt to reach it: where
/// none of them takes connections they are refused within a second, while those that wait for a busy one wait on.
pub struct Reach {
    server: &'static str,
    /// Empty for a socket in the file system.
    addresses: Vec<(String, u16)>,
    latest: Mutex<Option<(Instant, Option<String>)>>,
}

impl Reach {
    /// A kind of server, as messages name it, and where it is.
    pub fn to(server: &'static str, addresses: Vec<(String, u16)>) -> Self {
        Self { server, addresses, latest: Mutex::default() }
    }

    pub(crate) fn of_postgres(url: &str) -> Result<Self, Error> {
        // The driver's words, without the URL, which may hold a password.
        let options: PgConnectOptions =
            url.parse().map_err(|error| Error::Configuration(format!("the URL of Postgres: {error}")))?;
        let host = options.get_host();
        if options.get_database().is_none_or(str::is_empty) {
            return Err(Error::Configuration("the URL of Postgres names no database".into()));
        }
        if options.get_port() == 0 {
            return Err(Error::Configuration("the URL of Postgres: its port is 0".into()));
        }
        let is_remote = !host.starts_with('/') && options.get_socket().is_none();
        let address = is_remote.then(|| (host.to_owned(), options.get_port()));
        Ok(Self::to("Postgres", address.into_iter().collect()))
    }

    /// The kind of server with its addresses.
    pub fn name(&self) -> String {
        let shown = self.addresses.iter().map(|(host, port)| format!("{host}:{port}")).collect::<Vec<_>>();
        if shown.is_empty() { self.server.to_owned() } else { format!("{} at {}", self.server, shown.join(",")) }
    }

    /// Does the work, unless it takes long and there is no server.
    ///
    /// # Errors
    /// The server, its address, and why it cannot be reached.
    pub async fn cut_off<T>(&self, work: impl Future<Output = T>) -> Result<T, String> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            gone = self.gone() => Err(gone),
        }
    }

    async fn gone(&self) -> String {
        if self.addresses.is_empty() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(SUSPICION).await;
            let mut latest = self.latest.lock().await;
            let fault = match &*latest {
                Some((at, fault)) if at.elapsed() < SUSPICION => fault.clone(),
                _ => {
                    let fault = self.try_all().await;
                    *latest = Some((Instant::now(), fault.clone()));
                    fault
                }
            };
            if let Some(fault) = fault {
                return fault;
            }
        }
    }

    /// What is wrong with all of them.
    async fn try_all(&self) -> Option<String> {
        let mut causes = Vec::new();
        for attempt in
            self.addresses.iter().map(|address| (address, tokio::spawn(connect(address.clone())))).collect::<Vec<_>>()
        {
            let ((host, port), attempt) = attempt;
            match attempt.await {
                Ok(None) => return None,
                Ok(Some(cause)) => causes.push(format!("{host}:{port}: {cause}")),
                Err(error) => causes.push(format!("{host}:{port}: {error}")),
            }
        }
        Some(format!("{} at {}", self.server, causes.join(", ")))
    }
}

/// What is wrong with one.
async fn connect((host, port): (String, u16)) -> Option<String> {
    match tokio::time::timeout(CONNECT_TIME_MAX, TcpStream::connect((host.as_str(), port))).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("no answer in {} ms", CONNECT_TIME_MAX.as_millis())),
    }
}
