use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::client::{Failures, GROUP_PREFIX, Link, TIMEOUT, message_bytes_max};
use super::stored::{is_unreadable, stored};
use crate::Error;
use crate::message::Stored;

/// Bytes kept ready of one partition; above them the partition is paused until its reader has caught up.
const READY_BYTES_MAX: usize = 16 << 20;
/// How long a request of a reader may wait for the polling thread.
const POLL: Duration = Duration::from_millis(10);
/// An error that comes again and again is logged this often.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// Unreadable answers after which a partition that gets nothing is looked at.
const SUSPECT_FROM: u64 = 3;

/// Reads the partitions that the group gives to this process.
///
/// One thread owns the client: it polls, and does what readers ask between two polls, so that no record of before a
/// seek is taken for one behind it.
pub(super) struct Consumer {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
}

struct Shared {
    partitions: Vec<Partition>,
    /// Answers that could not be read; the client does not tell of which partition.
    unreadable: AtomicU64,
}

#[derive(Default)]
struct Partition {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    assigned: bool,
    /// The offset that the reader asks for next; `None` until it has said where it stands, and records are passed over.
    position: Option<i64>,
    ready: VecDeque<Stored>,
    ready_bytes: usize,
    paused: bool,
    /// The number of unreadable answers when the partition last got a record or was looked at.
    unreadable_seen: u64,
}

enum Request {
    Seek { partition: i32, offset: i64, done: oneshot::Sender<Result<(), KafkaError>> },
    Resume { partition: i32 },
    Commit { partition: i32, offset: i64 },
}

impl Consumer {
    pub fn start(link: &Link, topic: &str, partitions: i64) -> Result<Arc<Self>, Error> {
        let shared = Arc::new(Shared {
            partitions: (0..partitions).map(|_| Partition::default()).collect(),
            unreadable: AtomicU64::new(0),
        });
        let client: BaseConsumer<Context> = link
            .client()
            .set("group.id", format!("{GROUP_PREFIX}.{topic}"))
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("session.timeout.ms", "10000")
            .set("fetch.message.max.bytes", message_bytes_max().to_string())
            .set("fetch.max.bytes", (2 * message_bytes_max()).to_string())
            .set("receive.message.max.bytes", (3 * message_bytes_max()).to_string())
            .set("queued.max.messages.kbytes", (32 << 10).to_string())
            .set("fetch.wait.max.ms", "100")
            .create_with_context(Context { shared: shared.clone(), failures: link.failures.clone() })
            .map_err(|error| link.explain(error))?;
        client.subscribe(&[topic]).map_err(|error| link.explain(error))?;
        let (requests, inbox) = mpsc::channel();
        let made = Arc::new(Self { shared, requests });
        let (alive, topic) = (Arc::downgrade(&made), topic.to_owned());
        std::thread::Builder::new()
            .name("log-consumer".into())
            .spawn(move || poll_loop(&client, &topic, &inbox, &alive))
            .map_err(|error| Error::Broker(format!("no thread for the consumer: {error}")))?;
        Ok(made)
    }

    /// What is ready of an assigned partition from an offset on; empty when nothing is, or when another process has
    /// the partition.
    pub async fn fetch(&self, partition: i64, from_offset: i64, bytes_max: usize) -> Result<Vec<Stored>, Error> {
        if !self.seek(partition, from_offset).await? {
            return Ok(Vec::new());
        }
        let mut records = Vec::new();
        let mut bytes = 0;
        let mut state = self.partition(partition)?.lock();
        while let Some(size) = state.ready.front().map(size) {
            if !records.is_empty() && bytes + size > bytes_max {
                break;
            }
            bytes += size;
            state.ready_bytes -= size;
            records.extend(state.ready.pop_front());
        }
        if let Some(last) = records.last() {
            state.position = Some(last.offset + 1);
        }
        if state.paused && state.ready_bytes < READY_BYTES_MAX / 4 {
            state.paused = false;
            self.ask(Request::Resume { partition: number(partition)? })?;
        }
        Ok(records)
    }

    /// Whether answers could not be read since this partition last got a record; once for each such time.
    pub fn is_suspect(&self, partition: i64) -> Result<bool, Error> {
        let unreadable = self.shared.unreadable.load(Ordering::Relaxed);
        let mut state = self.partition(partition)?.lock();
        let is_suspect = state.assigned && state.ready.is_empty() && unreadable - state.unreadable_seen >= SUSPECT_FROM;
        if is_suspect {
            state.unreadable_seen = unreadable;
        }
        Ok(is_suspect)
    }

    pub async fn wait(&self, partition: i64, from_offset: i64, timeout: Duration) -> Result<bool, Error> {
        let deadline = Instant::now() + timeout;
        let slot = self.partition(partition)?;
        loop {
            let changed = slot.changed.notified();
            if self.seek(partition, from_offset).await? && !slot.lock().ready.is_empty() {
                return Ok(true);
            }
            if tokio::time::timeout_at(deadline, changed).await.is_err() {
                return Ok(false);
            }
        }
    }

    pub fn note_position(&self, partition: i64, offset: i64) {
        if let Ok(partition) = number(partition) {
            // A hint that is lost with the polling thread is no loss.
            let _ = self.requests.send(Request::Commit { partition, offset });
        }
    }

