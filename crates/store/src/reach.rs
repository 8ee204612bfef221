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

/// The address of a Postgres server. Callers that wait for a connection share one attempt to reach it: without a server
/// they are refused within a second, while those that wait for a busy one wait on.
pub(crate) struct Reach {
    /// `None` for a socket in the file system.
    address: Option<(String, u16)>,
    latest: Mutex<Option<(Instant, Option<String>)>>,
}

impl Reach {
    pub(crate) fn of(url: &str) -> Result<Self, Error> {
        // The driver's words, without the URL, which may hold a password.
        let options: PgConnectOptions =
            url.parse().map_err(|error| Error::Configuration(format!("the URL of Postgres: {error}")))?;
        let host = options.get_host();
        let address =
            (!host.starts_with('/') && options.get_socket().is_none()).then(|| (host.to_owned(), options.get_port()));
        Ok(Self { address, latest: Mutex::default() })
    }

    /// Does the work, unless it takes long and there is no server.
    ///
    /// # Errors
    /// Those of the work; [`Error::Unavailable`] with the address and the cause.
    pub(crate) async fn cut_off<T, E>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, Error>
    where
        Error: From<E>,
    {
        tokio::select! {
            biased;
            done = work => Ok(done?),
            gone = self.gone() => Err(Error::Unavailable(gone)),
        }
    }

    async fn gone(&self) -> String {
        let Some(address) = &self.address else { return std::future::pending().await };
        loop {
            tokio::time::sleep(SUSPICION).await;
            let mut latest = self.latest.lock().await;
            let fault = match &*latest {
                Some((at, fault)) if at.elapsed() < SUSPICION => fault.clone(),
                _ => {
                    let fault = connect(address).await;
                    *latest = Some((Instant::now(), fault.clone()));
                    fault
                }
            };
            if let Some(fault) = fault {
                return fault;
            }
        }
    }
}

/// What is wrong.
async fn connect((host, port): &(String, u16)) -> Option<String> {
    match tokio::time::timeout(CONNECT_TIME_MAX, TcpStream::connect((host.as_str(), *port))).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(format!("Postgres at {host}:{port}: {error}")),
        Err(_) => Some(format!("Postgres at {host}:{port}: no answer in {} ms", CONNECT_TIME_MAX.as_millis())),
    }
}
