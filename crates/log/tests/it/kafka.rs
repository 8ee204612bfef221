use std::collections::BTreeSet;
use std::time::Duration;

use portolan_log::{Error, Log, Stored};
use portolan_testkit::{Certificates, KafkaServer, TestDb};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::{message, rejected};

const PATIENCE: Duration = Duration::from_secs(60);

fn servers() -> String {
    std::env::var("PORTOLAN_TEST_KAFKA").expect("the suite runs only with a broker")
}

/// A topic that no other case has.
fn fresh_topic(test: &TestDb) -> String {
    use std::hash::{BuildHasher as _, RandomState};
    format!("test.{:x}.{:x}", std::process::id(), RandomState::new().hash_one(&test.url))
}

async fn open(test: &TestDb, topic: &str) -> Log {
    Log::open(&format!("kafka://{}", servers()), topic, &test.store).await.expect("open the log")
}

/// Waits for the group, then reads until `count` records of the partition are there.
async fn read(log: &Log, partition: i64, mut from: i64, count: usize) -> Vec<Stored> {
    let mut records = Vec::new();
    let started = std::time::Instant::now();
    while records.len() < count {
        assert!(started.elapsed() < PATIENCE, "only {} of {count} records came", records.len());
        if log.wait(partition, from, Duration::from_secs(1)).await.expect("wait") {
            records.extend(log.fetch(partition, from, 1 << 20).await.expect("fetch"));
            from = records.last().map_or(from, |record: &Stored| record.offset + 1);
        }
    }
    records
}

/// What a producer appended comes back in order, with its place among the producer's records.
pub async fn records_come_back_in_order_with_their_marks(test: TestDb) {
    let log = open(&test, &fresh_topic(&test)).await;
    let messages = (0..50).map(|n| message("key", format!("value {n}"))).collect();
    let positions = log.append("job/1", 7, messages).await.expect("append");
    let (&partition, &next) = positions.first_key_value().expect("one partition");
    assert_eq!((positions.len(), next), (1, 50));
    assert_eq!(log.end_offsets().await.expect("offsets")[&partition], 50);

    let records = read(&log, partition, 0, 50).await;
    for (n, record) in records.iter().enumerate() {
        assert_eq!(record.value, format!("value {n}"));
        let mark = record.producer.as_ref().expect("a mark");
        assert_eq!((&*mark.producer_id, mark.sequence, mark.index), ("job/1", 7, n as i64));
    }
}

/// A reader that lost its work reads again from where it stands.
pub async fn reading_begins_anywhere(test: TestDb) {
    let log = open(&test, &fresh_topic(&test)).await;
    let messages = (0..20).map(|n| message("key", format!("{n}"))).collect();
    let partition = *log.append("p", 0, messages).await.expect("append").first_key_value().expect("one").0;
    for from in [0, 15, 5, 5, 19] {
        let records = read(&log, partition, from, 1).await;
        assert_eq!((records[0].offset, &records[0].value[..]), (from, from.to_string().as_bytes()));
    }
}

/// A record that cannot be read is published on the topic of rejected ones and counted once.
pub async fn rejected_records_are_kept_and_published(test: TestDb) {
    let topic = fresh_topic(&test);
    let log = open(&test, &topic).await;
    for _ in 0..2 {
        log.reject(&[rejected(3, 9, "no url", b"{}")]).await.expect("reject");
    }
    assert_eq!(log.rejected_count().await.expect("count"), 1);

    let published = tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", servers())
            .set("group.id", &topic)
            .set("auto.offset.reset", "earliest")
            .create()
            .expect("a consumer");
        consumer.subscribe(&[&format!("{topic}.rejected")]).expect("subscribe");
        // Polls that only served the group's protocol answer nothing.
        let started = std::time::Instant::now();
        let mut values = Vec::new();
        while started.elapsed() < PATIENCE && (values.is_empty() || started.elapsed() < Duration::from_secs(8)) {
            if let Some(message) = consumer.poll(Duration::from_secs(1)) {
                values.push(message.expect("no error").payload().map(<[u8]>::to_vec));
            }
        }
        values
    });
    assert_eq!(published.await.expect("consume"), [Some(b"{}".to_vec())]);
}

/// Two processes get a part of the partitions each, and the one that stays gets those of the one that goes.
pub async fn two_processes_share_the_partitions(test: TestDb) {
    let topic = fresh_topic(&test);
    let (first, second) = (open(&test, &topic).await, open(&test, &topic).await);
    let messages = (0..200).map(|n| message(&format!("key {n}"), format!("{n}"))).collect();
    let ends = first.append("p", 0, messages).await.expect("append");
    assert!(ends.len() > 6, "keys spread over partitions: {ends:?}");

    let owned = async |log: &Log| {
        let mut owned = BTreeSet::new();
        for &partition in ends.keys() {
            if log.wait(partition, 0, Duration::from_millis(50)).await.expect("wait") {
                owned.insert(partition);
            }
        }
        owned
    };
    let started = std::time::Instant::now();
    loop {
        let (a, b) = (owned(&first).await, owned(&second).await);
        if !a.is_empty() && !b.is_empty() && a.len() + b.len() == ends.len() {
            assert!(a.is_disjoint(&b), "a partition has two owners: {a:?} {b:?}");
            break;
        }
        assert!(started.elapsed() < PATIENCE, "the partitions are not shared: {a:?} {b:?}");
    }
    drop(second);
    while owned(&first).await.len() < ends.len() {
        assert!(started.elapsed() < 2 * PATIENCE, "the partitions of the second process stay without a reader");
    }
}

