//! Who calls and what they may do.
//!
//! An edge credential is checked once, by identity, which answers a signed caller token of at most 60 s. Services verify
//! that token locally. It carries no role: the role is read at the moment of use, as a [`Grant`].
//!
//! # Invariants
//! - [`GuardLayer`] stands before every handler; an RPC without an access rule refuses everyone.
//! - A peer with another key or clock is refused as unavailable, with a line in the log: the fault is the operator's.
//! - An unknown role, an unreachable identity, an unreadable token: refused, never granted.
//! - Once a change guarded by [`Cache::begin_change`] is answered, no later read sees the value before it.
//!
//! Start with [`GuardLayer`] for the road of a request, with [`grant`](mod@grant) for the role matrix, with
//! [`Cache`] for the protocol that keeps cached grants and credentials fresh.

pub mod cache;
mod caller;
mod credential;
mod grant;
mod guard;
mod link;
mod peer_fault;
mod role;
mod service_auth;
mod token;

pub use cache::{Cache, Change, Changes, Lease, Lookup};
pub use caller::{Audited, Caller, CredentialKind, RequestInfo, Scope};
pub use credential::{Credential, ORGANIZATION_TOKEN_PREFIX, SESSION_COOKIE};
pub use grant::Grant;
pub use guard::{AuditSink, BoxFuture, Guard, GuardLayer, GuardService, Identities, Limits};
pub use link::{CertificateFiles, Redis, Session};
pub use peer_fault::{PEER_FAULT_HEADER, PeerFault};
pub use role::{Role, features_named};
pub use service_auth::{Distrusted, SKEW_S_MAX, ServiceAuth};
pub use token::{CallerClaims, CallerSigner, CallerVerifier, VerifyingKeys};

/// The cache of grants.
pub const GRANTS: &str = "grants";
/// The cache of the owners of API keys.
pub const API_KEYS: &str = "keys";

/// The key under which a grant is cached and a change of it announced.
pub fn grant_key(account_id: i64, user_id: i64, scope: Scope) -> String {
    format!("{account_id}/{user_id}/{}", scope.name())
}

/// The key under which a change of a custom role is announced. Names differ by more than case.
pub fn role_key(account_id: i64, role: &str) -> String {
    format!("{account_id}/role/{}", role.to_lowercase().replace('|', "/"))
}

/// The key under which the owner of an API key is cached and a change of it announced.
pub fn api_key_key(digest: &str) -> String {
    format!("key/{digest}")
}

/// Metadata that carries a caller token between services.
pub const CALLER_HEADER: &str = "x-portolan-caller";
/// Metadata by which services of the installation know each other.
pub const SERVICE_HEADER: &str = "x-portolan-service";
/// Metadata with the id of the request, for logs and answers.
pub const REQUEST_ID_HEADER: &str = "x-request-id";
/// Metadata with the id under which a write is idempotent.
pub const WRITE_ID_HEADER: &str = "x-portolan-write-id";
/// Metadata with the address of the client, as the gateway saw it. Read only beside a valid service or caller token.
pub const CLIENT_ADDRESS_HEADER: &str = "x-portolan-client-address";
/// Header that names the product scope of a call.
pub const SCOPE_HEADER: &str = "x-context-source";
