//! Tokens: credentials. Issues, lists, verifies and ends the API keys of users, the tokens of organizations, and the
//! access profiles by which callers of protected APIs are known. Decides at the edge which of their requests pass.
//!
//! Owns the tables `api_keys`, `organization_tokens`, `api_clients`, `api_profiles`, `access_tokens`, `slack_webhooks`,
//! `slack_messages`, `token_sequences`, `edge_replicas` and `edge_shadow_endpoints`. Asks identity for organizations,
//! workspaces and the logins of owners, and inventory for collections.
//!
//! # Invariants
//! - A whole secret is known here only while it is being answered; tables have digests.
//! - A secret with a wrong checksum is refused without a look-up.
//! - A deletion of an API key is announced to the cache of keys before it is written; other secrets are looked up at
//!   each use: from the answer on a dead one is refused.
//! - A change of what the edge enforces takes the next number of the change feed, first in its transaction.
//!
//! Start reading at [`organization_tokens`] or [`api_keys`]; [`secret`] is the form of a secret.

pub mod access_profiles;
pub mod api_clients;
pub mod api_keys;
mod bounds;
pub mod changes;
pub mod client_keys;
mod clock;
mod deps;
pub mod enforce;
pub mod leaked_keys;
mod migrations;
pub mod model;
pub mod oauth;
mod options;
pub mod organization_tokens;
mod peers;
pub mod profiles;
mod rates;
pub mod revocations;
mod rpc;
mod service;
pub mod slack_webhooks;
mod store;
mod worker;
pub mod workspaces;

pub use deps::Deps;
pub use migrations::TABLES;
pub use model::{sealed::SEALED, secret, stored::STORED};
pub use options::{EdgeOptions, Options, TokenRules, TokensOptions};
pub use rates::Rates;
pub use service::{Tokens, check, edge_token};
