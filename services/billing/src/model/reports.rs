//! Usage on its way to the provider.

/// A usage that the provider has not been told.
pub struct Due {
    pub organization_id: String,
    pub feature: String,
    pub value: i64,
}
