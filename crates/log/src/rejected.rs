//! Records that were set aside, in the table `log_rejected`.
//!
//! # Invariants
//! - A record is set aside once, whatever is repeated.
//! - What is kept of an account is bounded in number and bytes: the oldest goes, so that nobody fills the disk of others.
//!   A process looks for it after some additions, not after each: a look reads all that is kept of the account.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};

use portolan_ids::AccountId;
use portolan_store::{Bulk, Db, Error, Row, Value, args, retrying};

use crate::deletion::delete_in_steps;

/// Records kept of one account.
const RECORDS_MAX: usize = 1_000;
/// Records that one statement forgets.
const TRIMMED_AT_ONCE: i64 = 1_000;
/// Bytes kept by one transaction, so that others write between two; a larger record is one of its own.
const WRITTEN_AT_ONCE_BYTES: usize = 32 << 10;
/// Records beyond the bounds that one statement forgets: their bytes are overwritten.
const FORGOTTEN_AT_ONCE: i64 = 20;
/// Bytes of their keys, values, and reasons.
const BYTES_MAX: usize = 64 << 20;
/// What a process may add of an account beyond these before it forgets the oldest.
const SLACK: Size = Size { records: 50, bytes: 4 << 20 };
/// Accounts whose additions are remembered; of others the next addition leads to a look.
const ACCOUNTS_MAX: usize = 1_000;
/// What is kept of a reason, which may quote the record.
const REASON_CHARACTERS_MAX: usize = 1_000;

/// Metric of rejected records that are kept no longer, beyond the bounds of their account.
pub const FORGOTTEN: &str = "portolan_ingest_rejected_forgotten_total";

/// A record that is set aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// Where it stood in the log.
    pub partition: i64,
    /// Where it stood in its partition.
    pub offset: i64,
    /// The account that the record names; nothing when it could not be told.
    pub account_id: Option<AccountId>,
    /// Why it was not taken.
    pub reason: String,
    /// As it was appended.
    pub key: Vec<u8>,
    /// Empty for a batch that the log cannot read.
    pub value: Vec<u8>,
    /// Unix seconds.
    pub created_at: i64,
}

/// Which records are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the text of each variant says what its fields are")]
pub enum Accounts {
    /// Every account, and records of none.
    All,
    /// Those of one account, with those of no known account where `unknown`.
    Of { account_id: AccountId, unknown: bool },
}

/// The place of a record in the list, which goes from the newest to the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RejectedPlace {
    /// Unix seconds.
    pub created_at: i64,
    /// Of the log.
    pub partition: i64,
    /// In the partition.
    pub offset: i64,
}

impl Rejected {
    /// Where it stood.
    pub fn place(&self) -> RejectedPlace {
        RejectedPlace { created_at: self.created_at, partition: self.partition, offset: self.offset }
    }

    /// What keeping it takes.
    fn bytes(&self) -> usize {
        self.value.len() + self.key.len() + short(&self.reason).len()
    }
}

/// The rejected records of one topic.
pub(crate) struct Rejects {
    db: Db,
    topic: String,
    /// What this process has added of each account since it last looked for the oldest.
    added: Mutex<HashMap<AccountId, Size>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Size {
    records: usize,
    bytes: usize,
}

static INSERT: Bulk<8> = Bulk::new(
    "INSERT INTO log_rejected (topic, partition_id, record_offset, reason, value, created_at, account_id, record_key)",
    "ON CONFLICT DO NOTHING",
);
const FIND: &str = "SELECT partition_id, record_offset, reason, value, created_at, account_id, record_key \
     FROM log_rejected WHERE topic = $1 AND partition_id = $2 AND record_offset = $3";
const KNOWN: &str = "SELECT record_offset FROM log_rejected \
     WHERE topic = $1 AND partition_id = $2 AND record_offset BETWEEN $3 AND $4";
const SELECT: &str = "SELECT partition_id, record_offset, reason, value, created_at, account_id, record_key \
     FROM log_rejected WHERE topic = $1 AND ($2 = -1 OR account_id = $2 OR account_id = $3) \
     AND (created_at < $4 OR created_at = $4 AND (partition_id > $5 OR partition_id = $5 AND record_offset < $6)) \
     ORDER BY created_at DESC, partition_id, record_offset DESC LIMIT $7";
const COUNT: &str = "SELECT count(*) AS records FROM log_rejected WHERE topic = $1";
const DELETE: &str = "DELETE FROM log_rejected WHERE topic = $1 AND partition_id = $2 AND record_offset = $3";
const DELETE_OLDER: &str = "DELETE FROM log_rejected WHERE topic = $1 AND (partition_id, record_offset) IN \
     (SELECT partition_id, record_offset FROM log_rejected WHERE topic = $1 AND created_at < $2 LIMIT $3)";
// The newest of those to forget, in the order in which they go; the newest of all stays, whatever its size.
const FIRST_BEYOND: &str = "SELECT created_at, record_offset, partition_id FROM (SELECT created_at, record_offset, partition_id, \
         row_number() OVER newest AS records, sum(length(value) + length(record_key) + length(reason)) OVER newest AS bytes \
         FROM log_rejected WHERE topic = $1 AND account_id = $2 \
         WINDOW newest AS (ORDER BY created_at DESC, record_offset DESC, partition_id)) AS sizes \
     WHERE records > $3 OR records > 1 AND bytes > $4 ORDER BY created_at DESC, record_offset DESC, partition_id LIMIT 1";
const DELETE_FROM: &str = "DELETE FROM log_rejected WHERE topic = $1 AND (partition_id, record_offset) IN \
     (SELECT partition_id, record_offset FROM log_rejected WHERE topic = $1 AND account_id = $2 AND (created_at < $3 \
       OR created_at = $3 AND (record_offset < $4 OR record_offset = $4 AND partition_id >= $5)) LIMIT $6)";

impl Rejects {
    pub fn new(db: Db, topic: &str) -> Self {
        Self { db, topic: topic.to_owned(), added: Mutex::default() }
    }

