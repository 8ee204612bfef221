use portolan_engine::drift::Shape;
use portolan_ids::{AccountId, CollectionId};
use portolan_store::{Bulk, Db, Error, Row, Tx, Value, args};

use crate::store::endpoints::{json, to_json};

/// An imported specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecificationRow {
    pub id: String,
    pub title: String,
    pub version: String,
    /// Unix seconds of its last import.
    pub declared_at: i64,
    pub log_offset: i64,
}

/// An operation of a specification.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclaredRow {
    /// Of the raw endpoint.
    pub key: String,
    pub method: String,
    pub url: String,
    pub shape: Shape,
}

const SELECT: &str = "SELECT specification_id, title, version, declared_at, log_offset FROM specifications \
     WHERE account_id = $1 AND collection_id = $2 ORDER BY declared_at DESC, log_offset DESC, specification_id";

/// The specifications of a collection, the newest first.
pub async fn list(db: &Db, account_id: AccountId, collection_id: CollectionId) -> Result<Vec<SpecificationRow>, Error> {
    db.fetch_all(SELECT, args![account_id, collection_id]).await?.iter().map(read).collect()
}

/// As [`list`], within a transaction.
pub async fn list_in(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
) -> Result<Vec<SpecificationRow>, Error> {
    tx.fetch_all(SELECT, args![account_id, collection_id]).await?.iter().map(read).collect()
}

const SELECT_OPERATIONS: &str = "SELECT operation_key, method, url, shape FROM declared_operations \
     WHERE account_id = $1 AND collection_id = $2 AND specification_id = $3 ORDER BY url, method, operation_key";

pub async fn operations(
    db: &Db,
    account_id: AccountId,
    collection_id: CollectionId,
    specification_id: &str,
) -> Result<Vec<DeclaredRow>, Error> {
    let rows = db.fetch_all(SELECT_OPERATIONS, args![account_id, collection_id, specification_id]).await?;
    let read = |row: &Row| {
        let (key, method, url) = (row.get("operation_key")?, row.get("method")?, row.get("url")?);
        Ok(DeclaredRow { key, method, url, shape: json(row, "shape")? })
    };
    rows.iter().map(read).collect()
}

static SAVE: Bulk<7> = Bulk::new(
    "INSERT INTO specifications \
     (account_id, collection_id, specification_id, title, version, declared_at, log_offset)",
    "ON CONFLICT (account_id, collection_id, specification_id) DO UPDATE SET \
     declared_at = CASE WHEN excluded.declared_at > specifications.declared_at \
         THEN excluded.declared_at ELSE specifications.declared_at END, \
     log_offset = CASE WHEN excluded.log_offset > specifications.log_offset \
         THEN excluded.log_offset ELSE specifications.log_offset END",
);

pub async fn save<'r>(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    rows: impl IntoIterator<Item = &'r SpecificationRow>,
) -> Result<(), Error> {
    let rows = rows.into_iter().map(|row| {
        [
            account_id.into(),
            collection_id.into(),
            (&row.id).into(),
            (&row.title).into(),
            (&row.version).into(),
            row.declared_at.into(),
            row.log_offset.into(),
        ]
    });
    tx.bulk(&SAVE, rows.collect::<Vec<[Value; 7]>>()).await.map(drop)
}

static SAVE_OPERATIONS: Bulk<8> = Bulk::new(
    "INSERT INTO declared_operations \
     (account_id, collection_id, specification_id, operation_key, method, url, deprecated, shape)",
    "ON CONFLICT (account_id, collection_id, specification_id, operation_key) DO UPDATE SET \
     deprecated = excluded.deprecated, shape = excluded.shape",
);

/// Writes operations, each with the id of its specification.
pub async fn save_operations(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    operations: &[(String, DeclaredRow)],
) -> Result<(), Error> {
    let rows: Vec<[Value; 8]> = operations
        .iter()
        .map(|(id, row)| {
            Ok([
                account_id.into(),
                collection_id.into(),
                id.into(),
                (&row.key).into(),
                (&row.method).into(),
                (&row.url).into(),
                row.shape.deprecated.into(),
                to_json(&row.shape)?.into(),
            ])
        })
        .collect::<Result<_, Error>>()?;
    tx.bulk(&SAVE_OPERATIONS, rows).await.map(drop)
}

const DELETE: &str =
    "DELETE FROM specifications WHERE account_id = $1 AND collection_id = $2 AND specification_id = $3";

const DELETE_OPERATIONS: &str =
    "DELETE FROM declared_operations WHERE account_id = $1 AND collection_id = $2 AND specification_id = $3";

/// Removes a specification with its operations.
pub async fn delete(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    specification_id: &str,
) -> Result<(), Error> {
    tx.execute(DELETE, args![account_id, collection_id, specification_id]).await?;
    tx.execute(DELETE_OPERATIONS, args![account_id, collection_id, specification_id]).await.map(drop)
}

fn read(row: &Row) -> Result<SpecificationRow, Error> {
    Ok(SpecificationRow {
        id: row.get("specification_id")?,
        title: row.get("title")?,
        version: row.get("version")?,
        declared_at: row.get("declared_at")?,
        log_offset: row.get("log_offset")?,
    })
}
