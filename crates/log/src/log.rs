use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use portolan_store::Store;

use crate::embedded::{Embedded, TABLES};
use crate::kafka::Kafka;
use crate::message::{MESSAGE_BYTES_MAX, Message, Positions, Shown, Stored};
use crate::rejected::{Accounts, Rejected, RejectedPlace, Rejects};
use crate::{Error, PARTITIONS, batch};

/// All messages of one call: they are held in memory twice, once compressed.
const APPEND_BYTES_MAX: usize = 64 << 20;
/// Names of topics and producers are index keys.
const NAME_BYTES_MAX: usize = 200;

/// One topic of the log; cheap to clone. Open it once per process: clones wake each other's readers at once, and so do
/// processes that share a Postgres. Those that share a file notice an append within 0.2 seconds.
#[derive(Clone)]
pub struct Log {
    backend: Arc<Backend>,
    rejects: Arc<Rejects>,
    /// Records that were handed over and are not durable yet.
    pub(crate) unacknowledged: Arc<AtomicU32>,
}

/// Records of one call, until it is answered or nobody waits for it.
struct HandedOver<'c> {
    count: &'c AtomicU32,
    records: u32,
}

impl<'c> HandedOver<'c> {
    fn begin(count: &'c AtomicU32, records: usize) -> Self {
        let records = u32::try_from(records).unwrap_or(u32::MAX);
        count.fetch_add(records, Ordering::Relaxed);
        Self { count, records }
    }
}

impl Drop for HandedOver<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(self.records, Ordering::Relaxed);
    }
}

enum Backend {
    Embedded(Embedded),
    Kafka(Kafka),
}

/// Whether a log answers, for readiness checks: the number of its partitions, or what is wrong.
///
/// # Errors
/// The failure of the database or the broker.
pub async fn is_there(log: Log) -> Result<String, String> {
    let ends = log.end_offsets().await.map_err(|error| error.to_string())?;
    Ok(format!("{} partitions of {}", ends.len(), log.source()))
}

impl Log {
    /// Opens a topic. `embedded:` keeps it in the store's database, `kafka://host:port[,host:port]` in a broker, where the
    /// topic and that of rejected records, `<topic>.rejected`, are made when missing. Behind `?` the URL may say `tls=true`,
    /// `ca`, `cert` and `key` (PEM files), `sasl` (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512), `user` and `password`. On a store
    /// that makes nothing the topic must be there.
    ///
    /// # Errors
    /// [`Error::Configuration`] for any other URL and for a topic name that is empty, longer than 200 bytes or holds a
    /// NUL character; [`Error::Store`] when the tables cannot be prepared; [`Error::Broker`] when the broker cannot be
    /// asked.
    pub async fn open(url: &str, topic: &str, store: &Store) -> Result<Self, Error> {
        if !valid_name(topic) {
            return Err(Error::Configuration("a topic name has 1 to 200 bytes and no NUL".into()));
        }
        match url.split_once(':') {
            Some(("embedded", "")) => {
                let embedded = Embedded::open(topic, store).await?;
                let rejects = Rejects::new(store.migrate(&TABLES).await?, topic);
                Ok(Self::of(Backend::Embedded(embedded), rejects))
            }
            Some(("kafka", servers)) => {
                let kafka = Kafka::open(servers, topic, store.makes()).await?;
                let rejects = Rejects::new(store.migrate(&TABLES).await?, kafka.source());
                Ok(Self::of(Backend::Kafka(kafka), rejects))
            }
            // The URL is not repeated: it may hold a password.
            _ => Err(Error::Configuration("the log URL must be embedded: or kafka://host:port".into())),
        }
    }

    /// What is wrong with a URL of the log, as far as that can be told without its server.
    ///
    /// # Errors
    /// [`Error::Configuration`].
    pub fn check_url(url: &str) -> Result<(), Error> {
        match url.split_once(':') {
            Some(("embedded", "")) => Ok(()),
            Some(("kafka", servers)) => Kafka::check(servers),
            _ => Err(Error::Configuration("the log URL must be embedded: or kafka://host:port".into())),
        }
    }

    fn of(backend: Backend, rejects: Rejects) -> Self {
        Self { backend: Arc::new(backend), rejects: Arc::new(rejects), unacknowledged: Arc::default() }
    }

    /// The number of partitions.
    pub fn partitions(&self) -> i64 {
        match &*self.backend {
            Backend::Embedded(_) => PARTITIONS,
            Backend::Kafka(log) => log.partitions(),
        }
    }

    /// Names this log among others: positions in one mean nothing in another.
    pub fn source(&self) -> &str {
        match &*self.backend {
            Backend::Embedded(_) => "embedded",
            Backend::Kafka(log) => log.source(),
        }
    }