    /// Keeps records; one of the same place as another stays as it is. Where there are too many of an account, its oldest
    /// go, and are counted. After an error some may be kept.
    pub async fn insert(&self, records: &[Rejected]) -> Result<(), Error> {
        let kept = newest(records);
        for part in parts(&kept) {
            retrying(|| async {
                let mut tx = self.db.begin().await?;
                tx.bulk(&INSERT, part.iter().map(|record| self.row(record))).await?;
                // Where it is gone after a power failure, the position behind it is, too.
                tx.commit_unsynced().await
            })
            .await?;
        }
        let mut forgotten = (records.len() - kept.len()) as u64;
        for account_id in self.due(&kept) {
            forgotten += self.forget_oldest(account_id).await?;
        }
        metrics::counter!(FORGOTTEN).increment(forgotten);
        Ok(())
    }

    /// Counts what was added, and returns the accounts of which the oldest may have to go.
    fn due(&self, added: &[&Rejected]) -> Vec<AccountId> {
        let mut sums: HashMap<AccountId, Size> = HashMap::new();
        for record in added {
            let sum = sums.entry(record.account_id.unwrap_or_default()).or_default();
            sum.records += 1;
            sum.bytes += record.bytes();
        }
        let mut known = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= ACCOUNTS_MAX {
            known.clear();
        }
        sums.retain(|account_id, sum| {
            let Some(size) = known.get_mut(account_id) else { return true };
            size.records += sum.records;
            size.bytes += sum.bytes;
            size.records > SLACK.records || size.bytes > SLACK.bytes
        });
        known.extend(sums.keys().map(|account_id| (*account_id, Size::default())));
        sums.into_keys().collect()
    }

    /// Forgets the oldest of an account that lie beyond its bounds, and returns their number.
    async fn forget_oldest(&self, account_id: AccountId) -> Result<u64, Error> {
        let bounds = args![&self.topic, account_id, RECORDS_MAX as i64, BYTES_MAX as i64];
        let Some(first) = self.db.fetch_optional(FIRST_BEYOND, bounds).await? else { return Ok(0) };
        let (created_at, offset): (i64, i64) = (first.get("created_at")?, first.get("record_offset")?);
        let partition: i64 = first.get("partition_id")?;
        let from = args![&self.topic, account_id, created_at, offset, partition, FORGOTTEN_AT_ONCE];
        delete_in_steps(FORGOTTEN_AT_ONCE, || self.db.execute_unsynced(DELETE_FROM, from.clone())).await
    }

    fn row(&self, record: &Rejected) -> [Value; 8] {
        let Rejected { partition, offset, account_id, reason, key, value, created_at } = record;
        [
            Value::from(&self.topic),
            Value::from(*partition),
            Value::from(*offset),
            // A reason may quote the record, and Postgres refuses NUL in text.
            Value::from(short(reason).replace('\0', "\u{fffd}")),
            Value::from(value),
            Value::from(*created_at),
            Value::from(account_id.unwrap_or_default()),
            Value::from(key),
        ]
    }

