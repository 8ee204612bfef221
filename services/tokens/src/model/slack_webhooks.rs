/// Where messages for an account go, without the address.
#[derive(Clone, Debug, PartialEq)]
pub struct SlackWebhook {
    pub id: i32,
    pub account_id: i64,
    pub user_id: i64,
    pub username: String,
    pub name: String,
    /// Host and last characters.
    pub shown: String,
    /// Unix seconds.
    pub created_at: i64,
}

/// Where messages for a webhook are posted.
pub struct Address {
    pub id: i32,
    pub user_id: i64,
    pub url: String,
}
