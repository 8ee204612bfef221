use portolan_api::Result;
use portolan_ids::{AccountId, ApiClientId};
use portolan_runtime::Secrets;
use portolan_store::{Db, Row, Tx, args, setting::understood};

use super::{
    lists::{Unread, json, list_of, skipping},
    sealed::{open_into, sealed},
};
use crate::model::{
    api_clients::{Client, Listed},
    auth_settings::{AuthSettings, AuthType},
    sealed::CLIENT_SECRET,
};

const INSERT: &str = "INSERT INTO api_clients
    (account_id, client_id, is_legacy, name, description, project_id, api_portal_id, email, api_policy_id, auth_type,
     collection_ids, jwt_method, jwt_secret, oidc_issuer, oidc_jwks_uri, access_profile_claim, required_claims,
     allowed_issuers, mtls_enabled, validation_formula, cert_bundle_ids, created_at, updated_at, write_id, version,
     allow_preflight)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
     $24, $25, $26)";

pub(crate) async fn insert(
    tx: &mut Tx,
    client: &Client,
    write_id: &str,
    secrets: &Secrets,
    version: i64,
) -> Result<()> {
    let auth = &client.auth;
    let values = args![
        client.account_id,
        client.id,
        client.is_legacy,
        &client.name,
        client.description.clone(),
        client.project_id,
        client.api_portal_id,
        client.email.clone(),
        client.api_policy_id,
        auth.auth_type.map_or("", AuthType::name),
        json(&auth.collection_ids)?,
        auth.jwt_method.clone(),
        sealed(secrets, &CLIENT_SECRET.row(client.id), auth),
        auth.oidc_issuer.clone(),
        auth.oidc_jwks_uri.clone(),
        auth.access_profile_claim.clone(),
        json(&auth.required_claims)?,
        json(&auth.allowed_issuers)?,
        client.mtls_enabled,
        client.validation_formula.clone(),
        json(&client.cert_bundle_ids)?,
        client.created_at,
        client.updated_at,
        write_id,
        version,
        auth.allow_preflight
    ];
    tx.execute(INSERT, values).await?;
    Ok(())
}

const UPDATE: &str = "UPDATE api_clients
    SET name = $3, description = $4, project_id = $5, api_portal_id = $6, email = $7, api_policy_id = $8,
        collection_ids = $9, jwt_method = $10, jwt_secret = $11, oidc_issuer = $12, oidc_jwks_uri = $13,
        access_profile_claim = $14, required_claims = $15, allowed_issuers = $16, updated_at = $17, version = $18,
        allow_preflight = $19
    WHERE account_id = $1 AND client_id = $2";

pub(crate) async fn update(tx: &mut Tx, client: &Client, secrets: &Secrets, version: i64) -> Result<()> {
    let auth = &client.auth;
    let values = args![
        client.account_id,
        client.id,
        &client.name,
        client.description.clone(),
        client.project_id,
        client.api_portal_id,
        client.email.clone(),
        client.api_policy_id,
        json(&auth.collection_ids)?,
        auth.jwt_method.clone(),
        sealed(secrets, &CLIENT_SECRET.row(client.id), auth),
        auth.oidc_issuer.clone(),
        auth.oidc_jwks_uri.clone(),
        auth.access_profile_claim.clone(),
        json(&auth.required_claims)?,
        json(&auth.allowed_issuers)?,
        client.updated_at,
        version,
        auth.allow_preflight
    ];
    tx.execute(UPDATE, values).await?;
    Ok(())
}

// The write that made it may make another one then.
const DELETE: &str = "UPDATE api_clients
    SET deleted = 1, jwt_secret = NULL, write_id = 'deleted/' || client_id, updated_at = $3, version = $4
    WHERE account_id = $1 AND client_id = $2";

pub(crate) async fn delete(
    tx: &mut Tx,
    account_id: AccountId,
    id: ApiClientId,
    now_ms: i64,
    version: i64,
) -> Result<()> {
    tx.execute(DELETE, args![account_id, id, now_ms, version]).await?;
    Ok(())
}

const DELETE_OF_ACCOUNT: &str = "UPDATE api_clients
    SET deleted = 1, jwt_secret = NULL, write_id = 'deleted/' || client_id, updated_at = $2, version = $3
    WHERE account_id = $1 AND deleted = 0";

pub(crate) async fn delete_of_account(tx: &mut Tx, account_id: AccountId, now_ms: i64, version: i64) -> Result<()> {
    tx.execute(DELETE_OF_ACCOUNT, args![account_id, now_ms, version]).await?;
    Ok(())
}

const FIND: &str = "SELECT account_id, client_id, is_legacy, name, description, project_id, api_portal_id, email,
    api_policy_id, auth_type, collection_ids, jwt_method, jwt_secret, oidc_issuer, oidc_jwks_uri, access_profile_claim,
    required_claims, allowed_issuers, mtls_enabled, validation_formula, cert_bundle_ids, created_at, updated_at,
    allow_preflight FROM api_clients WHERE account_id = $1 AND client_id = $2 AND deleted = 0";

