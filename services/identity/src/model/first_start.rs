//! Steps of the first start.

use portolan_ids::{AccountId, UserId};

/// What became of a step of the first start.
pub enum FirstStep {
    Done,
    /// Another process is at it.
    Taken,
    Claimed {
        account_id: AccountId,
        user_id: UserId,
        claim: String,
    },
}
