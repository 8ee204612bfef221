use portolan_log::Positions;
use portolan_store::{Db, Error, Tx, args};

const SELECT: &str = "SELECT partition_id, next_offset FROM ingest_positions";

/// How far every partition is in the inventory; partitions without a record yet are absent.
pub async fn list(db: &Db) -> Result<Positions, Error> {
    let rows = db.fetch_all(SELECT, args![]).await?;
    rows.iter().map(|row| Ok((row.get("partition_id")?, row.get("next_offset")?))).collect()
}

const INSERT: &str =
    "INSERT INTO ingest_positions (partition_id, next_offset) VALUES ($1, 0) ON CONFLICT (partition_id) DO NOTHING";
const ADVANCE: &str = "UPDATE ingest_positions SET next_offset = $3 WHERE partition_id = $1 AND next_offset = $2";

/// Makes the row of a partition that has none.
pub async fn ensure(db: &Db, partition: i64) -> Result<(), Error> {
    db.execute(INSERT, args![partition]).await.map(drop)
}

/// Moves a partition on; false when another consumer has moved it since `expected` was read.
pub async fn advance(tx: &mut Tx, partition: i64, expected: i64, next_offset: i64) -> Result<bool, Error> {
    Ok(tx.execute(ADVANCE, args![partition, expected, next_offset]).await? == 1)
}
