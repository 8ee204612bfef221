use portolan_api::{Error, Result};
use portolan_authz::Role;
use portolan_ids::AccountId;
use portolan_store::{Db, Row, Tx, args, setting::understood};

use super::{AccountReader, RightsTx, one};
use crate::model::roles::CustomRole;

/// The only feature of a role whose features are not understood.
const UNREADABLE: &str = "UNREADABLE";

const LIST_CUSTOM_ROLES: &str = "SELECT name, base_role, collection_ids, features, threat_protection, is_default,
    is_emptied FROM custom_roles WHERE account_id = $1 ORDER BY name_key";

pub(crate) async fn list_custom_roles(db: impl AccountReader, account_id: AccountId) -> Result<Vec<CustomRole>> {
    db.rows(LIST_CUSTOM_ROLES, account_id).await?.iter().map(custom_role).collect()
}

const FIND_CUSTOM_ROLE: &str = "SELECT name, base_role, collection_ids, features, threat_protection, is_default,
    is_emptied FROM custom_roles WHERE account_id = $1 AND name_key = $2";

pub(crate) async fn find_custom_role(db: &Db, account_id: AccountId, name_key: &str) -> Result<Option<CustomRole>> {
    db.fetch_optional(FIND_CUSTOM_ROLE, args![account_id, name_key]).await?.as_ref().map(custom_role).transpose()
}

const INSERT_CUSTOM_ROLE: &str = "INSERT INTO custom_roles
    (account_id, name_key, name, base_role, collection_ids, features, threat_protection, is_default, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING";

/// False when a unique key stands against it: the name, or the single default.
pub(crate) async fn insert_custom_role(
    tx: &mut Tx,
    account_id: AccountId,
    role: &CustomRole,
    now: i64,
) -> Result<bool> {
    let values = args![
        account_id,
        role.key(),
        &role.name,
        role.base_role.name(),
        json(&role.collection_ids)?,
        json(&role.features)?,
        role.opens_threat_protection,
        role.is_default,
        now,
    ];
    Ok(tx.execute(INSERT_CUSTOM_ROLE, values).await? == 1)
}

const UPDATE_CUSTOM_ROLE: &str = "UPDATE custom_roles SET base_role = $3, collection_ids = $4, features = $5,
    threat_protection = $6, is_default = $7, is_emptied = $8 WHERE account_id = $1 AND name_key = $2";

pub(crate) async fn update_custom_role(tx: &mut RightsTx, account_id: AccountId, role: &CustomRole) -> Result<()> {
    tx.touch_role(account_id, &role.name);
    let values = args![
        account_id,
        role.key(),
        role.base_role.name(),
        json(&role.collection_ids)?,
        json(&role.features)?,
        role.opens_threat_protection,
        role.is_default,
        role.is_emptied,
    ];
    one(tx.execute(UPDATE_CUSTOM_ROLE, values).await?)
}

const DELETE_CUSTOM_ROLE: &str = "DELETE FROM custom_roles WHERE account_id = $1 AND name_key = $2";

pub(crate) async fn delete_custom_role(tx: &mut Tx, account_id: AccountId, name_key: &str) -> Result<()> {
    one(tx.execute(DELETE_CUSTOM_ROLE, args![account_id, name_key]).await?)
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::internal)
}

fn custom_role(row: &Row) -> Result<CustomRole> {
    let base_role: String = row.get("base_role")?;
    let collection_ids: String = row.get("collection_ids")?;
    let features: String = row.get("features")?;
    // What cannot be understood opens nothing.
    let collection_ids = understood("custom_roles.collection_ids", &collection_ids);
    let features = understood("custom_roles.features", &features).unwrap_or_else(|| vec![UNREADABLE.to_owned()]);
    Ok(CustomRole {
        name: row.get("name")?,
        base_role: Role::parse(&base_role).unwrap_or(Role::NoAccess),
        is_emptied: row.get("is_emptied")? || collection_ids.is_none(),
        collection_ids: collection_ids.unwrap_or_default(),
        features,
        opens_threat_protection: row.get("threat_protection")?,
        is_default: row.get("is_default")?,
    })
}
