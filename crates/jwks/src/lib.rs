//! Signed tokens: strict reading and verification of JWS in compact form, rules for their claims, and the key sets of
//! identity providers.
//!
//! # Invariants
//! - The key decides which algorithms count; the token's `alg` must be one of them. `none` is no algorithm here.
//! - Nothing in a token's header chooses a key or causes a fetch, except that `kid` picks one of a set that is already
//!   configured: `jwk`, `jku`, `x5u` and `x5c` are never read.
//! - A token reads in one way only: base64url without padding or stray bits, no name twice in an object at any depth,
//!   three segments, bounded sizes. A header that asks for an extension (`crit`, `b64`) is refused.
//! - A key set that cannot be fetched never lets a token pass that its last known form would refuse.
//!
//! Start reading at [`Jws::parse`]; [`KeySets`] fetches and keeps the sets.

mod algorithm;
mod claims;
mod fetch;
mod json;
mod jws;
mod key;
mod options;
mod set;
mod state;

pub use algorithm::Algorithm;
pub use claims::{ClaimError, Rules};
pub use fetch::{FetchFuture, Fetched, HttpGet, KeySets, Source, SourceError};
pub use jws::{Compact, Jws, JwsError, TOKEN_BYTES_MAX};
pub use key::{Key, KeyError};
pub use options::KeySetOptions;
pub use serde_json;
pub use set::{KEYS_MAX, KeySet, SET_BYTES_MAX, SetError};
