use portolan_ids::{AccountId, CollectionId, NamedCollectionId};
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
    account_id: AccountId,
    collection_id: CollectionId,
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
    account_id: AccountId,
    collection_id: CollectionId,
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
    account_id: AccountId,
    collection_id: CollectionId,
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
    account_id: AccountId,
    collection_id: CollectionId,
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

pub async fn delete(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    keys: &[&str],
) -> Result<(), Error> {
    super::delete_by_keys(tx, DELETE, account_id, collection_id, keys).await
}

/// The place of a sample, which the walk over all of them goes along.
pub type SampleId = (AccountId, NamedCollectionId, String, String);

const LAST_OF_PAGE: &str = "SELECT account_id, collection_id, endpoint_key, sample_key FROM samples \
     WHERE (account_id, collection_id, endpoint_key, sample_key) > ($1, $2, $3, $4) \
     ORDER BY account_id, collection_id, endpoint_key, sample_key LIMIT 1 OFFSET $5";
const FORGET: &str = "DELETE FROM samples WHERE time < $5 \
     AND (account_id, collection_id, endpoint_key, sample_key) > ($1, $2, $3, $4)";
const FORGET_PAGE: &str = "DELETE FROM samples WHERE time < $5 \
     AND (account_id, collection_id, endpoint_key, sample_key) > ($1, $2, $3, $4) \
     AND (account_id, collection_id, endpoint_key, sample_key) <= ($6, $7, $8, $9)";

/// Forgets the samples of one page of places that are from before a time, and returns where the next page begins. The
/// walk needs no index that ingest would have to write.
pub async fn forget_page(db: &Db, after: &SampleId, before: i64, page: i64) -> Result<Option<SampleId>, Error> {
    let (account_id, collection_id, endpoint_key, sample_key) = after;
    let from = || args![account_id, collection_id, endpoint_key, sample_key];
    let mut arguments = from();
    arguments.push((page - 1).into());
    let last = db.fetch_optional(LAST_OF_PAGE, arguments).await?;
    let mut arguments = from();
    arguments.push(before.into());
    let Some(last) = last else {
        db.execute(FORGET, arguments).await?;
        return Ok(None);
    };
    let last: SampleId =
        (last.get("account_id")?, last.get("collection_id")?, last.get("endpoint_key")?, last.get("sample_key")?);
    arguments.extend(args![last.0, last.1, &last.2, &last.3]);
    db.execute(FORGET_PAGE, arguments).await?;
    Ok(Some(last))
}
