//! Identity: organizations, their accounts, users, sessions, and the role each user holds in each account.
//!
//! Tables: `organizations`, `accounts` (customer workspaces among them), `account_settings`, `users`,
//! `user_identities`, `memberships`, `custom_roles`, `invitations`, `password_resets`, `sessions`, `oidc_logins`,
//! `push_devices`, `push_messages`, `audit_events`, `audit_heads`, `audit_keys`, `signing_keys`, `installation_keys`.
//! It asks the tokens service for the owner of an API key, and inventory which collections an account has.
//!
//! # Invariants
//! - A caller token is signed here and nowhere else, for 60 s, and carries no role.
//! - A user without a membership in an account has no access to it; a role that cannot be resolved is NO_ACCESS.
//! - Sessions and access tokens are stored as digests; passwords as Argon2id.
//! - Events of the audit are appended to, never changed; each holds a MAC over itself and the one before it.
//! - Every change of a membership or a role goes through `grants::change`: announced to the cache of grants before its
//!   transaction begins, and answered when every reader has it. The store takes no other transaction for it. It
//!   stands in the audit by that same transaction.
//! - Changes of one account's roles and members hold the account's row lock: names, the single default and the last
//!   ADMIN are decided one change after the other.
//!
//! Start reading at [`authentication`] for the edge, at [`grants`] for roles.

pub mod accounts;
pub mod administrators;
pub mod audit;
pub mod authentication;
mod bootstrap;
mod clock;
mod collections;
mod departures;
mod deps;
mod failures;
pub mod grants;
mod history;
pub mod invitations;
pub mod mail;
pub mod managed_users;
pub mod members;
mod migrations;
pub mod model;
pub mod oidc;
pub mod operator;
mod options;
pub mod organizations;
mod passwords;
mod peers;
pub mod provider;
pub mod push;
mod random;
pub mod resets;
pub mod retention;
pub mod roles;
mod rpc;
mod service;
pub mod sessions;
pub mod settings;
mod signing;
pub mod signup;
mod store;
mod suspension;
pub mod tenants;
mod throttle;
pub mod users;
mod web_push;
mod worker;

pub use bootstrap::{FirstStart, first_start};
pub use clock::Clock;
pub use deps::Deps;
pub use migrations::TABLES;
pub use model::{sealed::SEALED, stored::STORED};
pub use options::{AdminOptions, AuditOptions, IdentityOptions, MailOptions, OidcOptions, Options};
pub use service::Identity;
