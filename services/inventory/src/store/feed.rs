use std::collections::{BTreeMap, HashMap};

use portolan_ids::{AccountId, CollectionId};
use portolan_store::{Bulk, Db, Error, Row, Tx, Value, args};

use crate::{
    model::feed::{EdgeEndpoint, EndpointChange, Shown, TakenOver},
    store::by_keys,
};

const SELECT_PROVEN: &str = "SELECT url_key, min(method) AS method, min(url) AS url, \
     coalesce(min(discovered_at), min(first_seen)) AS discovered_at FROM endpoints \
     WHERE account_id = $1 AND collection_id = $2 AND proven = 1 AND url_key IN ({keys}) GROUP BY url_key";

/// The endpoints among these effective URLs, by key.
pub async fn shown(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    url_keys: &[&str],
) -> Result<BTreeMap<String, Shown>, Error> {
    let rows = by_keys(tx, SELECT_PROVEN, account_id, collection_id, url_keys).await?;
    rows.iter().map(|row| Ok((row.get("url_key")?, read_shown(row)?))).collect()
}

const SELECT_KNOWN: &str = "SELECT url_key, endpoint_id, method, url, discovered_at, removed FROM api_endpoints \
     WHERE account_id = $1 AND collection_id = $2 AND url_key IN ({keys})";

/// A row that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub endpoint_id: i64,
    pub shown: Shown,
    pub removed: bool,
}

/// The rows of these effective URLs, removed ones too.
pub async fn known(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    url_keys: &[&str],
) -> Result<HashMap<String, Known>, Error> {
    let rows = by_keys(tx, SELECT_KNOWN, account_id, collection_id, url_keys).await?;
    let read = |row: &Row| {
        let known =
            Known { endpoint_id: row.get("endpoint_id")?, shown: read_shown(row)?, removed: row.get("removed")? };
        Ok((row.get("url_key")?, known))
    };
    rows.iter().map(read).collect()
}

const RESERVE_VERSIONS: &str = "UPDATE inventory_sequences SET next_id = next_id + $1 WHERE name = 'api_endpoint' \
     RETURNING next_id - $1 AS first_version";

/// Takes versions. The row stays locked until the commit, so versions become visible in their order; a transaction
/// therefore takes them after every other lock it needs.
pub async fn reserve_versions(tx: &mut Tx, count: i64) -> Result<i64, Error> {
    tx.fetch_one(RESERVE_VERSIONS, args![count]).await?.get("first_version")
}

// Whether an endpoint is let through, and when it was tested, is the callers' own: what is there changes by what it takes
// over alone.
static SAVE: Bulk<12> = Bulk::new(
    "INSERT INTO api_endpoints (account_id, collection_id, url_key, endpoint_id, method, url, discovered_at, \
     updated_at, version, removed, active, last_tested)",
    "ON CONFLICT (account_id, collection_id, url_key) DO UPDATE SET method = excluded.method, url = excluded.url, \
     discovered_at = excluded.discovered_at, updated_at = excluded.updated_at, version = excluded.version, \
     removed = excluded.removed, \
     active = CASE WHEN excluded.active = 0 THEN 0 ELSE api_endpoints.active END, \
     last_tested = CASE WHEN excluded.last_tested > api_endpoints.last_tested THEN excluded.last_tested \
         ELSE api_endpoints.last_tested END",
);

const SELECT_STATES: &str = "SELECT url_key, active, last_tested FROM api_endpoints WHERE account_id = $1 \
     AND collection_id = $2 AND (active = 0 OR last_tested > 0) AND removed = 0 AND url_key IN ({keys})";

/// What callers said of the endpoints at these effective URLs, where they said anything.
pub async fn states(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    url_keys: &[&str],
) -> Result<BTreeMap<String, TakenOver>, Error> {
    let rows = by_keys(tx, SELECT_STATES, account_id, collection_id, url_keys).await?;
    let read = |row: &Row| {
        let state = TakenOver { inactive: !row.get::<bool>("active")?, last_tested: row.get("last_tested")? };
        Ok((row.get("url_key")?, state))
    };
    rows.iter().map(read).collect()
}

