use portolan_api::Result;
use portolan_ids::UserId;
use portolan_store::{Db, Row, Tx, args};

use super::{Fresh, one};
use crate::model::users::User;

const INSERT_USER: &str =
    "INSERT INTO users (user_id, login, login_key, name, password_hash, last_login_at, created_at)
    VALUES ($1, $2, $3, $2, $4, 0, $5)";

pub(crate) async fn insert_user(tx: &mut Tx, id: UserId, login: &str, login_key: &str, hash: &str) -> Result<Fresh> {
    one(tx.execute(INSERT_USER, args![id, login.trim(), login_key, hash, portolan_runtime::now_s()]).await?)?;
    Ok(Fresh::user(id))
}

const FIND_USER: &str = "SELECT user_id, login, name, password_hash, last_login_at FROM users WHERE user_id = $1";

pub(crate) async fn find_user(db: &Db, user_id: UserId) -> Result<Option<User>> {
    db.fetch_optional(FIND_USER, args![user_id]).await?.map(user).transpose()
}

const FIND_USER_BY_LOGIN: &str =
    "SELECT user_id, login, name, password_hash, last_login_at FROM users WHERE login_key = $1";

pub(crate) async fn find_user_by_login(db: &Db, login_key: &str) -> Result<Option<User>> {
    db.fetch_optional(FIND_USER_BY_LOGIN, args![login_key]).await?.map(user).transpose()
}

const UPDATE_LAST_LOGIN: &str = "UPDATE users SET last_login_at = $2 WHERE user_id = $1 AND password_hash = $3";

/// False when the password changed meanwhile.
pub(crate) async fn update_last_login(tx: &mut Tx, user_id: UserId, now: i64, password_hash: &str) -> Result<bool> {
    Ok(tx.execute(UPDATE_LAST_LOGIN, args![user_id, now, password_hash]).await? == 1)
}

const UPDATE_USER_NAME: &str = "UPDATE users SET name = $2 WHERE user_id = $1";

pub(crate) async fn update_user_name(tx: &mut Tx, user_id: UserId, name: &str) -> Result<()> {
    one(tx.execute(UPDATE_USER_NAME, args![user_id, name]).await?)
}

const UPDATE_PASSWORD: &str = "UPDATE users SET password_hash = $2 WHERE user_id = $1";

pub(crate) async fn update_password(tx: &mut Tx, user_id: UserId, password_hash: &str) -> Result<()> {
    one(tx.execute(UPDATE_PASSWORD, args![user_id, password_hash]).await?)
}

const COUNT_USERS: &str = "SELECT count(*) AS users FROM users";

pub(crate) async fn count_users(tx: &mut Tx) -> Result<i64> {
    Ok(tx.fetch_one(COUNT_USERS, args![]).await?.get("users")?)
}

fn user(row: Row) -> Result<User> {
    Ok(User {
        id: row.get("user_id")?,
        login: row.get("login")?,
        name: row.get("name")?,
        password_hash: row.get("password_hash")?,
        last_login_at: row.get("last_login_at")?,
    })
}
