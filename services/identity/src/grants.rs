//! What a user may do in an account, as the database has it at this moment.

use std::sync::Arc;

use portolan_api::Result;
use portolan_authz::{Cache, Change, Grant, Identities, Lookup, Role, Scope};
use portolan_runtime::RemoteIdentities;

use crate::{Deps, store};

const ALL_SCOPES: [Scope; 6] = [Scope::Api, Scope::Mcp, Scope::GenAi, Scope::Agentic, Scope::Dast, Scope::Endpoint];

/// Reads the grant through the cache.
pub async fn get(deps: &Deps, account_id: i64, user_id: i64, scope: Scope) -> Result<Arc<Grant>> {
    let lease = match deps.grants.get(&RemoteIdentities::grant_key(account_id, user_id, scope)) {
        Lookup::Hit(grant) => return Ok(grant),
        Lookup::Miss(lease) => lease,
    };
    let grant = Arc::new(read(deps, account_id, user_id, scope).await?);
    if let Some(lease) = lease {
        lease.fill(grant.clone());
    }
    Ok(grant)
}

/// Announces that the membership changes; hold the result until the transaction has committed.
pub(crate) fn announce(deps: &Deps, account_id: i64, user_id: i64) -> Change<Arc<Grant>> {
    deps.grants.begin_change(ALL_SCOPES.map(|scope| RemoteIdentities::grant_key(account_id, user_id, scope)))
}

/// Adds a collection to a restricted user's list; an unrestricted user already sees it.
pub async fn add_collection(deps: &Deps, account_id: i64, user_id: i64, collection_id: i32) -> Result<()> {
    let _change = announce(deps, account_id, user_id);
    let mut tx = deps.db.begin().await?;
    let membership = store::find_membership(&mut tx, account_id, user_id).await?;
    if let Some(mut ids) = membership.and_then(|membership| membership.collection_ids)
        && !ids.is_empty()
        && !ids.contains(&collection_id)
    {
        ids.push(collection_id);
        store::update_membership_collections(&mut tx, account_id, user_id, Some(&ids)).await?;
    }
    Ok(tx.commit().await?)
}

/// Restricts a user to these collections; an empty list lifts the restriction.
pub async fn set_collections(deps: &Deps, account_id: i64, user_id: i64, collection_ids: &[i32]) -> Result<()> {
    let _change = announce(deps, account_id, user_id);
    let mut tx = deps.db.begin().await?;
    store::update_membership_collections(&mut tx, account_id, user_id, Some(collection_ids)).await?;
    Ok(tx.commit().await?)
}

async fn read(deps: &Deps, account_id: i64, user_id: i64, scope: Scope) -> Result<Grant> {
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

/// A cache for one process, or none when readers live in others.
pub fn cache(one_process: bool) -> Cache<Arc<Grant>> {
    if one_process { Cache::memory() } else { Cache::Off }
}
