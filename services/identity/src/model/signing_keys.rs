//! Keys of caller tokens.

/// A key of caller tokens.
pub struct SigningKey {
    pub id: String,
    pub public_key: Vec<u8>,
    /// Sealed PKCS#8.
    pub private_key: Vec<u8>,
    pub created_at: i64,
}
