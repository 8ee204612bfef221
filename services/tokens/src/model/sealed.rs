//! Columns whose values are sealed.

use portolan_runtime::{sealed::Column, sealed_column};

/// HMAC secrets of clients.
pub const CLIENT_SECRET: Column = sealed_column!("api_clients", "jwt_secret", "client_id", Number, Bytes);
/// HMAC secrets of profiles of the first generation.
pub const PROFILE_SECRET: Column = sealed_column!("api_profiles", "jwt_secret", "profile_id", Number, Bytes);
/// Addresses of webhooks.
pub const WEBHOOK_URL: Column = sealed_column!("slack_webhooks", "url", "webhook_id", Number, Bytes);

/// Every one of them.
pub const SEALED: [&Column; 3] = [&CLIENT_SECRET, &PROFILE_SECRET, &WEBHOOK_URL];
