//! Steps of the first start.

use portolan_ids::{AccountId, UserId};

/// What became of a step of the first start.
pub enum FirstStep {
    /// The step is over.
    Done,
    /// Another process is at it.
    Taken,
    /// This process is at it.
    Claimed {
        /// The first account.
        account_id: AccountId,
        /// Its administrator.
        user_id: UserId,
        /// What the step is ended by.
        claim: String,
    },
}
