use portolan_api::Result;
use portolan_ids::AccountId;
use portolan_store::{Tx, args};

use crate::model::profiles::Profile;

const INSERT: &str = "INSERT INTO access_tokens
    (account_id, token_digest, profile_id, grant_version, created_at, expires_at, version)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";

pub(crate) async fn insert(
    tx: &mut Tx,
    profile: &Profile,
    digest: &str,
    now_s: i64,
    expires_at: i64,
    version: i64,
) -> Result<()> {
    let values = args![profile.account_id, digest, profile.id, profile.grant_version, now_s, expires_at, version];
    tx.execute(INSERT, values).await?;
    Ok(())
}

const DELETE_EXPIRED: &str = "DELETE FROM access_tokens WHERE expires_at <= $1";

pub(crate) async fn delete_expired(tx: &mut Tx, now_s: i64) -> Result<()> {
    tx.execute(DELETE_EXPIRED, args![now_s]).await?;
    Ok(())
}

const DELETE_OF_ACCOUNT: &str = "DELETE FROM access_tokens WHERE account_id = $1";

pub(crate) async fn delete_of_account(tx: &mut Tx, account_id: AccountId) -> Result<()> {
    tx.execute(DELETE_OF_ACCOUNT, args![account_id]).await?;
    Ok(())
}
