use std::collections::BTreeMap;
use std::time::Duration;

use portolan_store::{Bulk, Db, Migration, Migrations, Store, Tables, Value, args, now_s, retrying};
use tokio::time::Instant;

use crate::appended::{Appended, CHANNEL};
use crate::batch::{self, Batch};
use crate::deletion::delete_in_steps;
use crate::message::{Message, Positions, Shown, Stored};
use crate::{Error, PARTITIONS, partition_of};

/// How soon a reader notices an append by another process that it was not told of.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Batches looked at for one fetch, and removed by one transaction: both keep the other side from waiting long.
const BATCHES_MAX: i64 = 1_024;
/// A producer that repeats later than this appends twice. Clients keep unsent work for hours, not for days.
const PRODUCER_MEMORY_S: i64 = 7 * 24 * 3_600;

const MIGRATIONS: Migrations = Migrations {
    service: "log",
    steps: &[Migration {
        version: 1,
        name: "log",
        sqlite: include_str!("../migrations/sqlite/0001_log.sql"),
        postgres: include_str!("../migrations/postgres/0001_log.sql"),
    }],
};

/// The tables of the log; with a broker too, whose rejected records they keep.
pub const TABLES: Tables = Tables { service: "log", parts: &[&MIGRATIONS] };

const INSERT_PARTITION: &str = "INSERT INTO log_partitions (topic, partition_id, next_offset, log_start_offset) \
     VALUES ($1, $2, 0, 0) ON CONFLICT DO NOTHING";
/// Locks the partition until the commit, on both databases: the next append waits, so offsets become visible in order.
const TAKE_OFFSETS: &str = "UPDATE log_partitions SET next_offset = next_offset + $3 \
     WHERE topic = $1 AND partition_id = $2 RETURNING next_offset";
static INSERT_BATCHES: Bulk<7> = Bulk::new(
    "INSERT INTO log_batches (topic, partition_id, base_offset, record_count, raw_bytes, created_at, payload)",
    "",
);
const INSERT_PRODUCER: &str = "INSERT INTO log_producers (topic, producer_id, sequence, positions, created_at) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
const SELECT_PRODUCER: &str =
    "SELECT positions FROM log_producers WHERE topic = $1 AND producer_id = $2 AND sequence = $3";
/// Whole batches until the bytes, and at least one. The batch that holds the offset begins at or before it.
const SELECT_BATCHES: &str = "WITH sizes AS MATERIALIZED ( \
       SELECT base_offset, cast(sum(raw_bytes) OVER (ORDER BY base_offset) as bigint) AS bytes FROM ( \
         SELECT base_offset, raw_bytes FROM log_batches \
         WHERE topic = $1 AND partition_id = $2 AND base_offset >= coalesce( \
           (SELECT CASE WHEN base_offset + record_count > $3 THEN base_offset END FROM log_batches \
             WHERE topic = $1 AND partition_id = $2 AND base_offset <= $3 ORDER BY base_offset DESC LIMIT 1), $3) \
         ORDER BY base_offset LIMIT $4) AS next) \
     SELECT base_offset, record_count, payload FROM log_batches \
     WHERE topic = $1 AND partition_id = $2 AND base_offset BETWEEN (SELECT min(base_offset) FROM sizes) \
       AND (SELECT coalesce(max(CASE WHEN bytes <= $5 THEN base_offset END), min(base_offset)) FROM sizes) \
     ORDER BY base_offset";
const SELECT_APPENDED_AT: &str = "SELECT created_at FROM log_batches WHERE topic = $1 AND partition_id = $2 \
     AND base_offset + record_count > $3 ORDER BY base_offset LIMIT 1";
const SELECT_NEXT_OFFSET: &str = "SELECT next_offset FROM log_partitions WHERE topic = $1 AND partition_id = $2";
const SELECT_OFFSETS: &str = "SELECT partition_id, next_offset, log_start_offset FROM log_partitions WHERE topic = $1";
const DELETE_BATCHES: &str = "DELETE FROM log_batches WHERE topic = $1 AND partition_id = $2 AND base_offset IN \
     (SELECT base_offset FROM log_batches WHERE topic = $1 AND partition_id = $2 \
       AND base_offset + record_count <= $3 ORDER BY base_offset LIMIT $4)";
const MOVE_START: &str = "UPDATE log_partitions SET log_start_offset = coalesce((SELECT min(base_offset) \
       FROM log_batches WHERE topic = $1 AND partition_id = $2), next_offset) \
     WHERE topic = $1 AND partition_id = $2";
