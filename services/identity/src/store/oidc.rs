use portolan_api::Result;
use portolan_ids::UserId;
use portolan_store::{Db, Tx, args};

use super::one;
use crate::model::oidc::OidcLogin;

const INSERT_LOGIN: &str = "INSERT INTO oidc_logins
    (state_digest, nonce, verifier, invitation_digest, redirect_path, expires_at) VALUES ($1, $2, $3, $4, $5, $6)";

pub(crate) async fn insert_oidc_login(tx: &mut Tx, login: OidcLogin) -> Result<()> {
    let OidcLogin { state_digest, nonce, verifier, invitation_digest, redirect_path, expires_at } = login;
    let values = args![state_digest, nonce, verifier, invitation_digest, redirect_path, expires_at];
    one(tx.execute(INSERT_LOGIN, values).await?)
}

const DELETE_EXPIRED_LOGINS: &str = "DELETE FROM oidc_logins WHERE expires_at <= $1";

pub(crate) async fn delete_expired_oidc_logins(tx: &mut Tx, now: i64) -> Result<()> {
    tx.execute(DELETE_EXPIRED_LOGINS, args![now]).await?;
    Ok(())
}

const TAKE_LOGIN: &str = "DELETE FROM oidc_logins WHERE state_digest = $1 AND expires_at > $2
    RETURNING state_digest, nonce, verifier, invitation_digest, redirect_path, expires_at";

/// Of two answers to one login, one gets it.
pub(crate) async fn take_oidc_login(db: &Db, state_digest: &str, now: i64) -> Result<Option<OidcLogin>> {
    let mut tx = db.begin().await?;
    let row = tx.fetch_optional(TAKE_LOGIN, args![state_digest, now]).await?;
    tx.commit().await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(OidcLogin {
        state_digest: row.get("state_digest")?,
        nonce: row.get("nonce")?,
        verifier: row.get("verifier")?,
        invitation_digest: row.get("invitation_digest")?,
        redirect_path: row.get("redirect_path")?,
        expires_at: row.get("expires_at")?,
    }))
}

const FIND_IDENTITY: &str = "SELECT user_id FROM user_identities WHERE issuer = $1 AND subject = $2";

pub(crate) async fn find_identity(tx: &mut Tx, issuer: &str, subject: &str) -> Result<Option<UserId>> {
    let row = tx.fetch_optional(FIND_IDENTITY, args![issuer, subject]).await?;
    Ok(row.map(|row| row.get("user_id")).transpose()?)
}

const INSERT_IDENTITY: &str =
    "INSERT INTO user_identities (issuer, subject, user_id, created_at) VALUES ($1, $2, $3, $4)";

pub(crate) async fn insert_identity(tx: &mut Tx, issuer: &str, subject: &str, user_id: UserId, now: i64) -> Result<()> {
    one(tx.execute(INSERT_IDENTITY, args![issuer, subject, user_id, now]).await?)
}

const TOUCH_USER: &str = "UPDATE users SET last_login_at = $2 WHERE user_id = $1";

pub(crate) async fn touch_user(tx: &mut Tx, user_id: UserId, now: i64) -> Result<()> {
    one(tx.execute(TOUCH_USER, args![user_id, now]).await?)
}
