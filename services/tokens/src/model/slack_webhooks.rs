use portolan_ids::{AccountId, UserId, WebhookId};

/// Where messages for an account go, without the address.
#[derive(Clone, Debug, PartialEq)]
pub struct SlackWebhook {
    /// Unique in the installation, among API keys too.
    pub id: WebhookId,
    /// Whose messages go there.
    pub account_id: AccountId,
    /// Who made it.
    pub user_id: UserId,
    /// Their login.
    pub username: String,
    /// As its maker calls it.
    pub name: String,
    /// Host and last characters.
    pub shown: String,
    /// Unix seconds.
    pub created_at: i64,
}

/// Where messages for a webhook are posted.
pub struct Address {
    /// The webhook.
    pub id: WebhookId,
    /// Who made it.
    pub user_id: UserId,
    /// In clear.
    pub url: String,
}
