//! The log in a broker that speaks the Kafka protocol.
//!
//! Producers write with acknowledgement by every replica in sync. Each message carries its producer, sequence and index
//! as headers, so that the consumer can pass over what a repeated append wrote twice. Consumers of several processes
//! share the partitions as one group; how far each partition was read stands in the consumer's own database, and the
//! group's committed offsets are a hint for the broker's tools only.

mod client;
mod cluster;
mod consumer;
mod probe;
mod producer;
mod stored;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use portolan_runtime::workers::beginning_threads;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::types::RDKafkaErrorCode;

use crate::message::{Message, Positions, Stored};
use crate::rejected::Rejected;
use crate::{Error, partition::partition_among};

use client::{Failures, Link, TIMEOUT, message_bytes_max, rejected_topic};
use cluster::Cluster;
use consumer::Consumer;
use producer::Producer;

/// Partitions of a topic that this program creates; an existing topic keeps its own number.
const PARTITIONS: i32 = 12;
/// What a broker keeps of rejected records, where this program makes their topic.
const REJECTED_BYTES_MAX: &str = "1073741824";

/// One topic of a broker.
pub(crate) struct Kafka {
    link: Link,
    topic: String,
    /// Under which positions in this topic are stored: offsets of another cluster mean other records.
    source: String,
    partitions: i64,
    producer: Producer,
    /// Started by the first read: a producer has no part in the group.
    consumer: OnceLock<Arc<Consumer>>,
}

impl Kafka {
    /// `rest`: what stands behind `kafka:`. The topic and that of rejected records are made when they are missing, or else,
    /// where nothing may be made, expected.
    pub async fn open(rest: &str, topic: &str, makes: bool) -> Result<Self, Error> {
        let cluster = Cluster::parse(rest)?;
        let servers = cluster.servers().to_owned();
        let link = Link::to(cluster);
        let first = link.clone();
        link.blocking(move || probe::expect_answer(&first)).await?;
        let unusable = |error: rdkafka::error::KafkaError| Error::Configuration(format!("Kafka at {servers}: {error}"));
        let admin: AdminClient<Failures> =
            link.client().create_with_context(link.failures.clone()).map_err(unusable)?;
        let name = topic.to_owned();
        let explain = link.clone();
        let (partitions, cluster_id) = link
            .cut_off(async {
                if makes {
                    make_topics(&admin, topic, &link).await?;
                }
                let looked = tokio::task::spawn_blocking(move || {
                    if !makes {
                        expect_topic(&admin, &name, &explain)?;
                    }
                    let count = partition_count(&admin, &name, &explain)?;
                    Ok((count, admin.inner().fetch_cluster_id(TIMEOUT).unwrap_or_default()))
                });
                looked.await.map_err(|error| Error::Broker(error.to_string()))?
            })
            .await?;
        Ok(Self {
            producer: Producer::open(&link, topic)?,
            source: format!("kafka/{cluster_id}/{topic}"),
            link,
            topic: topic.to_owned(),
            partitions,
            consumer: OnceLock::new(),
        })
    }

    /// What is wrong with `rest`, without asking anybody.
    pub fn check(rest: &str) -> Result<(), Error> {
        Cluster::parse(rest).map(drop)
    }

