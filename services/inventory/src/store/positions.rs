use portolan_log::Positions;
use portolan_store::{Db, Error, Tx, args};

const SELECT: &str = "SELECT partition_id, next_offset FROM ingest_cursors WHERE source = $1";

/// How far every partition of a log is in the inventory; partitions without a record yet are absent.
pub async fn list(db: &Db, source: &str) -> Result<Positions, Error> {
    let rows = db.fetch_all(SELECT, args![source]).await?;
    rows.iter().map(|row| Ok((row.get("partition_id")?, row.get("next_offset")?))).collect()
}

const INSERT: &str =
    "INSERT INTO ingest_cursors (source, partition_id, next_offset) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING";
const ADVANCE: &str =
    "UPDATE ingest_cursors SET next_offset = $4 WHERE source = $1 AND partition_id = $2 AND next_offset = $3";

/// Makes the row of a partition that has none.
pub async fn ensure(db: &Db, source: &str, partition: i64) -> Result<(), Error> {
    db.execute(INSERT, args![source, partition]).await.map(drop)
}

/// Moves a partition on; false when another consumer has moved it since `expected` was read.
pub async fn advance(
    tx: &mut Tx,
    source: &str,
    partition: i64,
    expected: i64,
    next_offset: i64,
) -> Result<bool, Error> {
    Ok(tx.execute(ADVANCE, args![source, partition, expected, next_offset]).await? == 1)
}
