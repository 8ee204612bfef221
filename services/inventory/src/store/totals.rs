use std::collections::BTreeMap;

use portolan_engine::{Aggregate, ParameterKey};
use portolan_ids::{AccountId, CollectionId};
use portolan_store::{Db, Error, Row, args};

use crate::{
    model::{endpoints::EndpointId, groups::OfGroup},
    store::{
        by_keys,
        endpoints::json,
        groups::{of_group, shown_by_any},
        parameters::read_key,
    },
};

/// Rows of raw URLs that a list of changes is made of.
const CHANGED_ROWS_MAX: i64 = 200_000;

// One look into an index for each collection, where a grouping would read every endpoint of the account.
const SELECT_LAST_SEEN: &str = "SELECT collection_id, last_seen FROM (SELECT c.collection_id, \
     (SELECT max(e.last_seen) FROM endpoints e WHERE e.account_id = c.account_id \
         AND e.collection_id = c.collection_id AND e.proven = 1) AS last_seen \
     FROM collections c WHERE c.account_id = $1) AS seen WHERE last_seen IS NOT NULL";

/// The newest record of each collection, in Unix seconds.
pub async fn last_seen(db: &Db, account_id: AccountId) -> Result<BTreeMap<CollectionId, i64>, Error> {
    by_collection(db.fetch_all(SELECT_LAST_SEEN, args![account_id]).await?, "last_seen")
}

const SELECT_LAST_SEEN_OF_GROUPS: &str = "SELECT g.group_id, g.collection_id, max(e.last_seen) AS last_seen \
     FROM group_members g JOIN endpoints e ON e.account_id = g.account_id AND e.collection_id = g.collection_id \
     AND e.url_key = g.url_key WHERE g.account_id = $1 AND e.proven = 1 {granting} \
     GROUP BY g.group_id, g.collection_id";

/// The newest record of what each group shows of each collection, in Unix seconds; see [`super::groups::counts`].
pub async fn last_seen_of_groups(
    db: &Db,
    account_id: AccountId,
    granting: Option<&[CollectionId]>,
) -> Result<Vec<OfGroup<i64>>, Error> {
    let sql = shown_by_any(SELECT_LAST_SEEN_OF_GROUPS, "g", granting);
    db.fetch_all(sql, args![account_id]).await?.iter().map(|row| of_group(row, "last_seen")).collect()
}

// By collection, so that only the entries until the time are counted, in an index that holds nothing else.
const COUNT_DISCOVERED: &str = "SELECT c.collection_id, (SELECT count(*) FROM api_endpoints e \
         WHERE e.account_id = c.account_id AND e.collection_id = c.collection_id AND e.removed = 0 \
         AND e.discovered_at <= $2 {granting}) AS endpoints FROM collections c WHERE c.account_id = $1";

/// Endpoints discovered until a time, by collection; see [`super::groups::counts`].
pub async fn discovered_until(
    db: &Db,
    account_id: AccountId,
    until: i64,
    granting: Option<&[CollectionId]>,
) -> Result<Vec<(CollectionId, i64)>, Error> {
    let rows = db.fetch_all(shown_by_any(COUNT_DISCOVERED, "e", granting), args![account_id, until]).await?;
    rows.iter().map(|row| Ok((row.get("collection_id")?, row.get("endpoints")?))).collect()
}

const SELECT_UPDATED: &str =
    "SELECT coalesce(max(updated_at), 0) AS updated_at FROM api_endpoints WHERE account_id = $1";

const SELECT_LAST_ISSUE: &str = "SELECT coalesce(max(updated_at), 0) AS updated_at FROM issues WHERE account_id = $1";

/// When an endpoint, and when an issue, last changed; Unix seconds, 0 for never.
pub async fn updated(db: &Db, account_id: AccountId) -> Result<(i64, i64), Error> {
    let endpoints = db.fetch_one(SELECT_UPDATED, args![account_id]).await?.get("updated_at")?;
    Ok((endpoints, db.fetch_one(SELECT_LAST_ISSUE, args![account_id]).await?.get("updated_at")?))
}

macro_rules! select_parameters {
    ($rest:literal) => {
        concat!(
            "SELECT p.collection_id, e.url, e.method, p.response_code, p.is_header, p.is_url_param, ",
            "p.is_query_param, p.name, p.sub_type, p.facts FROM parameters p JOIN endpoints e ",
            "ON e.account_id = p.account_id AND e.collection_id = p.collection_id ",
            "AND e.endpoint_key = p.endpoint_key ",
            $rest
        )
    };
}