    /// Appends messages durably, all or none, and returns the next offset of each partition they went to.
    ///
    /// A repeated `(producer_id, sequence)` appends nothing and returns what the first call did, for 7 days. Transient
    /// failures are repeated inside for up to a second. In a broker a repetition appends again, and so may an append that
    /// failed have written some: readers pass over what carries a [`ProducerMark`](crate::ProducerMark) that they have seen.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for a message above 16 MiB or a call above 64 MiB, [`Error::ProducerId`], [`Error::Store`].
    pub async fn append(&self, producer_id: &str, sequence: i64, messages: Vec<Message>) -> Result<Positions, Error> {
        self.append_showing(producer_id, sequence, messages, &|_| ()).await
    }

    /// Appends as [`Log::append`] does, and calls as soon as readers see the messages, which may be before they are durable.
    /// A repetition inside calls again.
    ///
    /// # Errors
    /// As of [`Log::append`]; after the call messages may be there all the same.
    pub async fn append_showing(
        &self,
        producer_id: &str,
        sequence: i64,
        messages: Vec<Message>,
        shown: &Shown<'_>,
    ) -> Result<Positions, Error> {
        if !valid_name(producer_id) {
            return Err(Error::ProducerId);
        }
        let mut total = 0;
        for message in &messages {
            let bytes = batch::size(message);
            check_size("a message", bytes, MESSAGE_BYTES_MAX)?;
            total += bytes;
        }
        check_size("one append", total, APPEND_BYTES_MAX)?;
        let _handed_over = HandedOver::begin(&self.unacknowledged, messages.len());
        match &*self.backend {
            Backend::Embedded(log) => log.append(producer_id, sequence, messages, shown).await,
            Backend::Kafka(log) => log.append(producer_id, sequence, messages).await.inspect(shown),
        }
    }

    /// Records at or after `from_offset`, in order: about `bytes_max` before compression, but at least one batch when
    /// there is one. Below the start of the log reading begins at its start; at its end the answer is empty.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a stored batch cannot be read, [`Error::Partition`], [`Error::Store`].
    pub async fn fetch(&self, partition: i64, from_offset: i64, bytes_max: usize) -> Result<Vec<Stored>, Error> {
        self.check_partition(partition)?;
        match &*self.backend {
            Backend::Embedded(log) => log.fetch(partition, from_offset, bytes_max).await,
            Backend::Kafka(log) => log.fetch(partition, from_offset, bytes_max).await,
        }
    }

    /// The first record at or after an offset, without a part in the readers' sharing of partitions.
    ///
    /// # Errors
    /// As of [`Self::fetch`].
    pub async fn peek(&self, partition: i64, offset: i64) -> Result<Option<Stored>, Error> {
        self.check_partition(partition)?;
        match &*self.backend {
            Backend::Embedded(log) => Ok(log.fetch(partition, offset, 1).await?.into_iter().next()),
            Backend::Kafka(log) => Ok(log.peek(partition, offset).await?.map(|(record, _)| record)),
        }
    }

    /// When the first record at or after an offset was appended, in Unix seconds.
    ///
    /// # Errors
    /// As of [`Self::fetch`].
    pub async fn appended_at(&self, partition: i64, offset: i64) -> Result<Option<i64>, Error> {
        self.check_partition(partition)?;
        match &*self.backend {
            Backend::Embedded(log) => log.appended_at(partition, offset).await,
            Backend::Kafka(log) => Ok(log.peek(partition, offset).await?.and_then(|(_, appended_at)| appended_at)),
        }
    }

    /// Waits until the partition has a record at or after `from_offset`; false when the time passed without one.
    pub async fn wait(&self, partition: i64, from_offset: i64, timeout: Duration) -> Result<bool, Error> {
        self.check_partition(partition)?;
        match &*self.backend {
            Backend::Embedded(log) => log.wait(partition, from_offset, timeout).await,
            Backend::Kafka(log) => log.wait(partition, from_offset, timeout).await,
        }
    }

    /// The next offset of every partition.
    pub async fn end_offsets(&self) -> Result<Positions, Error> {
        match &*self.backend {
            Backend::Embedded(log) => log.end_offsets().await,
            Backend::Kafka(log) => Ok(log.watermarks().await?.into_iter().map(|(p, _, end)| (p, end)).collect()),
        }
    }

    /// The next offset of one partition.
    pub async fn end_offset(&self, partition: i64) -> Result<i64, Error> {
        self.check_partition(partition)?;
        match &*self.backend {
            Backend::Embedded(log) => log.end_offset(partition).await,
            Backend::Kafka(log) => log.end_offset(partition).await,
        }
    }

