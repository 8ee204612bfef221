use std::collections::BTreeMap;

use portolan_ids::AccountId;
use portolan_log::Positions;
use portolan_store::{Db, Error, Tx, args};

const SELECT: &str = "SELECT partition_id, next_offset FROM ingest_cursors WHERE source = $1";

/// How far every partition of a log is in the inventory; partitions without a record yet are absent.
pub async fn list(db: &Db, source: &str) -> Result<Positions, Error> {
    let rows = db.fetch_all(SELECT, args![source]).await?;
    rows.iter().map(|row| Ok((row.get("partition_id")?, row.get("next_offset")?))).collect()
}

const SELECT_OF_ACCOUNT: &str = "SELECT cursors.partition_id, \
       CASE WHEN lanes.next_offset > cursors.next_offset THEN lanes.next_offset ELSE cursors.next_offset END AS next_offset \
     FROM ingest_cursors AS cursors LEFT JOIN ingest_lanes AS lanes \
       ON lanes.source = cursors.source AND lanes.partition_id = cursors.partition_id AND lanes.lane = $2 \
     WHERE cursors.source = $1";

/// How far the records of an account are in the inventory, which may be ahead of their partition; partitions without a
/// record yet are absent. One statement, since a commit may move a partition past what was ahead of it.
pub async fn of_account(db: &Db, source: &str, account_id: AccountId) -> Result<Positions, Error> {
    let rows = db.fetch_all(SELECT_OF_ACCOUNT, args![source, account_id]).await?;
    rows.iter().map(|row| Ok((row.get("partition_id")?, row.get("next_offset")?))).collect()
}

const INSERT: &str =
    "INSERT INTO ingest_cursors (source, partition_id, next_offset) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING";

const ADVANCE: &str = "UPDATE ingest_cursors SET next_offset = $5, commits = commits + 1, tries = 0, \
       work_owner = CASE WHEN work_to > $5 THEN work_owner END, \
       work_from = CASE WHEN work_from < $5 THEN $5 ELSE work_from END \
     WHERE source = $1 AND partition_id = $2 AND next_offset = $3 AND commits = $4";

const SAVE_LANE: &str = "INSERT INTO ingest_lanes (source, partition_id, lane, next_offset) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (source, partition_id, lane) DO UPDATE SET next_offset = excluded.next_offset";

const DELETE_LANES: &str = "DELETE FROM ingest_lanes WHERE source = $1 AND partition_id = $2 AND next_offset <= $3";

/// How far a commit moves a partition on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Where the partition stood…
    pub expected: i64,
    /// … and how many commits it had: an account that gets ahead leaves the position as it is.
    pub commits: i64,
    pub next_offset: i64,
    /// Accounts whose records are written up to an offset behind the position.
    pub ahead: Vec<(i64, i64)>,
    /// Some were ahead before.
    pub was_ahead: bool,
}

impl Progress {
    /// Moves the position alone.
    pub fn to(cursor: &Cursor, next_offset: i64) -> Self {
        let Cursor { next_offset: expected, commits, .. } = *cursor;
        Self { expected, commits, next_offset, ahead: Vec::new(), was_ahead: !cursor.ahead.is_empty() }
    }

    /// Whether there is something to be stored.
    pub fn is_any(&self) -> bool {
        self.next_offset != self.expected || !self.ahead.is_empty()
    }
}

/// Makes the row of a partition that has none.
pub async fn ensure(db: &Db, source: &str, partition: i64) -> Result<(), Error> {
    db.execute(INSERT, args![source, partition]).await.map(drop)
}

/// Moves a partition on; false when another consumer has written since it was read. Whoever works on it keeps it up to the
/// last record that is noted.
pub async fn advance(tx: &mut Tx, source: &str, partition: i64, progress: &Progress) -> Result<bool, Error> {
    let Progress { expected, commits, next_offset, ahead, was_ahead } = progress;
    if tx.execute(ADVANCE, args![source, partition, *expected, *commits, *next_offset]).await? != 1 {
        return Ok(false);
    }
    if *was_ahead {
        tx.execute(DELETE_LANES, args![source, partition, *next_offset]).await?;
    }
    for (lane, offset) in ahead {
        tx.execute(SAVE_LANE, args![source, partition, *lane, *offset]).await?;
    }
    Ok(true)
}

/// Where a partition stands, and what its consumers died at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    pub next_offset: i64,
    /// Who works on the records `work_from..work_to`; nobody when absent.
    pub work_owner: Option<String>,
    pub work_from: i64,
    pub work_to: i64,
    /// Processes died `deaths` times at one of the records `suspect_from..suspect_to`.
    pub suspect_from: i64,
    pub suspect_to: i64,
    pub deaths: i64,
    /// Grows with every commit.
    pub commits: i64,
    /// Accounts whose records are written up to an offset behind the position; 0 stands for records that name none.
    pub ahead: BTreeMap<i64, i64>,
}

const LOAD: &str = "SELECT next_offset, work_owner, work_from, work_to, suspect_from, suspect_to, deaths, commits \
     FROM ingest_cursors WHERE source = $1 AND partition_id = $2";

