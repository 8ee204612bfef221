//! Accounts as the edge sees them.

use portolan_ids::AccountId;

/// An account and whether it is open: not closed itself, and of an organization that is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Which account it is.
    pub account_id: AccountId,
    /// Whether its people and credentials are served.
    pub is_open: bool,
    /// Grows with every change of any tenant's state.
    pub version: i64,
}
