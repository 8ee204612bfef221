use portolan_record::Source;

/// What the records of one import have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub account_id: i64,
    pub collection_id: i64,
    /// Unix seconds of the import; a file's own times are not used.
    pub time: i64,
    pub source: Source,
}
