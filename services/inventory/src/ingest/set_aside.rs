//! Records that stand in the way of a partition are kept among the rejected ones, and the partition goes on.

use portolan_log::{Log, Rejected, Stored};
use portolan_runtime::now_s;
use portolan_store::{Db, Store};

use crate::{Deps, Error, ingest::lanes, store, store::positions::Progress};

/// Tries to read a batch before it is set aside.
const TRIES_MAX: i64 = 3;

const REASON_DEATHS: &str = "the process died or panicked while it worked on the record";

const REASON_OPERATOR: &str = "skipped by an operator";

/// Sets a record aside at which processes died. The partition goes on behind it with the next commit.
///
/// # Errors
/// When the record cannot be kept; then the partition must not go on.
pub async fn record(deps: &Deps, partition: i64, record: &Stored, deaths: i64) -> Result<(), Error> {
    let reason = format!("{REASON_DEATHS} ({deaths} times)");
    deps.log.reject(&[rejected(partition, record, reason)]).await?;
    tracing::error!(partition, offset = record.offset, deaths, "a record at which processes died is set aside");
    count(partition, 1);
    Ok(())
}

/// Counts a failed try to read what stands at the position, and sets it aside after the last one; true when the partition
/// has moved. Any other error is given back.
///
/// # Errors
/// The given one, until it was tried often enough.
pub async fn unreadable(deps: &Deps, partition: i64, position: i64, error: Error) -> Result<bool, Error> {
    let Error::Log(portolan_log::Error::Damaged { offset, next_offset, .. }) = &error else { return Err(error) };
    let tries = store::positions::note_try(&deps.db, deps.log.source(), partition, position).await?;
    if tries < TRIES_MAX {
        return Err(error);
    }
    deps.log.reject(&[unread(partition, *offset, error.to_string())]).await?;
    tracing::error!(partition, offset, next_offset, %error, "a batch that cannot be read is set aside");
    moved(&deps.db, &deps.log, partition, position, *next_offset).await
}

/// A record as it is set aside.
pub(super) fn rejected(partition: i64, record: &Stored, reason: String) -> Rejected {
    Rejected {
        partition,
        offset: record.offset,
        account_id: lanes::account_of(&record.value),
        reason,
        key: record.key.to_vec(),
        value: record.value.to_vec(),
        created_at: now_s(),
    }
}

/// A batch of which nothing can be read.
fn unread(partition: i64, offset: i64, reason: String) -> Rejected {
    Rejected { partition, offset, reason, created_at: now_s(), ..Rejected::default() }
}

pub(super) fn count(partition: i64, records: usize) {
    metrics::counter!("portolan_ingest_set_aside_total", "partition" => partition.to_string())
        .increment(records as u64);
}

/// Moves a partition on that stands at the position, behind what was set aside.
async fn moved(db: &Db, log: &Log, partition: i64, position: i64, next: i64) -> Result<bool, Error> {
    let cursor = store::positions::load(db, log.source(), partition).await?;
    if cursor.next_offset != position {
        return Ok(false);
    }
    count(partition, 1);
    let mut tx = db.begin().await?;
    let moved = store::positions::advance(&mut tx, log.source(), partition, &Progress::to(&cursor, next)).await?;
    tx.commit().await?;
    Ok(moved)
}

/// What an operator's skip did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// The records from the position up to here are set aside.
    To(i64),
    /// The partition stands elsewhere; nothing was done.
    StandsAt(i64),
    /// The partition has no record there yet.
    Empty,
}

/// Sets the record at the position of a partition aside, or the batch when it cannot be read, for an operator.
///
/// # Errors
/// When log or store do not answer, or there is no such partition.
pub async fn skip(store: &Store, log: &Log, partition: i64, offset: i64) -> Result<Skipped, Error> {
    let db = store.service(crate::migrations::SERVICE).await?;
    let cursor = store::positions::load(&db, log.source(), partition).await?;
    let position = cursor.next_offset;
    if position != offset {
        return Ok(Skipped::StandsAt(position));
    }
    let next = match log.peek(partition, offset).await {
        Ok(None) => return Ok(Skipped::Empty),
        Ok(Some(record)) => {
            // A record of an account that is ahead is in the tables.
            if cursor.ahead.get(&lanes::lane_of(&record.value)).is_none_or(|ahead| record.offset >= *ahead) {
                log.reject(&[rejected(partition, &record, REASON_OPERATOR.to_owned())]).await?;
            }
            record.offset + 1
        }
        Err(error @ portolan_log::Error::Damaged { offset, next_offset, .. }) => {
            log.reject(&[unread(partition, offset, format!("{REASON_OPERATOR}: {error}"))]).await?;
            next_offset
        }
        Err(error) => return Err(error.into()),
    };
    if !moved(&db, log, partition, position, next).await? {
        let position = store::positions::load(&db, log.source(), partition).await?.next_offset;
        return Ok(Skipped::StandsAt(position));
    }
    tracing::warn!(partition, offset, next, "an operator skipped records");
    Ok(Skipped::To(next))
}
