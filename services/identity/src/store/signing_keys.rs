use portolan_api::Result;
use portolan_store::{Db, Row, args};

use super::one;
use crate::model::signing_keys::SigningKey;

const INSERT_SIGNING_KEY: &str =
    "INSERT INTO signing_keys (key_id, public_key, private_key, created_at) VALUES ($1, $2, $3, $4)";

pub(crate) async fn insert_signing_key(db: &Db, key: &SigningKey) -> Result<()> {
    let values = args![&key.id, key.public_key.clone(), key.private_key.clone(), key.created_at];
    one(db.execute(INSERT_SIGNING_KEY, values).await?)
}

const LIST_SIGNING_KEYS: &str = "SELECT key_id, public_key, private_key, created_at FROM signing_keys
    ORDER BY created_at DESC, key_id LIMIT $1";

/// The newest first.
pub(crate) async fn list_signing_keys(db: &Db, count: usize) -> Result<Vec<SigningKey>> {
    let rows = db.fetch_all(LIST_SIGNING_KEYS, args![count as i64]).await?;
    let key = |row: &Row| {
        Ok(SigningKey {
            id: row.get("key_id")?,
            public_key: row.get("public_key")?,
            private_key: row.get("private_key")?,
            created_at: row.get("created_at")?,
        })
    };
    rows.iter().map(key).collect()
}

const DELETE_OLD_SIGNING_KEYS: &str = "DELETE FROM signing_keys WHERE created_at < $1
    AND key_id NOT IN (SELECT key_id FROM signing_keys ORDER BY created_at DESC, key_id LIMIT $2)";

/// Removes keys that were made before a time, except the newest.
pub(crate) async fn delete_old_signing_keys(db: &Db, created_before: i64, kept: usize) -> Result<()> {
    db.execute(DELETE_OLD_SIGNING_KEYS, args![created_before, kept as i64]).await?;
    Ok(())
}
