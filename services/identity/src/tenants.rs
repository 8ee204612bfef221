//! Whether calls in the name of an account are let through: what the edge and the token endpoint ask.
//!
//! # Invariants
//! - Every change that shuts or opens an account takes a version in its own transaction.

use portolan_api::Result;

use crate::{Deps, store::tenants as store};

/// An account and whether it is open: not closed itself, and of an organization that is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tenant {
    pub account_id: i64,
    pub is_open: bool,
    pub version: i64,
}

/// Accounts that opened or shut after a version, in the order of versions.
pub async fn changes(deps: &Deps, after_version: i64) -> Result<Vec<Tenant>> {
    store::changes(&deps.db, after_version).await
}

/// Whether an account is open; an unknown one is not.
pub async fn is_open(deps: &Deps, account_id: i64) -> Result<bool> {
    store::is_open(&deps.db, account_id).await
}
