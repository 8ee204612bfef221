use portolan_api::Result;
use portolan_ids::{AccountId, ApiClientId, ProfileId};
use portolan_runtime::Secrets;
use portolan_store::{Db, Row, Tx, args};

use super::{
    clients::auth,
    lists::{Unread, json, list_of, skipping},
    sealed::{open_into, sealed},
};
use crate::model::{auth_settings::AuthType, profiles::Profile, sealed::PROFILE_SECRET, workspaces::Page};

const INSERT: &str = "INSERT INTO api_profiles
    (account_id, profile_id, client_id, is_legacy, name, auth_type, active, active_since, ip_allow_list, ip_deny_list,
     collection_ids, jwt_method, jwt_secret, oidc_issuer, oidc_jwks_uri, access_profile_claim, required_claims,
     allowed_issuers, secret_digest, oauth_client_id, grant_version, created_at, updated_at, write_id, secret_write_id,
     version, allow_preflight, secret_end)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
     $24, $24, $25, $26, $27)";

/// The write that makes a profile is the one that makes its secret.
pub(crate) async fn insert(
    tx: &mut Tx,
    profile: &Profile,
    digest: &str,
    secrets: &Secrets,
    version: i64,
) -> Result<()> {
    let auth = &profile.auth;
    let values = args![
        profile.account_id,
        profile.id,
        profile.client_id,
        profile.is_legacy,
        &profile.name,
        profile.auth_type().name(),
        profile.active,
        profile.active_since,
        json(&profile.ip_allow_list)?,
        json(&profile.ip_deny_list)?,
        json(&auth.collection_ids)?,
        auth.jwt_method.clone(),
        sealed(secrets, &PROFILE_SECRET.row(profile.id), auth),
        auth.oidc_issuer.clone(),
        auth.oidc_jwks_uri.clone(),
        auth.access_profile_claim.clone(),
        json(&auth.required_claims)?,
        json(&auth.allowed_issuers)?,
        digest,
        profile.oauth_client_id.clone(),
        profile.grant_version,
        profile.created_at,
        profile.updated_at,
        &profile.secret_write_id,
        version,
        auth.allow_preflight,
        &profile.secret_end
    ];
    tx.execute(INSERT, values).await?;
    Ok(())
}

const UPDATE: &str = "UPDATE api_profiles
    SET name = $3, auth_type = $4, active = $5, active_since = $6, ip_allow_list = $7, ip_deny_list = $8,
        collection_ids = $9, jwt_method = $10, jwt_secret = $11, oidc_issuer = $12, oidc_jwks_uri = $13,
        access_profile_claim = $14, required_claims = $15, allowed_issuers = $16,
        secret_digest = coalesce($17, secret_digest), oauth_client_id = $18, grant_version = $19, updated_at = $20,
        secret_write_id = $21, version = $22, allow_preflight = $23, secret_end = $24
    WHERE account_id = $1 AND profile_id = $2";

/// `digest`: that of a new secret; without one the old secret stays.
pub(crate) async fn update(
    tx: &mut Tx,
    profile: &Profile,
    digest: Option<&str>,
    secrets: &Secrets,
    version: i64,
) -> Result<()> {
    let auth = &profile.auth;
    let values = args![
        profile.account_id,
        profile.id,
        &profile.name,
        profile.auth_type().name(),
        profile.active,
        profile.active_since,
        json(&profile.ip_allow_list)?,
        json(&profile.ip_deny_list)?,
        json(&auth.collection_ids)?,
        auth.jwt_method.clone(),
        sealed(secrets, &PROFILE_SECRET.row(profile.id), auth),
        auth.oidc_issuer.clone(),
        auth.oidc_jwks_uri.clone(),
        auth.access_profile_claim.clone(),
        json(&auth.required_claims)?,
        json(&auth.allowed_issuers)?,
        digest.map(str::to_owned),
        profile.oauth_client_id.clone(),
        profile.grant_version,
        profile.updated_at,
        &profile.secret_write_id,
        version,
        auth.allow_preflight,
        &profile.secret_end
    ];
    tx.execute(UPDATE, values).await?;
    Ok(())
}

const DELETE_OF_CLIENT: &str = "UPDATE api_profiles
    SET deleted = 1, active = 0, active_since = NULL, secret_digest = NULL, secret_end = '', oauth_client_id = NULL,
        jwt_secret = NULL,
        grant_version = grant_version + 1, updated_at = $3, version = $4
    WHERE account_id = $1 AND client_id = $2 AND deleted = 0";

pub(crate) async fn delete_of_client(
    tx: &mut Tx,
    account_id: AccountId,
    client_id: ApiClientId,
    now_ms: i64,
    version: i64,
) -> Result<()> {
    tx.execute(DELETE_OF_CLIENT, args![account_id, client_id, now_ms, version]).await?;
    Ok(())
}

const DELETE_OF_ACCOUNT: &str = "UPDATE api_profiles
    SET deleted = 1, active = 0, active_since = NULL, secret_digest = NULL, secret_end = '', oauth_client_id = NULL,
        jwt_secret = NULL,
        grant_version = grant_version + 1, updated_at = $2, version = $3
    WHERE account_id = $1 AND deleted = 0 RETURNING profile_id";

/// Returns the id of each.
pub(crate) async fn delete_of_account(
    tx: &mut Tx,
    account_id: AccountId,
    now_ms: i64,
    version: i64,
) -> Result<Vec<ProfileId>> {
    let rows = tx.fetch_all(DELETE_OF_ACCOUNT, args![account_id, now_ms, version]).await?;
    rows.iter().map(|row| Ok(row.get("profile_id")?)).collect()
}

