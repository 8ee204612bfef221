use portolan_api::{Error, Result};
use portolan_ids::AccountId;
use portolan_store::{Db, Tx, args, setting::understood};

use super::one;
use crate::model::settings::Settings;

const IS_OPEN: &str = "SELECT account_id FROM accounts WHERE account_id = $1 AND state = 'ACTIVE'";

/// Whether there is such an account, and it has not ended.
pub(crate) async fn is_open(db: &Db, account_id: AccountId) -> Result<bool> {
    Ok(db.fetch_optional(IS_OPEN, args![account_id]).await?.is_some())
}

const FIND_SETTINGS: &str = "SELECT private_cidrs, partner_ips FROM account_settings WHERE account_id = $1";

pub(crate) async fn find_settings(db: &Db, account_id: AccountId) -> Result<Settings> {
    let Some(row) = db.fetch_optional(FIND_SETTINGS, args![account_id]).await? else { return Ok(Settings::default()) };
    let list =
        |column: &'static str| Ok::<_, Error>(understood(column, &row.get::<String>(column)?).unwrap_or_default());
    Ok(Settings { private_cidrs: list("private_cidrs")?, partner_ips: list("partner_ips")? })
}

const UPSERT_PRIVATE_CIDRS: &str = "INSERT INTO account_settings (account_id, private_cidrs, partner_ips)
    VALUES ($1, $2, '[]') ON CONFLICT (account_id) DO UPDATE SET private_cidrs = excluded.private_cidrs";

pub(crate) async fn update_private_cidrs(tx: &mut Tx, account_id: AccountId, list: &[String]) -> Result<()> {
    let list = serde_json::to_string(list).map_err(Error::internal)?;
    one(tx.execute(UPSERT_PRIVATE_CIDRS, args![account_id, list]).await?)
}

const UPSERT_PARTNER_IPS: &str = "INSERT INTO account_settings (account_id, private_cidrs, partner_ips)
    VALUES ($1, '[]', $2) ON CONFLICT (account_id) DO UPDATE SET partner_ips = excluded.partner_ips";

pub(crate) async fn update_partner_ips(tx: &mut Tx, account_id: AccountId, list: &[String]) -> Result<()> {
    let list = serde_json::to_string(list).map_err(Error::internal)?;
    one(tx.execute(UPSERT_PARTNER_IPS, args![account_id, list]).await?)
}
