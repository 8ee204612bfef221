//! Usage on its way to the provider.

use portolan_ids::OrganizationId;

/// A usage that the provider has not been told.
pub struct Due {
    /// Whose usage it is.
    pub organization_id: OrganizationId,
    /// What is counted.
    pub feature: String,
    /// How much of it is used.
    pub value: i64,
}
