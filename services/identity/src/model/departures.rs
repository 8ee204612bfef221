//! Members who left.

use portolan_ids::{AccountId, UserId};

/// A membership that ended.
#[derive(Clone, Copy, Debug)]
pub struct Departure {
    /// The account that somebody leaves.
    pub account_id: AccountId,
    /// 0 for everybody in the account.
    pub user_id: UserId,
    /// Unix seconds.
    pub ended_at: i64,
}
