//! What is changed of a collection that exists.

use portolan_ids::{AccountId, CollectionId, NamedCollectionId};
use portolan_store::{Db, Error, Row, Tx, args};

use crate::{model::collections::Tag, store::collections::tags_json};

const SELECT_NEXT_PLAIN: &str = "SELECT collection_id FROM collections WHERE account_id = $1 AND collection_id >= $2 \
     AND kind IS NULL AND deleted_at IS NULL ORDER BY collection_id LIMIT 1";

/// The first plain collection from an id on.
pub async fn next_plain(
    tx: &mut Tx,
    account_id: AccountId,
    from_id: NamedCollectionId,
) -> Result<Option<CollectionId>, Error> {
    let row = tx.fetch_optional(SELECT_NEXT_PLAIN, args![account_id, from_id]).await?;
    row.map(|row| row.get("collection_id")).transpose()
}

const HOLD: &str = "UPDATE collections SET ingest_version = ingest_version \
     WHERE account_id = $1 AND collection_id = $2 AND deleted_at IS NULL";

/// Holds a collection until the transaction ends, without a change of what ingest remembers of it; false when there is
/// none.
pub async fn hold(tx: &mut Tx, account_id: AccountId, collection_id: CollectionId) -> Result<bool, Error> {
    Ok(tx.execute(HOLD, args![account_id, collection_id]).await? == 1)
}

// The name is taken by whoever has its key, so a conflict leaves the row as it is.
const RENAME: &str = "UPDATE collections SET name = $3, name_key = $4 \
     WHERE account_id = $1 AND collection_id = $2 AND deleted_at IS NULL AND NOT EXISTS (\
         SELECT 1 FROM collections other WHERE other.account_id = $1 AND other.name_key = $4 \
         AND other.collection_id <> $2)";

/// Gives a collection another name; false when the name is taken.
pub async fn rename(
    db: &Db,
    account_id: AccountId,
    collection_id: CollectionId,
    name: &str,
    key: &str,
) -> Result<bool, Error> {
    Ok(db.execute(RENAME, args![account_id, collection_id, name, key]).await? == 1)
}

const UPDATE_TAGS: &str = "UPDATE collections SET tags = $3 WHERE account_id = $1 AND collection_id = $2";

pub async fn update_tags(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    tags: &[Tag],
) -> Result<(), Error> {
    tx.execute(UPDATE_TAGS, args![account_id, collection_id, tags_json(tags)]).await.map(drop)
}

const UPDATE_TEST_SCOPE: &str = "UPDATE collections SET out_of_testing_scope = $3 \
     WHERE account_id = $1 AND collection_id = $2 AND deleted_at IS NULL";

pub async fn update_test_scope(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    is_out: bool,
) -> Result<(), Error> {
    tx.execute(UPDATE_TEST_SCOPE, args![account_id, collection_id, is_out]).await.map(drop)
}

const UPDATE_DEACTIVATED: &str = "UPDATE collections SET deactivated = $3 \
     WHERE account_id = $1 AND collection_id = $2 AND deactivated <> $3 AND deleted_at IS NULL";

/// Deactivates or activates a collection; false when it is so already.
pub async fn update_deactivated(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    is_deactivated: bool,
) -> Result<bool, Error> {
    Ok(tx.execute(UPDATE_DEACTIVATED, args![account_id, collection_id, is_deactivated]).await? == 1)
}

const UPDATE_REDACTED: &str = "UPDATE collections SET redacted = $3, values_removed = $4 \
     WHERE account_id = $1 AND collection_id = $2 AND deleted_at IS NULL";

/// Begins or ends the redaction of a collection, and notes whether values are left to be removed.
pub async fn update_redacted(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    is_redacted: bool,
    values_removed: bool,
) -> Result<bool, Error> {
    Ok(tx.execute(UPDATE_REDACTED, args![account_id, collection_id, is_redacted, values_removed]).await? == 1)
}

const NOTE_VALUES_REMOVED: &str =
    "UPDATE collections SET values_removed = 1 WHERE account_id = $1 AND collection_id = $2";

/// Notes that no value is left.
pub async fn note_values_removed(tx: &mut Tx, account_id: AccountId, collection_id: CollectionId) -> Result<(), Error> {
    tx.execute(NOTE_VALUES_REMOVED, args![account_id, collection_id]).await.map(drop)
}

const UPDATE_ACCESS_TYPE: &str =
    "UPDATE collections SET access_type = $3 WHERE account_id = $1 AND collection_id = $2 AND deleted_at IS NULL";

pub async fn update_access_type(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    access_type: &str,
) -> Result<(), Error> {
    tx.execute(UPDATE_ACCESS_TYPE, args![account_id, collection_id, access_type]).await.map(drop)
}

const ADD_DROPPED: &str =
    "UPDATE collections SET dropped_records = dropped_records + $3 WHERE account_id = $1 AND collection_id = $2";

/// Counts records that have no place in a collection: it is deactivated, or full.
pub async fn add_dropped(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: impl Into<NamedCollectionId>,
    count: i64,
) -> Result<(), Error> {
    let collection_id: NamedCollectionId = collection_id.into();
    tx.execute(ADD_DROPPED, args![account_id, collection_id, count]).await.map(drop)
}

const SELECT_DROPPED: &str = "SELECT account_id, collection_id, dropped_records FROM collections \
     WHERE dropped_records > 0 AND deleted_at IS NULL ORDER BY dropped_records DESC, account_id, collection_id";

/// The collections of all accounts that had no place for records, and for how many, the most first.
pub async fn dropped(db: &Db) -> Result<Vec<(AccountId, CollectionId, i64)>, Error> {
    let rows = db.fetch_all(SELECT_DROPPED, args![]).await?;
    let read = |row: &Row| Ok((row.get("account_id")?, row.get("collection_id")?, row.get("dropped_records")?));
    rows.iter().map(read).collect()
}

const SELECT_REDACTED: &str =
    "SELECT account_id, collection_id, host_key FROM collections WHERE redacted = 1 AND deleted_at IS NULL";

/// Account, id and host of the redacted collections of all accounts.
pub async fn redacted(tx: &mut Tx) -> Result<Vec<(AccountId, CollectionId, Option<String>)>, Error> {
    let rows = tx.fetch_all(SELECT_REDACTED, args![]).await?;
    rows.iter().map(|row| Ok((row.get("account_id")?, row.get("collection_id")?, row.get("host_key")?))).collect()
}

const RECOUNT: &str = "UPDATE collections SET endpoint_count = (SELECT count(DISTINCT e.url_key) FROM endpoints e \
     WHERE e.account_id = $1 AND e.collection_id = $2 AND e.proven = 1) WHERE account_id = $1 AND collection_id = $2";

/// Counts the endpoints of a collection that the transaction holds.
pub async fn recount(tx: &mut Tx, account_id: AccountId, collection_id: CollectionId) -> Result<(), Error> {
    tx.execute(RECOUNT, args![account_id, collection_id]).await.map(drop)
}

// The id and the version stay for the readers of changes.
const FORGET_REMOVED_URLS: &str = "UPDATE api_endpoints SET url = '', method = '', url_key = cast(endpoint_id AS TEXT) \
     WHERE account_id = $1 AND collection_id = $2 AND removed = 1";

/// Forgets the URLs of endpoints that are no longer there.
pub async fn forget_removed_urls(tx: &mut Tx, account_id: AccountId, collection_id: CollectionId) -> Result<(), Error> {
    tx.execute(FORGET_REMOVED_URLS, args![account_id, collection_id]).await.map(drop)
}
