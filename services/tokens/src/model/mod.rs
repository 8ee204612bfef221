//! What tokens speaks of: no I/O, no wire, no SQL.

/// Who calls the APIs.
pub mod api_clients;
/// Keys of users.
pub mod api_keys;
pub mod auth_settings;
pub(crate) mod bounds;
pub mod edge;
pub mod networks;
/// Tokens of organizations.
pub mod organization_tokens;
/// What is known of organizations.
pub mod organizations;
/// Credentials of clients.
pub mod profiles;
/// Ends of credentials.
pub mod revocations;
pub mod scopes;
pub mod sealed;
pub mod secret;
/// Where messages go.
pub mod slack_webhooks;
pub mod stored;
pub(crate) mod violations;
/// Customer workspaces of a vendor.
pub mod workspaces;
