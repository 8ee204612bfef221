use portolan_store::{Db, Error, Tx, args};

/// Sequence and index of a producer's last record.
pub type Mark = (i64, i64);

// A mark of lane -1 is one of all accounts, from when a partition was read in its order.
const SELECT: &str = "SELECT sequence, record_index FROM ingest_marks \
     WHERE source = $1 AND partition_id = $2 AND producer_id = $3 AND lane IN (-1, $4) \
     ORDER BY sequence DESC, record_index DESC LIMIT 1";

/// The last record of a producer that a lane of a partition has brought.
pub async fn find(
    db: &Db,
    source: &str,
    partition: i64,
    (lane, producer_id): (i64, &str),
) -> Result<Option<Mark>, Error> {
    let row = db.fetch_optional(SELECT, args![source, partition, producer_id, lane]).await?;
    row.map(|row| Ok((row.get("sequence")?, row.get("record_index")?))).transpose()
}

const SAVE: &str = "INSERT INTO ingest_marks (source, partition_id, producer_id, lane, sequence, record_index, seen_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (source, partition_id, producer_id, lane) \
     DO UPDATE SET sequence = excluded.sequence, record_index = excluded.record_index, seen_at = excluded.seen_at";

pub async fn save(
    tx: &mut Tx,
    source: &str,
    partition: i64,
    (lane, producer_id): (i64, &str),
    mark: Mark,
    now: i64,
) -> Result<(), Error> {
    tx.execute(SAVE, args![source, partition, producer_id, lane, mark.0, mark.1, now]).await.map(drop)
}

const DELETE: &str = "DELETE FROM ingest_marks WHERE seen_at < $1";

/// Forgets producers that were last seen before this time, in Unix seconds.
pub async fn delete_older(db: &Db, before: i64) -> Result<u64, Error> {
    db.execute(DELETE, args![before]).await
}
