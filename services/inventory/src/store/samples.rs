use portolan_store::{Bulk, Db, Error, Row, Tx, Value, args};

use crate::store::{LIST_MAX, by_keys, with_keys};

/// A stored call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSample {
    pub sample_key: String,
    /// Unix seconds.
    pub time: i64,
    /// The record as JSON text.
    pub record: String,
}

const SELECT_NEWEST: &str = "SELECT sample_key, time, record FROM samples \
     WHERE account_id = $1 AND collection_id = $2 AND endpoint_key IN ({keys}) \
     ORDER BY time DESC, sample_key LIMIT {limit}";

/// The newest samples of some raw endpoints together.
pub async fn newest(
    db: &Db,
    account_id: i64,
    collection_id: i32,
    endpoint_keys: &[&str],
    limit: usize,
) -> Result<Vec<StoredSample>, Error> {
    let statement = SELECT_NEWEST.replace("{limit}", &limit.to_string());
    let read = |row: &Row| {
        let (sample_key, time, record) = (row.get("sample_key")?, row.get("time")?, row.get("record")?);
        Ok::<_, Error>(StoredSample { sample_key, time, record })
    };
    let rows = by_keys(db, &statement, account_id, collection_id, endpoint_keys).await?;
    let mut found: Vec<StoredSample> = rows.iter().map(read).collect::<Result<_, _>>()?;
    found.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| a.sample_key.cmp(&b.sample_key)));
    found.dedup_by(|a, b| a.sample_key == b.sample_key);
    found.truncate(limit);
    Ok(found)
}

const SELECT_KEYS: &str = "SELECT endpoint_key, sample_key, time FROM samples \
     WHERE account_id = $1 AND collection_id = $2 AND endpoint_key IN ({keys})";

/// Endpoint key, sample key and time of all samples of some raw endpoints.
pub async fn list_keys(
    tx: &mut Tx,
    account_id: i64,
    collection_id: i32,
    endpoint_keys: &[&str],
) -> Result<Vec<(String, String, i64)>, Error> {
    let rows = by_keys(tx, SELECT_KEYS, account_id, collection_id, endpoint_keys).await?;
    rows.iter().map(|row| Ok((row.get("endpoint_key")?, row.get("sample_key")?, row.get("time")?))).collect()
}

const SELECT_RECORDS: &str = "SELECT endpoint_key, record FROM samples \
     WHERE account_id = $1 AND collection_id = $2 AND endpoint_key IN ({keys}) ORDER BY endpoint_key, time, sample_key";

/// Endpoint key and record of all samples of some raw endpoints.
pub async fn records(
    tx: &mut Tx,
    account_id: i64,
    collection_id: i32,
    endpoint_keys: &[&str],
) -> Result<Vec<(String, String)>, Error> {
    let rows = by_keys(tx, SELECT_RECORDS, account_id, collection_id, endpoint_keys).await?;
    rows.iter().map(|row| Ok((row.get("endpoint_key")?, row.get("record")?))).collect()
}

static INSERT: Bulk<6> = Bulk::new(
    "INSERT INTO samples (account_id, collection_id, endpoint_key, sample_key, time, record)",
    "ON CONFLICT (account_id, collection_id, endpoint_key, sample_key) DO NOTHING",
);

pub async fn insert(tx: &mut Tx, rows: Vec<[Value; 6]>) -> Result<(), Error> {
    tx.bulk(&INSERT, rows).await.map(drop)
}

const DELETE_ONE: &str = "DELETE FROM samples \
     WHERE account_id = $1 AND collection_id = $2 AND endpoint_key = $3 AND sample_key IN ({keys})";

/// Removes samples that newer ones have displaced.
pub async fn delete_displaced(
    tx: &mut Tx,
    account_id: i64,
    collection_id: i32,
    endpoint_key: &str,
    sample_keys: &[&str],
) -> Result<(), Error> {
    for keys in sample_keys.chunks(LIST_MAX) {
        let (sql, keys) = with_keys(DELETE_ONE, 4, keys);
        let mut arguments = args![account_id, collection_id, endpoint_key];
        arguments.extend(keys);
        tx.execute(sql, arguments).await?;
    }
    Ok(())
}

const DELETE: &str = "DELETE FROM samples WHERE account_id = $1 AND collection_id = $2 AND endpoint_key IN ({keys})";

pub async fn delete(tx: &mut Tx, account_id: i64, collection_id: i32, keys: &[&str]) -> Result<(), Error> {
    super::delete_by_keys(tx, DELETE, account_id, collection_id, keys).await
}
