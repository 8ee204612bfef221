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
//! [`Cache`] for the protocol that keeps cached grants and credentials fresh, with [`near`] for the copies before it.

pub mod cache;
mod caller;
mod credential;
mod failed;
mod grant;
mod guard;
mod headers;
mod keys;
mod link;
pub mod near;
mod news;
mod peer_fault;
mod roads;
mod role;
mod scope;
mod service_auth;
mod token;
mod watched;
mod weigh;

pub use cache::{Cache, Changes, Lease, Lookup, PendingChange};
pub use caller::{Audited, Caller, CredentialKind, RequestInfo};
pub use credential::{Credential, ORGANIZATION_TOKEN_PREFIX, SESSION_COOKIE};
pub use failed::{FailedAuthentication, Shown};
pub use grant::Grant;
pub use guard::{AuditSink, BoxFuture, Guard, GuardLayer, GuardService, Identities, PlanLimits};
pub use headers::{
    CALLER_HEADER, CLIENT_ADDRESS_HEADER, REQUEST_ID_HEADER, SCOPE_HEADER, SERVICE_HEADER, WRITE_ID_HEADER,
};
pub use keys::{API_KEYS, GRANTS, api_key_key, grant_key, role_key, session_key};
pub use link::{CertificateFiles, LinkSession, Redis};
pub use near::{Ended, Near};
pub use peer_fault::{PEER_FAULT_HEADER, PeerFault};
pub use roads::{INSTALLATION, RoadKeys, RootRoads, SERVICES, SPEAKERS, road_key, service_of};
pub use role::{Role, features_named};
pub use scope::Scope;
pub use service_auth::{Distrusted, SKEW_S_MAX, ServiceAuth};
pub use token::{Audience, CallerClaims, CallerSigner, CallerVerifier, VerifyingKeys};
pub use weigh::Weigh;
