//! Browsers that take messages, and the messages.

use portolan_ids::{AccountId, UserId};

/// A browser that takes messages.
#[derive(Clone, Debug)]
pub struct Device {
    /// SHA-256 of the endpoint, in hex.
    pub endpoint_digest: String,
    /// The URL at the push service.
    pub endpoint: String,
    /// The browser's public key, in base64url.
    pub p256dh: String,
    /// The secret that the browser shares, in base64url.
    pub auth: String,
}

/// A message for one device whose time has come.
#[derive(Clone, Debug)]
pub struct Due {
    /// Of the user whose device it is for.
    pub account_id: AccountId,
    /// A repeat of it is not sent again.
    pub message_id: String,
    /// Whose device it is for.
    pub user_id: UserId,
    /// Which device it is for.
    pub endpoint_digest: String,
    /// What the device gets, before it is encrypted.
    pub payload: String,
    /// With the one that begins now.
    pub attempts: i64,
}
