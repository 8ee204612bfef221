use std::collections::HashSet;

use portolan_engine::{Aggregate, ParameterKey, SubType};
use portolan_ids::{AccountId, CollectionId};
use portolan_store::{Bulk, Db, Error, Row, Tx, Value, args};

use crate::{
    model::{endpoints::EndpointId, keys, parameters::RawParameter},
    store::{
        LIST_MAX, by_keys,
        endpoints::{json, to_json},
        with_keys,
    },
};

/// Rows of raw URLs that one collection contributes to a list of sensitive parameters: bounds the memory of a request.
const WANTED_ROWS_MAX: i64 = 50_000;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT endpoint_key, response_code, is_header, is_url_param, is_query_param, name, sub_type, facts ",
            "FROM parameters WHERE account_id = $1 AND collection_id = $2 ",
            $rest
        )
    };
}

const SELECT_BY_ENDPOINTS: &str = select!("AND endpoint_key IN ({keys})");

pub async fn by_endpoints(
    db: &Db,
    account_id: AccountId,
    collection_id: CollectionId,
    endpoint_keys: &[&str],
) -> Result<Vec<RawParameter>, Error> {
    let rows = by_keys(db, SELECT_BY_ENDPOINTS, account_id, collection_id, endpoint_keys).await?;
    rows.iter().map(read).collect()
}

/// As [`by_endpoints`], for an update in the same transaction.
pub async fn by_endpoints_in(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    endpoint_keys: &[&str],
) -> Result<Vec<RawParameter>, Error> {
    let rows = by_keys(tx, SELECT_BY_ENDPOINTS, account_id, collection_id, endpoint_keys).await?;
    rows.iter().map(read).collect()
}

const SELECT_SENSITIVE_ENDPOINTS: &str = "SELECT DISTINCT endpoint_key FROM parameters \
     WHERE account_id = $1 AND collection_id = $2 AND sensitive = 1";

/// Keys of the raw endpoints that have a sensitive parameter.
pub async fn sensitive_endpoints(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
) -> Result<HashSet<String>, Error> {
    let rows = tx.fetch_all(SELECT_SENSITIVE_ENDPOINTS, args![account_id, collection_id]).await?;
    rows.iter().map(|row| row.get("endpoint_key")).collect()
}

const SELECT_SENSITIVE_AMONG: &str = "SELECT DISTINCT endpoint_key FROM parameters \
     WHERE account_id = $1 AND collection_id = $2 AND sensitive = 1 AND endpoint_key IN ({keys})";

/// As [`sensitive_endpoints`], among some raw endpoints.
pub async fn sensitive_among(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    endpoint_keys: &[&str],
) -> Result<HashSet<String>, Error> {
    let rows = by_keys(tx, SELECT_SENSITIVE_AMONG, account_id, collection_id, endpoint_keys).await?;
    rows.iter().map(|row| row.get("endpoint_key")).collect()
}

const SELECT_SENSITIVE_KEYS: &str = "SELECT DISTINCT e.url_key, p.parameter_key FROM endpoints e JOIN parameters p \
     ON p.account_id = e.account_id AND p.collection_id = e.collection_id AND p.endpoint_key = e.endpoint_key \
     WHERE e.account_id = $1 AND e.collection_id = $2 AND p.sensitive = 1 AND e.url_key IN ({keys})";

/// Effective URL and key of the sensitive parameters under some effective URLs.
pub async fn sensitive_keys(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    url_keys: &[&str],
) -> Result<HashSet<(String, String)>, Error> {
    let rows = by_keys(tx, SELECT_SENSITIVE_KEYS, account_id, collection_id, url_keys).await?;
    rows.iter().map(|row| Ok((row.get("url_key")?, row.get("parameter_key")?))).collect()
}

const SELECT_ANY_SENSITIVE: &str = "SELECT 1 FROM parameters \
     WHERE account_id = $1 AND collection_id = $2 AND sensitive = 1 AND endpoint_key IN ({keys}) LIMIT 1";