const DELETE_PRODUCERS: &str = "DELETE FROM log_producers WHERE topic = $1 AND created_at < $2";

/// One topic in the tables of the store.
pub(crate) struct Embedded {
    db: Db,
    topic: String,
    appended: Appended,
}

impl Embedded {
    pub async fn open(topic: &str, store: &Store) -> Result<Self, Error> {
        let db = store.migrate(&TABLES).await?;
        if !store.makes() && db.fetch_all(SELECT_OFFSETS, args![topic]).await?.is_empty() {
            return Err(Error::Configuration(format!(
                "the topic {topic} does not exist there: log.topic must be that of the processes, which make it at their start"
            )));
        }
        for partition in 0..PARTITIONS {
            db.execute(INSERT_PARTITION, args![topic, partition]).await?;
        }
        let appended = Appended::new(topic, &db, store.listener(CHANNEL));
        Ok(Self { db, topic: topic.to_owned(), appended })
    }

    pub async fn append(
        &self,
        producer_id: &str,
        sequence: i64,
        messages: Vec<Message>,
        shown: &Shown<'_>,
    ) -> Result<Positions, Error> {
        let bytes = messages.iter().map(batch::size).sum();
        let packed = apart_from(bytes, move || pack_by_partition(messages)).await?;
        retrying(|| self.append_once(producer_id, sequence, &packed, shown)).await
    }

    async fn append_once(
        &self,
        producer_id: &str,
        sequence: i64,
        packed: &BTreeMap<i64, Vec<Batch>>,
        shown: &Shown<'_>,
    ) -> Result<Positions, Error> {
        let now = now_s();
        let mut tx = self.db.begin().await?;
        let mut positions = Positions::new();
        let mut rows = Vec::new();
        // The map's ascending order is also the order of locks, so two appends never wait for each other in a circle.
        for (&partition, batches) in packed {
            let count: i64 = batches.iter().map(|batch| batch.record_count).sum();
            let row = tx.fetch_one(TAKE_OFFSETS, args![&self.topic, partition, count]).await?;
            let next_offset: i64 = row.get(0)?;
            positions.insert(partition, next_offset);
            let mut base_offset = next_offset - count;
            for batch in batches {
                rows.push([
                    Value::from(&self.topic),
                    Value::from(partition),
                    Value::from(base_offset),
                    Value::from(batch.record_count),
                    Value::from(batch.raw_bytes),
                    Value::from(now),
                    Value::from(&batch.payload),
                ]);
                base_offset += batch.record_count;
            }
        }
        let text = positions_to_json(&positions);
        let producer = args![&self.topic, producer_id, sequence, text, now];
        if tx.execute(INSERT_PRODUCER, producer).await? == 0 {
            tx.rollback().await?;
            let positions = self.earlier_positions(producer_id, sequence).await?;
            self.appended.tell(&positions);
            shown(&positions);
            return Ok(positions);
        }
        tx.bulk(&INSERT_BATCHES, rows).await?;
        // Who reads them may begin before they are durable: what is made of them is written after them.
        let tell = || {
            self.appended.tell(&positions);
            shown(&positions);
        };
        tx.commit_showing(tell).await?;
        Ok(positions)
    }

    async fn earlier_positions(&self, producer_id: &str, sequence: i64) -> Result<Positions, Error> {
        let row = self.db.fetch_one(SELECT_PRODUCER, args![&self.topic, producer_id, sequence]).await?;
        positions_from_json(&row.get::<String>(0)?)
    }

    pub async fn fetch(&self, partition: i64, from_offset: i64, bytes_max: usize) -> Result<Vec<Stored>, Error> {
        let bytes_max = i64::try_from(bytes_max).unwrap_or(i64::MAX);
        let looked_at = args![&self.topic, partition, from_offset, BATCHES_MAX, bytes_max];
        let mut packed = Vec::new();
        for row in self.db.fetch_all(SELECT_BATCHES, looked_at).await? {
            packed.push((row.get::<i64>(0)?, row.get::<i64>(1)?, row.get::<Vec<u8>>(2)?));
        }
        if packed.is_empty() {
            return Ok(Vec::new());
        }
        let bytes = packed.iter().filter_map(|(.., payload)| batch::raw_bytes(payload)).sum();
        apart_from(bytes, move || {
            let mut records = Vec::new();
            for (base_offset, record_count, payload) in packed {
                let whole = records.len();
                if let Err(reason) = batch::unpack(&payload, base_offset, record_count, from_offset, &mut records) {
                    records.truncate(whole);
                    if !records.is_empty() {
                        // What lies before it is read first.
                        break;
                    }
                    let (offset, next_offset) = (base_offset.max(from_offset), base_offset + record_count);
                    return Err(Error::Damaged { partition, offset, next_offset, reason: reason.to_owned() });
                }
            }
            Ok(records)
        })
        .await?
    }