    /// Brings the partition to an offset; false when it is another process's.
    async fn seek(&self, partition: i64, from_offset: i64) -> Result<bool, Error> {
        {
            let mut state = self.partition(partition)?.lock();
            if !state.assigned {
                return Ok(false);
            }
            if state.position == Some(from_offset) {
                return Ok(true);
            }
            state.clear();
        }
        let (done, answer) = oneshot::channel();
        self.ask(Request::Seek { partition: number(partition)?, offset: from_offset, done })?;
        match answer.await {
            Ok(Ok(())) => Ok(true),
            // The assignment may have changed meanwhile; the reader comes again.
            Ok(Err(error)) => {
                tracing::debug!(partition, from_offset, %error, "seek is repeated");
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok(false)
            }
            Err(_) => Err(Error::Broker("the consumer has ended".into())),
        }
    }

    fn ask(&self, request: Request) -> Result<(), Error> {
        self.requests.send(request).map_err(|_| Error::Broker("the consumer has ended".into()))
    }

    fn partition(&self, partition: i64) -> Result<&Partition, Error> {
        let slot = usize::try_from(partition).ok().and_then(|index| self.shared.partitions.get(index));
        slot.ok_or(Error::Partition(partition))
    }
}

impl Partition {
    /// A panic while the lock is held leaves whole records behind, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn clear(&mut self) {
        self.position = None;
        self.ready.clear();
        self.ready_bytes = 0;
    }
}

fn poll_loop(client: &BaseConsumer<Context>, topic: &str, inbox: &mpsc::Receiver<Request>, alive: &Weak<Consumer>) {
    let shared = client.context().shared.clone();
    let mut logged: Option<std::time::Instant> = None;
    while alive.strong_count() > 0 {
        while let Ok(request) = inbox.try_recv() {
            answer(client, topic, &shared, request);
        }
        match client.poll(POLL) {
            Some(Ok(message)) => keep(client, topic, &shared, &message),
            Some(Err(error)) => {
                let unreadable = is_unreadable(&error).is_some();
                if unreadable {
                    shared.unreadable.fetch_add(1, Ordering::Relaxed);
                }
                if logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
                    logged = Some(std::time::Instant::now());
                    if unreadable {
                        tracing::warn!(%error, "a batch of the broker cannot be read");
                    } else {
                        tracing::warn!(%error, "the broker does not answer the consumer");
                    }
                }
            }
            None => {}
        }
    }
    client.unsubscribe();
}

fn answer(client: &BaseConsumer<Context>, topic: &str, shared: &Shared, request: Request) {
    match request {
        Request::Seek { partition, offset, done } => {
            let sought = client.seek(topic, partition, Offset::Offset(offset), TIMEOUT);
            if sought.is_ok()
                && let Some(slot) = usize::try_from(partition).ok().and_then(|index| shared.partitions.get(index))
            {
                let mut state = slot.lock();
                state.clear();
                state.position = Some(offset);
                state.paused = false;
                drop(state);
                resume(client, topic, partition);
            }
            // A reader that went away asks again when it comes back.
            let _ = done.send(sought);
        }
        Request::Resume { partition } => resume(client, topic, partition),
        Request::Commit { partition, offset } => {
            let mut list = TopicPartitionList::new();
            let added = list.add_partition_offset(topic, partition, Offset::Offset(offset));
            if let Err(error) = added.and_then(|()| client.commit(&list, CommitMode::Async)) {
                tracing::debug!(partition, offset, %error, "the broker was not told the position");
            }
        }
    }
}

fn keep(client: &BaseConsumer<Context>, topic: &str, shared: &Shared, message: &BorrowedMessage<'_>) {
    let Some(slot) = usize::try_from(message.partition()).ok().and_then(|index| shared.partitions.get(index)) else {
        return;
    };
    let mut state = slot.lock();
    if !state.assigned || state.position.is_none() {
        return;
    }
    state.unreadable_seen = shared.unreadable.load(Ordering::Relaxed);
    let record = stored(message);
    state.ready_bytes += size(&record);
    state.ready.push_back(record);
    let is_full = state.ready_bytes > READY_BYTES_MAX && !state.paused;
    state.paused |= is_full;
    drop(state);
    slot.changed.notify_waiters();
    if is_full {
        let list = one(topic, message.partition());
        if let Err(error) = client.pause(&list) {
            tracing::warn!(%error, "a partition cannot be paused");
        }
    }
}

fn resume(client: &BaseConsumer<Context>, topic: &str, partition: i32) {
    if let Err(error) = client.resume(&one(topic, partition)) {
        tracing::warn!(partition, %error, "a partition cannot be resumed");
    }
}

fn size(record: &Stored) -> usize {
    record.key.len() + record.value.len()
}

fn one(topic: &str, partition: i32) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition);
    list
}

fn number(partition: i64) -> Result<i32, Error> {
    i32::try_from(partition).map_err(|_| Error::Partition(partition))
}

/// Follows the assignments of the group.
struct Context {
    shared: Arc<Shared>,
    failures: Failures,
}

impl ClientContext for Context {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        self.failures.note(facility, message);
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance {
            self.assign(list, false);
        }
    }

    fn post_rebalance(&self, client: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                // Nothing is read before the reader has said where it stands.
                if let Err(error) = client.pause(list) {
                    tracing::warn!(%error, "new partitions cannot be paused");
                }
                self.assign(list, true);
            }
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => tracing::warn!(%error, "the group cannot be balanced"),
        }
    }
}

impl Context {
    fn assign(&self, list: &TopicPartitionList, assigned: bool) {
        for element in list.elements() {
            tracing::info!(partition = element.partition(), assigned, "the group moved a partition");
            let Some(slot) = usize::try_from(element.partition()).ok().and_then(|i| self.shared.partitions.get(i))
            else {
                continue;
            };
            let mut state = slot.lock();
            state.clear();
            state.assigned = assigned;
            state.paused = assigned;
            drop(state);
            slot.changed.notify_waiters();
        }
    }
}
