use portolan_ids::{AccountId, UserId, WebhookId};

/// Where messages for an account go, without the address.
#[derive(Clone, Debug, PartialEq)]
pub struct SlackWebhook {
    pub id: WebhookId,
    pub account_id: AccountId,
    pub user_id: UserId,
    pub username: String,
    pub name: String,
    /// Host and last characters.
    pub shown: String,
    /// Unix seconds.
    pub created_at: i64,
}

/// Where messages for a webhook are posted.
pub struct Address {
    pub id: WebhookId,
    pub user_id: UserId,
    pub url: String,
}
