//! Sessions of people.

/// Where ID tokens are sealed.
pub const ID_TOKEN_PLACE: &str = "sessions.id_token";

/// A session as the server knows it.
#[derive(Clone, Debug)]
pub struct Session {
    pub digest: String,
    pub access_digest: String,
    pub user_id: i64,
    pub account_id: i64,
    pub created_at: i64,
    pub used_at: i64,
    /// The provider's token of a single sign-on, sealed; its logout asks for it.
    pub id_token: Option<Vec<u8>>,
}

impl Session {
    /// What a single sign-on gives a session that begins now.
    pub fn with_id_token(sealed: Vec<u8>, now: i64) -> Self {
        let empty = String::new;
        let (digest, access_digest) = (empty(), empty());
        Self { digest, access_digest, user_id: 0, account_id: 0, created_at: now, used_at: now, id_token: Some(sealed) }
    }
}
