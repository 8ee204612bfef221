//! API keys as identity remembers them.

use std::{
    collections::HashMap,
    sync::{Mutex, atomic::AtomicI64},
};

use portolan_authz::{CredentialKind, Scope};
use portolan_ids::{AccountId, ApiKeyId, OrganizationId, UserId};
use serde::{Deserialize, Serialize};

/// The owner of a key, as tokens tells it.
pub struct KeyOwner {
    /// The key.
    pub id: ApiKeyId,
    /// The account that it acts in.
    pub account_id: AccountId,
    /// Whose rights it has.
    pub user_id: UserId,
    /// What it may be used for.
    pub kind: CredentialKind,
    /// Unix seconds from which on the secret is refused.
    pub valid_until: Option<i64>,
}

/// The owner of an organization token, as tokens tells it.
pub struct TokenOwner {
    /// The token.
    pub id: String,
    /// Whose it is, a UUID.
    pub organization_id: OrganizationId,
    /// The account in which it was made; 0 for one that knows none.
    pub account_id: AccountId,
    /// What it opens.
    pub scopes: Vec<String>,
    /// Unix seconds at which it ends.
    pub valid_until: Option<i64>,
    /// Whether it may be used from some addresses only.
    pub has_networks: bool,
}

/// What a token is made for: scope, address of the client, and who speaks to whom.
pub(crate) type Slot = (Scope, String, String);

/// The owner of an API key, with the tokens made for it in this process. Forgotten as soon as the key changes.
#[derive(Serialize, Deserialize)]
pub struct KnownKey {
    pub(crate) id: String,
    pub(crate) account_id: AccountId,
    pub(crate) user_id: UserId,
    pub(crate) kind: CredentialKind,
    pub(crate) organization_id: OrganizationId,
    /// Unix seconds from which on this secret is refused.
    pub(crate) valid_until: Option<i64>,
    /// When this process last told tokens of a use, in Unix seconds.
    #[serde(skip)]
    pub(crate) told_at: AtomicI64,
    #[serde(skip)]
    pub(crate) tokens: Mutex<HashMap<Slot, (String, i64)>>,
}