pub(crate) async fn find(db: &Db, secrets: &Secrets, account_id: AccountId, id: ApiClientId) -> Result<Option<Client>> {
    db.fetch_optional(FIND, args![account_id, id]).await?.map_or(Ok(None), |row| skipping(client(&row, secrets)))
}

pub(crate) async fn find_in(
    tx: &mut Tx,
    secrets: &Secrets,
    account_id: AccountId,
    id: ApiClientId,
) -> Result<Option<Client>> {
    tx.fetch_optional(FIND, args![account_id, id]).await?.map_or(Ok(None), |row| skipping(client(&row, secrets)))
}

const FIND_BY_WRITE: &str = "SELECT account_id, client_id, is_legacy, name, description, project_id, api_portal_id,
    email, api_policy_id, auth_type, collection_ids, jwt_method, jwt_secret, oidc_issuer, oidc_jwks_uri,
    access_profile_claim, required_claims, allowed_issuers, mtls_enabled, validation_formula, cert_bundle_ids,
    created_at, updated_at, allow_preflight
    FROM api_clients WHERE account_id = $1 AND write_id = $2";

pub(crate) async fn find_by_write(
    tx: &mut Tx,
    secrets: &Secrets,
    account_id: AccountId,
    write_id: &str,
) -> Result<Option<Client>> {
    tx.fetch_optional(FIND_BY_WRITE, args![account_id, write_id])
        .await?
        .map_or(Ok(None), |row| skipping(client(&row, secrets)))
}

const LIST: &str = "SELECT c.account_id, c.client_id, c.is_legacy, c.name, c.description, c.project_id,
    c.api_portal_id, c.email, c.api_policy_id, c.auth_type, c.collection_ids, c.jwt_method, c.jwt_secret,
    c.oidc_issuer, c.oidc_jwks_uri, c.access_profile_claim, c.required_claims, c.allowed_issuers, c.mtls_enabled,
    c.validation_formula, c.cert_bundle_ids, c.created_at, c.updated_at, c.allow_preflight,
    (SELECT count(*) FROM api_profiles p WHERE p.account_id = c.account_id AND p.client_id = c.client_id
        AND p.deleted = 0) AS keys,
    (SELECT count(*) FROM api_profiles p WHERE p.account_id = c.account_id AND p.client_id = c.client_id
        AND p.deleted = 0 AND p.active = 1) AS active_keys
    FROM api_clients c WHERE c.account_id = $1 AND c.deleted = 0 ORDER BY c.client_id";

pub(crate) async fn list(db: &Db, secrets: &Secrets, account_id: AccountId) -> Result<Vec<Listed>> {
    let listed = |row: &Row| {
        Ok(Listed { client: client(row, secrets)?, keys: row.get("keys")?, active_keys: row.get("active_keys")? })
    };
    let rows = db.fetch_all(LIST, args![account_id]).await?;
    rows.iter().filter_map(|row| skipping(listed(row)).transpose()).collect()
}

fn client(row: &Row, secrets: &Secrets) -> std::result::Result<Client, Unread> {
    let id = row.get("client_id")?;
    let auth_type: String = row.get("auth_type")?;
    // Clients of the first generation have none.
    let auth_type = match auth_type.as_str() {
        "" => None,
        name => Some(AuthType::parse(name).ok_or(Unread::NotUnderstood)?),
    };
    let mut auth = auth(row, auth_type)?;
    open_into(&mut auth, row, secrets, &CLIENT_SECRET.row(id))?;
    Ok(Client {
        id,
        account_id: row.get("account_id")?,
        is_legacy: row.get("is_legacy")?,
        name: row.get("name")?,
        description: row.get("description")?,
        project_id: row.get("project_id")?,
        api_portal_id: row.get("api_portal_id")?,
        email: row.get("email")?,
        api_policy_id: row.get("api_policy_id")?,
        auth,
        mtls_enabled: row.get("mtls_enabled")?,
        validation_formula: row.get("validation_formula")?,
        cert_bundle_ids: match row.get::<Option<String>>("cert_bundle_ids")? {
            Some(text) => understood("cert_bundle_ids", &text).ok_or(Unread::NotUnderstood)?,
            None => Vec::new(),
        },
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// The columns of settings, which profiles and clients share, without the secret.
pub(super) fn auth(row: &Row, auth_type: Option<AuthType>) -> std::result::Result<AuthSettings, Unread> {
    Ok(AuthSettings {
        auth_type,
        collection_ids: list_of(row, "collection_ids")?,
        allow_preflight: row.get("allow_preflight")?,
        jwt_method: row.get("jwt_method")?,
        jwt_secret: None,
        unopened_secret: None,
        oidc_issuer: row.get("oidc_issuer")?,
        oidc_jwks_uri: row.get("oidc_jwks_uri")?,
        access_profile_claim: row.get("access_profile_claim")?,
        required_claims: list_of(row, "required_claims")?,
        allowed_issuers: list_of(row, "allowed_issuers")?,
    })
}
