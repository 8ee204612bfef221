use portolan_ids::{AccountId, UserId};

/// A user in an account, or everybody in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Whose credentials they are.
    pub account_id: AccountId,
    /// `None` for everybody in the account.
    pub user_id: Option<UserId>,
    /// Unix seconds; what was made later is of a new membership.
    pub ended_at: i64,
}
