//! Logins by single sign-on.

/// A login that a provider has not answered yet.
pub struct OidcLogin {
    /// SHA-256 of the state that the browser brings back, in hex.
    pub state_digest: String,
    /// What the ID token must hold.
    pub nonce: String,
    /// Sealed.
    pub verifier: Vec<u8>,
    /// Empty without an invitation.
    pub invitation_digest: String,
    /// Where the browser goes afterwards.
    pub redirect_path: String,
    /// Unix seconds.
    pub expires_at: i64,
}
