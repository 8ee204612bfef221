use portolan_engine::template::RULES_VERSION;
use portolan_ids::{AccountId, CollectionId, NamedCollectionId};
use portolan_store::{Db, Dialect, Error, Tx, args};

const SELECT_OUTDATED_ACCOUNTS: &str = "SELECT DISTINCT account_id FROM collections \
     WHERE rules_version < $1 AND kind IS NULL AND deleted_at IS NULL ORDER BY account_id";

/// The accounts with a collection that follows older rules than the program's.
pub async fn outdated_accounts(db: &Db) -> Result<Vec<AccountId>, Error> {
    let rows = db.fetch_all(SELECT_OUTDATED_ACCOUNTS, args![RULES_VERSION]).await?;
    rows.iter().map(|row| row.get("account_id")).collect()
}

const SELECT_NEXT_OUTDATED: &str = "SELECT collection_id FROM collections WHERE account_id = $1 \
     AND collection_id >= $2 AND rules_version < $3 AND kind IS NULL AND deleted_at IS NULL \
     ORDER BY collection_id LIMIT 1";

/// The first collection from an id on that follows older rules.
pub async fn next_outdated(
    tx: &mut Tx,
    account_id: AccountId,
    from_id: NamedCollectionId,
) -> Result<Option<CollectionId>, Error> {
    let row = tx.fetch_optional(SELECT_NEXT_OUTDATED, args![account_id, from_id, RULES_VERSION]).await?;
    row.map(|row| row.get("collection_id")).transpose()
}

const BEGIN: &str = "UPDATE collections SET rules_version = -1 WHERE account_id = $1 AND collection_id = $2";

/// Notes that the collection is being brought to the rules of the program.
pub async fn begin(tx: &mut Tx, account_id: AccountId, collection_id: CollectionId) -> Result<(), Error> {
    tx.execute(BEGIN, args![account_id, collection_id]).await.map(drop)
}

const END: &str = "UPDATE collections SET rules_version = $3 \
     WHERE account_id = $1 AND collection_id = $2 AND rules_version = -1";

/// Notes that the collection follows the rules of the program, unless they have changed since [`begin`].
pub async fn end(tx: &mut Tx, account_id: AccountId, collection_id: CollectionId) -> Result<(), Error> {
    tx.execute(END, args![account_id, collection_id, RULES_VERSION]).await.map(drop)
}

const RESET: &str = "UPDATE collections SET rules_version = 0 \
     WHERE account_id = $1 AND kind IS NULL AND deleted_at IS NULL";

const HOLD_ALL: &str = "SELECT 1 FROM collections WHERE account_id = $1 AND kind IS NULL AND deleted_at IS NULL \
     ORDER BY collection_id FOR UPDATE";

/// Notes that the rules of an account have changed.
pub async fn reset(tx: &mut Tx, account_id: AccountId) -> Result<(), Error> {
    // Whoever holds several collections takes them in the order of ids. On SQLite one transaction writes at a time.
    if tx.dialect() == Dialect::Postgres {
        tx.fetch_all(HOLD_ALL, args![account_id]).await?;
    }
    tx.execute(RESET, args![account_id]).await.map(drop)
}

const HOLD: &str = "UPDATE collections SET ingest_version = ingest_version + $3 \
     WHERE account_id = $1 AND collection_id = $2 AND deleted_at IS NULL RETURNING ingest_version, redacted, host_key";

/// A collection that a transaction holds.
pub struct Held {
    pub ingest_version: i64,
    pub redacted: bool,
    /// Lower case, of the collection of a host.
    pub host: Option<String>,
}

/// Holds a collection until the transaction ends; nothing when it was deleted. `renews` tells ingest that what it
/// remembers of the raw URLs is out of date.
pub async fn hold(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    renews: bool,
) -> Result<Option<Held>, Error> {
    let row = tx.fetch_optional(HOLD, args![account_id, collection_id, i64::from(renews)]).await?;
    row.map(|row| {
        Ok(Held {
            ingest_version: row.get("ingest_version")?,
            redacted: row.get("redacted")?,
            host: row.get("host_key")?,
        })
    })
    .transpose()
}
