mod changes;

pub use changes::*;
use portolan_engine::template::RULES_VERSION;
use portolan_ids::{AccountId, CollectionId, NamedCollectionId};
use portolan_store::{Bulk, Db, Error, Row, Tx, Value, args};

use crate::model::{
    collections::{Collection, Sharing, Tag},
    environment,
};

/// More collections than an account can reasonably hold; beyond them a list ends.
const COLLECTIONS_MAX: i64 = 100_000;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT collection_id, name, description, created_at, host_name, kind, tags, access_type, redacted, ",
            "deactivated, out_of_testing_scope, automated, endpoint_count, write_id, deleted_at, conditions, ",
            "values_removed, made_by, sharing FROM collections ",
            $rest
        )
    };
}

const RESERVE_IDS: &str = "UPDATE inventory_sequences SET next_id = next_id + $1 WHERE name = 'collection' RETURNING next_id - $1 AS first_id";

/// Takes `count` ids that nobody had before and returns the first.
pub async fn reserve_ids(db: &Db, count: i64) -> Result<i64, Error> {
    let mut tx = db.begin().await?;
    let first_id = tx.fetch_one(RESERVE_IDS, args![count]).await?.get("first_id")?;
    tx.commit().await?;
    Ok(first_id)
}

const INSERT: &str = "INSERT INTO collections \
     (account_id, collection_id, name, name_key, created_at, tags, write_id, kind, conditions, made_by, sharing, \
      rules_version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING";

/// Inserts a collection or group; false when its name or id is taken.
pub async fn insert(tx: &mut Tx, account_id: AccountId, collection: &Collection) -> Result<bool, Error> {
    let name_key = collection.name.to_lowercase();
    let tags = tags_json(&collection.tags);
    let row = args![
        account_id,
        collection.id,
        &collection.name,
        name_key,
        collection.created_at,
        tags,
        collection.write_id.as_deref().unwrap_or_default(),
        collection.kind.clone(),
        collection.conditions.clone(),
        collection.made_by,
        sharing_number(collection.sharing),
        RULES_VERSION
    ];
    Ok(tx.execute(INSERT, row).await? == 1)
}

const SET_TAGS: &str = "UPDATE collections SET tags = $3 WHERE account_id = $1 AND collection_id = $2";

pub async fn set_tags(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    tags: &[Tag],
) -> Result<(), Error> {
    tx.execute(SET_TAGS, args![account_id, collection_id, tags_json(tags)]).await.map(drop)
}

const INSERT_HOST: &str = "INSERT INTO collections \
     (account_id, collection_id, name, name_key, host_name, host_key, created_at, rules_version) \
     VALUES ($1, $2, $3, $4, $3, $3, $5, $6) ON CONFLICT DO NOTHING";

/// Inserts the collection of a host, lower case; false when the host has one, or when `named` and another collection
/// has the host as its name.
pub async fn insert_host(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    host: &str,
    named: bool,
    created_at: i64,
) -> Result<bool, Error> {
    let name_key = named.then_some(host);
    Ok(tx.execute(INSERT_HOST, args![account_id, collection_id, host, name_key, created_at, RULES_VERSION]).await? == 1)
}

const SELECT_HOST_ID: &str = "SELECT collection_id FROM collections WHERE account_id = $1 AND host_key = $2";

pub async fn host_id(tx: &mut Tx, account_id: AccountId, host: &str) -> Result<Option<CollectionId>, Error> {
    let row = tx.fetch_optional(SELECT_HOST_ID, args![account_id, host]).await?;
    row.map(|row| row.get("collection_id")).transpose()
}

const SELECT_ONE: &str = select!("WHERE account_id = $1 AND collection_id = $2");

/// Also a deleted one.
pub async fn get(db: &Db, account_id: AccountId, collection_id: CollectionId) -> Result<Option<Collection>, Error> {
    db.fetch_optional(SELECT_ONE, args![account_id, collection_id]).await?.map(|row| read(&row)).transpose()
}

