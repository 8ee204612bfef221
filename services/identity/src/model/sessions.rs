//! Sessions of people.

use portolan_ids::{AccountId, UserId};

/// A session as the server knows it.
#[derive(Clone, Debug)]
pub struct Session {
    /// SHA-256 of the cookie, in hex.
    pub digest: String,
    /// SHA-256 of the access token, in hex.
    pub access_digest: String,
    /// Who is signed in.
    pub user_id: UserId,
    /// The account that it acts in.
    pub account_id: AccountId,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds of the last use.
    pub used_at: i64,
    /// The provider's token of a single sign-on, sealed; its logout asks for it.
    pub id_token: Option<Vec<u8>>,
}

/// What a session that begins has of what was before it: a login, or a session that it takes the place of.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// Unix seconds of the login.
    pub begun_at: i64,
    /// Of single sign-on; the provider wants it back at logout.
    pub id_token: Option<String>,
}

impl Origin {
    /// A login by password, or a sign-up.
    pub fn at(begun_at: i64) -> Self {
        Self { begun_at, id_token: None }
    }
}
