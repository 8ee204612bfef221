//! Members of accounts.

use std::collections::BTreeMap;

use portolan_authz::Role;
use portolan_ids::{CollectionId, UserId};

use super::roles;

/// What a user is in an account.
pub struct Membership {
    /// In every scope that `scope_roles` does not name.
    pub role: Option<String>,
    /// The role in each product scope.
    pub scope_roles: BTreeMap<String, String>,
    /// `None` and empty: every collection, unless it was emptied.
    pub collection_ids: Option<Vec<CollectionId>>,
    /// Every collection of the list was deleted: the empty list restricts to none.
    pub is_emptied: bool,
}

impl Membership {
    /// Of somebody who comes new into an account.
    pub fn with(scope_roles: &BTreeMap<String, String>) -> Self {
        Self { role: None, scope_roles: scope_roles.clone(), collection_ids: None, is_emptied: false }
    }

    /// Every role name that it gives.
    pub fn role_names(&self) -> impl Iterator<Item = &str> {
        self.role.as_deref().into_iter().chain(self.scope_roles.values().map(String::as_str))
    }

    /// Whether the role with this key is one of them.
    pub fn holds(&self, role_key: &str) -> bool {
        self.role_names().any(|name| roles::key(name) == role_key)
    }
}

/// A user with what they are in an account.
pub struct Member {
    /// The user.
    pub user_id: UserId,
    /// Their e-mail address.
    pub login: String,
    /// How they are called.
    pub name: String,
    /// What they are in the account.
    pub membership: Membership,
}

/// How the first account is named.
pub const ACCOUNT_NAME: &str = "My account";
/// Scopes in which the maker of an account is ADMIN.
const FOUNDER_SCOPES: [&str; 4] = ["API", "ENDPOINT", "DAST", "AGENTIC"];

/// What the maker of an account is in it.
pub fn admin_everywhere() -> BTreeMap<String, String> {
    FOUNDER_SCOPES.iter().map(|scope| (scope.to_string(), Role::Admin.name().to_owned())).collect()
}
