//! What tokens speaks of: no I/O, no wire, no SQL.

pub mod api_clients;
pub mod api_keys;
pub mod auth_settings;
pub(crate) mod bounds;
pub mod edge;
pub(crate) mod faults;
pub mod networks;
pub mod organization_tokens;
pub mod organizations;
pub mod profiles;
pub mod revocations;
pub mod scopes;
pub mod sealed;
pub mod secret;
pub mod slack_webhooks;
pub mod stored;
pub mod workspaces;
