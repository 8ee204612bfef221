use std::collections::BTreeMap;

use portolan_api::Result;
use portolan_ids::{AccountId, OrganizationId, UserId};
use portolan_store::{Db, Tx, args};

use super::{Fresh, one};

/// The id of the first account of an installation.
pub(crate) const FIRST_ACCOUNT_ID: AccountId = AccountId(1_000_000);

const FIND_ORGANIZATION_NAME: &str = "SELECT name FROM organizations WHERE organization_id = $1";

pub(crate) async fn find_organization_name(db: &Db, id: &OrganizationId) -> Result<Option<String>> {
    let row = db.fetch_optional(FIND_ORGANIZATION_NAME, args![id]).await?;
    Ok(row.map(|row| row.get("name")).transpose()?)
}

const INSERT_ACCOUNT: &str =
    "INSERT INTO accounts (account_id, organization_id, name, created_at) VALUES ($1, $2, $3, $4)";

pub(crate) async fn insert_account(
    tx: &mut Tx,
    id: AccountId,
    organization_id: &OrganizationId,
    name: &str,
    now: i64,
) -> Result<Fresh> {
    one(tx.execute(INSERT_ACCOUNT, args![id, organization_id, name, now]).await?)?;
    Ok(Fresh::account(id))
}

const COUNT_ACCOUNTS: &str = "SELECT count(*) AS accounts FROM accounts";

pub(crate) async fn count_accounts(db: &Db) -> Result<i64> {
    Ok(db.fetch_one(COUNT_ACCOUNTS, args![]).await?.get("accounts")?)
}

const COUNT_SIBLING_ACCOUNTS: &str = "SELECT count(*) AS accounts FROM accounts
    WHERE organization_id = (SELECT organization_id FROM accounts WHERE account_id = $1)";

pub(crate) async fn count_sibling_accounts(db: &Db, account_id: AccountId) -> Result<i64> {
    Ok(db.fetch_one(COUNT_SIBLING_ACCOUNTS, args![account_id]).await?.get("accounts")?)
}

const COUNT_OPEN_ACCOUNTS: &str =
    "SELECT count(*) AS accounts FROM accounts WHERE organization_id = $1 AND state = 'ACTIVE'";

pub(crate) async fn count_open_accounts(db: &Db, organization_id: &OrganizationId) -> Result<i64> {
    Ok(db.fetch_one(COUNT_OPEN_ACCOUNTS, args![organization_id]).await?.get("accounts")?)
}

/// Changes nothing, and so makes all who would add to the organization queue.
const HOLD_ORGANIZATION: &str = "UPDATE organizations SET state = state WHERE organization_id = $1";

/// The same while the transaction holds the organization: nobody else opens an account in it before the commit.
pub(crate) async fn count_open_accounts_held(tx: &mut Tx, organization_id: &OrganizationId) -> Result<i64> {
    one(tx.execute(HOLD_ORGANIZATION, args![organization_id]).await?)?;
    Ok(tx.fetch_one(COUNT_OPEN_ACCOUNTS, args![organization_id]).await?.get("accounts")?)
}

const FIND_FIRST_ACCOUNT: &str = "SELECT min(account_id) AS account_id FROM accounts WHERE organization_id = $1";

pub(crate) async fn find_first_account_of_organization(
    db: &Db,
    organization_id: &OrganizationId,
) -> Result<Option<AccountId>> {
    Ok(db.fetch_one(FIND_FIRST_ACCOUNT, args![organization_id]).await?.get("account_id")?)
}

const FIND_OWN_ACCOUNT: &str =
    "SELECT account_id FROM accounts WHERE organization_id = $1 AND account_id = $2 AND state = 'ACTIVE'";

/// The account, when it is an open one of the organization.
pub(crate) async fn find_own_account(
    db: &Db,
    organization_id: &OrganizationId,
    account_id: AccountId,
) -> Result<Option<AccountId>> {
    let row = db.fetch_optional(FIND_OWN_ACCOUNT, args![organization_id, account_id]).await?;
    Ok(row.map(|row| row.get("account_id")).transpose()?)
}

const FIND_ORGANIZATION_OF_ACCOUNT: &str = "SELECT organization_id FROM accounts WHERE account_id = $1";

pub(crate) async fn find_organization_of_account(db: &Db, account_id: AccountId) -> Result<Option<OrganizationId>> {
    let row = db.fetch_optional(FIND_ORGANIZATION_OF_ACCOUNT, args![account_id]).await?;
    Ok(row.map(|row| row.get("organization_id")).transpose()?)
}

const LIST_ACCOUNTS_OF_USER: &str = "SELECT a.account_id, a.name FROM accounts a
    JOIN memberships m ON m.account_id = a.account_id WHERE m.user_id = $1 AND a.state = 'ACTIVE'
    ORDER BY a.account_id";

pub(crate) async fn list_accounts_of_user(db: &Db, user_id: UserId) -> Result<BTreeMap<AccountId, String>> {
    let rows = db.fetch_all(LIST_ACCOUNTS_OF_USER, args![user_id]).await?;
    rows.iter().map(|row| Ok((row.get("account_id")?, row.get("name")?))).collect()
}

const COUNT_OWN_ACCOUNTS: &str = "SELECT count(*) AS accounts FROM memberships m
    JOIN accounts a ON a.account_id = m.account_id
    WHERE m.user_id = $1 AND a.state = 'ACTIVE' AND a.vendor_account_id IS NULL";

/// The accounts of a user, without customer workspaces.
pub(crate) async fn count_own_accounts(tx: &mut Tx, user_id: UserId) -> Result<i64> {
    Ok(tx.fetch_one(COUNT_OWN_ACCOUNTS, args![user_id]).await?.get("accounts")?)
}
