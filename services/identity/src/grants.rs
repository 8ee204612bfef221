//! What a user may do in an account, as the database has it at this moment.

use std::sync::Arc;

use portolan_api::Result;
use portolan_authz::{Change, Grant, Identities, Lookup, Role, Scope, grant_key, role_key};

use crate::{
    Deps,
    roles::{self, CustomRole},
    store,
};

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

/// Announces that the grants of these members change, before the transaction commits. After the commit call `finish` of
/// the result, and answer only when that succeeded.
///
/// # Errors
/// `UNAVAILABLE` when the readers of grants cannot be told; then nothing may be changed.
pub(crate) async fn announce(deps: &Deps, account_id: i64, users: &[i64]) -> Result<Change> {
    let keys = users.iter().flat_map(|user_id| ALL_SCOPES.map(|scope| grant_key(account_id, *user_id, scope)));
    deps.grants.begin_change(keys).await
}

/// Announces that a custom role changes, with the grants of all who hold it; otherwise as [`announce`].
///
/// # Errors
/// As [`announce`].
pub(crate) async fn announce_role(deps: &Deps, account_id: i64, role: &str) -> Result<Change> {
    deps.grants.begin_change([role_key(account_id, role)]).await
}

/// Adds a collection to a restricted user's list; an unrestricted user already sees it.
pub async fn add_collection(deps: &Deps, account_id: i64, user_id: i64, collection_id: i32) -> Result<()> {
    let change = announce(deps, account_id, &[user_id]).await?;
    let mut tx = deps.db.begin().await?;
    store::lock_account(&mut tx, account_id).await?;
    let roles = store::list_custom_roles(&mut tx, account_id).await?;
    if let Some(membership) = store::find_membership(&mut tx, account_id, user_id).await?
        && is_restricted(&roles, &membership)
    {
        let mut ids = membership.collection_ids.unwrap_or_default();
        ids.push(collection_id);
        ids.sort_unstable();
        ids.dedup();
        store::update_membership_collections(&mut tx, account_id, user_id, Some(&ids)).await?;
    }
    tx.commit().await?;
    change.finish().await
}

/// Whether a list restricts the member in every scope they have. A list of their own restricts all scopes, so it is not
/// begun for a member whose role leaves one of them open.
fn is_restricted(roles: &[CustomRole], membership: &store::Membership) -> bool {
    let mut grants = ALL_SCOPES.iter().map(|scope| evaluate(roles, membership, *scope));
    grants.all(|grant| grant.base_role == Role::NoAccess || grant.collections().is_some())
}

/// Restricts a user to these collections; an empty list lifts the restriction.
pub async fn set_collections(deps: &Deps, account_id: i64, user_id: i64, collection_ids: &[i32]) -> Result<()> {
    let change = announce(deps, account_id, &[user_id]).await?;
    let mut tx = deps.db.begin().await?;
    store::update_membership_collections(&mut tx, account_id, user_id, Some(collection_ids)).await?;
    tx.commit().await?;
    change.finish().await
}

/// Reads the grant from the database.
pub async fn read(deps: &Deps, account_id: i64, user_id: i64, scope: Scope) -> Result<Grant> {
    let Some(membership) = store::find_membership(&deps.db, account_id, user_id).await? else {
        return Ok(Grant::new(Role::NoAccess.name(), Role::NoAccess, None));
    };
    // One role by its key: the cost does not grow with the number of roles.
    let key = roles::key(role_in(&membership, scope));
    let custom =
        if Role::parse(&key).is_some() { None } else { store::find_custom_role(&deps.db, account_id, &key).await? };
    Ok(evaluate(custom.as_slice(), &membership, scope))
}

fn role_in(membership: &store::Membership, scope: Scope) -> &str {
    if membership.scope_roles.is_empty() {
        return membership.role.as_deref().unwrap_or(Role::Member.name());
    }
    membership.scope_roles.get(mapped(scope).name()).map_or(Role::NoAccess.name(), String::as_str)
}

/// What a membership gives in a scope: the role it names there, with what a custom role changes, and the collections of
/// role and member together. Neither listing any means all.
pub(crate) fn evaluate(roles: &[CustomRole], membership: &store::Membership, scope: Scope) -> Grant {
    let name = role_in(membership, scope);
    let Some((base_role, custom)) = roles::resolve(roles, name) else {
        return Grant::new(name, Role::NoAccess, Some(Vec::new()));
    };
    let mut collections = membership.collection_ids.clone().unwrap_or_default();
    collections.extend(custom.iter().flat_map(|role| &role.collection_ids));
    let grant = Grant::new(name, base_role, (!collections.is_empty()).then_some(collections));
    match custom {
        Some(role) => grant.with_custom_role(role.opens_threat_protection, role.allowed()),
        None => grant,
    }
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