    pub async fn appended_at(&self, partition: i64, offset: i64) -> Result<Option<i64>, Error> {
        let row = self.db.fetch_optional(SELECT_APPENDED_AT, args![&self.topic, partition, offset]).await?;
        row.map(|row| Ok(row.get(0)?)).transpose()
    }

    pub async fn wait(&self, partition: i64, from_offset: i64, timeout: Duration) -> Result<bool, Error> {
        let deadline = Instant::now() + timeout;
        let Some(appended) = self.appended.to(partition) else {
            return Err(Error::Partition(partition));
        };
        loop {
            let mut told = std::pin::pin!(appended.notified());
            // Listening begins before the look, so an append between the two is not missed.
            told.as_mut().enable();
            if self.end_offset(partition).await? > from_offset {
                return Ok(true);
            }
            let now = Instant::now();
            if now >= deadline {
                return Ok(false);
            }
            // Both ends of the wait lead to another look, so which one it was does not matter.
            let _ = tokio::time::timeout_at(deadline.min(now + POLL_INTERVAL), told).await;
        }
    }

    pub async fn end_offset(&self, partition: i64) -> Result<i64, Error> {
        Ok(self.db.fetch_one(SELECT_NEXT_OFFSET, args![&self.topic, partition]).await?.get(0)?)
    }

    pub async fn end_offsets(&self) -> Result<Positions, Error> {
        self.offsets("next_offset").await
    }

    pub async fn start_offsets(&self) -> Result<Positions, Error> {
        self.offsets("log_start_offset").await
    }

    async fn offsets(&self, column: &str) -> Result<Positions, Error> {
        let mut positions = Positions::new();
        for row in self.db.fetch_all(SELECT_OFFSETS, args![&self.topic]).await? {
            positions.insert(row.get("partition_id")?, row.get(column)?);
        }
        Ok(positions)
    }

    pub async fn trim(&self, partition: i64, before_offset: i64) -> Result<u64, Error> {
        delete_in_steps(BATCHES_MAX, || self.trim_once(partition, before_offset)).await
    }

    async fn trim_once(&self, partition: i64, before_offset: i64) -> Result<u64, Error> {
        let mut tx = self.db.begin().await?;
        // Taking no offset only locks the partition: statements after it see every finished append.
        tx.fetch_one(TAKE_OFFSETS, args![&self.topic, partition, 0_i64]).await?;
        let removed = tx.execute(DELETE_BATCHES, args![&self.topic, partition, before_offset, BATCHES_MAX]).await?;
        if removed > 0 {
            tx.execute(MOVE_START, args![&self.topic, partition]).await?;
        }
        tx.commit().await?;
        Ok(removed)
    }

    pub async fn trim_producers(&self, now: i64) -> Result<u64, Error> {
        let before = now.saturating_sub(PRODUCER_MEMORY_S);
        retrying(|| async { Ok(self.db.execute(DELETE_PRODUCERS, args![&self.topic, before]).await?) }).await
    }
}

/// Messages by partition, in their order, packed.
fn pack_by_partition(messages: Vec<Message>) -> BTreeMap<i64, Vec<Batch>> {
    let mut by_partition = BTreeMap::<i64, Vec<Message>>::new();
    for message in messages {
        by_partition.entry(partition_of(&message.key)).or_default().push(message);
    }
    by_partition.into_iter().map(|(partition, messages)| (partition, batch::pack(&messages))).collect()
}

/// Compression of megabytes would hold up the other tasks of its thread.
async fn apart_from<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    portolan_runtime::apart_from(bytes, work)
        .await
        .map_err(|error| Error::Store(portolan_store::Error::Other(format!("a worker stopped: {error}"))))
}

fn positions_to_json(positions: &Positions) -> String {
    serde_json::json!(positions).to_string()
}

fn positions_from_json(text: &str) -> Result<Positions, Error> {
    serde_json::from_str(text)
        .map_err(|error| Error::Store(portolan_store::Error::Inconsistency(format!("positions of an append: {error}"))))
}
