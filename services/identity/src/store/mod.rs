//! The statements of identity, by noun.

mod accounts;
mod administrators;
pub(crate) mod audit;
mod custom_roles;
mod first_start;
mod invitations;
mod managed_users;
mod members;
mod oidc;
mod organizations;
mod push;
mod resets;
mod rights;
mod sessions;
mod settings;
mod signing_keys;
pub(crate) mod tenants;
mod usage;
mod users;

use portolan_api::{Error, Result};
use portolan_ids::{AccountId, UserId};
use portolan_store::{Db, Row, Tx, args};

pub(crate) use self::{
    accounts::*, administrators::*, custom_roles::*, first_start::*, invitations::*, managed_users::*, members::*,
    oidc::*, organizations::*, push::*, resets::*, rights::*, sessions::*, settings::*, signing_keys::*, usage::*,
    users::*,
};

const NEXT_ID: &str = "UPDATE identity_sequences SET next = next + 1 WHERE name = $1 RETURNING next - 1 AS id";

pub(crate) async fn next_id<Id: From<i64>>(tx: &mut Tx, sequence: &str) -> Result<Id> {
    Ok(tx.fetch_one(NEXT_ID, args![sequence]).await?.get::<i64>("id")?.into())
}

/// A read of many rows that may stand inside a transaction.
pub(crate) trait AccountReader {
    async fn rows(self, sql: &'static str, account_id: AccountId) -> Result<Vec<Row>>;
}

impl AccountReader for &Db {
    async fn rows(self, sql: &'static str, account_id: AccountId) -> Result<Vec<Row>> {
        Ok(self.fetch_all(sql, args![account_id]).await?)
    }
}

impl AccountReader for &mut Tx {
    async fn rows(self, sql: &'static str, account_id: AccountId) -> Result<Vec<Row>> {
        Ok(self.fetch_all(sql, args![account_id]).await?)
    }
}

/// A read that may stand inside a transaction.
pub(crate) trait Reader {
    async fn row(self, sql: &'static str, account_id: AccountId, user_id: UserId) -> Result<Option<Row>>;
}

impl Reader for &Db {
    async fn row(self, sql: &'static str, account_id: AccountId, user_id: UserId) -> Result<Option<Row>> {
        Ok(self.fetch_optional(sql, args![account_id, user_id]).await?)
    }
}

impl Reader for &mut Tx {
    async fn row(self, sql: &'static str, account_id: AccountId, user_id: UserId) -> Result<Option<Row>> {
        Ok(self.fetch_optional(sql, args![account_id, user_id]).await?)
    }
}

/// A statement that must have changed exactly one row.
fn one(rows: u64) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(Error::internal(format!("a statement changed {rows} rows instead of one"))) }
}
