use std::collections::BTreeMap;

/// The kind of a collection that is a group.
pub const GROUP_KIND: &str = "API_GROUP";

/// By group, how many members it has more or fewer.
pub(crate) type Counts = BTreeMap<i32, i64>;

/// Something about the endpoints of one owner that one group shows.
pub struct OfGroup<T> {
    /// Whose it is.
    pub group_id: i32,
    /// The collection that the endpoint belongs to.
    pub owner_id: i32,
    /// What is told of the group.
    pub value: T,
}
