use portolan_api::{Error, Result};
use portolan_store::{Db, Row, Tx, args};

use crate::organization_tokens::Token;

const INSERT: &str = "INSERT INTO organization_tokens
    (organization_id, token_id, name, scopes, networks, expires_at, rate_limit, secret_digest, annotations, created_at,
     updated_at, write_id, secret_write_id, version)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, $11, $12)";

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
        version
    ];
    tx.execute(INSERT, values).await?;
    Ok(())
}

const FIND_BY_WRITE: &str =
    "SELECT organization_id, token_id, name, scopes, networks, expires_at, rate_limit, annotations,
    created_at, secret_write_id
    FROM organization_tokens WHERE organization_id = $1 AND write_id = $2";

pub(crate) async fn find_by_write(tx: &mut Tx, organization_id: &str, write_id: &str) -> Result<Option<Token>> {
    tx.fetch_optional(FIND_BY_WRITE, args![organization_id, write_id]).await?.as_ref().map(token).transpose()
}

const FIND: &str = "SELECT organization_id, token_id, name, scopes, networks, expires_at, rate_limit, annotations,
    created_at, secret_write_id
    FROM organization_tokens WHERE organization_id = $1 AND token_id = $2 AND deleted = 0";

pub(crate) async fn find(tx: &mut Tx, organization_id: &str, id: &str) -> Result<Option<Token>> {
    tx.fetch_optional(FIND, args![organization_id, id]).await?.as_ref().map(token).transpose()
}

const FIND_BY_DIGEST: &str = "SELECT organization_id, token_id, name, scopes, networks, expires_at, rate_limit,
    annotations, created_at, secret_write_id
    FROM organization_tokens WHERE secret_digest = $1 AND deleted = 0";

pub(crate) async fn find_by_digest(db: &Db, digest: &str) -> Result<Option<Token>> {
    db.fetch_optional(FIND_BY_DIGEST, args![digest]).await?.as_ref().map(token).transpose()
}

const LIST: &str = "SELECT organization_id, token_id, name, scopes, networks, expires_at, rate_limit, annotations,
    created_at, secret_write_id
    FROM organization_tokens WHERE organization_id = $1 AND deleted = 0
    ORDER BY created_at, token_id LIMIT $2 OFFSET $3";

pub(crate) async fn list(db: &Db, organization_id: &str, limit: i64, offset: i64) -> Result<Vec<Token>> {
    db.fetch_all(LIST, args![organization_id, limit, offset]).await?.iter().map(token).collect()
}

const COUNT: &str = "SELECT count(*) AS n FROM organization_tokens WHERE organization_id = $1 AND deleted = 0";

pub(crate) async fn count(db: &Db, organization_id: &str) -> Result<i64> {
    Ok(db.fetch_one(COUNT, args![organization_id]).await?.get("n")?)
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

fn token(row: &Row) -> Result<Token> {
    Ok(Token {
        id: row.get("token_id")?,
        organization_id: row.get("organization_id")?,
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

/// A list as it is stored.
pub(super) fn json(list: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(list).map_err(Error::internal)
}

/// A stored list.
pub(super) fn list_of<T: serde::de::DeserializeOwned>(row: &Row, column: &str) -> Result<Vec<T>> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| Error::internal(format!("stored {column}: {error}")))
}
