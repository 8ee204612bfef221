//! Endpoints that a limited plan must have room for.

use portolan_ids::CollectionId;

/// An address that records show, as ingest will read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub collection_id: CollectionId,
    pub method: String,
    pub url: String,
    pub pinned: bool,
    pub proven: bool,
    /// JSON: digests of the names in request bodies.
    pub body_names: String,
}
