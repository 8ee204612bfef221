//! Steps of the first start.

/// What became of a step of the first start.
pub enum FirstStep {
    Done,
    /// Another process is at it.
    Taken,
    Claimed {
        account_id: i64,
        user_id: i64,
        claim: String,
    },
}
