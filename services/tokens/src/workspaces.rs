//! Where a vendor acts: in a customer workspace, or in its own account.

use std::collections::HashMap;

use portolan_api::{Reason, Result};
use portolan_authz::Caller;
use portolan_ids::{AccountId, NamedCollectionId};

use crate::{
    Deps,
    model::violations::{BLANK, Violations},
    peers,
};

pub(crate) use crate::model::workspaces::number;
pub use crate::model::workspaces::{Page, id};

/// The account behind the id of a managed user; the caller's own without one. Counts one request of the caller's account.
///
/// # Errors
/// `MANAGED_USER_NOT_FOUND` unless it belongs to the caller's account, and for a caller without authority over the
/// organization; `RATE_LIMITED`.
pub async fn resolve(deps: &Deps, caller: &Caller, managed_user_id: &str) -> Result<AccountId> {
    deps.management.count(caller.account_id).await?;
    if managed_user_id.is_empty() {
        return Ok(caller.account_id);
    }
    // Customers are the organization's, as the list of them is.
    if !caller.grant.administers_organization() {
        return Err(Reason::ManagedUserNotFound.into());
    }
    peers::managed_account(&deps.peers, caller.account_id, managed_user_id).await
}

/// The names of those collections of an account that exist.
pub async fn collection_names(
    deps: &Deps,
    account_id: AccountId,
    ids: Vec<NamedCollectionId>,
) -> Result<HashMap<NamedCollectionId, String>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    peers::collection_names(&deps.peers, account_id, ids).await
}

/// Lists what is wrong with the collections of a profile or client: there must be one, and all must exist.
pub(crate) async fn check_collections(
    deps: &Deps,
    account_id: AccountId,
    ids: &[NamedCollectionId],
    violations: &mut Violations,
) -> Result<()> {
    if ids.is_empty() {
        violations.add("api_collection_ids", BLANK);
        return Ok(());
    }
    let known = collection_names(deps, account_id, ids.to_vec()).await?;
    let unknown: Vec<_> = ids.iter().filter(|id| !known.contains_key(id)).map(ToString::to_string).collect();
    if !unknown.is_empty() {
        violations.add("api_collection_ids", format!("has unknown collections: {}", unknown.join(", ")));
    }
    Ok(())
}
