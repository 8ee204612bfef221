//! Organizations as billing knows them.

use portolan_ids::AccountId;

use super::entitlements::Entitlements;

/// What is stored of an organization.
#[derive(Clone, Debug, Default)]
pub struct Organization {
    /// `None` before the first subscription.
    pub plan_id: Option<String>,
    /// The provider knows it as a customer.
    pub is_customer: bool,
    pub version: i64,
    /// What the provider answered last, when, and under which version.
    pub entitlements: Option<Entitlements>,
    pub fetched_at: i64,
    pub fetched_version: i64,
}

/// An organization as identity has it.
#[derive(Clone, Debug, Default)]
pub struct FoundOrganization {
    pub id: String,
    pub name: String,
    pub account_ids: Vec<AccountId>,
    pub admin_email: String,
}
