use portolan_api::Result;
use portolan_ids::OrganizationId;
use portolan_store::{Db, Row, Tx, args};

use super::lists::{Unread, json, list_of, skipping};
use crate::model::{
    organization_tokens::{Token, TokenAccount},
    revocations::Ended,
};

const INSERT: &str = "INSERT INTO organization_tokens
    (organization_id, token_id, name, scopes, networks, expires_at, rate_limit, secret_digest, annotations, created_at,
     updated_at, write_id, secret_write_id, version, account_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, $11, $12, $13)";

pub(crate) async fn insert(tx: &mut Tx, token: &Token, digest: &str, write_id: &str, version: i64) -> Result<()> {
    let values = args![
        &token.organization_id,
        &token.id,
        &token.name,
        json(&token.scopes)?,
        json(&token.networks)?,
        token.expires_at,
        token.rate_limit,
        digest,
        json(&token.annotations)?,
        token.created_at,
        write_id,
        version,
        token.account_id
    ];
    tx.execute(INSERT, values).await?;
    Ok(())
}

const FIND_BY_WRITE: &str =
    "SELECT organization_id, token_id, name, scopes, networks, expires_at, rate_limit, annotations,
    created_at, secret_write_id, account_id
    FROM organization_tokens WHERE organization_id = $1 AND write_id = $2";

pub(crate) async fn find_by_write(
    tx: &mut Tx,
    organization_id: &OrganizationId,
    write_id: &str,
) -> Result<Option<Token>> {
    tx.fetch_optional(FIND_BY_WRITE, args![organization_id, write_id])
        .await?
        .map_or(Ok(None), |row| skipping(token(&row)))
}

const FIND: &str = "SELECT organization_id, token_id, name, scopes, networks, expires_at, rate_limit, annotations,
    created_at, secret_write_id, account_id
    FROM organization_tokens WHERE organization_id = $1 AND account_id IN ($2, $3) AND token_id = $4 AND deleted = 0";

pub(crate) async fn find(tx: &mut Tx, account: &TokenAccount, id: &str) -> Result<Option<Token>> {
    let unnamed = unnamed(account);
    tx.fetch_optional(FIND, args![&account.organization_id, account.account_id, unnamed, id])
        .await?
        .map_or(Ok(None), |row| skipping(token(&row)))
}

const FIND_BY_DIGEST: &str = "SELECT organization_id, token_id, name, scopes, networks, expires_at, rate_limit,
    annotations, created_at, secret_write_id, account_id
    FROM organization_tokens WHERE secret_digest = $1 AND deleted = 0";

pub(crate) async fn find_by_digest(db: &Db, digest: &str) -> Result<Option<Token>> {
    db.fetch_optional(FIND_BY_DIGEST, args![digest]).await?.map_or(Ok(None), |row| skipping(token(&row)))
}

const FIND_BY_ID: &str =
    "SELECT organization_id, token_id, name, scopes, networks, expires_at, rate_limit, annotations,
    created_at, secret_write_id, account_id
    FROM organization_tokens WHERE token_id = $1 AND deleted = 0";

pub(crate) async fn find_by_id(db: &Db, id: &str) -> Result<Option<Token>> {
    db.fetch_optional(FIND_BY_ID, args![id]).await?.map_or(Ok(None), |row| skipping(token(&row)))
}

const LIST: &str = "SELECT organization_id, token_id, name, scopes, networks, expires_at, rate_limit, annotations,
    created_at, secret_write_id, account_id
    FROM organization_tokens WHERE organization_id = $1 AND account_id IN ($2, $3) AND deleted = 0
    ORDER BY created_at, token_id LIMIT $4 OFFSET $5";

pub(crate) async fn list(db: &Db, account: &TokenAccount, limit: i64, offset: i64) -> Result<Vec<Token>> {
    let values = args![&account.organization_id, account.account_id, unnamed(account), limit, offset];
    db.fetch_all(LIST, values).await?.iter().filter_map(|row| skipping(token(row)).transpose()).collect()
}

const COUNT: &str = "SELECT count(*) AS n FROM organization_tokens
    WHERE organization_id = $1 AND account_id IN ($2, $3) AND deleted = 0";

pub(crate) async fn count(db: &Db, account: &TokenAccount) -> Result<i64> {
    let values = args![&account.organization_id, account.account_id, unnamed(account)];
    Ok(db.fetch_one(COUNT, values).await?.get("n")?)
}

const UPDATE: &str = "UPDATE organization_tokens
    SET name = $3, scopes = $4, networks = $5, expires_at = $6, annotations = $7, updated_at = $8, version = $9
    WHERE organization_id = $1 AND token_id = $2";

pub(crate) async fn update(tx: &mut Tx, token: &Token, now_s: i64, version: i64) -> Result<()> {
    let values = args![
        &token.organization_id,
        &token.id,
        &token.name,
        json(&token.scopes)?,
        json(&token.networks)?,
        token.expires_at,
        json(&token.annotations)?,
        now_s,
        version
    ];
    tx.execute(UPDATE, values).await?;
    Ok(())
}

const UPDATE_SECRET: &str = "UPDATE organization_tokens
    SET secret_digest = $3, secret_write_id = $4, updated_at = $5, version = $6
    WHERE organization_id = $1 AND token_id = $2";

pub(crate) async fn update_secret(
    tx: &mut Tx,
    token: &Token,
    digest: &str,
    write_id: &str,
    now_s: i64,
    version: i64,
) -> Result<()> {
    let values = args![&token.organization_id, &token.id, digest, write_id, now_s, version];
    tx.execute(UPDATE_SECRET, values).await?;
    Ok(())
}

const DELETE: &str = "UPDATE organization_tokens SET deleted = 1, secret_digest = NULL, updated_at = $3, version = $4
    WHERE organization_id = $1 AND token_id = $2";

pub(crate) async fn delete(tx: &mut Tx, token: &Token, now_s: i64, version: i64) -> Result<()> {
    tx.execute(DELETE, args![&token.organization_id, &token.id, now_s, version]).await?;
    Ok(())
}

const DELETE_OF_ACCOUNT: &str = "UPDATE organization_tokens
    SET deleted = 1, secret_digest = NULL, updated_at = $2, version = $3
    WHERE account_id = $1 AND created_at <= $2 AND deleted = 0 RETURNING token_id";

/// Returns the id of each.
pub(crate) async fn delete_of_account(tx: &mut Tx, ended: &Ended, version: i64) -> Result<Vec<String>> {
    let rows = tx.fetch_all(DELETE_OF_ACCOUNT, args![ended.account_id, ended.ended_at, version]).await?;
    rows.iter().map(|row| Ok(row.get("token_id")?)).collect()
}

/// What tokens that name no account have in the column, where they are known; elsewhere the account again.
fn unnamed(account: &TokenAccount) -> i64 {
    if account.is_first { 0 } else { account.account_id.into() }
}

fn token(row: &Row) -> std::result::Result<Token, Unread> {
    Ok(Token {
        id: row.get("token_id")?,
        organization_id: row.get("organization_id")?,
        account_id: row.get("account_id")?,
        name: row.get("name")?,
        scopes: list_of(row, "scopes")?,
        networks: list_of(row, "networks")?,
        expires_at: row.get("expires_at")?,
        rate_limit: row.get("rate_limit")?,
        annotations: list_of(row, "annotations")?,
        created_at: row.get("created_at")?,
        secret_write_id: row.get("secret_write_id")?,
    })
}
