//! What things are: no I/O, no wire, no SQL.

pub mod audit;
pub mod audit_head;
/// Keys that chain the audit.
pub mod audit_key;
pub mod departures;
pub mod first_start;
pub mod invitations;
pub mod known_keys;
pub mod managed_users;
pub mod members;
pub mod oidc;
pub mod organizations;
pub mod push;
pub mod rights;
pub mod roles;
pub mod sealed;
pub mod sessions;
pub mod settings;
pub mod signing_keys;
pub mod stored;
pub mod tenants;
pub mod users;
