//! Looks at one place of a partition by a client of its own, apart from the group.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{Failures, GROUP_PREFIX, Link, TIMEOUT, message_bytes_max};
use super::stored::{is_unreadable, stored};
use crate::Error;
use crate::message::Stored;

/// Between looks at whether a broker that does not answer said why.
const LOOK: Duration = Duration::from_millis(500);
/// Asked for in place of every topic of a cluster, which may have thousands.
const NO_TOPIC: &str = "portolan.none";
/// Records of one unreadable batch that are looked at in a row; what lies behind is looked at later.
const BATCH_RECORDS_MAX: i64 = 100_000;
/// How often the place is tried before its batch counts as unreadable: a batch may be cut off on its way.
const TRIES: u32 = 3;

/// Waits until the cluster answers; not for one that refuses.
///
/// A consumer's client tells why a connection failed: what other clients log is read later.
pub(super) fn expect_answer(link: &Link) -> Result<(), Error> {
    let unusable = |error: KafkaError| Error::Configuration(format!("Kafka: {error}"));
    let mut config = link.client();
    config.set("group.id", format!("{GROUP_PREFIX}.probe")).set("enable.auto.commit", "false");
    let client: BaseConsumer<Failures> = config.create_with_context(link.failures.clone()).map_err(unusable)?;
    let started = Instant::now();
    loop {
        let Err(error) = client.fetch_metadata(Some(NO_TOPIC), LOOK) else { return Ok(()) };
        while client.poll(Duration::ZERO).is_some() {}
        if link.failures.latest().is_some() || started.elapsed() >= TIMEOUT {
            return Err(link.explain(error));
        }
    }
}

/// What a place holds.
enum Probed {
    Record(Stored, Option<i64>),
    Unreadable(RDKafkaErrorCode),
    Nothing,
}

/// The first record at or after an offset and when it was appended; nothing at the end of the partition.
pub(super) fn first_record(
    link: &Link,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<Option<(Stored, Option<i64>)>, Error> {
    let broker = |error| link.explain(error);
    let client: BaseConsumer<Failures> = link
        .client()
        .set("group.id", format!("{GROUP_PREFIX}.{topic}.probe"))
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("fetch.message.max.bytes", message_bytes_max().to_string())
        .set("fetch.max.bytes", (2 * message_bytes_max()).to_string())
        .set("receive.message.max.bytes", (3 * message_bytes_max()).to_string())
        .set("fetch.error.backoff.ms", "5")
        .set("fetch.wait.max.ms", "20")
        .create_with_context(link.failures.clone())
        .map_err(broker)?;
    let (low, end) = client.fetch_watermarks(topic, partition, TIMEOUT).map_err(broker)?;
    if offset >= end {
        return Ok(None);
    }
    let offset = offset.max(low);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset)).map_err(broker)?;
    client.assign(&list).map_err(broker)?;
    let reason = match look(&client, TRIES)? {
        Probed::Record(record, appended_at) => return Ok(Some((record, appended_at))),
        Probed::Nothing => return Ok(None),
        Probed::Unreadable(code) => code.to_string(),
    };
    // The broker answers with the whole batch that holds an offset, so every offset of this one fails alike.
    let mut next_offset = offset + 1;
    while next_offset < end && next_offset < offset + BATCH_RECORDS_MAX {
        client.seek(topic, partition, Offset::Offset(next_offset), TIMEOUT).map_err(broker)?;
        // Twice, so that an answer of before the seek is not taken for one behind it.
        match look(&client, 2)? {
            Probed::Unreadable(_) => next_offset += 1,
            Probed::Record(record, _) => {
                next_offset = record.offset.max(next_offset);
                break;
            }
            Probed::Nothing => break,
        }
    }
    Err(Error::Damaged { partition: i64::from(partition), offset, next_offset, reason })
}

/// Polls until the place is known to hold a record, or an unreadable batch so often.
fn look(client: &BaseConsumer<Failures>, tries: u32) -> Result<Probed, Error> {
    let started = Instant::now();
    let mut failed = 0;
    while started.elapsed() < TIMEOUT {
        match client.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let appended_at = message.timestamp().to_millis().map(|time_ms| time_ms / 1_000);
                return Ok(Probed::Record(stored(&message), appended_at));
            }
            Some(Err(error)) => {
                if let Some(code) = is_unreadable(&error) {
                    failed += 1;
                    if failed >= tries {
                        return Ok(Probed::Unreadable(code));
                    }
                } else {
                    tracing::debug!(%error, "the broker does not answer the look at one place");
                }
            }
            None => {}
        }
    }
    Ok(Probed::Nothing)
}
