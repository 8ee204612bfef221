use portolan_ids::{AccountId, OrganizationId, PlanId};
use portolan_store::{Bulk, Db, Error, args, retrying, setting::understood};

use crate::model::{
    entitlements::{Entitlements, Overages},
    organizations::Organization,
};

const FIND_ORGANIZATION_OF_ACCOUNT: &str = "SELECT organization_id FROM billing_accounts WHERE account_id = $1";

pub async fn of_account(db: &Db, account_id: AccountId) -> Result<Option<OrganizationId>, Error> {
    let row = db.fetch_optional(FIND_ORGANIZATION_OF_ACCOUNT, args![account_id]).await?;
    row.map(|row| row.get("organization_id")).transpose()
}

static INSERT_ACCOUNTS: Bulk<2> =
    Bulk::new("INSERT INTO billing_accounts (account_id, organization_id)", "ON CONFLICT DO NOTHING");

const INSERT_ORGANIZATION: &str =
    "INSERT INTO billing_organizations (organization_id) VALUES ($1) ON CONFLICT DO NOTHING";

/// Keeps an organization and its accounts; those that are known stay as they are.
pub async fn insert(db: &Db, organization_id: &OrganizationId, account_ids: &[AccountId]) -> Result<(), Error> {
    retrying(|| async {
        let mut tx = db.begin().await?;
        tx.execute(INSERT_ORGANIZATION, args![organization_id]).await?;
        let rows = account_ids.iter().map(|account_id| [account_id.into(), organization_id.into()]);
        tx.bulk(&INSERT_ACCOUNTS, rows).await?;
        tx.commit().await
    })
    .await
}

const GET_ORGANIZATION: &str = "
SELECT plan_id, is_customer, version, entitlements, fetched_at, fetched_version FROM billing_organizations
WHERE organization_id = $1";

pub async fn get(db: &Db, organization_id: &OrganizationId) -> Result<Option<Organization>, Error> {
    let Some(row) = db.fetch_optional(GET_ORGANIZATION, args![organization_id]).await? else { return Ok(None) };
    let entitlements: Option<String> = row.get("entitlements")?;
    // Of a plan that is not understood nothing is known: it is asked for anew.
    let entitlements = entitlements.and_then(|json| understood::<Entitlements>("entitlements", &json));
    Ok(Some(Organization {
        plan_id: row.get("plan_id")?,
        is_customer: row.get("is_customer")?,
        version: row.get("version")?,
        entitlements,
        fetched_at: row.get("fetched_at")?,
        fetched_version: row.get("fetched_version")?,
    }))
}

const LIST_ORGANIZATIONS: &str = "SELECT organization_id FROM billing_organizations ORDER BY organization_id";

pub async fn list(db: &Db) -> Result<Vec<OrganizationId>, Error> {
    db.fetch_all(LIST_ORGANIZATIONS, args![]).await?.iter().map(|row| row.get("organization_id")).collect()
}

const LIST_ACCOUNTS: &str = "SELECT account_id FROM billing_accounts WHERE organization_id = $1 ORDER BY account_id";

pub async fn list_accounts(db: &Db, organization_id: &OrganizationId) -> Result<Vec<AccountId>, Error> {
    db.fetch_all(LIST_ACCOUNTS, args![organization_id]).await?.iter().map(|row| row.get("account_id")).collect()
}

const SAVE_ENTITLEMENTS: &str = "
UPDATE billing_organizations SET entitlements = $2, fetched_at = $3, fetched_version = $4
WHERE organization_id = $1 AND version = $4";

/// Keeps what the provider answered, unless the plan has changed since it was asked.
pub async fn save_entitlements(
    db: &Db,
    organization_id: &OrganizationId,
    entitlements: &Entitlements,
    version: i64,
    now: i64,
) -> Result<(), Error> {
    let json = serde_json::to_string(entitlements).expect("texts and numbers always serialize");
    retrying(|| async { db.execute(SAVE_ENTITLEMENTS, args![organization_id, &json, now, version]).await })
        .await
        .map(drop)
}

const SET_CUSTOMER: &str = "UPDATE billing_organizations SET is_customer = 1 WHERE organization_id = $1";

pub async fn set_customer(db: &Db, organization_id: &OrganizationId) -> Result<(), Error> {
    retrying(|| async { db.execute(SET_CUSTOMER, args![organization_id]).await }).await.map(drop)
}

const SET_PLAN: &str = "
INSERT INTO billing_organizations (organization_id, plan_id, billing_period, version) VALUES ($1, $2, $3, 1)
ON CONFLICT (organization_id) DO UPDATE SET plan_id = excluded.plan_id, billing_period = excluded.billing_period,
    version = billing_organizations.version + 1";

/// Changes the plan: whatever was known of the one before counts no more.
pub async fn set_plan(db: &Db, organization_id: &OrganizationId, plan_id: &PlanId, period: &str) -> Result<(), Error> {
    retrying(|| async { db.execute(SET_PLAN, args![organization_id, plan_id, period]).await }).await.map(drop)
}

const LIST_OVERAGES: &str = "SELECT feature, first_detected_at FROM billing_overages WHERE organization_id = $1";

pub async fn list_overages(db: &Db, organization_id: &OrganizationId) -> Result<Overages, Error> {
    let rows = db.fetch_all(LIST_OVERAGES, args![organization_id]).await?;
    rows.iter().map(|row| Ok((row.get("feature")?, row.get("first_detected_at")?))).collect()
}

/// The earliest moment stays.
const INSERT_OVERAGE: &str = "
INSERT INTO billing_overages (organization_id, feature, first_detected_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
const DELETE_OVERAGE: &str = "DELETE FROM billing_overages WHERE organization_id = $1 AND feature = $2";

pub async fn change_overages(
    db: &Db,
    organization_id: &OrganizationId,
    begun: &[String],
    ended: &[String],
    now: i64,
) -> Result<(), Error> {
    retrying(|| async {
        let mut tx = db.begin().await?;
        for feature in begun {
            tx.execute(INSERT_OVERAGE, args![organization_id, feature, now]).await?;
        }
        for feature in ended {
            tx.execute(DELETE_OVERAGE, args![organization_id, feature]).await?;
        }
        tx.commit().await
    })
    .await
}
