//! What the client library says of its connections: why a broker cannot be talked to is told in its log alone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use portolan_store::Reach;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, ClientContext};

use super::cluster::Cluster;
use crate::Error;
use crate::message::MESSAGE_BYTES_MAX;

/// Longest wait for an answer of the broker about topics and offsets.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// The group that shares the partitions of a topic among the processes of an installation begins with this.
pub(super) const GROUP_PREFIX: &str = "portolan-inventory";
/// Room for the headers and the framing of the largest message.
const MESSAGE_OVERHEAD_BYTES: usize = 64 << 10;

/// A failure of longer ago says nothing about one of this moment.
const TELLING_FOR: Duration = Duration::from_secs(30);
/// Facilities of the library's log under which connections fail.
const FAILURES: [&str; 3] = ["FAIL", "SASL", "SSL"];

/// The last failure of a connection, shared by the clients of one topic.
#[derive(Clone, Default)]
pub(crate) struct Failures(Arc<Mutex<Option<(Instant, String)>>>);

impl Failures {
    pub fn note(&self, facility: &str, message: &str) {
        tracing::debug!(facility, message, "the client of the broker");
        if FAILURES.iter().any(|known| facility.starts_with(known)) {
            // Behind the name of the library's thread: `[thrd:host:port/bootstrap]: host:port/bootstrap: …`.
            let told = message.split_once("]: ").map_or(message, |(_, told)| told);
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), told.to_owned()));
        }
    }

    pub fn latest(&self) -> Option<String> {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        latest.as_ref().filter(|(at, _)| at.elapsed() < TELLING_FOR).map(|(_, told)| told.clone())
    }

    /// An error of the library with the reason that it does not give.
    pub fn explain(&self, error: KafkaError) -> Error {
        match self.latest() {
            Some(reason) => Error::Broker(format!("{error}: {reason}")),
            None => Error::Broker(error.to_string()),
        }
    }
}

impl ClientContext for Failures {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        self.note(facility, message);
    }
}

impl ConsumerContext for Failures {}

/// What the clients of one topic share.
#[derive(Clone)]
pub(super) struct Link {
    cluster: Arc<Cluster>,
    reach: Arc<Reach>,
    pub failures: Failures,
}

impl Link {
    pub fn to(cluster: Cluster) -> Self {
        Self { reach: Arc::new(cluster.reach()), cluster: Arc::new(cluster), failures: Failures::default() }
    }

    /// What a client of the cluster begins with.
    pub fn client(&self) -> ClientConfig {
        self.cluster.client()
    }

    pub fn explain(&self, error: KafkaError) -> Error {
        match self.failures.explain(error) {
            Error::Broker(reason) => Error::Broker(format!("{}: {reason}", self.reach.name())),
            other => other,
        }
    }

    /// Waits for an answer, unless no server of the cluster takes connections.
    pub async fn cut_off<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.reach.cut_off(work).await.map_err(Error::Broker)?
    }

    /// Runs calls of the client library that wait for the network.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let done = async { tokio::task::spawn_blocking(work).await.map_err(|error| Error::Broker(error.to_string()))? };
        self.cut_off(done).await
    }
}

pub(super) fn rejected_topic(topic: &str) -> String {
    format!("{topic}.rejected")
}

pub(super) fn message_bytes_max() -> usize {
    MESSAGE_BYTES_MAX + MESSAGE_OVERHEAD_BYTES
}