    /// The first kept offset of every partition; the next offset where nothing is kept.
    pub async fn start_offsets(&self) -> Result<Positions, Error> {
        match &*self.backend {
            Backend::Embedded(log) => log.start_offsets().await,
            Backend::Kafka(log) => Ok(log.watermarks().await?.into_iter().map(|(p, start, _)| (p, start)).collect()),
        }
    }

    /// Removes the batches that lie wholly below `before_offset` and answers their number. Offsets stay. A broker keeps
    /// records as its own retention says, and is told the offset as the group's position.
    pub async fn trim(&self, partition: i64, before_offset: i64) -> Result<u64, Error> {
        self.check_partition(partition)?;
        match &*self.backend {
            Backend::Embedded(log) => log.trim(partition, before_offset).await,
            Backend::Kafka(log) => {
                log.note_position(partition, before_offset);
                Ok(0)
            }
        }
    }

    /// Forgets the sequences of producers that are older than 7 days at `now` (Unix seconds), and answers their number.
    pub async fn trim_producers(&self, now: i64) -> Result<u64, Error> {
        match &*self.backend {
            Backend::Embedded(log) => log.trim_producers(now).await,
            Backend::Kafka(..) => Ok(0),
        }
    }

    /// Forgets the rejected records that were set aside before a time (Unix seconds), some at a time, and returns their
    /// number. What a broker holds of them stays as long as its own retention says.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn trim_rejected(&self, before: i64) -> Result<u64, Error> {
        Ok(self.rejects.trim(before).await?)
    }

    /// Sets records aside, each with its reason. A repetition for the same offset changes nothing.
    ///
    /// # Errors
    /// [`Error::Partition`], [`Error::Store`], [`Error::Broker`]; then some may have been published and kept, and the call is
    /// to be repeated.
    pub async fn reject(&self, records: &[Rejected]) -> Result<(), Error> {
        for record in records {
            self.check_partition(record.partition)?;
        }
        if let Backend::Kafka(log) = &*self.backend {
            // Published first: a crash between the two publishes them again, and loses nothing.
            log.reject(self.new_among(records).await?).await?;
        }
        match records.is_empty() {
            true => Ok(()),
            false => Ok(self.rejects.insert(records).await?),
        }
    }

    /// Those that were not set aside before.
    async fn new_among<'r>(&self, records: &'r [Rejected]) -> Result<Vec<&'r Rejected>, Error> {
        let mut partitions: BTreeMap<i64, Vec<&Rejected>> = BTreeMap::new();
        for record in records {
            partitions.entry(record.partition).or_default().push(record);
        }
        let mut fresh = Vec::with_capacity(records.len());
        for (partition, records) in partitions {
            let offsets = || records.iter().map(|record| record.offset);
            let between = offsets().min().unwrap_or_default()..=offsets().max().unwrap_or_default();
            let known = self.rejects.known(partition, between).await?;
            fresh.extend(records.into_iter().filter(|record| !known.contains(&record.offset)));
        }
        Ok(fresh)
    }

    /// Rejected records of some accounts, the newest first, at most `limit` that stand behind a place in the list.
    pub async fn rejected(
        &self,
        accounts: Accounts,
        before: Option<RejectedPlace>,
        limit: u32,
    ) -> Result<Vec<Rejected>, Error> {
        Ok(self.rejects.list(accounts, before, limit).await?)
    }

    /// One rejected record.
    pub async fn find_rejected(&self, partition: i64, offset: i64) -> Result<Option<Rejected>, Error> {
        Ok(self.rejects.find(partition, offset).await?)
    }

    /// Appends a rejected record once more, for its consumer to read it with what it can now, and forgets that it was
    /// rejected. Repeated after a crash, it is read once.
    ///
    /// # Errors
    /// Those of [`Self::append`].
    pub async fn replay(&self, rejected: &Rejected) -> Result<Positions, Error> {
        let Rejected { partition, offset, created_at, key, value, .. } = rejected;
        let producer = format!("replay/{partition}/{offset}");
        let message = Message { key: key.clone(), value: value.clone() };
        let positions = self.append(&producer, *created_at, vec![message]).await?;
        self.rejects.delete(*partition, *offset).await?;
        Ok(positions)
    }

    fn check_partition(&self, partition: i64) -> Result<(), Error> {
        if (0..self.partitions()).contains(&partition) { Ok(()) } else { Err(Error::Partition(partition)) }
    }

    /// The number of rejected records.
    pub async fn rejected_count(&self) -> Result<i64, Error> {
        Ok(self.rejects.count().await?)
    }
}

fn valid_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.contains('\0')
}

fn check_size(what: &'static str, bytes: usize, bytes_max: usize) -> Result<(), Error> {
    if bytes > bytes_max { Err(Error::TooLarge { what, bytes, bytes_max }) } else { Ok(()) }
}
