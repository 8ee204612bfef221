//! Who administers an organization. The authority is a grant of its own: no role of any account gives it.

use portolan_api::Result;
use portolan_store::{Tx, args};

use super::{Fresh, Reader, RightsTx, one};

const INSERT_ADMINISTRATOR: &str =
    "INSERT INTO organization_administrators (organization_id, user_id, created_at) VALUES ($1, $2, $3)";

/// Makes the founder of an organization its administrator.
pub(crate) async fn insert_administrator(
    tx: &mut Tx,
    founded: &Fresh,
    (account_id, organization_id): (i64, &str),
    user_id: i64,
    now: i64,
) -> Result<()> {
    founded.must_be_of(account_id, user_id)?;
    one(tx.execute(INSERT_ADMINISTRATOR, args![organization_id, user_id, now]).await?)
}

const IS_ADMINISTRATOR: &str = "SELECT o.user_id FROM organization_administrators o
    JOIN accounts a ON a.organization_id = o.organization_id
    WHERE a.account_id = $1 AND o.user_id = $2 AND a.vendor_account_id IS NULL AND a.state = 'ACTIVE'";

/// Whether the user administers the organization that the account belongs to. Nobody does in a customer workspace.
pub(crate) async fn is_administrator(db: impl Reader, account_id: i64, user_id: i64) -> Result<bool> {
    Ok(db.row(IS_ADMINISTRATOR, account_id, user_id).await?.is_some())
}

const DELETE_ADMINISTRATOR: &str = "DELETE FROM organization_administrators WHERE user_id = $2
    AND organization_id = (SELECT organization_id FROM accounts WHERE account_id = $1)
    AND NOT EXISTS (SELECT 1 FROM memberships m JOIN accounts a ON a.account_id = m.account_id
        WHERE m.user_id = $2 AND a.organization_id = organization_administrators.organization_id
        AND a.vendor_account_id IS NULL)";

/// Ends the authority of somebody who is in none of the organization's own accounts any more.
pub(crate) async fn delete_administrator_who_left(tx: &mut RightsTx, account_id: i64, user_id: i64) -> Result<()> {
    tx.touch_member(account_id, user_id);
    tx.execute(DELETE_ADMINISTRATOR, args![account_id, user_id]).await?;
    Ok(())
}
