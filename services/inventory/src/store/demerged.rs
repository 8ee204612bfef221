use portolan_ids::{AccountId, CollectionId};
use portolan_store::{Db, Error, Row, Tx, args};

/// Templates of one answer.
const LISTED_MAX: i64 = 10_000;

/// Templates that ingest keeps apart.
const KNOWN_MAX: i64 = 100_000;

/// A template that was taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demerged {
    pub account_id: AccountId,
    pub collection_id: CollectionId,
    /// Lower case, for the collection of a host.
    pub host: Option<String>,
    pub method: String,
    pub url: String,
}

const SELECT_VERSION: &str = "SELECT next_id FROM inventory_sequences WHERE name = 'demerged'";

/// Rises with every change of the templates that are taken apart.
pub async fn version(tx: &mut Tx) -> Result<i64, Error> {
    tx.fetch_one(SELECT_VERSION, args![]).await?.get("next_id")
}

/// The same outside of a transaction.
pub async fn version_now(db: &Db) -> Result<i64, Error> {
    db.fetch_one(SELECT_VERSION, args![]).await?.get("next_id")
}

const RAISE_VERSION: &str = "UPDATE inventory_sequences SET next_id = next_id + 1 WHERE name = 'demerged'";

/// Tells every consumer that its knowledge is out of date.
pub async fn raise_version(tx: &mut Tx) -> Result<(), Error> {
    tx.execute(RAISE_VERSION, args![]).await.map(drop)
}

const SELECT_ALL: &str = "SELECT d.account_id, d.collection_id, d.method, d.url, c.host_key FROM demerged_urls d \
     LEFT JOIN collections c ON c.account_id = d.account_id AND c.collection_id = d.collection_id LIMIT $1";

/// Those of all accounts.
pub async fn all(tx: &mut Tx) -> Result<Vec<Demerged>, Error> {
    let rows = tx.fetch_all(SELECT_ALL, args![KNOWN_MAX]).await?;
    rows.iter().map(read).collect()
}

const SELECT_BY_ACCOUNT: &str = "SELECT d.account_id, d.collection_id, d.method, d.url, c.host_key \
     FROM demerged_urls d JOIN collections c ON c.account_id = d.account_id AND c.collection_id = d.collection_id \
     WHERE d.account_id = $1 AND c.deleted_at IS NULL ORDER BY d.collection_id, d.url, d.method LIMIT $2";

pub async fn by_account(db: &Db, account_id: AccountId) -> Result<Vec<Demerged>, Error> {
    let rows = db.fetch_all(SELECT_BY_ACCOUNT, args![account_id, LISTED_MAX]).await?;
    rows.iter().map(read).collect()
}

const SELECT_BY_COLLECTION: &str = "SELECT method, url FROM demerged_urls WHERE account_id = $1 AND collection_id = $2";

/// Method and URL of those of one collection.
pub async fn by_collection(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
) -> Result<std::collections::BTreeSet<(String, String)>, Error> {
    let rows = tx.fetch_all(SELECT_BY_COLLECTION, args![account_id, collection_id]).await?;
    rows.iter().map(|row| Ok((row.get("method")?, row.get("url")?))).collect()
}

const INSERT: &str = "INSERT INTO demerged_urls (account_id, collection_id, url_key, method, url, kept, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (account_id, collection_id, url_key) DO NOTHING";

/// Notes a template as taken apart, with what it had gathered; false when it is so already.
pub async fn insert(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    url_key: &str,
    (method, url): (&str, &str),
    kept: Option<String>,
    now: i64,
) -> Result<bool, Error> {
    Ok(tx.execute(INSERT, args![account_id, collection_id, url_key, method, url, kept, now]).await? == 1)
}

const DELETE: &str =
    "DELETE FROM demerged_urls WHERE account_id = $1 AND collection_id = $2 AND url_key = $3 RETURNING kept";

/// Forgets that a template was taken apart and returns what it had gathered; nothing when it was not.
pub async fn delete(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    url_key: &str,
) -> Result<Option<Option<String>>, Error> {
    let row = tx.fetch_optional(DELETE, args![account_id, collection_id, url_key]).await?;
    row.map(|row| row.get("kept")).transpose()
}

const FORGET_KEPT: &str = "UPDATE demerged_urls SET kept = NULL WHERE account_id = $1 AND collection_id = $2";

/// Forgets what the templates of a collection had gathered.
pub async fn forget_kept(tx: &mut Tx, account_id: AccountId, collection_id: CollectionId) -> Result<(), Error> {
    tx.execute(FORGET_KEPT, args![account_id, collection_id]).await.map(drop)
}

fn read(row: &Row) -> Result<Demerged, Error> {
    Ok(Demerged {
        account_id: row.get("account_id")?,
        collection_id: row.get("collection_id")?,
        host: row.get("host_key")?,
        method: row.get("method")?,
        url: row.get("url")?,
    })
}
