mod administrators;
pub(crate) mod audit;
mod custom_roles;
mod invitations;
mod managed_users;
mod members;
mod oidc;
mod organizations;
mod push;
mod resets;
mod sessions;
mod settings;
pub(crate) mod tenants;
mod usage;

use std::collections::BTreeMap;

use portolan_api::{Error, Result};
use portolan_store::{Db, Row, Tx, args};

pub(crate) use self::{
    administrators::*, custom_roles::*, invitations::*, managed_users::*, members::*, oidc::*, organizations::*,
    push::*, resets::*, sessions::*, settings::*, usage::*,
};
use crate::users::User;

/// The id of the first account of an installation.
pub(crate) const FIRST_ACCOUNT_ID: i64 = 1_000_000;

const NEXT_ID: &str = "UPDATE identity_sequences SET next = next + 1 WHERE name = $1 RETURNING next - 1 AS id";

pub(crate) async fn next_id(tx: &mut Tx, sequence: &str) -> Result<i64> {
    Ok(tx.fetch_one(NEXT_ID, args![sequence]).await?.get("id")?)
}

const FIND_ORGANIZATION_NAME: &str = "SELECT name FROM organizations WHERE organization_id = $1";

pub(crate) async fn find_organization_name(db: &Db, id: &str) -> Result<Option<String>> {
    let row = db.fetch_optional(FIND_ORGANIZATION_NAME, args![id]).await?;
    Ok(row.map(|row| row.get("name")).transpose()?)
}

const INSERT_ACCOUNT: &str =
    "INSERT INTO accounts (account_id, organization_id, name, created_at) VALUES ($1, $2, $3, $4)";

pub(crate) async fn insert_account(tx: &mut Tx, id: i64, organization_id: &str, name: &str, now: i64) -> Result<()> {
    one(tx.execute(INSERT_ACCOUNT, args![id, organization_id, name, now]).await?)
}

const COUNT_ACCOUNTS: &str = "SELECT count(*) AS accounts FROM accounts";

pub(crate) async fn count_accounts(db: &Db) -> Result<i64> {
    Ok(db.fetch_one(COUNT_ACCOUNTS, args![]).await?.get("accounts")?)
}

const COUNT_SIBLING_ACCOUNTS: &str = "SELECT count(*) AS accounts FROM accounts
    WHERE organization_id = (SELECT organization_id FROM accounts WHERE account_id = $1)";

pub(crate) async fn count_sibling_accounts(db: &Db, account_id: i64) -> Result<i64> {
    Ok(db.fetch_one(COUNT_SIBLING_ACCOUNTS, args![account_id]).await?.get("accounts")?)
}

const COUNT_OPEN_ACCOUNTS: &str =
    "SELECT count(*) AS accounts FROM accounts WHERE organization_id = $1 AND state = 'ACTIVE'";

pub(crate) async fn count_open_accounts(db: &Db, organization_id: &str) -> Result<i64> {
    Ok(db.fetch_one(COUNT_OPEN_ACCOUNTS, args![organization_id]).await?.get("accounts")?)
}

/// Changes nothing, and so makes all who would add to the organisation queue.
const HOLD_ORGANIZATION: &str = "UPDATE organizations SET state = state WHERE organization_id = $1";

/// The same while the transaction holds the organisation: nobody else opens an account in it before the commit.
pub(crate) async fn count_open_accounts_held(tx: &mut Tx, organization_id: &str) -> Result<i64> {
    one(tx.execute(HOLD_ORGANIZATION, args![organization_id]).await?)?;
    Ok(tx.fetch_one(COUNT_OPEN_ACCOUNTS, args![organization_id]).await?.get("accounts")?)
}

const FIND_FIRST_ACCOUNT: &str = "SELECT min(account_id) AS account_id FROM accounts WHERE organization_id = $1";

pub(crate) async fn find_first_account_of_organization(db: &Db, organization_id: &str) -> Result<Option<i64>> {
    Ok(db.fetch_one(FIND_FIRST_ACCOUNT, args![organization_id]).await?.get("account_id")?)
}

const FIND_OWN_ACCOUNT: &str =
    "SELECT account_id FROM accounts WHERE organization_id = $1 AND account_id = $2 AND state = 'ACTIVE'";