/// Whether one of the raw endpoints has a sensitive parameter.
pub async fn any_sensitive(
    db: &Db,
    account_id: AccountId,
    collection_id: CollectionId,
    endpoint_keys: &[&str],
) -> Result<bool, Error> {
    for keys in endpoint_keys.chunks(LIST_MAX) {
        let (sql, keys) = with_keys(SELECT_ANY_SENSITIVE, 3, keys);
        let mut arguments = args![account_id, collection_id];
        arguments.extend(keys);
        if db.fetch_optional(sql, arguments).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Which parameters a list holds.
#[derive(Clone, Debug)]
pub enum Wanted {
    Sensitive,
    SubType(String),
}

const SELECT_COLLECTIONS_SENSITIVE: &str =
    "SELECT DISTINCT collection_id FROM parameters WHERE account_id = $1 AND sensitive = 1";

const SELECT_COLLECTIONS_OF_TYPE: &str =
    "SELECT DISTINCT collection_id FROM parameters WHERE account_id = $1 AND sub_type = $2";

/// The collections that have such parameters.
pub async fn collections_having(
    db: &Db,
    account_id: AccountId,
    wanted: &Wanted,
) -> Result<HashSet<CollectionId>, Error> {
    let rows = match wanted {
        Wanted::Sensitive => db.fetch_all(SELECT_COLLECTIONS_SENSITIVE, args![account_id]).await?,
        Wanted::SubType(name) => db.fetch_all(SELECT_COLLECTIONS_OF_TYPE, args![account_id, name]).await?,
    };
    rows.iter().map(|row| row.get("collection_id")).collect()
}

macro_rules! select_wanted {
    ($condition:literal) => {
        concat!(
            "SELECT e.url, e.method, p.response_code, p.is_header, p.is_url_param, p.is_query_param, p.name, ",
            "p.sub_type, p.facts FROM parameters p JOIN endpoints e ON e.account_id = p.account_id ",
            "AND e.collection_id = p.collection_id AND e.endpoint_key = p.endpoint_key ",
            "WHERE p.account_id = $1 AND p.collection_id = $2 AND ($3 IS NULL OR e.url = $3) ",
            "AND ($4 IS NULL OR e.method = $4) AND ",
            $condition,
            " ORDER BY e.url_key, p.endpoint_key, p.parameter_key LIMIT $5"
        )
    };
}

const SELECT_SENSITIVE: &str = select_wanted!("p.sensitive = 1");

const SELECT_OF_TYPE: &str = select_wanted!("p.sub_type = $6");

/// Effective URL, method, key and aggregate of the wanted parameters of every raw URL.
pub async fn wanted(
    db: &Db,
    account_id: AccountId,
    collection_id: CollectionId,
    wanted: &Wanted,
    url: Option<&str>,
    method: Option<&str>,
) -> Result<Vec<(String, String, ParameterKey, Aggregate)>, Error> {
    let (url, method) = (url.map(str::to_owned), method.map(str::to_owned));
    let mut arguments = args![account_id, collection_id, url, method, WANTED_ROWS_MAX];
    let sql = match wanted {
        Wanted::Sensitive => SELECT_SENSITIVE,
        Wanted::SubType(name) => {
            arguments.push(name.into());
            SELECT_OF_TYPE
        }
    };
    let rows = db.fetch_all(sql, arguments).await?;
    rows.iter().map(|row| Ok((row.get("url")?, row.get("method")?, read_key(row)?, json(row, "facts")?))).collect()
}

macro_rules! select_of_endpoints {
    ($condition:literal) => {
        concat!(
            "SELECT e.collection_id, e.url, e.method, p.response_code, p.is_header, p.is_url_param, ",
            "p.is_query_param, p.name, p.sub_type, p.facts FROM endpoints e JOIN parameters p ",
            "ON p.account_id = e.account_id AND p.collection_id = e.collection_id ",
            "AND p.endpoint_key = e.endpoint_key WHERE e.account_id = $1 AND ",
            $condition
        )
    };
}

/// Rows of one batch of URLs, or of the requests of one collection: bounds the memory of a request.
const OF_ENDPOINTS_MAX: i64 = 50_000;

const SELECT_SENSITIVE_OF_URLS: &str = select_of_endpoints!("p.sensitive = 1 AND e.url IN ({keys}) LIMIT $2");

/// The sensitive parameters of the raw URLs under these effective URLs, in any collection.
pub async fn sensitive_of_urls(
    db: &Db,
    account_id: AccountId,
    urls: &[&str],
) -> Result<Vec<(EndpointId, ParameterKey, Aggregate)>, Error> {
    let (sql, keys) = with_keys(SELECT_SENSITIVE_OF_URLS, 3, urls);
    let mut arguments = args![account_id, OF_ENDPOINTS_MAX];
    arguments.extend(keys);
    db.fetch_all(sql, arguments).await?.iter().map(read_of_endpoint).collect()
}

const SELECT_OF_REQUESTS: &str =
    select_of_endpoints!("e.collection_id = $3 AND p.response_code = -1 AND p.is_header = 0 LIMIT $2");

/// The parameters of the requests of a collection, headers apart.
pub async fn of_requests(
    db: &Db,
    account_id: AccountId,
    collection_id: CollectionId,
) -> Result<Vec<(EndpointId, ParameterKey, Aggregate)>, Error> {
    let rows = db.fetch_all(SELECT_OF_REQUESTS, args![account_id, OF_ENDPOINTS_MAX, collection_id]).await?;
    rows.iter().map(read_of_endpoint).collect()
}

fn read_of_endpoint(row: &Row) -> Result<(EndpointId, ParameterKey, Aggregate), Error> {
    let endpoint =
        EndpointId { collection_id: row.get("collection_id")?, url: row.get("url")?, method: row.get("method")? };
    Ok((endpoint, read_key(row)?, json(row, "facts")?))
}

static SAVE: Bulk<13> = Bulk::new(
    "INSERT INTO parameters (account_id, collection_id, endpoint_key, parameter_key, response_code, is_header, \
     is_url_param, is_query_param, name, sub_type, sensitive, facts, first_seen)",
    "ON CONFLICT (account_id, collection_id, endpoint_key, parameter_key) DO UPDATE SET \
     sensitive = excluded.sensitive, facts = excluded.facts, first_seen = excluded.first_seen",
);

/// Writes whole rows. The transaction holds the collection and has read the rows before.
pub async fn save<'r>(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    rows: impl IntoIterator<Item = (&'r str, &'r ParameterKey, &'r Aggregate)>,
) -> Result<(), Error> {
    let rows: Vec<[Value; 13]> = rows
        .into_iter()
        .map(|(endpoint_key, key, seen)| {
            Ok([
                account_id.into(),
                collection_id.into(),
                endpoint_key.into(),
                parameter_key(key).into(),
                key.response_code.into(),
                key.is_header.into(),
                key.is_url_param.into(),
                key.is_query_param.into(),
                key.name.as_str().into(),
                key.sub_type.name().into(),
                seen.sensitive.into(),
                to_json(seen)?.into(),
                seen.first_seen.into(),
            ])
        })
        .collect::<Result<_, Error>>()?;
    tx.bulk(&SAVE, rows).await.map(drop)
}

