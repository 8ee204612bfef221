/// A user in an account, or everybody in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub account_id: i64,
    /// `None` for everybody in the account.
    pub user_id: Option<i64>,
    /// Unix seconds; what was made later is of a new membership.
    pub ended_at: i64,
}