/// The account, when it is an open one of the organization.
pub(crate) async fn find_own_account(db: &Db, organization_id: &str, account_id: i64) -> Result<Option<i64>> {
    let row = db.fetch_optional(FIND_OWN_ACCOUNT, args![organization_id, account_id]).await?;
    Ok(row.map(|row| row.get("account_id")).transpose()?)
}

const FIND_ORGANIZATION_OF_ACCOUNT: &str = "SELECT organization_id FROM accounts WHERE account_id = $1";

pub(crate) async fn find_organization_of_account(db: &Db, account_id: i64) -> Result<Option<String>> {
    let row = db.fetch_optional(FIND_ORGANIZATION_OF_ACCOUNT, args![account_id]).await?;
    Ok(row.map(|row| row.get("organization_id")).transpose()?)
}

const LIST_ACCOUNTS_OF_USER: &str = "SELECT a.account_id, a.name FROM accounts a
    JOIN memberships m ON m.account_id = a.account_id WHERE m.user_id = $1 AND a.state = 'ACTIVE'
    ORDER BY a.account_id";

pub(crate) async fn list_accounts_of_user(db: &Db, user_id: i64) -> Result<BTreeMap<i64, String>> {
    let rows = db.fetch_all(LIST_ACCOUNTS_OF_USER, args![user_id]).await?;
    rows.iter().map(|row| Ok((row.get("account_id")?, row.get("name")?))).collect()
}

const INSERT_USER: &str =
    "INSERT INTO users (user_id, login, login_key, name, password_hash, last_login_at, created_at)
    VALUES ($1, $2, $3, $2, $4, 0, $5)";

pub(crate) async fn insert_user(tx: &mut Tx, id: i64, login: &str, login_key: &str, hash: &str) -> Result<()> {
    one(tx.execute(INSERT_USER, args![id, login.trim(), login_key, hash, crate::now_s()]).await?)
}

const FIND_USER: &str = "SELECT user_id, login, name, password_hash, last_login_at FROM users WHERE user_id = $1";

pub(crate) async fn find_user(db: &Db, user_id: i64) -> Result<Option<User>> {
    db.fetch_optional(FIND_USER, args![user_id]).await?.map(user).transpose()
}

const FIND_USER_BY_LOGIN: &str =
    "SELECT user_id, login, name, password_hash, last_login_at FROM users WHERE login_key = $1";

pub(crate) async fn find_user_by_login(db: &Db, login_key: &str) -> Result<Option<User>> {
    db.fetch_optional(FIND_USER_BY_LOGIN, args![login_key]).await?.map(user).transpose()
}

const UPDATE_LAST_LOGIN: &str = "UPDATE users SET last_login_at = $2 WHERE user_id = $1 AND password_hash = $3";

/// False when the password changed meanwhile.
pub(crate) async fn update_last_login(tx: &mut Tx, user_id: i64, now: i64, password_hash: &str) -> Result<bool> {
    Ok(tx.execute(UPDATE_LAST_LOGIN, args![user_id, now, password_hash]).await? == 1)
}

const UPDATE_USER_NAME: &str = "UPDATE users SET name = $2 WHERE user_id = $1";

pub(crate) async fn update_user_name(tx: &mut Tx, user_id: i64, name: &str) -> Result<()> {
    one(tx.execute(UPDATE_USER_NAME, args![user_id, name]).await?)
}

const UPDATE_PASSWORD: &str = "UPDATE users SET password_hash = $2 WHERE user_id = $1";

pub(crate) async fn update_password(tx: &mut Tx, user_id: i64, password_hash: &str) -> Result<()> {
    one(tx.execute(UPDATE_PASSWORD, args![user_id, password_hash]).await?)
}

const COUNT_OWN_ACCOUNTS: &str = "SELECT count(*) AS accounts FROM memberships m
    JOIN accounts a ON a.account_id = m.account_id
    WHERE m.user_id = $1 AND a.state = 'ACTIVE' AND a.vendor_account_id IS NULL";

/// The accounts of a user, without customer workspaces.
pub(crate) async fn count_own_accounts(tx: &mut Tx, user_id: i64) -> Result<i64> {
    Ok(tx.fetch_one(COUNT_OWN_ACCOUNTS, args![user_id]).await?.get("accounts")?)
}

const COUNT_USERS: &str = "SELECT count(*) AS users FROM users";

