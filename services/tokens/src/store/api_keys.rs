use portolan_api::{Error, Result};
use portolan_ids::{AccountId, ApiKeyId, UserId};
use portolan_store::{Db, Row, Tx, args};

use super::owners::{of_owner, owned};
use crate::model::{
    api_keys::{ApiKey, FoundKey, Utility},
    revocations::Ended,
};

const INSERT: &str = "INSERT INTO api_keys
    (account_id, key_id, user_id, username, utility, key_digest, key_start, key_end, created_at, write_id, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

pub(crate) async fn insert(tx: &mut Tx, key: &ApiKey, digest: &str, write_id: &str) -> Result<()> {
    let values = args![
        key.account_id,
        key.id,
        key.user_id,
        &key.username,
        key.utility.name(),
        digest,
        &key.start,
        &key.end,
        key.created_at,
        write_id,
        key.expires_at
    ];
    tx.execute(INSERT, values).await?;
    Ok(())
}

const FIND_BY_WRITE: &str = "SELECT account_id, key_id, user_id, username, utility, key_start, key_end, created_at,
    expires_at, last_used_at, rotation_write_id
    FROM api_keys WHERE account_id = $1 AND write_id = $2";

pub(crate) async fn find_by_write(tx: &mut Tx, account_id: AccountId, write_id: &str) -> Result<Option<ApiKey>> {
    tx.fetch_optional(FIND_BY_WRITE, args![account_id, write_id]).await?.as_ref().map(api_key).transpose()
}

const DELETE_BY_WRITE: &str = "DELETE FROM api_keys WHERE account_id = $1 AND write_id = $2";

pub(crate) async fn delete_by_write(tx: &mut Tx, account_id: AccountId, write_id: &str) -> Result<()> {
    tx.execute(DELETE_BY_WRITE, args![account_id, write_id]).await?;
    Ok(())
}

const LIST: &str = "SELECT account_id, key_id, user_id, username, utility, key_start, key_end, created_at, expires_at,
    last_used_at, rotation_write_id
    FROM api_keys WHERE account_id = $1 AND user_id = $2 ORDER BY key_id";

pub(crate) async fn list(db: &Db, account_id: AccountId, user_id: UserId) -> Result<Vec<ApiKey>> {
    db.fetch_all(LIST, args![account_id, user_id]).await?.iter().map(api_key).collect()
}

const FIND_DIGESTS: &str =
    "SELECT key_digest, previous_digest FROM api_keys WHERE account_id = $1 AND user_id = $2 AND key_id = $3";

/// The digests of the secrets that a key has: its own, and the one before the last rotation. None for no key.
pub(crate) async fn list_digests(
    db: &Db,
    account_id: AccountId,
    user_id: UserId,
    key_id: ApiKeyId,
) -> Result<Vec<String>> {
    let Some(row) = db.fetch_optional(FIND_DIGESTS, args![account_id, user_id, key_id]).await? else {
        return Ok(Vec::new());
    };
    let previous: Option<String> = row.get("previous_digest")?;
    Ok(std::iter::once(row.get("key_digest")?).chain(previous).collect())
}

const FIND_DIGESTS_OF_OWNER: &str = "SELECT key_digest, previous_digest FROM api_keys
    WHERE account_id = $1 AND ($2 = 0 OR user_id = $2) AND created_at <= $3";

/// The digests of every secret of an owner.
pub(crate) async fn list_digests_of_owner(db: &Db, ended: &Ended) -> Result<Vec<String>> {
    let mut digests = Vec::new();
    for row in db.fetch_all(FIND_DIGESTS_OF_OWNER, of_owner(ended)).await? {
        digests.push(row.get("key_digest")?);
        digests.extend(row.get::<Option<String>>("previous_digest")?);
    }
    Ok(digests)
}

const DELETE_OF_OWNER: &str = "DELETE FROM api_keys
    WHERE account_id = $1 AND ($2 = 0 OR user_id = $2) AND created_at <= $3 RETURNING user_id, key_id AS id";

/// Returns user and id of each.
pub(crate) async fn delete_of_owner(tx: &mut Tx, ended: &Ended) -> Result<Vec<(UserId, ApiKeyId)>> {
    tx.fetch_all(DELETE_OF_OWNER, of_owner(ended)).await?.iter().map(owned).collect()
}

const FIND: &str = "SELECT account_id, key_id, user_id, username, utility, key_start, key_end, created_at, expires_at,
    last_used_at, rotation_write_id
    FROM api_keys WHERE account_id = $1 AND user_id = $2 AND key_id = $3";

pub(crate) async fn find(
    tx: &mut Tx,
    account_id: AccountId,
    user_id: UserId,
    key_id: ApiKeyId,
) -> Result<Option<ApiKey>> {
    tx.fetch_optional(FIND, args![account_id, user_id, key_id]).await?.as_ref().map(api_key).transpose()
}

// A secret that was still in a grace period loses its place, and with it every right.
const ROTATE: &str = "UPDATE api_keys
    SET previous_digest = CASE WHEN $4 > 0 THEN key_digest ELSE NULL END, previous_until = $4, key_digest = $5,
        key_start = $6, key_end = $7, rotation_write_id = $8
    WHERE account_id = $1 AND user_id = $2 AND key_id = $3";

/// `previous_until`: how long the old secret works on; 0 for not at all.
pub(crate) async fn rotate(tx: &mut Tx, key: &ApiKey, previous_until: i64, digest: &str, write_id: &str) -> Result<()> {
    let values = args![key.account_id, key.user_id, key.id, previous_until, digest, &key.start, &key.end, write_id];
    tx.execute(ROTATE, values).await?;
    Ok(())
}

const FIND_PREVIOUS_UNTIL: &str =
    "SELECT previous_until FROM api_keys WHERE account_id = $1 AND user_id = $2 AND key_id = $3";

/// Until when the secret before the last rotation works.
pub(crate) async fn find_previous_until(tx: &mut Tx, key: &ApiKey) -> Result<Option<i64>> {
    let row = tx.fetch_optional(FIND_PREVIOUS_UNTIL, args![key.account_id, key.user_id, key.id]).await?;
    Ok(row.map(|row| row.get("previous_until")).transpose()?.flatten())
}

const RECORD_USE: &str = "UPDATE api_keys SET last_used_at = $3
    WHERE account_id = $1 AND key_id = $2 AND last_used_at < $3";

pub(crate) async fn record_use(db: &Db, account_id: AccountId, key_id: ApiKeyId, used_at: i64) -> Result<()> {
    db.execute(RECORD_USE, args![account_id, key_id, used_at]).await?;
    Ok(())
}

const DELETE: &str = "DELETE FROM api_keys WHERE account_id = $1 AND user_id = $2 AND key_id = $3";

pub(crate) async fn delete(tx: &mut Tx, account_id: AccountId, user_id: UserId, key_id: ApiKeyId) -> Result<bool> {
    Ok(tx.execute(DELETE, args![account_id, user_id, key_id]).await? == 1)
}

const FIND_BY_DIGEST: &str = "SELECT account_id, key_id, user_id, username, utility, key_start, key_end, created_at,
    expires_at, last_used_at, rotation_write_id, key_digest, previous_until
    FROM api_keys WHERE key_digest = $1 OR previous_digest = $1";

/// The key with this secret, or with this one before its last rotation.
pub(crate) async fn find_by_digest(db: &Db, digest: &str) -> Result<Option<FoundKey>> {
    let Some(row) = db.fetch_optional(FIND_BY_DIGEST, args![digest]).await? else { return Ok(None) };
    let is_current = row.get::<String>("key_digest")? == digest;
    let previous_until: Option<i64> = row.get("previous_until")?;
    let key = api_key(&row)?;
    // Neither life is longer than the other allows.
    let grace = (!is_current).then(|| previous_until.unwrap_or_default());
    let valid_until = key.expires_at.into_iter().chain(grace).min();
    Ok(Some(FoundKey { key, valid_until }))
}

fn api_key(row: &Row) -> Result<ApiKey> {
    let utility: String = row.get("utility")?;
    Ok(ApiKey {
        id: row.get("key_id")?,
        account_id: row.get("account_id")?,
        user_id: row.get("user_id")?,
        username: row.get("username")?,
        utility: Utility::parse(&utility).map_err(|_| Error::internal(format!("stored utility {utility}")))?,
        start: row.get("key_start")?,
        end: row.get("key_end")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
        last_used_at: row.get("last_used_at")?,
        rotation_write_id: row.get("rotation_write_id")?,
    })
}
