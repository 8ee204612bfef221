//! Under which keys values are cached and changes of them announced.

use portolan_ids::{AccountId, UserId};

use crate::Scope;

/// The cache of grants.
pub const GRANTS: &str = "grants";
/// The cache of the owners of API keys.
pub const API_KEYS: &str = "keys";

/// The key under which a grant is cached and a change of it announced.
pub fn grant_key(account_id: AccountId, user_id: UserId, scope: Scope) -> String {
    format!("{account_id}/{user_id}/{}", scope.name())
}

/// The key under which a change of a custom role is announced. Names differ by more than case.
pub fn role_key(account_id: AccountId, role: &str) -> String {
    format!("{account_id}/role/{}", role.to_lowercase().replace('|', "/"))
}

/// The key under which the owner of an API key is cached and a change of it announced.
pub fn api_key_key(digest: &str) -> String {
    format!("key/{digest}")
}

/// The name by which the end of a user's sessions is told.
pub fn session_key(user_id: UserId) -> String {
    format!("session/{user_id}")
}
