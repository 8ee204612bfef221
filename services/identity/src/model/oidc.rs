//! Logins by single sign-on.

/// A login that a provider has not answered yet.
pub struct OidcLogin {
    pub state_digest: String,
    pub nonce: String,
    /// Sealed.
    pub verifier: Vec<u8>,
    /// Empty without an invitation.
    pub invitation_digest: String,
    pub redirect_path: String,
    pub expires_at: i64,
}