const LOAD_LANES: &str = "SELECT lane, next_offset FROM ingest_lanes \
     WHERE source = $1 AND partition_id = $2 AND next_offset > $3";

/// Where a partition stands.
pub async fn load(db: &Db, source: &str, partition: i64) -> Result<Cursor, Error> {
    let Some(row) = db.fetch_optional(LOAD, args![source, partition]).await? else { return Ok(Cursor::default()) };
    let next_offset: i64 = row.get("next_offset")?;
    // What is committed between the two makes the number of commits wrong, and nothing is written by it.
    let lanes = db.fetch_all(LOAD_LANES, args![source, partition, next_offset]).await?;
    let ahead = lanes.iter().map(|row| Ok((row.get("lane")?, row.get("next_offset")?)));
    Ok(Cursor {
        next_offset,
        ahead: ahead.collect::<Result<_, Error>>()?,
        commits: row.get("commits")?,
        work_owner: row.get("work_owner")?,
        work_from: row.get("work_from")?,
        work_to: row.get("work_to")?,
        suspect_from: row.get("suspect_from")?,
        suspect_to: row.get("suspect_to")?,
        deaths: row.get("deaths")?,
    })
}

const NOTE_WORK: &str = "UPDATE ingest_cursors SET work_owner = $4, work_from = $5, work_to = $6 \
     WHERE source = $1 AND partition_id = $2 AND commits = $3 AND (work_owner IS NULL OR work_owner = $4)";

/// Notes who works on which records before it begins; false when another consumer has the partition.
pub async fn note_work(
    db: &Db,
    source: &str,
    partition: i64,
    commits: i64,
    owner: &str,
    records: std::ops::Range<i64>,
) -> Result<bool, Error> {
    let work = args![source, partition, commits, owner, records.start, records.end];
    Ok(db.execute_unsynced(NOTE_WORK, work).await? == 1)
}

const NOTE_DEATH: &str = "UPDATE ingest_cursors SET work_owner = NULL, suspect_from = work_from, \
     suspect_to = $6, deaths = $7 \
     WHERE source = $1 AND partition_id = $2 AND next_offset = $3 AND work_owner = $4 AND work_from = $5";

/// Notes that the process that worked on the records from `work_from` to `suspect_to` died there, the `deaths`th that did.
/// The first who sees it counts.
pub async fn note_death(
    db: &Db,
    source: &str,
    partition: i64,
    cursor: &Cursor,
    suspect_to: i64,
    deaths: i64,
) -> Result<(), Error> {
    let owner = cursor.work_owner.as_deref().unwrap_or_default();
    let died = args![source, partition, cursor.next_offset, owner, cursor.work_from, suspect_to, deaths];
    db.execute_unsynced(NOTE_DEATH, died).await.map(drop)
}

const LET_GO: &str = "UPDATE ingest_cursors SET work_owner = NULL \
     WHERE source = $1 AND partition_id = $2 AND work_owner = $3";

/// Takes a process away from one partition.
pub async fn let_go(db: &Db, source: &str, partition: i64, owner: &str) -> Result<(), Error> {
    db.execute_unsynced(LET_GO, args![source, partition, owner]).await.map(drop)
}

const RELEASE: &str = "UPDATE ingest_cursors SET work_owner = NULL WHERE work_owner = $1";

const END_CONSUMER: &str = "DELETE FROM ingest_consumers WHERE owner = $1";

/// Takes a process that ends in order away from everything that it works on.
pub async fn release(db: &Db, owner: &str) -> Result<(), Error> {
    db.execute(RELEASE, args![owner]).await?;
    db.execute(END_CONSUMER, args![owner]).await.map(drop)
}

const BEAT: &str = "INSERT INTO ingest_consumers (owner, beat) VALUES ($1, 1) \
     ON CONFLICT (owner) DO UPDATE SET beat = ingest_consumers.beat + 1";

const SELECT_BEAT: &str = "SELECT beat FROM ingest_consumers WHERE owner = $1";

/// Shows that a process lives.
pub async fn beat(db: &Db, owner: &str) -> Result<(), Error> {
    db.execute_unsynced(BEAT, args![owner]).await.map(drop)
}

/// How often a process has shown that it lives.
pub async fn beats(db: &Db, owner: &str) -> Result<i64, Error> {
    db.fetch_optional(SELECT_BEAT, args![owner]).await?.map_or(Ok(0), |row| row.get("beat"))
}

const NOTE_TRY: &str = "UPDATE ingest_cursors SET tries = tries + 1 \
     WHERE source = $1 AND partition_id = $2 AND next_offset = $3 RETURNING tries";

/// Counts a failed try to read the batch at the position; 0 when the partition has moved on.
pub async fn note_try(db: &Db, source: &str, partition: i64, next_offset: i64) -> Result<i64, Error> {
    let mut tx = db.begin().await?;
    let tries = tx.fetch_optional(NOTE_TRY, args![source, partition, next_offset]).await?;
    tx.commit().await?;
    tries.map_or(Ok(0), |row| row.get("tries"))
}
