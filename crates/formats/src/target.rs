use portolan_record::Source;

/// What the records of one import have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The account that the records are for.
    pub account_id: i64,
    /// The collection that they are for.
    pub collection_id: i64,
    /// Unix seconds of the import; a file's own times are not used.
    pub time: i64,
    /// How they reach the inventory.
    pub source: Source,
}
