//! Keys of caller tokens.

/// A key of caller tokens.
pub struct SigningKey {
    /// Names it in tokens.
    pub id: String,
    /// What others verify by.
    pub public_key: Vec<u8>,
    /// Sealed PKCS#8.
    pub private_key: Vec<u8>,
    /// Unix seconds.
    pub created_at: i64,
}