// A parameter that another raw URL of the same endpoint showed before is not new.
const SELECT_CHANGED: &str = select_parameters!(
    "WHERE p.account_id = $1 AND p.first_seen >= $2 AND NOT EXISTS ( \
     SELECT 1 FROM endpoints f JOIN parameters o ON o.account_id = f.account_id \
         AND o.collection_id = f.collection_id AND o.endpoint_key = f.endpoint_key \
     WHERE f.account_id = $1 AND f.collection_id = e.collection_id AND f.url_key = e.url_key \
         AND o.parameter_key = p.parameter_key AND o.first_seen < $2) \
     ORDER BY p.first_seen DESC, p.collection_id, p.endpoint_key, p.parameter_key LIMIT $3"
);

const SELECT_ALL: &str = select_parameters!(
    "WHERE p.account_id = $1 ORDER BY p.first_seen DESC, p.collection_id, p.endpoint_key, p.parameter_key LIMIT $2"
);

/// A parameter of one raw URL under its effective URL.
pub struct RecentParameter {
    pub collection_id: CollectionId,
    pub url: String,
    pub method: String,
    pub key: ParameterKey,
    pub seen: Aggregate,
}

/// Parameters first seen since a time, of every raw URL, the newest first.
pub async fn changed_since(db: &Db, account_id: AccountId, since: i64) -> Result<Vec<RecentParameter>, Error> {
    let rows = match since {
        ..=0 => db.fetch_all(SELECT_ALL, args![account_id, CHANGED_ROWS_MAX]).await?,
        _ => db.fetch_all(SELECT_CHANGED, args![account_id, since, CHANGED_ROWS_MAX]).await?,
    };
    let read = |row: &Row| {
        Ok(RecentParameter {
            collection_id: row.get("collection_id")?,
            url: row.get("url")?,
            method: row.get("method")?,
            key: read_key(row)?,
            seen: json(row, "facts")?,
        })
    };
    rows.iter().map(read).collect()
}

macro_rules! select_activity {
    ($condition:literal) => {
        concat!(
            "SELECT e.url, e.method, min(p.first_seen) AS first_seen, ",
            "count(DISTINCT p.parameter_key) AS parameters FROM parameters p JOIN endpoints e ",
            "ON e.account_id = p.account_id AND e.collection_id = p.collection_id ",
            "AND e.endpoint_key = p.endpoint_key WHERE e.account_id = $1 AND e.collection_id = $2 ",
            $condition,
            "GROUP BY e.url, e.method"
        )
    };
}

const SELECT_ACTIVITY: &str = select_activity!("");

const SELECT_ACTIVITY_OF: &str = select_activity!("AND e.url_key IN ({keys}) ");

/// First sight and number of parameters by URL and method.
pub type Activities = BTreeMap<(String, String), (i64, i64)>;

/// URL, method, first sight and number of parameters of the endpoints of a collection that have any.
pub async fn activity(db: &Db, account_id: AccountId, collection_id: CollectionId) -> Result<Activities, Error> {
    let rows = db.fetch_all(SELECT_ACTIVITY, args![account_id, collection_id]).await?;
    rows.iter().map(read_activity).collect()
}

/// As [`activity`], of the endpoints with these effective URLs.
pub async fn activity_of(
    db: &Db,
    account_id: AccountId,
    collection_id: CollectionId,
    url_keys: &[&str],
) -> Result<Activities, Error> {
    let rows = by_keys(db, SELECT_ACTIVITY_OF, account_id, collection_id, url_keys).await?;
    rows.iter().map(read_activity).collect()
}

type Activity = ((String, String), (i64, i64));

fn read_activity(row: &Row) -> Result<Activity, Error> {
    Ok(((row.get("url")?, row.get("method")?), (row.get("first_seen")?, row.get("parameters")?)))
}

const SELECT_SENSITIVE: &str = "SELECT DISTINCT e.collection_id, e.url, e.method, p.response_code, p.is_header, \
     p.is_url_param, p.is_query_param, p.name, p.sub_type \
     FROM parameters p JOIN endpoints e ON e.account_id = p.account_id AND e.collection_id = p.collection_id \
     AND e.endpoint_key = p.endpoint_key WHERE p.account_id = $1 AND p.sensitive = 1";

/// Every sensitive parameter with its endpoint, in no order.
pub async fn sensitive(db: &Db, account_id: AccountId) -> Result<Vec<(EndpointId, ParameterKey)>, Error> {
    let rows = db.fetch_all(SELECT_SENSITIVE, args![account_id]).await?;
    let read = |row: &Row| {
        let id =
            EndpointId { collection_id: row.get("collection_id")?, url: row.get("url")?, method: row.get("method")? };
        Ok((id, read_key(row)?))
    };
    rows.iter().map(read).collect()
}

fn by_collection(rows: Vec<Row>, column: &str) -> Result<BTreeMap<CollectionId, i64>, Error> {
    rows.iter().map(|row| Ok((row.get("collection_id")?, row.get(column)?))).collect()
}
