//! Whether calls in the name of an account are let through: what the edge and the token endpoint ask.
//!
//! # Invariants
//! - Every change that shuts or opens an account takes a version in its own transaction.

use portolan_api::Result;
use portolan_ids::AccountId;

use crate::{Deps, model::tenants::Tenant, store::tenants as store};

/// Accounts that opened or shut after a version, in the order of versions.
pub async fn changes(deps: &Deps, after_version: i64) -> Result<Vec<Tenant>> {
    store::changes(&deps.db, after_version).await
}

/// Whether an account is open; an unknown one is not.
pub async fn is_open(deps: &Deps, account_id: AccountId) -> Result<bool> {
    store::is_open(&deps.db, account_id).await
}
