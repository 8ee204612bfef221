use portolan_ids::AccountId;

/// An organization as identity has it.
#[derive(Clone, Debug)]
pub struct Organization {
    /// UUID.
    pub id: String,
    pub public_id: String,
    pub account_ids: Vec<AccountId>,
    pub state: State,
}

/// Whether it may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Active,
    NotActivated,
    Suspended,
}
