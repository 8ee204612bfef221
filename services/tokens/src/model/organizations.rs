use portolan_ids::{AccountId, OrganizationId};

/// An organization as identity has it.
#[derive(Clone, Debug)]
pub struct Organization {
    /// UUID.
    pub id: OrganizationId,
    /// How the contract names it.
    pub public_id: String,
    /// Its accounts.
    pub account_ids: Vec<AccountId>,
    /// Whether its credentials are served.
    pub state: State,
}

/// Whether it may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// They are.
    Active,
    /// They are not yet.
    NotActivated,
    /// They are not, by a decision of the operator.
    Suspended,
}