const DELETE_ONE: &str = "DELETE FROM parameters \
     WHERE account_id = $1 AND collection_id = $2 AND endpoint_key = $3 AND parameter_key = $4";

/// Removes a parameter that is no longer tracked.
pub async fn delete_one(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    endpoint_key: &str,
    key: &ParameterKey,
) -> Result<(), Error> {
    tx.execute(DELETE_ONE, args![account_id, collection_id, endpoint_key, parameter_key(key)]).await.map(drop)
}

const DELETE: &str = "DELETE FROM parameters WHERE account_id = $1 AND collection_id = $2 AND endpoint_key IN ({keys})";

pub async fn delete(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    keys: &[&str],
) -> Result<(), Error> {
    super::delete_by_keys(tx, DELETE, account_id, collection_id, keys).await
}

/// A parameter's key as JSON.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct StoredKey {
    response_code: i32,
    is_header: bool,
    is_url_param: bool,
    is_query_param: bool,
    name: String,
    sub_type: String,
}

impl From<ParameterKey> for StoredKey {
    fn from(key: ParameterKey) -> Self {
        Self {
            response_code: key.response_code,
            is_header: key.is_header,
            is_url_param: key.is_url_param,
            is_query_param: key.is_query_param,
            name: key.name.into_string(),
            sub_type: key.sub_type.name().to_owned(),
        }
    }
}

impl From<StoredKey> for ParameterKey {
    /// A type that this program does not know is a plain one.
    fn from(key: StoredKey) -> Self {
        Self {
            response_code: key.response_code,
            is_header: key.is_header,
            is_url_param: key.is_url_param,
            is_query_param: key.is_query_param,
            name: key.name.into(),
            sub_type: SubType::from_name(&key.sub_type).unwrap_or(SubType::Generic),
        }
    }
}

/// Names of body leaves outgrow what an index takes, so their digest is the key.
pub(crate) fn parameter_key(key: &ParameterKey) -> String {
    let flags = [u8::from(key.is_header), u8::from(key.is_url_param), u8::from(key.is_query_param)];
    let code = key.response_code.to_le_bytes();
    keys::digest([&code[..], &flags, key.sub_type.name().as_bytes(), key.name.as_bytes()])
}

fn read(row: &Row) -> Result<RawParameter, Error> {
    Ok(RawParameter { endpoint_key: row.get("endpoint_key")?, key: read_key(row)?, seen: json(row, "facts")? })
}

pub(super) fn read_key(row: &Row) -> Result<ParameterKey, Error> {
    let code = row.get::<i64>("response_code")?;
    let sub_type = row.get::<String>("sub_type")?;
    Ok(ParameterKey {
        response_code: i32::try_from(code).map_err(|_| Error::Inconsistency(format!("response code {code}")))?,
        is_header: row.get("is_header")?,
        is_url_param: row.get("is_url_param")?,
        is_query_param: row.get("is_query_param")?,
        name: row.get::<String>("name")?.into(),
        sub_type: SubType::stored(&sub_type),
    })
}
