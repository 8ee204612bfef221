//! Organizations as billing knows them.

use portolan_ids::{AccountId, OrganizationId, PlanId};

use super::entitlements::Entitlements;

/// What is stored of an organization.
#[derive(Clone, Debug, Default)]
pub struct Organization {
    /// `None` before the first subscription.
    pub plan_id: Option<PlanId>,
    /// The provider knows it as a customer.
    pub is_customer: bool,
    /// Grows with every change of the plan.
    pub version: i64,
    /// What the provider answered last, when, and under which version.
    pub entitlements: Option<Entitlements>,
    /// Unix seconds of the provider's last answer; 0 before the first.
    pub fetched_at: i64,
    /// The version for which it was asked.
    pub fetched_version: i64,
}

/// An organization as identity has it.
#[derive(Clone, Debug, Default)]
pub struct FoundOrganization {
    /// A UUID.
    pub id: OrganizationId,
    /// As its administrator calls it.
    pub name: String,
    /// Its accounts.
    pub account_ids: Vec<AccountId>,
    /// Of its first administrator.
    pub admin_email: String,
}
