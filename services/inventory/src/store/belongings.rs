//! What else belongs to collections and endpoints, and goes with them.

use portolan_ids::{AccountId, CollectionId};
use portolan_store::{Error, Tx, args};

const DELETE_MARKINGS: &str =
    "DELETE FROM markings WHERE account_id = $1 AND collection_id = $2 AND url_key IN ({keys})";

const DELETE_ISSUES: &str = "DELETE FROM issues WHERE account_id = $1 AND collection_id = $2 AND url_key IN ({keys})";

const DELETE_STATS: &str =
    "DELETE FROM call_stats WHERE account_id = $1 AND collection_id = $2 AND endpoint_key IN ({keys})";

/// Removes markings, findings and statistics of single endpoints.
pub async fn delete_of_endpoints(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    url_keys: &[&str],
    endpoint_keys: &[&str],
) -> Result<(), Error> {
    super::delete_by_keys(tx, DELETE_MARKINGS, account_id, collection_id, url_keys).await?;
    super::delete_by_keys(tx, DELETE_ISSUES, account_id, collection_id, url_keys).await?;
    delete_stats(tx, account_id, collection_id, endpoint_keys).await
}

/// Removes the statistics of raw endpoints.
pub async fn delete_stats(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    keys: &[&str],
) -> Result<(), Error> {
    super::delete_by_keys(tx, DELETE_STATS, account_id, collection_id, keys).await
}

const DELETE_OF_COLLECTION: [&str; 7] = [
    "DELETE FROM markings WHERE account_id = $1 AND collection_id = $2",
    "DELETE FROM issues WHERE account_id = $1 AND collection_id = $2",
    "DELETE FROM call_stats WHERE account_id = $1 AND collection_id = $2",
    "DELETE FROM declared_operations WHERE account_id = $1 AND collection_id = $2",
    "DELETE FROM specifications WHERE account_id = $1 AND collection_id = $2",
    "DELETE FROM platform_collections WHERE account_id = $1 AND collection_id = $2",
    "DELETE FROM demerged_urls WHERE account_id = $1 AND collection_id = $2",
];

/// Removes all of a collection.
pub async fn delete_of_collection(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
) -> Result<(), Error> {
    for statement in DELETE_OF_COLLECTION {
        tx.execute(statement, args![account_id, collection_id]).await?;
    }
    Ok(())
}
