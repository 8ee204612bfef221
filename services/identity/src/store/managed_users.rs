use portolan_api::Result;
use portolan_ids::{AccountId, OrganizationId};
use portolan_store::{Db, Row, Tx, args};

use super::{Fresh, RightsTx, list_members, one, tenants};
use crate::model::managed_users::{Key, ManagedUser};

const FIND_BY_ID: &str =
    "SELECT account_id, name, external_id, notification_email, origin_url, created_at, updated_at FROM accounts
    WHERE vendor_account_id = $1 AND account_id = $2 AND state = 'ACTIVE'";
const FIND_BY_EXTERNAL_ID: &str =
    "SELECT account_id, name, external_id, notification_email, origin_url, created_at, updated_at FROM accounts
    WHERE vendor_account_id = $1 AND external_id = $2 AND state = 'ACTIVE'";

pub(crate) async fn find_managed_user(db: &Db, vendor_account_id: AccountId, key: &Key) -> Result<Option<ManagedUser>> {
    let row = match key {
        Key::Id(id) => db.fetch_optional(FIND_BY_ID, args![vendor_account_id, *id]).await?,
        Key::ExternalId(id) => db.fetch_optional(FIND_BY_EXTERNAL_ID, args![vendor_account_id, id]).await?,
    };
    row.as_ref().map(managed_user).transpose()
}

fn managed_user(row: &Row) -> Result<ManagedUser> {
    Ok(ManagedUser {
        id: row.get("account_id")?,
        name: row.get("name")?,
        external_id: row.get("external_id")?,
        notification_email: row.get("notification_email")?,
        origin_url: row.get("origin_url")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

const LIST: &str =
    "SELECT account_id, name, external_id, notification_email, origin_url, created_at, updated_at FROM accounts
    WHERE vendor_account_id = $1 AND state = 'ACTIVE' ORDER BY account_id LIMIT $2 OFFSET $3";

pub(crate) async fn list_managed_users(
    db: &Db,
    vendor_account_id: AccountId,
    offset: i64,
    limit: i64,
) -> Result<Vec<ManagedUser>> {
    db.fetch_all(LIST, args![vendor_account_id, limit, offset]).await?.iter().map(managed_user).collect()
}

const INSERT: &str = "INSERT INTO accounts (account_id, organization_id, name, created_at, vendor_account_id,
    external_id, notification_email, origin_url, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $4)
    ON CONFLICT DO NOTHING";

/// `None` when another workspace of the vendor has the external id.
pub(crate) async fn insert_managed_user(
    tx: &mut Tx,
    vendor_account_id: AccountId,
    organization_id: &OrganizationId,
    new: &ManagedUser,
) -> Result<Option<Fresh>> {
    let ManagedUser { id, name, external_id, notification_email, origin_url, created_at, .. } = new;
    let values = args![
        *id,
        organization_id,
        name,
        *created_at,
        vendor_account_id,
        external_id.clone(),
        notification_email.clone(),
        origin_url.clone(),
    ];
    Ok((tx.execute(INSERT, values).await? == 1).then(|| Fresh::account(*id)))
}

const IS_TAKEN: &str = "SELECT account_id FROM accounts
    WHERE vendor_account_id = $1 AND external_id = $2 AND account_id <> $3";

pub(crate) async fn is_external_id_taken(
    tx: &mut Tx,
    vendor_account_id: AccountId,
    external_id: &str,
    account_id: AccountId,
) -> Result<bool> {
    Ok(tx.fetch_optional(IS_TAKEN, args![vendor_account_id, external_id, account_id]).await?.is_some())
}

const UPDATE: &str = "UPDATE accounts SET name = $3, external_id = $4, notification_email = $5, origin_url = $6,
    updated_at = $7 WHERE vendor_account_id = $1 AND account_id = $2 AND state = 'ACTIVE'";

/// `None` when a racing workspace took the external id.
pub(crate) async fn update_managed_user(
    tx: &mut Tx,
    vendor_account_id: AccountId,
    workspace: &ManagedUser,
) -> Result<Option<()>> {
    let ManagedUser { id, name, external_id, notification_email, origin_url, updated_at, .. } = workspace;
    let values = args![
        vendor_account_id,
        *id,
        name,
        external_id.clone(),
        notification_email.clone(),
        origin_url.clone(),
        *updated_at,
    ];
    match tx.execute(UPDATE, values).await {
        Ok(rows) => one(rows).map(Some),
        Err(error) if error.unique_violation().is_some() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

const CLOSE_ACCOUNT: &str = "UPDATE accounts SET state = 'DELETED', external_id = NULL, updated_at = $2
    WHERE account_id = $1 AND state = 'ACTIVE'";
const DELETE_MEMBERSHIPS: &str = "DELETE FROM memberships WHERE account_id = $1";
const DELETE_SESSIONS: &str = "DELETE FROM sessions WHERE account_id = $1";
const DELETE_INVITATIONS: &str = "DELETE FROM invitations WHERE account_id = $1";
const DELETE_DEVICES: &str = "DELETE FROM push_devices WHERE account_id = $1";

/// Ends an account with everything that lets people in; false when it has ended already.
pub(crate) async fn close_account(tx: &mut RightsTx, account_id: AccountId, now: i64) -> Result<bool> {
    for member in list_members(&mut *tx, account_id).await? {
        tx.touch_member(account_id, member.user_id);
    }
    if tx.execute(CLOSE_ACCOUNT, args![account_id, now]).await? != 1 {
        return Ok(false);
    }
    for statement in [DELETE_MEMBERSHIPS, DELETE_SESSIONS, DELETE_INVITATIONS, DELETE_DEVICES] {
        tx.execute(statement, args![account_id]).await?;
    }
    tenants::note_account(tx, account_id).await?;
    Ok(true)
}

const IS_WORKSPACE: &str = "SELECT account_id FROM accounts
    WHERE account_id = $1 AND (vendor_account_id IS NOT NULL OR state <> 'ACTIVE')";

pub(crate) async fn is_customer_workspace(db: &Db, account_id: AccountId) -> Result<bool> {
    Ok(db.fetch_optional(IS_WORKSPACE, args![account_id]).await?.is_some())
}