    /// Places that are kept among these of one partition.
    pub async fn known(&self, partition: i64, offsets: RangeInclusive<i64>) -> Result<HashSet<i64>, Error> {
        let between = args![&self.topic, partition, *offsets.start(), *offsets.end()];
        let rows = self.db.fetch_all(KNOWN, between).await?;
        rows.iter().map(|row| row.get("record_offset")).collect()
    }

    pub async fn find(&self, partition: i64, offset: i64) -> Result<Option<Rejected>, Error> {
        self.db.fetch_optional(FIND, args![&self.topic, partition, offset]).await?.map(|row| read(&row)).transpose()
    }

    pub async fn list(
        &self,
        accounts: Accounts,
        before: Option<RejectedPlace>,
        limit: u32,
    ) -> Result<Vec<Rejected>, Error> {
        let (account_id, other) = match accounts {
            Accounts::All => (AccountId(-1), AccountId(-1)),
            Accounts::Of { account_id, unknown: true } => (account_id, AccountId(0)),
            Accounts::Of { account_id, unknown: false } => (account_id, account_id),
        };
        let RejectedPlace { created_at, partition, offset } =
            before.unwrap_or(RejectedPlace { created_at: i64::MAX, partition: i64::MAX, offset: 0 });
        let arguments = args![&self.topic, account_id, other, created_at, partition, offset, limit];
        self.db.fetch_all(SELECT, arguments).await?.iter().map(read).collect()
    }

    pub async fn count(&self) -> Result<i64, Error> {
        self.db.fetch_one(COUNT, args![&self.topic]).await?.get("records")
    }

    /// Forgets what was set aside before a time.
    pub async fn trim(&self, before: i64) -> Result<u64, Error> {
        let arguments = args![&self.topic, before, TRIMMED_AT_ONCE];
        delete_in_steps(TRIMMED_AT_ONCE, || self.db.execute(DELETE_OLDER, arguments.clone())).await
    }

    /// Forgets a record; false when it was not there.
    pub async fn delete(&self, partition: i64, offset: i64) -> Result<bool, Error> {
        Ok(self.db.execute(DELETE, args![&self.topic, partition, offset]).await? == 1)
    }
}

/// What is kept of records that come together: of each account the newest within its bounds, so that a flood is not
/// written to be forgotten by the same transaction.
fn newest(records: &[Rejected]) -> Vec<&Rejected> {
    let mut order: Vec<&Rejected> = records.iter().collect();
    order.sort_by_key(|record| (std::cmp::Reverse((record.created_at, record.offset)), record.partition));
    let mut sizes: HashMap<Option<AccountId>, (usize, usize)> = HashMap::new();
    order.retain(|record| {
        let (count, bytes) = sizes.entry(record.account_id).or_default();
        *count += 1;
        *bytes += record.bytes();
        *count <= RECORDS_MAX && (*count == 1 || *bytes <= BYTES_MAX)
    });
    order
}

/// The records in their order, each part of which one transaction keeps.
fn parts<'k, 'r>(mut records: &'k [&'r Rejected]) -> Vec<&'k [&'r Rejected]> {
    let mut parts = Vec::new();
    while !records.is_empty() {
        let mut bytes = 0;
        let fits = |record: &&&Rejected| {
            bytes += record.bytes();
            bytes <= WRITTEN_AT_ONCE_BYTES
        };
        let (part, rest) = records.split_at(records.iter().take_while(fits).count().max(1));
        parts.push(part);
        records = rest;
    }
    parts
}

/// As much of a reason as is kept.
pub(crate) fn short(reason: &str) -> &str {
    reason.char_indices().nth(REASON_CHARACTERS_MAX).map_or(reason, |(end, _)| &reason[..end])
}

fn read(row: &Row) -> Result<Rejected, Error> {
    Ok(Rejected {
        partition: row.get("partition_id")?,
        offset: row.get("record_offset")?,
        account_id: Some(row.get("account_id")?).filter(|id| *id != AccountId(0)),
        reason: row.get("reason")?,
        key: row.get("record_key")?,
        value: row.get("value")?,
        created_at: row.get("created_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_cut_by_its_bytes() {
        let record = |bytes: usize| Rejected { value: vec![0; bytes], ..Rejected::default() };
        let half = WRITTEN_AT_ONCE_BYTES / 2;
        let records = [half, half, 1, 10 * half, half, half + 1].map(record);
        let kept: Vec<&Rejected> = records.iter().collect();
        let sizes: Vec<usize> = parts(&kept).iter().map(|part| part.len()).collect();
        assert_eq!(sizes, [2, 1, 1, 1, 1]);
        assert_eq!(parts(&kept).concat(), kept);
        assert!(parts(&[]).is_empty());
    }
}
