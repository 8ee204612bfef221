//! Sessions of people.

use portolan_ids::{AccountId, UserId};

/// A session as the server knows it.
#[derive(Clone, Debug)]
pub struct Session {
    pub digest: String,
    pub access_digest: String,
    pub user_id: UserId,
    pub account_id: AccountId,
    pub created_at: i64,
    pub used_at: i64,
    /// The provider's token of a single sign-on, sealed; its logout asks for it.
    pub id_token: Option<Vec<u8>>,
}

/// What a session that begins has of what was before it: a login, or a session that it takes the place of.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    pub begun_at: i64,
    pub id_token: Option<String>,
}

impl Origin {
    /// A login by password, or a sign-up.
    pub fn at(begun_at: i64) -> Self {
        Self { begun_at, id_token: None }
    }
}
