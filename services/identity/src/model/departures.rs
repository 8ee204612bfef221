//! Members who left.

/// A membership that ended.
#[derive(Clone, Copy, Debug)]
pub struct Departure {
    pub account_id: i64,
    /// 0 for everybody in the account.
    pub user_id: i64,
    /// Unix seconds.
    pub ended_at: i64,
}
