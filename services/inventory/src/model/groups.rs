use std::collections::BTreeMap;

/// The kind of a collection that is a group.
pub const GROUP_KIND: &str = "API_GROUP";

/// By group, how many members it has more or fewer.
pub(crate) type Counts = BTreeMap<i32, i64>;

/// Something about the endpoints of one owner that one group shows.
pub struct OfGroup<T> {
    pub group_id: i32,
    pub owner_id: i32,
    pub value: T,
}
