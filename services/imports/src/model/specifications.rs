//! Specifications of collections, kept without values.

/// The specification of a collection.
#[derive(Clone, Debug)]
pub struct Specification {
    pub name: String,
    /// JSON text.
    pub content: String,
    /// Unix seconds.
    pub updated_at: i64,
}
