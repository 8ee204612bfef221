use portolan_api::{Error, Result};
use portolan_ids::{AccountId, OrganizationId};
use portolan_store::{Db, Row, Tx, args};

use super::{one, tenants};
use crate::model::organizations::{By, NewOrganization, Organization, State};

const INSERT_ORGANIZATION: &str = "INSERT INTO organizations
    (organization_id, public_id, name, sub_domain, state, created_at) VALUES ($1, $2, $3, $4, 'ACTIVE', $5)";

pub(crate) async fn insert_organization(tx: &mut Tx, new: &NewOrganization) -> Result<()> {
    let NewOrganization { id, public_id, name, sub_domain, created_at } = new;
    one(tx.execute(INSERT_ORGANIZATION, args![id, public_id, name, sub_domain, *created_at]).await?)
}

const FIND_BY_ID: &str =
    "SELECT organization_id, public_id, name, sub_domain, state FROM organizations WHERE organization_id = $1";
const FIND_BY_PUBLIC_ID: &str =
    "SELECT organization_id, public_id, name, sub_domain, state FROM organizations WHERE public_id = $1";
const FIND_BY_SUB_DOMAIN: &str =
    "SELECT organization_id, public_id, name, sub_domain, state FROM organizations WHERE sub_domain = $1";
const FIND_BY_ACCOUNT: &str = "SELECT o.organization_id, o.public_id, o.name, o.sub_domain, o.state
    FROM organizations o JOIN accounts a ON a.organization_id = o.organization_id WHERE a.account_id = $1";

pub(crate) async fn find_organization(db: &Db, by: &By) -> Result<Option<Organization>> {
    let row = match by {
        By::Id(id) => db.fetch_optional(FIND_BY_ID, args![id]).await?,
        By::PublicId(id) => db.fetch_optional(FIND_BY_PUBLIC_ID, args![id]).await?,
        By::SubDomain(name) => db.fetch_optional(FIND_BY_SUB_DOMAIN, args![name]).await?,
        By::Account(id) => db.fetch_optional(FIND_BY_ACCOUNT, args![*id]).await?,
    };
    row.as_ref().map(organization).transpose()
}

const LIST_ORGANIZATIONS: &str = "SELECT organization_id, public_id, name, sub_domain, state FROM organizations ORDER BY created_at, organization_id";

pub(crate) async fn list_organizations(db: &Db) -> Result<Vec<Organization>> {
    db.fetch_all(LIST_ORGANIZATIONS, args![]).await?.iter().map(organization).collect()
}

const LIST_CLOSED: &str =
    "SELECT organization_id, public_id, name, sub_domain, state FROM organizations WHERE state <> 'ACTIVE'";

/// Those that may not be used.
pub(crate) async fn list_closed_organizations(db: &Db) -> Result<Vec<Organization>> {
    db.fetch_all(LIST_CLOSED, args![]).await?.iter().map(organization).collect()
}

const LIST_ACCOUNT_IDS: &str = "SELECT account_id FROM accounts WHERE organization_id = $1 AND state = 'ACTIVE'
    ORDER BY account_id";

pub(crate) async fn list_account_ids(db: &Db, organization_id: &OrganizationId) -> Result<Vec<AccountId>> {
    let rows = db.fetch_all(LIST_ACCOUNT_IDS, args![organization_id]).await?;
    rows.iter().map(|row| Ok(row.get("account_id")?)).collect()
}

const FIND_ADMIN_EMAIL: &str = "SELECT u.login FROM accounts a JOIN memberships m ON m.account_id = a.account_id
    JOIN users u ON u.user_id = m.user_id WHERE a.organization_id = $1 ORDER BY a.account_id, u.user_id LIMIT 1";

pub(crate) async fn find_admin_email(db: &Db, organization_id: &OrganizationId) -> Result<Option<String>> {
    let row = db.fetch_optional(FIND_ADMIN_EMAIL, args![organization_id]).await?;
    Ok(row.map(|row| row.get("login")).transpose()?)
}

const UPDATE_NAME: &str = "UPDATE organizations SET name = $2 WHERE organization_id = $1";

pub(crate) async fn update_organization_name(tx: &mut Tx, id: &OrganizationId, name: &str) -> Result<()> {
    one(tx.execute(UPDATE_NAME, args![id, name]).await?)
}

const UPDATE_STATE: &str = "UPDATE organizations SET state = $2 WHERE organization_id = $1";

pub(crate) async fn update_organization_state(tx: &mut Tx, id: &OrganizationId, state: State) -> Result<()> {
    one(tx.execute(UPDATE_STATE, args![id, state.name()]).await?)?;
    tenants::note_organization(tx, id).await
}

fn organization(row: &Row) -> Result<Organization> {
    let state: String = row.get("state")?;
    Ok(Organization {
        id: row.get("organization_id")?,
        public_id: row.get("public_id")?,
        name: row.get("name")?,
        sub_domain: row.get::<Option<String>>("sub_domain")?.unwrap_or_default(),
        state: State::parse(&state).ok_or_else(|| Error::internal(format!("unknown organization state {state}")))?,
    })
}
