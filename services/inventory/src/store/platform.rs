use std::collections::HashMap;

use portolan_ids::{AccountId, CollectionId};
use portolan_store::{Db, Error, Row, Sql, Tx, args};

use crate::model::collections::Collection;

/// What the API platform says of a collection beside its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformRow {
    pub project_id: Option<String>,
    pub version: String,
    /// Where it is served, as far as documents and endpoints say.
    pub url: Option<String>,
    /// Unix seconds.
    pub updated_at: i64,
}

impl PlatformRow {
    /// Of a collection that was made elsewhere.
    pub fn of(collection: &Collection) -> Self {
        Self { project_id: None, version: "1.0".to_owned(), url: None, updated_at: collection.created_at }
    }
}

const SELECT: &str =
    "SELECT collection_id, project_id, version, url, updated_at FROM platform_collections WHERE account_id = $1";

pub async fn list(db: &Db, account_id: AccountId) -> Result<Vec<(CollectionId, PlatformRow)>, Error> {
    let read = |row: &Row| {
        let known = PlatformRow {
            project_id: row.get("project_id")?,
            version: row.get("version")?,
            url: row.get("url")?,
            updated_at: row.get("updated_at")?,
        };
        Ok((row.get("collection_id")?, known))
    };
    db.fetch_all(SELECT, args![account_id]).await?.iter().map(read).collect()
}

const SAVE: &str = "INSERT INTO platform_collections (account_id, collection_id, project_id, version, updated_at, url) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (account_id, collection_id) DO UPDATE SET \
     project_id = excluded.project_id, version = excluded.version, updated_at = excluded.updated_at, \
     url = excluded.url";

pub async fn save(db: &Db, account_id: AccountId, id: CollectionId, row: &PlatformRow) -> Result<(), Error> {
    let (project_id, url) = (row.project_id.clone(), row.url.clone());
    db.execute(SAVE, args![account_id, id, project_id, &row.version, row.updated_at, url]).await.map(drop)
}

const FIRST_URLS: &str = "SELECT c.collection_id, (SELECT e.url FROM api_endpoints e WHERE e.account_id = c.account_id \
     AND e.collection_id = c.collection_id AND e.removed = 0 ORDER BY e.discovered_at, e.url LIMIT 1) AS url \
     FROM collections c WHERE c.account_id = $1 AND c.collection_id IN ({ids})";

/// The URL of the endpoint of each of some collections that was found first; those without endpoints are not in it.
pub async fn first_urls(
    db: &Db,
    account_id: AccountId,
    ids: &[CollectionId],
) -> Result<HashMap<CollectionId, String>, Error> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    // Numbers of this program's own need no markers.
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let statement = Sql::assembled(FIRST_URLS.replace("{ids}", &ids.join(", ")));
    let rows = db.fetch_all(statement, args![account_id]).await?;
    let found = rows.iter().map(|row| Ok((row.get("collection_id")?, row.get::<Option<String>>("url")?)));
    found.filter_map(|found| found.map(|(id, url)| Some((id, url?))).transpose()).collect()
}

/// An endpoint as the platform shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointRow {
    pub id: i64,
    pub collection_id: CollectionId,
    pub host_name: Option<String>,
    pub method: String,
    pub url: String,
    pub active: bool,
    /// Unix seconds.
    pub discovered_at: i64,
    pub updated_at: i64,
}

const SELECT_ENDPOINTS: &str = "SELECT e.endpoint_id, e.collection_id, c.host_name, e.method, e.url, e.active, \
     e.discovered_at, e.updated_at FROM api_endpoints e JOIN collections c \
     ON c.account_id = e.account_id AND c.collection_id = e.collection_id AND c.deleted_at IS NULL \
     WHERE e.account_id = $1 AND e.removed = 0 AND ($2 IS NULL OR e.collection_id = $2) \
     ORDER BY e.endpoint_id LIMIT $3 OFFSET $4";

pub async fn endpoints(
    db: &Db,
    account_id: AccountId,
    only: Option<CollectionId>,
    skip: usize,
    take: usize,
) -> Result<Vec<EndpointRow>, Error> {
    let number = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
    let rows = db.fetch_all(SELECT_ENDPOINTS, args![account_id, only, number(take), number(skip)]).await?;
    let read = |row: &Row| {
        Ok(EndpointRow {
            id: row.get("endpoint_id")?,
            collection_id: row.get("collection_id")?,
            host_name: row.get("host_name")?,
            method: row.get("method")?,
            url: row.get("url")?,
            active: row.get("active")?,
            discovered_at: row.get("discovered_at")?,
            updated_at: row.get("updated_at")?,
        })
    };
    rows.iter().map(read).collect()
}

const SELECT_ACTIVE: &str =
    "SELECT active FROM api_endpoints WHERE account_id = $1 AND endpoint_id = $2 AND removed = 0";

/// Whether an endpoint is let through; nothing when there is none.
pub async fn is_active(tx: &mut Tx, account_id: AccountId, endpoint_id: i64) -> Result<Option<bool>, Error> {
    tx.fetch_optional(SELECT_ACTIVE, args![account_id, endpoint_id]).await?.map(|row| row.get("active")).transpose()
}

const SWITCH: &str = "UPDATE api_endpoints SET active = $3, version = $4, updated_at = $5 \
     WHERE account_id = $1 AND endpoint_id = $2 AND removed = 0";

pub async fn switch(
    tx: &mut Tx,
    account_id: AccountId,
    endpoint_id: i64,
    active: bool,
    version: i64,
    now: i64,
) -> Result<(), Error> {
    tx.execute(SWITCH, args![account_id, endpoint_id, active, version, now]).await.map(drop)
}