/// As [`get`], within a transaction.
pub async fn get_in(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
) -> Result<Option<Collection>, Error> {
    tx.fetch_optional(SELECT_ONE, args![account_id, collection_id]).await?.map(|row| read(&row)).transpose()
}

const SELECT_BY_NAME: &str = select!("WHERE account_id = $1 AND name_key = $2");

pub async fn by_name_key(db: &Db, account_id: AccountId, name_key: &str) -> Result<Option<Collection>, Error> {
    db.fetch_optional(SELECT_BY_NAME, args![account_id, name_key]).await?.map(|row| read(&row)).transpose()
}

const SELECT_ALL: &str = select!("WHERE account_id = $1 AND deleted_at IS NULL ORDER BY collection_id LIMIT $2");

pub async fn list(db: &Db, account_id: AccountId) -> Result<Vec<Collection>, Error> {
    db.fetch_all(SELECT_ALL, args![account_id, COLLECTIONS_MAX]).await?.iter().map(read).collect()
}

const UPDATE_DESCRIPTION: &str =
    "UPDATE collections SET description = $3 WHERE account_id = $1 AND collection_id = $2 AND deleted_at IS NULL";

pub async fn update_description(
    db: &Db,
    account_id: AccountId,
    collection_id: CollectionId,
    description: Option<&str>,
) -> Result<bool, Error> {
    let description = description.map(str::to_owned);
    Ok(db.execute(UPDATE_DESCRIPTION, args![account_id, collection_id, description]).await? == 1)
}

const MARK_DELETED: &str = "UPDATE collections \
     SET deleted_at = $3, name = '', name_key = NULL, host_name = NULL, host_key = NULL, description = NULL, \
         tags = '[]', access_type = NULL, conditions = NULL, sharing = 0 \
     WHERE account_id = $1 AND collection_id = $2 AND deleted_at IS NULL";

/// Makes a collection invisible and frees its name and host; false when there is none.
pub async fn mark_deleted(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    now: i64,
) -> Result<bool, Error> {
    Ok(tx.execute(MARK_DELETED, args![account_id, collection_id, now]).await? == 1)
}

const LOCK: &str = "UPDATE collections SET ingest_version = ingest_version + 1 \
     WHERE account_id = $1 AND collection_id = $2 RETURNING ingest_version, kind, deactivated, redacted, deleted_at";

/// What an ingest transaction must know of a collection that it locked.
pub struct Locked {
    /// Rises by one with each transaction that locked the collection for ingest.
    pub version: i64,
    pub is_group: bool,
    pub deactivated: bool,
    pub redacted: bool,
    pub deleted: bool,
}

/// Holds a collection until the transaction ends: no other transaction writes to it or deletes it meanwhile.
pub async fn lock(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: impl Into<NamedCollectionId>,
) -> Result<Option<Locked>, Error> {
    let collection_id: NamedCollectionId = collection_id.into();
    let row = tx.fetch_optional(LOCK, args![account_id, collection_id]).await?;
    row.map(|row| {
        Ok(Locked {
            version: row.get("ingest_version")?,
            is_group: row.get::<Option<String>>("kind")?.is_some(),
            deactivated: row.get("deactivated")?,
            redacted: row.get("redacted")?,
            deleted: row.get::<Option<i64>>("deleted_at")?.is_some(),
        })
    })
    .transpose()
}

const ADD_ENDPOINTS: &str =
    "UPDATE collections SET endpoint_count = endpoint_count + $3 WHERE account_id = $1 AND collection_id = $2";

/// Notes that a collection has more endpoints, or fewer.
pub async fn add_endpoints(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    count: i64,
) -> Result<(), Error> {
    tx.execute(ADD_ENDPOINTS, args![account_id, collection_id, count]).await.map(drop)
}

const SUM_ENDPOINTS: &str = "SELECT cast(coalesce(sum(endpoint_count), 0) AS BIGINT) AS endpoints FROM collections \
     WHERE account_id = $1 AND deactivated = 0 AND deleted_at IS NULL AND kind IS NULL";