/// The columns that [`profile`] reads, with more of them, and the rows that are asked for.
macro_rules! select {
    ($more:literal, $rows:literal) => {
        concat!(
            "SELECT account_id, profile_id, client_id, is_legacy, name, auth_type, active, active_since, ip_allow_list, \
             ip_deny_list, collection_ids, jwt_method, jwt_secret, oidc_issuer, oidc_jwks_uri, access_profile_claim, \
             required_claims, allowed_issuers, oauth_client_id, grant_version, created_at, updated_at, secret_write_id, \
             allow_preflight, secret_end",
            $more,
            " FROM api_profiles WHERE ",
            $rows
        )
    };
}

const FIND: &str = select!("", "account_id = $1 AND profile_id = $2 AND deleted = 0");

pub(crate) async fn find(
    tx: &mut Tx,
    secrets: &Secrets,
    account_id: AccountId,
    id: ProfileId,
) -> Result<Option<Profile>> {
    tx.fetch_optional(FIND, args![account_id, id]).await?.map_or(Ok(None), |row| skipping(profile(&row, secrets)))
}

const FIND_BY_WRITE: &str = select!("", "account_id = $1 AND write_id = $2");

pub(crate) async fn find_by_write(
    tx: &mut Tx,
    secrets: &Secrets,
    account_id: AccountId,
    write_id: &str,
) -> Result<Option<Profile>> {
    tx.fetch_optional(FIND_BY_WRITE, args![account_id, write_id])
        .await?
        .map_or(Ok(None), |row| skipping(profile(&row, secrets)))
}

const FIND_BY_OAUTH_CLIENT: &str = select!(", secret_digest", "oauth_client_id = $1 AND deleted = 0");

/// The profile with this OAuth2 client id, and the digest of its client secret.
pub(crate) async fn find_by_oauth_client(
    tx: &mut Tx,
    secrets: &Secrets,
    oauth_client_id: &str,
) -> Result<Option<(Profile, String)>> {
    let row = tx.fetch_optional(FIND_BY_OAUTH_CLIENT, args![oauth_client_id]).await?;
    let Some(row) = row else { return Ok(None) };
    let Some(profile) = skipping(profile(&row, secrets))? else { return Ok(None) };
    Ok(Some((profile, row.get("secret_digest")?)))
}

const FIND_BY_DIGEST: &str = select!("", "secret_digest = $1 AND deleted = 0");

pub(crate) async fn find_by_digest(tx: &mut Tx, secrets: &Secrets, digest: &str) -> Result<Option<Profile>> {
    tx.fetch_optional(FIND_BY_DIGEST, args![digest]).await?.map_or(Ok(None), |row| skipping(profile(&row, secrets)))
}

const LIST_LEGACY: &str = select!(
    "",
    "account_id = $1 AND ($2 = 0 OR client_id = $2) AND is_legacy = 1 AND deleted = 0 ORDER BY profile_id LIMIT $3 OFFSET $4"
);

pub(crate) async fn list_legacy(
    db: &Db,
    secrets: &Secrets,
    account_id: AccountId,
    client_id: Option<ApiClientId>,
    page: Page,
) -> Result<Vec<Profile>> {
    let values = args![account_id, client_id.unwrap_or_default(), page.per_page, page.offset()];
    db.fetch_all(LIST_LEGACY, values)
        .await?
        .iter()
        .filter_map(|row| skipping(profile(row, secrets)).transpose())
        .collect()
}

const LIST_OF_CLIENT: &str =
    select!("", "account_id = $1 AND client_id = $2 AND deleted = 0 ORDER BY profile_id LIMIT $3 OFFSET $4");

pub(crate) async fn list_of_client(
    db: &Db,
    secrets: &Secrets,
    account_id: AccountId,
    client_id: ApiClientId,
    page: Page,
) -> Result<Vec<Profile>> {
    let values = args![account_id, client_id, page.per_page, page.offset()];
    db.fetch_all(LIST_OF_CLIENT, values)
        .await?
        .iter()
        .filter_map(|row| skipping(profile(row, secrets)).transpose())
        .collect()
}

const COUNT_OF_CLIENT: &str =
    "SELECT count(*) AS n FROM api_profiles WHERE account_id = $1 AND client_id = $2 AND deleted = 0";

pub(crate) async fn count_of_client(db: &Db, account_id: AccountId, client_id: ApiClientId) -> Result<i64> {
    Ok(db.fetch_one(COUNT_OF_CLIENT, args![account_id, client_id]).await?.get("n")?)
}

fn profile(row: &Row, secrets: &Secrets) -> std::result::Result<Profile, Unread> {
    let id = row.get("profile_id")?;
    let auth_type: String = row.get("auth_type")?;
    let auth_type = AuthType::parse(&auth_type).ok_or(Unread::NotUnderstood)?;
    let mut auth = auth(row, Some(auth_type))?;
    open_into(&mut auth, row, secrets, &PROFILE_SECRET.row(id))?;
    Ok(Profile {
        id,
        account_id: row.get("account_id")?,
        client_id: row.get("client_id")?,
        is_legacy: row.get("is_legacy")?,
        name: row.get("name")?,
        active: row.get("active")?,
        active_since: row.get("active_since")?,
        ip_allow_list: list_of(row, "ip_allow_list")?,
        ip_deny_list: list_of(row, "ip_deny_list")?,
        auth,
        oauth_client_id: row.get("oauth_client_id")?,
        grant_version: row.get("grant_version")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        secret_write_id: row.get("secret_write_id")?,
        secret_end: row.get("secret_end")?,
    })
}
