//! Organizations.

use portolan_ids::{AccountId, UserId};

/// An organization.
#[derive(Clone, Debug, PartialEq)]
pub struct Organization {
    /// UUID.
    pub id: String,
    /// `org_…`
    pub public_id: String,
    pub name: String,
    pub sub_domain: String,
    pub state: State,
}

/// Whether an organization may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Active,
    Suspended,
    NotActivated,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Suspended => "SUSPENDED",
            Self::NotActivated => "NOT_ACTIVATED",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Self::Active, Self::Suspended, Self::NotActivated].into_iter().find(|state| state.name() == name)
    }
}

/// A name that an organization is found by.
#[derive(Clone, Debug)]
pub enum By {
    Id(String),
    PublicId(String),
    SubDomain(String),
    Account(AccountId),
}

/// An organization that is made.
pub struct NewOrganization {
    pub id: String,
    pub public_id: String,
    pub name: String,
    pub sub_domain: String,
    pub created_at: i64,
}

/// Who administers an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Administrator {
    pub user_id: UserId,
    pub login: String,
    pub name: String,
    /// Unix seconds.
    pub since: i64,
}
