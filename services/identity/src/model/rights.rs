//! What memberships and roles come to: a grant for each scope, and their order.

use std::collections::BTreeMap;

use portolan_api::{Access, Feature};
use portolan_authz::{Grant, Role, Scope};

use super::{
    members::Membership,
    roles::{self, CustomRole},
};

/// Scopes that a mapping may name.
pub const MAPPED_SCOPES: [Scope; 4] = [Scope::Api, Scope::Agentic, Scope::Endpoint, Scope::Dast];

/// Whether a list restricts the member in every scope they have. A list of their own restricts all scopes, so it is not
/// begun for a member whose role leaves one of them open.
pub fn is_restricted(roles: &[CustomRole], membership: &Membership) -> bool {
    let mut grants = Scope::ALL.iter().map(|scope| evaluate(roles, membership, *scope));
    grants.all(|grant| grant.base_role == Role::NoAccess || grant.collections().is_some())
}

/// Everything that somebody holds in an account: a grant for each scope that a mapping may name.
pub struct Rights(Vec<Grant>);

impl Rights {
    /// What a membership gives, with authority over the organization or without.
    pub fn of(roles: &[CustomRole], membership: &Membership, is_administrator: bool) -> Self {
        let grants = MAPPED_SCOPES.map(|scope| evaluate(roles, membership, scope));
        let is_admin = grants[0].allows(Feature::AdminActions, Access::ReadWrite);
        Self(grants.map(|grant| grant.administering(is_administrator && is_admin)).into())
    }

    /// What a mapping gives to somebody who comes new into the account.
    pub fn of_mapping(roles: &[CustomRole], scope_roles: &BTreeMap<String, String>) -> Self {
        Self::of(roles, &Membership::with(scope_roles), false)
    }

    /// Nothing.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// In each scope.
    pub fn covers(&self, given: &Self) -> bool {
        let pairs = given.0.iter().enumerate();
        pairs.fold(true, |all, (scope, given)| {
            all && (given.base_role == Role::NoAccess || self.0.get(scope).is_some_and(|own| own.covers(given)))
        })
    }

    /// What the API scope gives, which decides what belongs to the account.
    pub fn in_api(&self) -> Option<&Grant> {
        self.0.first()
    }
}

/// The name of the role that a membership gives in a scope.
pub fn role_in(membership: &Membership, scope: Scope) -> &str {
    if membership.scope_roles.is_empty() {
        return membership.role.as_deref().unwrap_or(Role::Member.name());
    }
    membership.scope_roles.get(mapped(scope).name()).map_or(Role::NoAccess.name(), String::as_str)
}

/// What a membership gives in a scope: the role it names there, with what a custom role changes, and the collections of
/// role and member together. Neither listing any means all, unless a list was emptied by deletions.
pub fn evaluate(roles: &[CustomRole], membership: &Membership, scope: Scope) -> Grant {
    let name = role_in(membership, scope);
    let Some((base_role, custom)) = roles::resolve(roles, name) else {
        return Grant::new(name, Role::NoAccess, Some(Vec::new()));
    };
    let mut collections = membership.collection_ids.clone().unwrap_or_default();
    collections.extend(custom.iter().flat_map(|role| &role.collection_ids));
    let is_restricted = !collections.is_empty() || membership.is_emptied || custom.is_some_and(|role| role.is_emptied);
    let grant = Grant::new(name, base_role, is_restricted.then_some(collections));
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