pub(crate) async fn count_users(tx: &mut Tx) -> Result<i64> {
    Ok(tx.fetch_one(COUNT_USERS, args![]).await?.get("users")?)
}

/// What a user is in an account.
pub(crate) struct Membership {
    pub(crate) role: Option<String>,
    pub(crate) scope_roles: BTreeMap<String, String>,
    /// `None` and empty: every collection, unless it was emptied.
    pub(crate) collection_ids: Option<Vec<i32>>,
    /// Every collection of the list was deleted: the empty list restricts to none.
    pub(crate) is_emptied: bool,
}

impl Membership {
    /// Of somebody who comes new into an account.
    pub(crate) fn with(scope_roles: &BTreeMap<String, String>) -> Self {
        Self { role: None, scope_roles: scope_roles.clone(), collection_ids: None, is_emptied: false }
    }

    /// Every role name that it gives.
    pub(crate) fn role_names(&self) -> impl Iterator<Item = &str> {
        self.role.as_deref().into_iter().chain(self.scope_roles.values().map(String::as_str))
    }

    /// Whether the role with this key is one of them.
    pub(crate) fn holds(&self, role_key: &str) -> bool {
        self.role_names().any(|name| crate::roles::key(name) == role_key)
    }
}

const INSERT_MEMBERSHIP: &str = "INSERT INTO memberships (account_id, user_id, role, scope_roles, created_at)
    VALUES ($1, $2, $3, $4, $5)";

pub(crate) async fn insert_membership(
    tx: &mut Tx,
    account_id: i64,
    user_id: i64,
    role: Option<&str>,
    scope_roles: &BTreeMap<String, String>,
) -> Result<()> {
    let scope_roles = serde_json::to_string(scope_roles).map_err(Error::internal)?;
    one(tx.execute(INSERT_MEMBERSHIP, args![account_id, user_id, role, scope_roles, crate::now_s()]).await?)
}

const FIND_MEMBERSHIP: &str =
    "SELECT role, scope_roles, collection_ids, is_emptied FROM memberships WHERE account_id = $1 AND user_id = $2";

pub(crate) async fn find_membership(db: impl Reader, account_id: i64, user_id: i64) -> Result<Option<Membership>> {
    db.row(FIND_MEMBERSHIP, account_id, user_id).await?.as_ref().map(membership).transpose()
}

fn membership(row: &Row) -> Result<Membership> {
    let scope_roles: String = row.get("scope_roles")?;
    let collection_ids: Option<String> = row.get("collection_ids")?;
    Ok(Membership {
        role: row.get("role")?,
        scope_roles: serde_json::from_str(&scope_roles).map_err(Error::internal)?,
        collection_ids: collection_ids.map(|ids| serde_json::from_str(&ids)).transpose().map_err(Error::internal)?,
        is_emptied: row.get("is_emptied")?,
    })
}

const UPDATE_MEMBERSHIP_COLLECTIONS: &str =
    "UPDATE memberships SET collection_ids = $3, is_emptied = $4 WHERE account_id = $1 AND user_id = $2";

pub(crate) async fn update_membership_collections(
    tx: &mut Tx,
    account_id: i64,
    user_id: i64,
    ids: &[i32],
    is_emptied: bool,
) -> Result<()> {
    let ids = serde_json::to_string(ids).map_err(Error::internal)?;
    one(tx.execute(UPDATE_MEMBERSHIP_COLLECTIONS, args![account_id, user_id, ids, is_emptied]).await?)
}

pub(crate) struct SigningKeyRow {
    pub(crate) id: String,
    pub(crate) public_key: Vec<u8>,
    /// Sealed PKCS#8.
    pub(crate) private_key: Vec<u8>,
    pub(crate) created_at: i64,
}

const INSERT_SIGNING_KEY: &str =
    "INSERT INTO signing_keys (key_id, public_key, private_key, created_at) VALUES ($1, $2, $3, $4)";

pub(crate) async fn insert_signing_key(db: &Db, key: &SigningKeyRow) -> Result<()> {
    let values = args![&key.id, key.public_key.clone(), key.private_key.clone(), key.created_at];
    one(db.execute(INSERT_SIGNING_KEY, values).await?)
}

