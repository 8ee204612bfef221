//! Users, whatever the account.

use portolan_ids::UserId;

/// A user, whatever the account.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// Unique in the installation.
    pub id: UserId,
    /// E-mail address as given.
    pub login: String,
    /// How they are called.
    pub name: String,
    /// In the form of PHC; empty without a password.
    pub password_hash: String,
    /// Unix seconds; 0 for never.
    pub last_login_at: i64,
}

/// Longest login, in characters: the longest e-mail address (RFC 5321, 4.5.3.1.3).
const LOGIN_CHARS_MAX: usize = 254;

/// Whether a text may be a login at all. What is longer is refused before anything is looked up, counted, or stored.
pub fn is_login(text: &str) -> bool {
    text.chars().nth(LOGIN_CHARS_MAX).is_none()
}

/// Logins are compared without regard to case and surrounding space.
pub fn login_key(login: &str) -> String {
    login.trim().to_lowercase()
}
