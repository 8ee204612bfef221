use portolan_api::Result;
use portolan_ids::UserId;
use portolan_store::{Db, Tx, args};

const TAKE_PLACE: &str = "INSERT INTO password_resets (user_id, origin, token_digest, created_at)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (user_id, origin) DO UPDATE SET token_digest = excluded.token_digest, created_at = excluded.created_at
        WHERE password_resets.created_at <= $5";

/// Replaces the user's token of this origin if it was made at or before `replaced_before`; false otherwise.
pub(crate) async fn insert_reset(
    tx: &mut Tx,
    user_id: UserId,
    origin: &str,
    token_digest: &str,
    now: i64,
    replaced_before: i64,
) -> Result<bool> {
    Ok(tx.execute(TAKE_PLACE, args![user_id, origin, token_digest, now, replaced_before]).await? == 1)
}

const FIND_CREATED_AT: &str = "SELECT created_at FROM password_resets WHERE user_id = $1 AND origin = $2";

pub(crate) async fn find_reset_time(tx: &mut Tx, user_id: UserId, origin: &str) -> Result<i64> {
    let row = tx.fetch_optional(FIND_CREATED_AT, args![user_id, origin]).await?;
    Ok(row.map(|row| row.get("created_at")).transpose()?.unwrap_or_default())
}

const TAKE_RESET: &str = "DELETE FROM password_resets WHERE token_digest = $1 AND created_at > $2 RETURNING user_id";

/// Uses a token up and answers whose it was.
pub(crate) async fn take_reset(tx: &mut Tx, token_digest: &str, created_after: i64) -> Result<Option<UserId>> {
    let row = tx.fetch_optional(TAKE_RESET, args![token_digest, created_after]).await?;
    Ok(row.map(|row| row.get("user_id")).transpose()?)
}

const DELETE_OLD_RESETS: &str = "DELETE FROM password_resets WHERE created_at < $1";

/// Removes tokens that were made before a time.
pub(crate) async fn delete_old_resets(db: &Db, created_before: i64) -> Result<()> {
    db.execute(DELETE_OLD_RESETS, args![created_before]).await?;
    Ok(())
}

const DELETE_RESETS: &str = "DELETE FROM password_resets WHERE user_id = $1";

pub(crate) async fn delete_resets(tx: &mut Tx, user_id: UserId) -> Result<()> {
    tx.execute(DELETE_RESETS, args![user_id]).await?;
    Ok(())
}
