use std::collections::HashMap;

use portolan_engine::template::BodyNames;
use portolan_ids::{AccountId, CollectionId};
use portolan_store::{Bulk, Db, Error, Row, Tx, Value, args};

use crate::model::{endpoints::RawEndpoint, keys};

macro_rules! select {
    ($columns:literal, $rest:literal) => {
        concat!(
            "SELECT endpoint_key, method, raw_url, url, proven, first_seen, last_seen, facts, description, ",
            "described_at",
            $columns,
            " FROM endpoints WHERE account_id = $1 AND collection_id = $2 ",
            $rest
        )
    };
}

const SELECT_ALL: &str = select!("", "ORDER BY endpoint_key");

pub async fn list(tx: &mut Tx, account_id: AccountId, collection_id: CollectionId) -> Result<Vec<RawEndpoint>, Error> {
    tx.fetch_all(SELECT_ALL, args![account_id, collection_id]).await?.iter().map(read).collect()
}

const SELECT_BY_URL: &str = select!("", "AND url_key = $3 ORDER BY raw_url");

pub async fn by_url_key(
    db: &Db,
    account_id: AccountId,
    collection_id: CollectionId,
    url_key: &str,
) -> Result<Vec<RawEndpoint>, Error> {
    db.fetch_all(SELECT_BY_URL, args![account_id, collection_id, url_key]).await?.iter().map(read).collect()
}

const SELECT_BY_URLS: &str = select!("", "AND url_key IN ({keys}) ORDER BY raw_url");

pub async fn by_url_keys(
    db: &Db,
    account_id: AccountId,
    collection_id: CollectionId,
    url_keys: &[&str],
) -> Result<Vec<RawEndpoint>, Error> {
    let rows = super::by_keys(db, SELECT_BY_URLS, account_id, collection_id, url_keys).await?;
    rows.iter().map(read).collect()
}

/// As [`by_url_keys`], within a transaction.
pub async fn by_url_keys_in(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    url_keys: &[&str],
) -> Result<Vec<RawEndpoint>, Error> {
    let rows = super::by_keys(tx, SELECT_BY_URLS, account_id, collection_id, url_keys).await?;
    rows.iter().map(read).collect()
}

const SELECT_SOME_URL_KEYS: &str = "SELECT DISTINCT url_key FROM endpoints \
     WHERE account_id = $1 AND collection_id = $2 AND url_key > $3 ORDER BY url_key LIMIT $4";

/// Some effective URLs after a key, in the order of keys.
pub async fn some_url_keys(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    after_key: &str,
    limit: i64,
) -> Result<Vec<String>, Error> {
    let rows = tx.fetch_all(SELECT_SOME_URL_KEYS, args![account_id, collection_id, after_key, limit]).await?;
    rows.iter().map(|row| row.get("url_key")).collect()
}

const SELECT_BY_KEYS: &str = select!(", bodies", "AND endpoint_key IN ({keys})");

/// The rows of these keys with what is known of their bodies, for an update in the same transaction.
pub async fn by_keys(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    endpoint_keys: &[&str],
) -> Result<Vec<(RawEndpoint, BodyNames)>, Error> {
    let rows = super::by_keys(tx, SELECT_BY_KEYS, account_id, collection_id, endpoint_keys).await?;
    rows.iter().map(|row| Ok((read(row)?, json(row, "bodies")?))).collect()
}

const SELECT_FOR_CATALOG: &str = select!(", bodies", "AND endpoint_key > $3 ORDER BY endpoint_key LIMIT $4");

/// A page of all rows after a key, with what is known of their bodies.
pub async fn page(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    after_key: &str,
    limit: i64,
) -> Result<Vec<(RawEndpoint, BodyNames)>, Error> {
    let rows = tx.fetch_all(SELECT_FOR_CATALOG, args![account_id, collection_id, after_key, limit]).await?;
    rows.iter().map(|row| Ok((read(row)?, json(row, "bodies")?))).collect()
}

const SELECT_PROVEN_URLS: &str = "SELECT url, method FROM api_endpoints \
     WHERE account_id = $1 AND collection_id = $2 AND removed = 0";

/// Effective URL and method of each endpoint, in no order.
pub async fn proven_urls(
    db: &Db,
    account_id: AccountId,
    collection_id: CollectionId,
) -> Result<Vec<(String, String)>, Error> {
    let rows = db.fetch_all(SELECT_PROVEN_URLS, args![account_id, collection_id]).await?;
    rows.iter().map(|row| Ok((row.get("url")?, row.get("method")?))).collect()
}

const COUNT_PROVEN: &str = "SELECT count(DISTINCT url_key) AS endpoints FROM endpoints \
     WHERE account_id = $1 AND collection_id = $2 AND proven = 1 AND url_key IN ({keys})";

/// How many of these effective URLs are endpoints.
pub async fn count_proven(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    url_keys: &[&str],
) -> Result<i64, Error> {
    let rows = super::by_keys(tx, COUNT_PROVEN, account_id, collection_id, url_keys).await?;
    rows.iter().map(|row| row.get::<i64>("endpoints")).sum()
}

const SELECT_URLS: &str = "SELECT endpoint_key, url FROM endpoints \
     WHERE account_id = $1 AND collection_id = $2 AND endpoint_key IN ({keys})";

/// The effective URLs of raw endpoints, by their keys.
pub async fn urls(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    endpoint_keys: &[&str],
) -> Result<HashMap<String, String>, Error> {
    let rows = super::by_keys(tx, SELECT_URLS, account_id, collection_id, endpoint_keys).await?;
    rows.iter().map(|row| Ok((row.get("endpoint_key")?, row.get("url")?))).collect()
}

