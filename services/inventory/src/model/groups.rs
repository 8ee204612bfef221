use std::collections::BTreeMap;

use portolan_ids::CollectionId;

/// The kind of a collection that is a group.
pub const GROUP_KIND: &str = "API_GROUP";

/// By group, how many members it has more or fewer.
pub(crate) type Counts = BTreeMap<CollectionId, i64>;

/// Something about the endpoints of one owner that one group shows.
pub struct OfGroup<T> {
    /// Whose it is.
    pub group_id: CollectionId,
    /// The collection that the endpoint belongs to.
    pub owner_id: CollectionId,
    /// What is told of the group.
    pub value: T,
}