const LIST_SIGNING_KEYS: &str = "SELECT key_id, public_key, private_key, created_at FROM signing_keys
    ORDER BY created_at DESC, key_id LIMIT $1";

/// The newest first.
pub(crate) async fn list_signing_keys(db: &Db, count: usize) -> Result<Vec<SigningKeyRow>> {
    let rows = db.fetch_all(LIST_SIGNING_KEYS, args![count as i64]).await?;
    let key = |row: &Row| {
        Ok(SigningKeyRow {
            id: row.get("key_id")?,
            public_key: row.get("public_key")?,
            private_key: row.get("private_key")?,
            created_at: row.get("created_at")?,
        })
    };
    rows.iter().map(key).collect()
}

const INSERT_FIRST_START: &str = "INSERT INTO first_start (step, account_id, user_id) VALUES ($1, $2, $3)";

pub(crate) async fn insert_first_start(tx: &mut Tx, step: &str, account_id: i64, user_id: i64) -> Result<()> {
    one(tx.execute(INSERT_FIRST_START, args![step, account_id, user_id]).await?)
}

/// A step under way is named `<step>#<Unix seconds of its claim>`.
const CLAIM_FIRST_START: &str = "UPDATE first_start SET step = $2 \
     WHERE step = $1 OR (step > $1 || '#' AND step < $3) RETURNING account_id, user_id";
const COUNT_FIRST_START: &str = "SELECT count(*) AS steps FROM first_start WHERE step = $1 OR step > $1 || '#'";

/// What became of a step of the first start.
pub(crate) enum FirstStep {
    Done,
    /// Another process is at it.
    Taken,
    Claimed {
        account_id: i64,
        user_id: i64,
        claim: String,
    },
}

/// Takes a step that nobody does, or whose claim is older than `lease_s`.
pub(crate) async fn claim_first_start(db: &Db, step: &str, now: i64, lease_s: i64) -> Result<FirstStep> {
    let claim = format!("{step}#{now}");
    let lapsed = format!("{step}#{}", now - lease_s);
    let mut tx = db.begin().await?;
    let claimed = tx.fetch_optional(CLAIM_FIRST_START, args![step, &claim, lapsed]).await?;
    tx.commit().await?;
    if let Some(row) = claimed {
        return Ok(FirstStep::Claimed { account_id: row.get("account_id")?, user_id: row.get("user_id")?, claim });
    }
    let left: i64 = db.fetch_one(COUNT_FIRST_START, args![step]).await?.get(0)?;
    Ok(if left == 0 { FirstStep::Done } else { FirstStep::Taken })
}

const DELETE_FIRST_START: &str = "DELETE FROM first_start WHERE step = $1";

/// Ends a step. One whose claim lapsed meanwhile is another process's to end.
pub(crate) async fn delete_first_start(db: &Db, claim: &str) -> Result<()> {
    db.execute(DELETE_FIRST_START, args![claim]).await?;
    Ok(())
}

/// A read of many rows that may stand inside a transaction.
pub(crate) trait AccountReader {
    async fn rows(self, sql: &'static str, account_id: i64) -> Result<Vec<Row>>;
}

impl AccountReader for &Db {
    async fn rows(self, sql: &'static str, account_id: i64) -> Result<Vec<Row>> {
        Ok(self.fetch_all(sql, args![account_id]).await?)
    }
}

impl AccountReader for &mut Tx {
    async fn rows(self, sql: &'static str, account_id: i64) -> Result<Vec<Row>> {
        Ok(self.fetch_all(sql, args![account_id]).await?)
    }
}

/// A read that may stand inside a transaction.
pub(crate) trait Reader {
    async fn row(self, sql: &'static str, account_id: i64, user_id: i64) -> Result<Option<Row>>;
}

impl Reader for &Db {
    async fn row(self, sql: &'static str, account_id: i64, user_id: i64) -> Result<Option<Row>> {
        Ok(self.fetch_optional(sql, args![account_id, user_id]).await?)
    }
}

impl Reader for &mut Tx {
    async fn row(self, sql: &'static str, account_id: i64, user_id: i64) -> Result<Option<Row>> {
        Ok(self.fetch_optional(sql, args![account_id, user_id]).await?)
    }
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

/// A statement that must have changed exactly one row.
fn one(rows: u64) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(Error::internal(format!("a statement changed {rows} rows instead of one"))) }
}