/// The number of endpoints in active collections.
pub async fn sum_endpoints(db: &Db, account_id: AccountId) -> Result<i64, Error> {
    db.fetch_one(SUM_ENDPOINTS, args![account_id]).await?.get("endpoints")
}

static INSERT_DEFAULT: Bulk<6> = Bulk::new(
    "INSERT INTO collections (account_id, collection_id, name, name_key, created_at, rules_version)",
    "ON CONFLICT DO NOTHING",
);

/// Gives each account its default collection.
pub async fn insert_default(tx: &mut Tx, account_ids: &[AccountId], name: &str, now: i64) -> Result<(), Error> {
    let row = |account_id: &AccountId| {
        let (id, version) = (Value::from(0_i64), Value::from(RULES_VERSION));
        [Value::from(account_id), id, name.into(), name.to_lowercase().into(), Value::from(now), version]
    };
    tx.bulk(&INSERT_DEFAULT, account_ids.iter().map(row)).await.map(drop)
}

pub(super) fn read(row: &Row) -> Result<Collection, Error> {
    let (host_name, created_at) = (row.get::<Option<String>>("host_name")?, row.get("created_at")?);
    let mut tags = read_tags(&row.get::<String>("tags")?);
    if tags.is_empty() {
        tags.extend(host_name.as_deref().and_then(|host| environment::tag_of_host(host, created_at)));
    }
    Ok(Collection {
        id: row.get("collection_id")?,
        name: row.get("name")?,
        description: row.get("description")?,
        created_at,
        host_name,
        kind: row.get("kind")?,
        tags,
        access_type: row.get("access_type")?,
        redacted: row.get("redacted")?,
        deactivated: row.get("deactivated")?,
        out_of_testing_scope: row.get("out_of_testing_scope")?,
        automated: row.get("automated")?,
        endpoint_count: row.get("endpoint_count")?,
        write_id: row.get::<Option<String>>("write_id")?.filter(|id| !id.is_empty()),
        deleted: row.get::<Option<i64>>("deleted_at")?.is_some(),
        conditions: row.get("conditions")?,
        values_removed: row.get("values_removed")?,
        made_by: row.get("made_by")?,
        sharing: sharing(row)?,
    })
}

pub(super) fn sharing(row: &Row) -> Result<Sharing, Error> {
    Ok(match row.get::<i64>("sharing")? {
        1 => Sharing::ByAdministrator,
        2 => Sharing::Marked,
        // A number of a later version grants nothing.
        _ => Sharing::None,
    })
}

pub(super) fn sharing_number(sharing: Sharing) -> i64 {
    match sharing {
        Sharing::None => 0,
        Sharing::ByAdministrator => 1,
        Sharing::Marked => 2,
    }
}

const SELECT_ALL_TAGS: &str = "SELECT account_id, collection_id, tags FROM collections WHERE deleted_at IS NULL ORDER BY account_id, collection_id";

/// Account and id of every collection whose tags cannot be read, and why.
pub async fn unreadable_tags(db: &Db) -> Result<Vec<(AccountId, CollectionId, String)>, Error> {
    let mut found = Vec::new();
    for row in db.fetch_all(SELECT_ALL_TAGS, args![]).await? {
        if let Err(error) = serde_json::from_str::<Vec<Tag>>(&row.get::<String>("tags")?) {
            found.push((row.get("account_id")?, row.get("collection_id")?, error.to_string()));
        }
    }
    Ok(found)
}

/// Tags that cannot be read are none: no condition then finds the collection by them.
fn read_tags(json: &str) -> Vec<Tag> {
    serde_json::from_str(json).unwrap_or_else(|error| {
        tracing::debug!(%error, "the stored tags of a collection are skipped");
        Vec::new()
    })
}

pub(super) fn tags_json(tags: &[Tag]) -> String {
    // Texts and numbers always serialize.
    serde_json::to_string(tags).unwrap_or_else(|_| "[]".to_owned())
}