const UPDATE_DESCRIPTION: &str = "UPDATE endpoints SET description = $4, described_at = $5 \
     WHERE account_id = $1 AND collection_id = $2 AND url_key = $3";

pub async fn update_description(
    db: &Db,
    account_id: AccountId,
    collection_id: CollectionId,
    url_key: &str,
    description: &str,
    now: i64,
) -> Result<u64, Error> {
    db.execute(UPDATE_DESCRIPTION, args![account_id, collection_id, url_key, description, now]).await
}

const SELECT_NEVER_MERGED: &str =
    select!(", bodies", "AND method = $3 AND facts LIKE '%\"never_merge\":true%' ORDER BY endpoint_key");

/// The raw URLs of a method that join no template, with what is known of their bodies.
pub async fn never_merged(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    method: &str,
) -> Result<Vec<(RawEndpoint, BodyNames)>, Error> {
    let rows = tx.fetch_all(SELECT_NEVER_MERGED, args![account_id, collection_id, method]).await?;
    let found = rows.iter().map(|row| Ok((read(row)?, json(row, "bodies")?)));
    // A text inside other facts may look like the mark.
    found
        .filter(|row: &Result<(RawEndpoint, BodyNames), Error>| {
            row.as_ref().map_or(true, |(raw, _)| raw.facts.never_merge)
        })
        .collect()
}

const DESCRIBE: &str = "UPDATE endpoints SET description = $4, described_at = $5 \
     WHERE account_id = $1 AND collection_id = $2 AND endpoint_key = $3";

/// Gives one raw URL a description.
pub async fn describe(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    endpoint_key: &str,
    description: &str,
    described_at: i64,
) -> Result<(), Error> {
    let row = args![account_id, collection_id, endpoint_key, description, described_at];
    tx.execute(DESCRIBE, row).await.map(drop)
}

// The description is the callers' own column: ingest inserts it empty and leaves it alone.
static SAVE: Bulk<13> = Bulk::new(
    "INSERT INTO endpoints (account_id, collection_id, endpoint_key, method, raw_url, url, url_key, proven, \
     first_seen, last_seen, facts, bodies, discovered_at)",
    "ON CONFLICT (account_id, collection_id, endpoint_key) DO UPDATE SET url = excluded.url, \
     url_key = excluded.url_key, proven = excluded.proven, first_seen = excluded.first_seen, \
     last_seen = excluded.last_seen, facts = excluded.facts, bodies = excluded.bodies, \
     discovered_at = excluded.discovered_at",
);

/// Writes whole rows. The transaction holds the collection and has read the rows before.
pub async fn save<'r>(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    rows: impl IntoIterator<Item = (&'r RawEndpoint, &'r BodyNames)>,
) -> Result<(), Error> {
    let rows: Vec<[Value; 13]> = rows
        .into_iter()
        .map(|(raw, bodies)| {
            Ok([
                account_id.into(),
                collection_id.into(),
                (&raw.key).into(),
                (&raw.method).into(),
                (&raw.raw_url).into(),
                (&raw.url).into(),
                keys::endpoint_key(&raw.method, &raw.url).into(),
                raw.proven.into(),
                raw.first_seen.into(),
                raw.last_seen.into(),
                to_json(&raw.facts)?.into(),
                to_json(bodies)?.into(),
                raw.facts.discovered.into(),
            ])
        })
        .collect::<Result<_, Error>>()?;
    tx.bulk(&SAVE, rows).await.map(drop)
}

const UPDATE_URL: &str = "UPDATE endpoints SET url = $4, url_key = $5 \
     WHERE account_id = $1 AND collection_id = $2 AND endpoint_key = $3";

/// Gives a raw URL another effective URL.
pub async fn update_url(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    endpoint_key: &str,
    method: &str,
    url: &str,
) -> Result<(), Error> {
    let url_key = keys::endpoint_key(method, url);
    tx.execute(UPDATE_URL, args![account_id, collection_id, endpoint_key, url, url_key]).await.map(drop)
}

const SELECT_SOME_KEYS: &str =
    "SELECT endpoint_key FROM endpoints WHERE account_id = $1 AND collection_id = $2 ORDER BY endpoint_key LIMIT $3";

pub async fn some_keys(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    limit: i64,
) -> Result<Vec<String>, Error> {
    let rows = tx.fetch_all(SELECT_SOME_KEYS, args![account_id, collection_id, limit]).await?;
    rows.iter().map(|row| row.get("endpoint_key")).collect()
}

const DELETE: &str = "DELETE FROM endpoints WHERE account_id = $1 AND collection_id = $2 AND endpoint_key IN ({keys})";

pub async fn delete(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    keys: &[&str],
) -> Result<(), Error> {
    super::delete_by_keys(tx, DELETE, account_id, collection_id, keys).await
}

pub(super) fn read(row: &Row) -> Result<RawEndpoint, Error> {
    Ok(RawEndpoint {
        key: row.get("endpoint_key")?,
        method: row.get("method")?,
        raw_url: row.get("raw_url")?,
        url: row.get("url")?,
        proven: row.get("proven")?,
        first_seen: row.get("first_seen")?,
        last_seen: row.get("last_seen")?,
        facts: json(row, "facts")?,
        description: row.get("description")?,
        described_at: row.get("described_at")?,
    })
}

pub(super) fn json<T: serde::de::DeserializeOwned>(row: &Row, column: &str) -> Result<T, Error> {
    let text = row.get::<String>(column)?;
    serde_json::from_str(&text).map_err(|error| Error::Inconsistency(format!("{column}: {error}")))
}

pub(super) fn to_json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Inconsistency(error.to_string()))
}
