use portolan_ids::CollectionId;

use crate::model::endpoints::EndpointId;

/// Calls kept of an endpoint, the newest.
pub const SAMPLES_MAX: usize = 10;

/// The stored calls of one endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Calls {
    /// Whose they are.
    pub endpoint: EndpointId,
    /// The groups that show it.
    pub group_ids: Vec<CollectionId>,
    /// Ingest records as JSON texts, the newest first.
    pub records: Vec<String>,
}
