//! Usage on its way to the provider.

/// A usage that the provider has not been told.
pub struct Due {
    /// Whose usage it is.
    pub organization_id: String,
    /// What is counted.
    pub feature: String,
    /// How much of it is used.
    pub value: i64,
}
