use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord};

use super::client::{Failures, Link, TIMEOUT, message_bytes_max, rejected_topic};
use super::stored::PRODUCER_HEADER;
use crate::Error;
use crate::message::{MESSAGE_BYTES_MAX, Message, Positions, ProducerMark};
use crate::rejected::{Rejected, short};

/// A message that no broker took by then has failed.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause before a partition without a leader is asked again.
const LEADER_WAIT: Duration = Duration::from_millis(100);
/// Wait for room in the client's queue.
const QUEUE_FULL_WAIT: Duration = Duration::from_millis(20);

/// Writes to one topic and to that of its rejected records.
pub(super) struct Producer {
    client: Arc<FutureProducer<Failures>>,
    link: Link,
    topic: String,
    rejected: String,
}

impl Producer {
    pub fn open(link: &Link, topic: &str) -> Result<Self, Error> {
        let client = link
            .client()
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "lz4")
            .set("linger.ms", "5")
            .set("message.timeout.ms", DELIVERY_TIMEOUT.as_millis().to_string())
            .set("message.max.bytes", message_bytes_max().to_string())
            .set("queue.buffering.max.kbytes", (256 << 10).to_string())
            .create_with_context(link.failures.clone())
            .map_err(|error| link.explain(error))?;
        Ok(Self {
            client: Arc::new(client),
            link: link.clone(),
            topic: topic.to_owned(),
            rejected: rejected_topic(topic),
        })
    }

    pub fn client(&self) -> Watermarks {
        Watermarks(self.client.clone())
    }

    /// Returns when the broker has every message durably. After a failure some may have been written: the caller
    /// repeats the whole append under the same sequence, and the consumer passes over what is there twice.
    pub async fn append(
        &self,
        producer_id: &str,
        sequence: i64,
        messages: Vec<Message>,
        partition_of: impl Fn(&[u8]) -> i64,
    ) -> Result<Positions, Error> {
        let mut under_way = Vec::with_capacity(messages.len());
        for (index, message) in (0..).zip(&messages) {
            let mark = ProducerMark { producer_id: producer_id.into(), sequence, index }.to_text();
            let headers = OwnedHeaders::new().insert(Header { key: PRODUCER_HEADER, value: Some(&mark) });
            let partition = i32::try_from(partition_of(&message.key)).unwrap_or_default();
            let record = FutureRecord::to(&self.topic).partition(partition).headers(headers);
            under_way.push(self.enqueue(record.key(&message.key).payload(&message.value)).await?);
        }
        let mut positions = Positions::new();
        for delivery in under_way {
            let (partition, offset) = self.delivered(delivery).await?;
            let next = positions.entry(i64::from(partition)).or_default();
            *next = (*next).max(offset + 1);
        }
        Ok(positions)
    }

    /// All are on their way before the first acknowledgement is waited for: many bad records delay nobody by much. Of one
    /// that the broker finds too large its place and reason are published.
    pub async fn reject(&self, records: Vec<&Rejected>) -> Result<(), Error> {
        let mut under_way = Vec::with_capacity(records.len());
        for record in records {
            let value = if record.value.len() > MESSAGE_BYTES_MAX { &[] } else { record.value.as_slice() };
            under_way.push((record, self.publish_rejected(record, value).await?));
        }
        for (record, delivery) in under_way {
            if self.acknowledged(delivery).await?.is_none() {
                let delivery = self.publish_rejected(record, &[]).await?;
                self.delivered(delivery).await?;
            }
        }
        Ok(())
    }

    async fn publish_rejected(&self, record: &Rejected, value: &[u8]) -> Result<DeliveryFuture, Error> {
        let (partition, offset) = (record.partition.to_string(), record.offset.to_string());
        let header = |key, value| Header { key, value: Some(value) };
        let headers = OwnedHeaders::new()
            .insert(header("reason", short(&record.reason)))
            .insert(header("partition", partition.as_str()))
            .insert(header("offset", offset.as_str()));
        let key = format!("{partition}:{offset}");
        self.enqueue(FutureRecord::to(&self.rejected).headers(headers).key(&key).payload(value)).await
    }

    async fn delivered(&self, delivery: DeliveryFuture) -> Result<(i32, i64), Error> {
        let place = self.acknowledged(delivery).await?;
        place.ok_or_else(|| Error::Broker("a message is larger than the broker takes: max.message.bytes".into()))
    }

    /// Waits for the acknowledgement; not for a cluster that is gone. Nothing for what is too large.
    async fn acknowledged(&self, delivery: DeliveryFuture) -> Result<Option<(i32, i64)>, Error> {
        let acknowledged = async {
            match delivery.await {
                Ok(Ok(delivered)) => Ok(Some((delivered.partition, delivered.offset))),
                Ok(Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), _))) => Ok(None),
                Ok(Err((error, _))) => Err(self.link.explain(error)),
                Err(_) => Err(Error::Broker("the producer was closed".into())),
            }
        };
        self.link.cut_off(acknowledged).await
    }

    async fn enqueue<K, P>(&self, mut record: FutureRecord<'_, K, P>) -> Result<DeliveryFuture, Error>
    where
        K: rdkafka::message::ToBytes + ?Sized,
        P: rdkafka::message::ToBytes + ?Sized,
    {
        loop {
            match self.client.send_result(record) {
                Ok(delivery) => return Ok(delivery),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    tokio::time::sleep(QUEUE_FULL_WAIT).await;
                }
                Err((error, _)) => return Err(self.link.explain(error)),
            }
        }
    }
}

/// Asks the broker for offsets over the producer's connection.
pub(super) struct Watermarks(Arc<FutureProducer<Failures>>);

impl Watermarks {
    /// The lowest and the next offset of a partition. A partition whose leader is not known yet, as those of a new
    /// topic or after a broker died, is asked again.
    pub fn fetch(&self, topic: &str, partition: i32) -> Result<(i64, i64), KafkaError> {
        let asked_at = Instant::now();
        loop {
            match rdkafka::producer::Producer::client(&*self.0).fetch_watermarks(topic, partition, TIMEOUT) {
                Err(error) if is_without_leader(&error) && asked_at.elapsed() < TIMEOUT => {
                    std::thread::sleep(LEADER_WAIT);
                }
                answer => return answer,
            }
        }
    }
}

fn is_without_leader(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::ReplicaNotAvailable
                | RDKafkaErrorCode::OffsetNotAvailable
        )
    )
}
