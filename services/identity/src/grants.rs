//! What a user may do in an account, as the database has it at this moment.

use std::sync::Arc;

use portolan_api::Result;
use portolan_authz::{Change, Grant, Identities, Lookup, Role, Scope, grant_key, role_key};

use crate::{Deps, store};

const ALL_SCOPES: [Scope; 6] = [Scope::Api, Scope::Mcp, Scope::GenAi, Scope::Agentic, Scope::Dast, Scope::Endpoint];

/// Reads the grant through the cache.
pub async fn get(deps: &Deps, account_id: i64, user_id: i64, scope: Scope) -> Result<Arc<Grant>> {
    let lease = match deps.grants.get(&grant_key(account_id, user_id, scope)).await {
        Lookup::Hit(grant) => return Ok(grant),
        Lookup::Miss(lease) => lease,
    };
    let grant = Arc::new(read(deps, account_id, user_id, scope).await?);
    if let Some(lease) = lease {
        lease.fill_on(grant.clone(), grant.basis(account_id).as_deref()).await;
    }
    Ok(grant)
}

/// Announces that a membership changes, before it is written. After the commit call `finish` of the result, and answer
/// only when that succeeded.
///
/// # Errors
/// `UNAVAILABLE` when the readers of grants cannot be told; then nothing may be changed.
pub(crate) async fn announce(deps: &Deps, account_id: i64, user_id: i64) -> Result<Change> {
    deps.grants.begin_change(keys_of_member(account_id, user_id)).await
}

/// Announces that a custom role changes, with the grants of all who hold it; otherwise as [`announce`].
///
/// # Errors
/// As [`announce`].
#[allow(dead_code)]
pub(crate) async fn announce_role(deps: &Deps, account_id: i64, role: &str) -> Result<Change> {
    deps.grants.begin_change([role_key(account_id, role)]).await
}

/// The keys of a member's grants, for changes that touch several members or a role too.
pub(crate) fn keys_of_member(account_id: i64, user_id: i64) -> [String; ALL_SCOPES.len()] {
    ALL_SCOPES.map(|scope| grant_key(account_id, user_id, scope))
}

/// Adds a collection to a restricted user's list; an unrestricted user already sees it.
pub async fn add_collection(deps: &Deps, account_id: i64, user_id: i64, collection_id: i32) -> Result<()> {
    let change = announce(deps, account_id, user_id).await?;
    let mut tx = deps.db.begin().await?;
    let membership = store::find_membership(&mut tx, account_id, user_id).await?;
    if let Some(mut ids) = membership.and_then(|membership| membership.collection_ids)
        && !ids.is_empty()
        && !ids.contains(&collection_id)
    {
        ids.push(collection_id);
        store::update_membership_collections(&mut tx, account_id, user_id, Some(&ids)).await?;
    }
    tx.commit().await?;
    change.finish().await
}

/// Restricts a user to these collections; an empty list lifts the restriction.
pub async fn set_collections(deps: &Deps, account_id: i64, user_id: i64, collection_ids: &[i32]) -> Result<()> {
    let change = announce(deps, account_id, user_id).await?;
    let mut tx = deps.db.begin().await?;
    store::update_membership_collections(&mut tx, account_id, user_id, Some(collection_ids)).await?;
    tx.commit().await?;
    change.finish().await
}

/// Reads the grant from the database.
pub(crate) async fn read(deps: &Deps, account_id: i64, user_id: i64, scope: Scope) -> Result<Grant> {
    let Some(membership) = store::find_membership(&deps.db, account_id, user_id).await? else {
        return Ok(Grant::new(Role::NoAccess.name(), Role::NoAccess, None));
    };
    let name = if membership.scope_roles.is_empty() {
        membership.role.as_deref().unwrap_or(Role::Member.name())
    } else {
        membership.scope_roles.get(mapped(scope).name()).map_or(Role::NoAccess.name(), String::as_str)
    };
    let base_role = Role::parse(name).unwrap_or(Role::NoAccess);
    Ok(Grant::new(name, base_role, membership.collection_ids.filter(|ids| !ids.is_empty())))
}

/// Mappings know API, AGENTIC, ENDPOINT and DAST; the two agentic contexts count as AGENTIC.
fn mapped(scope: Scope) -> Scope {
    match scope {
        Scope::Mcp | Scope::GenAi => Scope::Agentic,
        other => other,
    }
}

/// Identity as its own guard asks it: without the wire.
pub struct OwnIdentities(pub Deps);

type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Identities for OwnIdentities {
    fn authenticate<'a>(
        &'a self,
        credential: &'a portolan_authz::Credential,
        scope: Scope,
        client_address: &'a str,
    ) -> BoxFuture<'a, Result<String>> {
        Box::pin(
            async move { Ok(crate::authentication::authenticate(&self.0, credential, scope, client_address).await?.0) },
        )
    }

    fn grant(&self, account_id: i64, user_id: i64, scope: Scope) -> BoxFuture<'_, Result<Arc<Grant>>> {
        Box::pin(get(&self.0, account_id, user_id, scope))
    }

    fn verifying_keys(&self) -> BoxFuture<'_, Result<portolan_authz::VerifyingKeys>> {
        Box::pin(crate::signing::verifying_keys(&self.0.db))
    }
}
