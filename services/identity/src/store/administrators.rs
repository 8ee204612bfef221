//! Who administers an organization. The authority is a grant of its own: no role of any account gives it.

use portolan_api::Result;
use portolan_ids::{AccountId, OrganizationId, UserId};
use portolan_store::{Db, Tx, args};

use super::{Fresh, Reader, RightsTx, one};
use crate::model::organizations::Administrator;

const INSERT_ADMINISTRATOR: &str =
    "INSERT INTO organization_administrators (organization_id, user_id, created_at) VALUES ($1, $2, $3)";

/// Makes the founder of an organization its administrator.
pub(crate) async fn insert_administrator(
    tx: &mut Tx,
    founded: &Fresh,
    (account_id, organization_id): (i64, &OrganizationId),
    user_id: UserId,
    now: i64,
) -> Result<()> {
    founded.must_be_of(account_id.into(), user_id)?;
    one(tx.execute(INSERT_ADMINISTRATOR, args![organization_id, user_id, now]).await?)
}

const IS_ADMINISTRATOR: &str = "SELECT o.user_id FROM organization_administrators o
    JOIN accounts a ON a.organization_id = o.organization_id
    WHERE a.account_id = $1 AND o.user_id = $2 AND a.vendor_account_id IS NULL AND a.state = 'ACTIVE'";

/// Whether the user administers the organization that the account belongs to. Nobody does in a customer workspace.
pub(crate) async fn is_administrator(db: impl Reader, account_id: AccountId, user_id: UserId) -> Result<bool> {
    Ok(db.row(IS_ADMINISTRATOR, account_id, user_id).await?.is_some())
}

const DELETE_ADMINISTRATOR: &str = "DELETE FROM organization_administrators WHERE user_id = $2
    AND organization_id = (SELECT organization_id FROM accounts WHERE account_id = $1)
    AND NOT EXISTS (SELECT 1 FROM memberships m JOIN accounts a ON a.account_id = m.account_id
        WHERE m.user_id = $2 AND a.organization_id = organization_administrators.organization_id
        AND a.vendor_account_id IS NULL)";

/// Ends the authority of somebody who is in none of the organization's own accounts any more.
pub(crate) async fn delete_administrator_who_left(
    tx: &mut RightsTx,
    account_id: AccountId,
    user_id: UserId,
) -> Result<()> {
    tx.touch_member(account_id, user_id);
    tx.execute(DELETE_ADMINISTRATOR, args![account_id, user_id]).await?;
    Ok(())
}

const LIST_ADMINISTRATORS: &str = "SELECT o.user_id, u.login, u.name, o.created_at FROM organization_administrators o
    JOIN users u ON u.user_id = o.user_id WHERE o.organization_id = $1 ORDER BY o.created_at, o.user_id";

/// Who administers an organization, the first one first.
pub(crate) async fn list_administrators(db: &Db, organization_id: &OrganizationId) -> Result<Vec<Administrator>> {
    let rows = db.fetch_all(LIST_ADMINISTRATORS, args![organization_id]).await?;
    let read = |row: &portolan_store::Row| {
        Ok(Administrator {
            user_id: row.get("user_id")?,
            login: row.get("login")?,
            name: row.get("name")?,
            since: row.get("created_at")?,
        })
    };
    rows.iter().map(read).collect()
}

const LIST_OWN_ACCOUNTS: &str = "SELECT m.account_id FROM memberships m JOIN accounts a ON a.account_id = m.account_id
    WHERE a.organization_id = $1 AND m.user_id = $2 AND a.vendor_account_id IS NULL ORDER BY m.account_id";

/// The organization's own accounts that a user is in: where authority over it is exercised.
pub(crate) async fn list_own_accounts(
    tx: &mut Tx,
    organization_id: &OrganizationId,
    user_id: UserId,
) -> Result<Vec<AccountId>> {
    let rows = tx.fetch_all(LIST_OWN_ACCOUNTS, args![organization_id, user_id]).await?;
    rows.iter().map(|row| Ok(row.get("account_id")?)).collect()
}

const LOCK_ADMINISTRATORS: &str = "UPDATE organizations SET name = name WHERE organization_id = $1";

/// Makes changes of an organization's administrators wait for each other until the transaction ends.
pub(crate) async fn lock_administrators(tx: &mut Tx, organization_id: &OrganizationId) -> Result<()> {
    one(tx.execute(LOCK_ADMINISTRATORS, args![organization_id]).await?)
}

const ADD_ADMINISTRATOR: &str = "INSERT INTO organization_administrators (organization_id, user_id, created_at)
    VALUES ($1, $2, $3) ON CONFLICT (organization_id, user_id) DO NOTHING";

/// Returns whether the user did not administer the organization before.
pub(crate) async fn add_administrator(
    tx: &mut RightsTx,
    (organization_id, accounts): (&OrganizationId, &[AccountId]),
    user_id: UserId,
    now: i64,
) -> Result<bool> {
    accounts.iter().for_each(|account_id| tx.touch_member(*account_id, user_id));
    Ok(tx.execute(ADD_ADMINISTRATOR, args![organization_id, user_id, now]).await? == 1)
}

const REMOVE_ADMINISTRATOR: &str =
    "DELETE FROM organization_administrators WHERE organization_id = $1 AND user_id = $2";

/// Returns whether the user administered the organization.
pub(crate) async fn remove_administrator(
    tx: &mut RightsTx,
    (organization_id, accounts): (&OrganizationId, &[AccountId]),
    user_id: UserId,
) -> Result<bool> {
    accounts.iter().for_each(|account_id| tx.touch_member(*account_id, user_id));
    Ok(tx.execute(REMOVE_ADMINISTRATOR, args![organization_id, user_id]).await? == 1)
}

const COUNT_ADMINISTRATORS: &str =
    "SELECT count(*) AS count FROM organization_administrators WHERE organization_id = $1";

pub(crate) async fn count_administrators(tx: &mut Tx, organization_id: &OrganizationId) -> Result<i64> {
    Ok(tx.fetch_one(COUNT_ADMINISTRATORS, args![organization_id]).await?.get("count")?)
}