/// Appends ten records to partition 0 as one batch, as another program does.
fn produce(servers: &str, topic: &str, codec: &str) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("compression.type", codec)
        .set("linger.ms", "200")
        .create()
        .expect("a producer");
    for n in 0..10 {
        let value = format!("{codec} {n} {}", "text ".repeat(40));
        let record = BaseRecord::<(), _>::to(topic).partition(0).payload(&value);
        producer.send(record).map_err(|(error, _)| error).expect("send");
    }
    producer.flush(PATIENCE).expect("flush");
}

/// Batches are read whatever they are compressed with.
pub async fn batches_of_every_codec_are_read(test: TestDb) {
    const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
    let topic = fresh_topic(&test);
    let log = open(&test, &topic).await;
    tokio::task::spawn_blocking(move || CODECS.map(|codec| produce(&servers(), &topic, codec))).await.expect("produce");
    let records = read(&log, 0, 0, 50).await;
    for (n, record) in records.iter().enumerate() {
        assert!(record.value.starts_with(format!("{} {} ", CODECS[n / 10], n % 10).as_bytes()), "{record:?}");
    }
}

/// A batch that a disk has damaged is told with where the next one begins, and that one is read.
pub async fn an_unreadable_batch_is_told_with_its_end(test: TestDb) {
    let broker = KafkaServer::start().await;
    let (servers, topic) = (broker.address(), "damaged");
    let log = Log::open(&format!("kafka://{servers}"), topic, &test.store).await.expect("open the log");
    tokio::task::spawn_blocking(move || (0..3).for_each(|_| produce(&servers, topic, "zstd"))).await.expect("produce");
    broker.damage(topic, 0, 10);
    assert_eq!(read(&log, 0, 0, 10).await.len(), 10);

    let started = std::time::Instant::now();
    let damaged = loop {
        assert!(started.elapsed() < PATIENCE, "the damage is not told");
        log.wait(0, 10, Duration::from_secs(1)).await.expect("wait");
        match log.fetch(0, 10, 1 << 20).await {
            Ok(records) => assert!(records.is_empty(), "{records:?}"),
            Err(error) => break error,
        }
    };
    assert!(matches!(damaged, Error::Damaged { partition: 0, offset: 10, next_offset: 20, .. }), "{damaged:?}");
    assert_eq!(read(&log, 0, 20, 10).await[0].offset, 20);
    assert!(log.appended_at(0, 20).await.expect("a record").is_some());
}

/// Every way to say who one is opens a cluster that speaks TLS alone, and what does not fit is told with server and cause.
pub async fn a_secured_cluster_is_spoken_to(test: TestDb) {
    let place = tempfile::tempdir().unwrap();
    let ours = Certificates::write(&place.path().join("ours"));
    let foreign = Certificates::write(&place.path().join("foreign"));
    let broker = KafkaServer::start_secured(&ours).await;
    let (address, users) = (broker.address(), broker.sasl_address());
    let topic = fresh_topic(&test);
    let tls = format!("tls=true&ca={}", ours.ca());
    let urls = [
        format!("kafka://{address}?{tls}&cert={}&key={}", ours.cert(), ours.key()),
        format!("kafka://ann:secret@{users}?{tls}&sasl=PLAIN"),
        format!("kafka://{users}?{tls}&sasl=SCRAM-SHA-256&user=ann&password=secret"),
        format!("kafka://{users}?{tls}&sasl=SCRAM-SHA-512&user=ann&password=secret"),
    ];
    for (n, url) in (0..).zip(&urls) {
        let log = Log::open(url, &topic, &test.store).await.unwrap_or_else(|error| panic!("{url}: {error}"));
        let (partition, next) =
            log.append("p", n, vec![message("key", format!("{n}"))]).await.expect("append").pop_first().expect("one");
        assert_eq!(read(&log, partition, next - 1, 1).await[0].value, format!("{n}"));
    }
    for (url, named) in [
        (format!("kafka://ann:guess@{users}?{tls}&sasl=SCRAM-SHA-512"), "uthentication"),
        (format!("kafka://ann:secret@{users}?tls=true&ca={}&sasl=PLAIN", foreign.ca()), "certificate"),
        (format!("kafka://{address}?{tls}"), "ertificate"),
    ] {
        let error = Log::open(&url, &topic, &test.store).await.err().expect("refused").to_string();
        assert!(error.contains("Kafka at 127.0.0.1") && error.contains(named), "{named}: {error}");
        assert!(!error.contains("guess") && !error.contains("secret"), "{error}");
    }
}

/// Nobody waits ten seconds for a cluster whose servers take no connection.
pub async fn a_cluster_that_is_gone_is_named_at_once(test: TestDb) {
    let opened = Log::open("kafka://127.0.0.1:1,127.0.0.1:2", "none", &test.store);
    let error = tokio::time::timeout(Duration::from_secs(8), opened).await.expect("at once").err().unwrap();
    assert!(error.transient(), "{error}");
    let error = error.to_string();
    assert!(error.contains("Kafka at 127.0.0.1:1: ") && error.contains("127.0.0.1:2: "), "{error}");
}
