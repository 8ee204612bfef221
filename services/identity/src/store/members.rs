use std::collections::BTreeMap;

use portolan_api::{Error, Result};
use portolan_authz::Role;
use portolan_ids::{AccountId, CollectionId, UserId};
use portolan_store::{Row, Tx, args, setting::understood};

use super::{AccountReader, Fresh, Reader, RightsTx, one};
use crate::model::members::{Member, Membership};

const LOCK_ACCOUNT: &str = "UPDATE accounts SET access_version = access_version + 1 WHERE account_id = $1";

/// Makes changes of this account's roles and members wait for each other until the transaction ends.
pub(crate) async fn lock_account(tx: &mut Tx, account_id: AccountId) -> Result<()> {
    one(tx.execute(LOCK_ACCOUNT, args![account_id]).await?)
}

const LIST_MEMBERS: &str = "SELECT m.user_id, u.login, u.name, m.role, m.scope_roles, m.collection_ids,
    m.is_emptied FROM memberships m JOIN users u ON u.user_id = m.user_id WHERE m.account_id = $1 ORDER BY m.user_id";

pub(crate) async fn list_members(db: impl AccountReader, account_id: AccountId) -> Result<Vec<Member>> {
    db.rows(LIST_MEMBERS, account_id).await?.iter().map(member).collect()
}

const FIND_MEMBER: &str = "SELECT m.user_id, u.login, u.name, m.role, m.scope_roles, m.collection_ids,
    m.is_emptied FROM memberships m JOIN users u ON u.user_id = m.user_id WHERE m.account_id = $1 AND u.login_key = $2";

pub(crate) async fn find_member(tx: &mut Tx, account_id: AccountId, login_key: &str) -> Result<Option<Member>> {
    tx.fetch_optional(FIND_MEMBER, args![account_id, login_key]).await?.as_ref().map(member).transpose()
}

const UPDATE_ROLES: &str = "UPDATE memberships SET role = $3, scope_roles = $4 WHERE account_id = $1 AND user_id = $2";

pub(crate) async fn update_roles(
    tx: &mut RightsTx,
    account_id: AccountId,
    user_id: UserId,
    role: Option<&str>,
    scope_roles: &BTreeMap<String, String>,
) -> Result<()> {
    tx.touch_member(account_id, user_id);
    let scope_roles = serde_json::to_string(scope_roles).map_err(Error::internal)?;
    one(tx.execute(UPDATE_ROLES, args![account_id, user_id, role, scope_roles]).await?)
}

const DELETE_MEMBERSHIP: &str = "DELETE FROM memberships WHERE account_id = $1 AND user_id = $2";

/// Returns whether there was one.
pub(crate) async fn delete_membership(tx: &mut RightsTx, account_id: AccountId, user_id: UserId) -> Result<bool> {
    tx.touch_member(account_id, user_id);
    Ok(tx.execute(DELETE_MEMBERSHIP, args![account_id, user_id]).await? == 1)
}

const LIST_WORKSPACES_OF_MEMBER: &str = "SELECT m.account_id FROM memberships m
    JOIN accounts a ON a.account_id = m.account_id WHERE a.vendor_account_id = $1 AND m.user_id = $2";

/// The customer workspaces of a vendor account that a user is in.
pub(crate) async fn list_workspaces_of_member(
    tx: &mut Tx,
    vendor_account_id: AccountId,
    user_id: UserId,
) -> Result<Vec<AccountId>> {
    let rows = tx.fetch_all(LIST_WORKSPACES_OF_MEMBER, args![vendor_account_id, user_id]).await?;
    rows.iter().map(|row| Ok(row.get("account_id")?)).collect()
}

fn member(row: &Row) -> Result<Member> {
    Ok(Member {
        user_id: row.get("user_id")?,
        login: row.get("login")?,
        name: row.get("name")?,
        membership: membership(row)?,
    })
}

const INSERT_MEMBERSHIP: &str = "INSERT INTO memberships (account_id, user_id, role, scope_roles, created_at)
    VALUES ($1, $2, $3, $4, $5)";

/// Lets a user into an account.
pub(crate) async fn insert_membership(
    tx: &mut RightsTx,
    account_id: AccountId,
    user_id: UserId,
    scope_roles: &BTreeMap<String, String>,
) -> Result<()> {
    tx.touch_member(account_id, user_id);
    insert(tx, account_id, user_id, None, scope_roles).await
}

/// Lets a user into an account, of which one is new.
pub(crate) async fn insert_first_membership(
    tx: &mut Tx,
    of: &Fresh,
    (account_id, user_id): (AccountId, UserId),
    role: Option<&str>,
    scope_roles: &BTreeMap<String, String>,
) -> Result<()> {
    of.must_be_of(account_id, user_id)?;
    insert(tx, account_id, user_id, role, scope_roles).await
}

async fn insert(
    tx: &mut Tx,
    account_id: AccountId,
    user_id: UserId,
    role: Option<&str>,
    scope_roles: &BTreeMap<String, String>,
) -> Result<()> {
    let scope_roles = serde_json::to_string(scope_roles).map_err(Error::internal)?;
    one(tx.execute(INSERT_MEMBERSHIP, args![account_id, user_id, role, scope_roles, portolan_runtime::now_s()]).await?)
}

const FIND_MEMBERSHIP: &str =
    "SELECT role, scope_roles, collection_ids, is_emptied FROM memberships WHERE account_id = $1 AND user_id = $2";

pub(crate) async fn find_membership(
    db: impl Reader,
    account_id: AccountId,
    user_id: UserId,
) -> Result<Option<Membership>> {
    db.row(FIND_MEMBERSHIP, account_id, user_id).await?.as_ref().map(membership).transpose()
}

fn membership(row: &Row) -> Result<Membership> {
    let scope_roles: String = row.get("scope_roles")?;
    let collection_ids: Option<String> = row.get("collection_ids")?;
    // What cannot be understood opens nothing.
    let (role, scope_roles) = match understood("memberships.scope_roles", &scope_roles) {
        Some(scope_roles) => (row.get("role")?, scope_roles),
        None => (Some(Role::NoAccess.name().to_owned()), BTreeMap::new()),
    };
    let known = collection_ids.map(|ids| understood("memberships.collection_ids", &ids));
    let is_emptied = row.get("is_emptied")? || matches!(known, Some(None));
    Ok(Membership { role, scope_roles, collection_ids: known.map(Option::unwrap_or_default), is_emptied })
}

const UPDATE_MEMBERSHIP_COLLECTIONS: &str =
    "UPDATE memberships SET collection_ids = $3, is_emptied = $4 WHERE account_id = $1 AND user_id = $2";

pub(crate) async fn update_membership_collections(
    tx: &mut RightsTx,
    account_id: AccountId,
    user_id: UserId,
    ids: &[CollectionId],
    is_emptied: bool,
) -> Result<()> {
    tx.touch_member(account_id, user_id);
    let ids = serde_json::to_string(ids).map_err(Error::internal)?;
    one(tx.execute(UPDATE_MEMBERSHIP_COLLECTIONS, args![account_id, user_id, ids, is_emptied]).await?)
}
