//! Enforcement at the edge: which requests of which callers reach a protected API.
//!
//! A proxy asks before it passes a request on. The answer comes from memory: [`Profiles`] by what callers show, and
//! [`Routes`] by host and path. [`feed`] keeps both current.
//!
//! # Invariants
//! - The steps of [`decide`] come in their order, so that a caller learns no more than the first reason to refuse.
//! - What cannot be decided is refused: missing or old knowledge, an unreadable setting, a provider without keys.
//! - Proxy, upstream and this code read the same path, or the request is refused.
//! - Once a change of a profile was answered, no request that comes later is decided by what was before.
//!
//! Start reading at [`decide`].

pub mod credential;
mod decide;
mod edge;
mod feed;
mod fresh;
mod host;
mod hosts;
mod inner;
mod key_source;
mod limiter;
mod method;
mod mtls;
mod path;
mod policy;
/// What a credential opens, and how it is proven.
pub mod profile;
mod profiles;
mod proxy_tokens;
mod routes;
mod rules;
mod shadow;
mod trie;
mod verdict;
mod verified;

pub use edge::Edge;
pub use host::host_name;
pub use hosts::Hosts;
pub use method::Method;
pub use profiles::Profiles;
pub use proxy_tokens::derived_token;
pub use routes::Routes;
pub use rules::EdgeRules;
pub use verdict::{Call, Caller, Refusal, Verdict};
