//! Browsers that take messages, and the messages.

use portolan_ids::{AccountId, UserId};

/// A browser that takes messages.
#[derive(Clone, Debug)]
pub struct Device {
    pub endpoint_digest: String,
    pub endpoint: String,
    pub p256dh: String,
    pub auth: String,
}

/// A message for one device whose time has come.
#[derive(Clone, Debug)]
pub struct Due {
    pub account_id: AccountId,
    pub message_id: String,
    pub user_id: UserId,
    pub endpoint_digest: String,
    pub payload: String,
    /// With the one that begins now.
    pub attempts: i64,
}
