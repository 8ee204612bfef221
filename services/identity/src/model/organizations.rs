//! Organizations.

use portolan_ids::{AccountId, OrganizationId, UserId};

/// An organization.
#[derive(Clone, Debug, PartialEq)]
pub struct Organization {
    /// UUID.
    pub id: OrganizationId,
    /// `org_…`
    pub public_id: String,
    /// As its administrator calls it.
    pub name: String,
    /// Unique in the installation.
    pub sub_domain: String,
    /// Whether its people and credentials are served.
    pub state: State,
}

/// Whether an organization may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// They are.
    Active,
    /// They are not, by a decision of the operator.
    Suspended,
    /// They are not yet.
    NotActivated,
}

impl State {
    /// As the contract spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Suspended => "SUSPENDED",
            Self::NotActivated => "NOT_ACTIVATED",
        }
    }

    /// The state of a documented name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Active, Self::Suspended, Self::NotActivated].into_iter().find(|state| state.name() == name)
    }
}

/// A name that an organization is found by.
#[derive(Clone, Debug)]
pub enum By {
    /// By its UUID.
    Id(OrganizationId),
    /// By its public id.
    PublicId(String),
    /// By its sub-domain.
    SubDomain(String),
    /// By one of its accounts.
    Account(AccountId),
}

/// An organization that is made.
pub struct NewOrganization {
    /// A UUID.
    pub id: OrganizationId,
    /// How the contract names it.
    pub public_id: String,
    /// As its administrator calls it.
    pub name: String,
    /// Unique in the installation.
    pub sub_domain: String,
    /// Unix seconds.
    pub created_at: i64,
}

/// Who administers an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Administrator {
    /// The user.
    pub user_id: UserId,
    /// Their e-mail address.
    pub login: String,
    /// How they are called.
    pub name: String,
    /// Unix seconds.
    pub since: i64,
}