    pub fn partitions(&self) -> i64 {
        self.partitions
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    pub async fn append(&self, producer_id: &str, sequence: i64, messages: Vec<Message>) -> Result<Positions, Error> {
        let partitions = self.partitions;
        self.producer.append(producer_id, sequence, messages, |key| partition_among(key, partitions)).await
    }

    /// Publishes records that cannot be read, each with its place and the reason as headers.
    pub async fn reject(&self, records: Vec<&Rejected>) -> Result<(), Error> {
        self.producer.reject(records).await
    }

    pub async fn fetch(&self, partition: i64, from_offset: i64, bytes_max: usize) -> Result<Vec<Stored>, Error> {
        let consumer = self.consumer()?;
        let records = consumer.fetch(partition, from_offset, bytes_max).await?;
        if records.is_empty() && consumer.is_suspect(partition)? && self.end_offset(partition).await? > from_offset {
            // The client tells that some batch cannot be read, and not which one.
            self.peek(partition, from_offset).await?;
        }
        Ok(records)
    }

    /// The first record at or after an offset, and when it was appended in Unix seconds.
    pub async fn peek(&self, partition: i64, offset: i64) -> Result<Option<(Stored, Option<i64>)>, Error> {
        let number = i32::try_from(partition).map_err(|_| Error::Partition(partition))?;
        let (link, topic) = (self.link.clone(), self.topic.clone());
        self.link.blocking(move || probe::first_record(&link, &topic, number, offset)).await
    }

    pub async fn wait(&self, partition: i64, from_offset: i64, timeout: Duration) -> Result<bool, Error> {
        self.consumer()?.wait(partition, from_offset, timeout).await
    }

    /// Tells the broker how far the inventory is. Failures are no matter: the position of record is elsewhere.
    pub fn note_position(&self, partition: i64, offset: i64) {
        if let Some(consumer) = self.consumer.get() {
            consumer.note_position(partition, offset);
        }
    }

    /// The lowest and the next offset of every partition.
    pub async fn watermarks(&self) -> Result<Vec<(i64, i64, i64)>, Error> {
        let (client, topic, partitions) = (self.producer.client(), self.topic.clone(), self.partitions);
        let link = self.link.clone();
        let ask = move || {
            let marks = (0..partitions).map(|partition| {
                let number = i32::try_from(partition).map_err(|_| Error::Partition(partition))?;
                let (low, high) = client.fetch(&topic, number).map_err(|error| link.explain(error))?;
                Ok((partition, low, high))
            });
            marks.collect()
        };
        self.link.blocking(ask).await
    }

    /// The next offset of one partition.
    pub async fn end_offset(&self, partition: i64) -> Result<i64, Error> {
        let (client, topic) = (self.producer.client(), self.topic.clone());
        let number = i32::try_from(partition).map_err(|_| Error::Partition(partition))?;
        let link = self.link.clone();
        let ask = move || Ok(client.fetch(&topic, number).map_err(|error| link.explain(error))?.1);
        self.link.blocking(ask).await
    }

    fn consumer(&self) -> Result<&Arc<Consumer>, Error> {
        if let Some(consumer) = self.consumer.get() {
            return Ok(consumer);
        }
        let made = beginning_threads(|| Consumer::start(&self.link, &self.topic, self.partitions))?;
        Ok(self.consumer.get_or_init(|| made))
    }
}

async fn make_topics(admin: &AdminClient<Failures>, topic: &str, link: &Link) -> Result<(), Error> {
    let bytes_max = message_bytes_max().to_string();
    let rejected = rejected_topic(topic);
    let new_topic = |name, partitions| {
        NewTopic::new(name, partitions, TopicReplication::Fixed(-1)).set("max.message.bytes", &bytes_max)
    };
    let rejected_topic = new_topic(&rejected, 1).set("retention.bytes", REJECTED_BYTES_MAX);
    let topics = [new_topic(topic, PARTITIONS), rejected_topic];
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
    for created in admin.create_topics(&topics, &options).await.map_err(|error| link.explain(error))? {
        match created {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            // A user who may write and read alone gets topics that somebody else has made.
            Err((name, code)) if is_refused(code) => {
                tracing::info!(topic = name, %code, "the topic is expected to be there");
            }
            Err((name, code)) => return Err(Error::Broker(format!("topic {name} cannot be made: {code}"))),
        }
    }
    Ok(())
}

/// Asks for all topics: a question for one makes it at brokers that make topics by themselves.
fn expect_topic(admin: &AdminClient<Failures>, topic: &str, link: &Link) -> Result<(), Error> {
    let metadata = admin.inner().fetch_metadata(None, TIMEOUT).map_err(|error| link.explain(error))?;
    if metadata.topics().iter().any(|found| found.name() == topic) {
        return Ok(());
    }
    Err(Error::Configuration(format!(
        "the topic {topic} does not exist there: log.topic must be that of the processes, which make it at their start"
    )))
}

fn is_refused(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed)
}

fn partition_count(admin: &AdminClient<Failures>, topic: &str, link: &Link) -> Result<i64, Error> {
    // A new topic takes a moment until every broker knows it.
    for _ in 0..50 {
        let metadata = admin.inner().fetch_metadata(Some(topic), TIMEOUT).map_err(|error| link.explain(error))?;
        let found = metadata.topics().first().filter(|found| found.error().is_none());
        if let Some(found) = found.filter(|found| !found.partitions().is_empty()) {
            return Ok(i64::try_from(found.partitions().len()).unwrap_or(i64::MAX));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(Error::Broker(format!("the broker tells no partitions of {topic}")))
}
