use portolan_api::Result;
use portolan_ids::{AccountId, UserId};
use portolan_store::{Db, Row, Tx, args};

use super::one;
use crate::model::sessions::Session;

const INSERT_SESSION: &str = "INSERT INTO sessions
    (session_digest, access_digest, user_id, account_id, created_at, used_at, id_token)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";

pub(crate) async fn insert_session(tx: &mut Tx, session: &Session) -> Result<()> {
    let Session { digest, access_digest, user_id, account_id, created_at, used_at, id_token } = session;
    let id_token = id_token.clone();
    let values = args![digest, access_digest, *user_id, *account_id, *created_at, *used_at, id_token];
    one(tx.execute(INSERT_SESSION, values).await?)
}

const FIND_SESSION: &str = "SELECT session_digest, access_digest, user_id, account_id, created_at, used_at, id_token
    FROM sessions WHERE session_digest = $1";

pub(crate) async fn find_session(db: &Db, digest: &str) -> Result<Option<Session>> {
    db.fetch_optional(FIND_SESSION, args![digest]).await?.as_ref().map(session).transpose()
}

const TAKE_SESSION: &str = "DELETE FROM sessions WHERE user_id = $1 AND substr(session_digest, 1, 16) = $2
    RETURNING session_digest, access_digest, user_id, account_id, created_at, used_at, id_token";

/// Ends the session that a caller token names; of two who replace one session, one gets it.
pub(crate) async fn take_session(tx: &mut Tx, user_id: UserId, credential_id: &str) -> Result<Option<Session>> {
    tx.fetch_optional(TAKE_SESSION, args![user_id, credential_id]).await?.as_ref().map(session).transpose()
}

const TOUCH_SESSION: &str = "UPDATE sessions SET used_at = $2 WHERE session_digest = $1";

pub(crate) async fn touch_session(db: &Db, digest: &str, now: i64) -> Result<()> {
    db.execute(TOUCH_SESSION, args![digest, now]).await?;
    Ok(())
}

const DELETE_SESSIONS_OF_USER: &str = "DELETE FROM sessions WHERE user_id = $1";

pub(crate) async fn delete_sessions_of_user(tx: &mut Tx, user_id: UserId) -> Result<()> {
    tx.execute(DELETE_SESSIONS_OF_USER, args![user_id]).await?;
    Ok(())
}

const DELETE_SESSIONS_OF_MEMBER: &str = "DELETE FROM sessions WHERE account_id = $1 AND user_id = $2";

pub(crate) async fn delete_sessions_of_member(tx: &mut Tx, account_id: AccountId, user_id: UserId) -> Result<()> {
    tx.execute(DELETE_SESSIONS_OF_MEMBER, args![account_id, user_id]).await?;
    Ok(())
}

const DELETE_ENDED_SESSIONS: &str = "DELETE FROM sessions WHERE used_at < $1 OR created_at < $2";

pub(crate) async fn delete_ended_sessions(db: &Db, used_before: i64, created_before: i64) -> Result<()> {
    db.execute(DELETE_ENDED_SESSIONS, args![used_before, created_before]).await?;
    Ok(())
}

fn session(row: &Row) -> Result<Session> {
    Ok(Session {
        digest: row.get("session_digest")?,
        access_digest: row.get("access_digest")?,
        user_id: row.get("user_id")?,
        account_id: row.get("account_id")?,
        created_at: row.get("created_at")?,
        used_at: row.get("used_at")?,
        id_token: row.get("id_token")?,
    })
}

const IS_LOGIN_PLACE: &str = "SELECT p.user_id FROM login_places p JOIN users u ON u.user_id = p.user_id
    WHERE u.login_key = $1 AND p.place_digest = $2";

/// Whether the user of this login has signed in from the network.
pub(crate) async fn is_login_place(db: &Db, login_key: &str, place_digest: &str) -> Result<bool> {
    Ok(db.fetch_optional(IS_LOGIN_PLACE, args![login_key, place_digest]).await?.is_some())
}

const UPSERT_LOGIN_PLACE: &str = "INSERT INTO login_places (user_id, place_digest, used_at) VALUES ($1, $2, $3)
    ON CONFLICT (user_id, place_digest) DO UPDATE SET used_at = excluded.used_at";

pub(crate) async fn upsert_login_place(tx: &mut Tx, user_id: UserId, place_digest: &str, now: i64) -> Result<()> {
    one(tx.execute(UPSERT_LOGIN_PLACE, args![user_id, place_digest, now]).await?)
}

const DELETE_LOGIN_PLACES_OF_USER: &str = "DELETE FROM login_places WHERE user_id = $1";

/// Every network is a new one to the user again.
pub(crate) async fn delete_login_places_of_user(tx: &mut Tx, user_id: UserId) -> Result<()> {
    tx.execute(DELETE_LOGIN_PLACES_OF_USER, args![user_id]).await?;
    Ok(())
}

const DELETE_LOGIN_PLACES: &str = "DELETE FROM login_places WHERE used_at < $1";

pub(crate) async fn delete_login_places(db: &Db, before: i64) -> Result<()> {
    db.execute(DELETE_LOGIN_PLACES, args![before]).await?;
    Ok(())
}
