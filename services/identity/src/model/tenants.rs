//! Accounts as the edge sees them.

/// An account and whether it is open: not closed itself, and of an organization that is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tenant {
    pub account_id: i64,
    pub is_open: bool,
    pub version: i64,
}
