//! Accounts as the edge sees them.

use portolan_ids::AccountId;

/// An account and whether it is open: not closed itself, and of an organization that is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tenant {
    pub account_id: AccountId,
    pub is_open: bool,
    pub version: i64,
}