/// Writes changed rows, the first under the version `first_version`.
pub async fn save(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    changes: &[EndpointChange],
    first_version: i64,
    now: i64,
) -> Result<(), Error> {
    let rows = changes.iter().zip(first_version..).map(|(change, version)| {
        [
            account_id.into(),
            collection_id.into(),
            (&change.url_key).into(),
            change.endpoint_id.unwrap_or(version).into(),
            (&change.shown.method).into(),
            (&change.shown.url).into(),
            change.shown.discovered_at.into(),
            now.into(),
            version.into(),
            change.removed.into(),
            (!change.taken_over.inactive).into(),
            change.taken_over.last_tested.into(),
        ]
    });
    tx.bulk(&SAVE, rows.collect::<Vec<[Value; 12]>>()).await.map(drop)
}

const SELECT_ID_RANGE: &str = "SELECT min(endpoint_id) AS low, max(endpoint_id) AS high FROM api_endpoints \
     WHERE account_id = $1 AND collection_id = $2";

/// The smallest and the largest id in a collection; nothing when it never had an endpoint.
pub async fn id_range(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
) -> Result<Option<(i64, i64)>, Error> {
    let row = tx.fetch_one(SELECT_ID_RANGE, args![account_id, collection_id]).await?;
    Ok(row.get::<Option<i64>>("low")?.zip(row.get::<Option<i64>>("high")?))
}

// The text of a URL goes at once; the id and the version stay for the readers of changes.
const REMOVE_ALL: &str = "UPDATE api_endpoints SET removed = 1, version = $3 + endpoint_id, method = '', url = '', \
     url_key = cast(endpoint_id AS TEXT), updated_at = $4 WHERE account_id = $1 AND collection_id = $2";

/// Marks all endpoints of a collection as removed; the version of each is its id plus `version_offset`.
pub async fn remove_all(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    version_offset: i64,
    now: i64,
) -> Result<(), Error> {
    tx.execute(REMOVE_ALL, args![account_id, collection_id, version_offset, now]).await.map(drop)
}

const TOUCH_ALL: &str =
    "UPDATE api_endpoints SET version = $3 + endpoint_id WHERE account_id = $1 AND collection_id = $2";

/// Gives all endpoints of a collection a new version: the id of each plus `version_offset`.
pub async fn touch_all(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    version_offset: i64,
) -> Result<(), Error> {
    tx.execute(TOUCH_ALL, args![account_id, collection_id, version_offset]).await.map(drop)
}

// A deactivated collection lets no call through, whatever its endpoints say.
const SELECT_CHANGES: &str = "SELECT e.version, e.endpoint_id, e.account_id, e.collection_id, e.method, e.url, \
     CASE WHEN c.deactivated = 1 THEN 0 ELSE e.active END AS active, e.removed, c.host_name FROM api_endpoints e LEFT JOIN collections c \
     ON c.account_id = e.account_id AND c.collection_id = e.collection_id \
     WHERE e.version > $1 ORDER BY e.version LIMIT $2";

/// What changed after a version, of all accounts.
pub async fn changes(db: &Db, after_version: i64, limit: i64) -> Result<Vec<EdgeEndpoint>, Error> {
    let rows = db.fetch_all(SELECT_CHANGES, args![after_version, limit]).await?;
    rows.iter().map(read_change).collect()
}

fn read_change(row: &Row) -> Result<EdgeEndpoint, Error> {
    Ok(EdgeEndpoint {
        version: row.get("version")?,
        endpoint_id: row.get("endpoint_id")?,
        account_id: row.get("account_id")?,
        collection_id: row.get("collection_id")?,
        host_name: row.get("host_name")?,
        method: row.get("method")?,
        url: row.get("url")?,
        active: row.get("active")?,
        removed: row.get("removed")?,
    })
}

fn read_shown(row: &Row) -> Result<Shown, Error> {
    Ok(Shown { method: row.get("method")?, url: row.get("url")?, discovered_at: row.get("discovered_at")? })
}
