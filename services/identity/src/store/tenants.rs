use portolan_api::Result;
use portolan_ids::{AccountId, OrganizationId};
use portolan_store::{Db, Row, Tx, args};

use super::next_id;
use crate::model::tenants::Tenant;

const SEQUENCE: &str = "tenant_state";

const NOTE_ACCOUNT: &str = "UPDATE accounts SET state_version = $2 WHERE account_id = $1";

/// Gives the change of an account's state its version.
pub(crate) async fn note_account(tx: &mut Tx, account_id: AccountId) -> Result<()> {
    let version: i64 = next_id(tx, SEQUENCE).await?;
    tx.execute(NOTE_ACCOUNT, args![account_id, version]).await?;
    Ok(())
}

const NOTE_ORGANIZATION: &str = "UPDATE organizations SET state_version = $2 WHERE organization_id = $1";

/// Gives the change of an organization's state its version.
pub(crate) async fn note_organization(tx: &mut Tx, id: &OrganizationId) -> Result<()> {
    let version: i64 = next_id(tx, SEQUENCE).await?;
    tx.execute(NOTE_ORGANIZATION, args![id, version]).await?;
    Ok(())
}

// Both columns have an index, and what never changed has version 0.
const CHANGES: &str = "SELECT a.account_id, a.state_version AS version,
        CAST(CASE WHEN a.state = 'ACTIVE' AND o.state = 'ACTIVE' THEN 1 ELSE 0 END AS BIGINT) AS is_open
    FROM accounts a JOIN organizations o ON o.organization_id = a.organization_id WHERE a.state_version > $1
    UNION ALL
    SELECT a.account_id, o.state_version AS version,
        CAST(CASE WHEN a.state = 'ACTIVE' AND o.state = 'ACTIVE' THEN 1 ELSE 0 END AS BIGINT) AS is_open
    FROM organizations o JOIN accounts a ON a.organization_id = o.organization_id WHERE o.state_version > $1
    ORDER BY version";

pub(crate) async fn changes(db: &Db, after_version: i64) -> Result<Vec<Tenant>> {
    let read = |row: &Row| {
        let is_open = row.get::<i64>("is_open")? != 0;
        Ok(Tenant { account_id: row.get("account_id")?, is_open, version: row.get("version")? })
    };
    db.fetch_all(CHANGES, args![after_version]).await?.iter().map(read).collect()
}

const FIND_OPEN: &str = "SELECT a.account_id FROM accounts a
    JOIN organizations o ON o.organization_id = a.organization_id
    WHERE a.account_id = $1 AND a.state = 'ACTIVE' AND o.state = 'ACTIVE'";

pub(crate) async fn is_open(db: &Db, account_id: AccountId) -> Result<bool> {
    Ok(db.fetch_optional(FIND_OPEN, args![account_id]).await?.is_some())
}
