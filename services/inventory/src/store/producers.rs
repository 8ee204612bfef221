use portolan_store::{Db, Error, Tx, args};

/// Sequence and index of a producer's last record.
pub type Mark = (i64, i64);

const SELECT: &str = "SELECT sequence, record_index FROM ingest_producers \
     WHERE source = $1 AND partition_id = $2 AND producer_id = $3";

/// The last record of a producer that a partition has brought.
pub async fn find(db: &Db, source: &str, partition: i64, producer_id: &str) -> Result<Option<Mark>, Error> {
    let row = db.fetch_optional(SELECT, args![source, partition, producer_id]).await?;
    row.map(|row| Ok((row.get("sequence")?, row.get("record_index")?))).transpose()
}

const SAVE: &str = "INSERT INTO ingest_producers (source, partition_id, producer_id, sequence, record_index, seen_at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (source, partition_id, producer_id) \
     DO UPDATE SET sequence = excluded.sequence, record_index = excluded.record_index, seen_at = excluded.seen_at";

pub async fn save(
    tx: &mut Tx,
    source: &str,
    partition: i64,
    producer_id: &str,
    mark: Mark,
    now: i64,
) -> Result<(), Error> {
    tx.execute(SAVE, args![source, partition, producer_id, mark.0, mark.1, now]).await.map(drop)
}

const DELETE: &str = "DELETE FROM ingest_producers WHERE seen_at < $1";

/// Forgets producers that were last seen before this time, in Unix seconds.
pub async fn delete_older(db: &Db, before: i64) -> Result<u64, Error> {
    db.execute(DELETE, args![before]).await
}
