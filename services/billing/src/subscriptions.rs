//! Subscriptions of organizations, and the tokens of customers.

use portolan_api::{Error, Reason, Result};
use portolan_authz::Caller;
use portolan_ids::{OrganizationId, PlanId};

use crate::peers::{self, By};
use crate::provider::{Checkout, Order, Period, Provider};
use crate::{Deps, domains, organizations, store};

/// A subscription as it is asked for.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// The organization, as the client names it.
    pub customer_id: Option<String>,
    /// What is ordered.
    pub plan_id: Option<String>,
    /// How often it is paid, by name.
    pub billing_period: Option<String>,
    /// Where the browser goes after the payment.
    pub success_url: Option<String>,
    /// Where it goes without one.
    pub cancel_url: Option<String>,
}

/// What a client does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Where the browser pays; empty where nothing is to be paid.
    pub checkout_url: String,
    /// As the contract spells it.
    pub status: &'static str,
}

/// Subscribes the caller's organization. With SUCCESS the new plan holds for every question that comes later.
///
/// # Errors
/// `BILLING_MEMBER_REQUIRED`, `BILLING_PERIOD_INVALID`, `CHECKOUT_URL_INVALID`, `CUSTOMER_FOREIGN`, `PLAN_UNKNOWN`,
/// `BILLING_PROVIDER_UNAVAILABLE`.
pub async fn provision(deps: &Deps, caller: &Caller, wish: &Wish) -> Result<Outcome> {
    let customer_id = required(&wish.customer_id, "customerId")?;
    let plan_id = &PlanId::from(required(&wish.plan_id, "planId")?);
    let period = required(&wish.billing_period, "billingPeriod")?;
    let success_url = required(&wish.success_url, "successUrl")?;
    let cancel_url = required(&wish.cancel_url, "cancelUrl")?;
    let period = Period::parse(period).ok_or(Reason::BillingPeriodInvalid)?;
    for (member, url) in [("successUrl", success_url), ("cancelUrl", cancel_url)] {
        if !is_web_url(url) {
            return Err(Error::new(Reason::CheckoutUrlInvalid).with("member", member));
        }
    }
    let organization_id = &caller.organization_id;
    let own_customer_id = deps.plans.customer_id(organization_id);
    // UUIDs are compared without regard to case.
    if own_customer_id != customer_id && !customer_id.eq_ignore_ascii_case(organization_id.as_str()) {
        return Err(Reason::CustomerForeign.into());
    }
    if matches!(*deps.provider, Provider::BuiltIn(_)) && !deps.plans.contains(plan_id) {
        return Err(Reason::PlanUnknown.into());
    }
    let organization = store::organizations::get(&deps.db, organization_id).await?.unwrap_or_default();
    organizations::ensure_customer(deps, organization_id, &organization).await?;
    let order = Order { customer_id: &own_customer_id, plan_id, period, success_url, cancel_url };
    Ok(match deps.provider.subscribe(&order).await? {
        Checkout::Pending(checkout_url) => Outcome { checkout_url, status: "PENDING" },
        Checkout::Success => {
            store::organizations::set_plan(&deps.db, organization_id, plan_id, period.name()).await?;
            Outcome { checkout_url: success_url.to_owned(), status: "SUCCESS" }
        }
    })
}

/// The token of a customer: of the caller's own organization, or, where the installation allows it, of one whose
/// administrator has an address of the caller's domain. Every other organization answers as a missing one does.
///
/// # Errors
/// `BILLING_MEMBER_REQUIRED`, `CUSTOMER_ID_INVALID`, `ORGANIZATION_NOT_FOUND`, `BILLING_PROVIDER_UNAVAILABLE`.
pub async fn customer_token(deps: &Deps, caller: &Caller, customer_id: Option<&str>) -> Result<String> {
    let given = customer_id.map(str::trim).unwrap_or_default();
    if given.is_empty() {
        return Err(missing("customerId"));
    }
    let organization_id = match deps.plans.organization_of_customer(&given.into()) {
        Some(organization_id) => organization_id.clone(),
        None if is_uuid_shaped(given) => given.to_ascii_lowercase().into(),
        None => return Err(Reason::CustomerIdInvalid.into()),
    };
    if organization_id != caller.organization_id && !is_same_domain(deps, caller, &organization_id).await? {
        return Err(Reason::OrganizationNotFound.into());
    }
    // A customer whose plan nobody knows gets no token.
    organizations::entitlements(deps, &organization_id).await?;
    Ok(deps.provider.customer_token(&deps.plans.customer_id(&organization_id)))
}

/// Whether the administrator of an organization and the caller have addresses of one domain that is no mail provider's.
async fn is_same_domain(deps: &Deps, caller: &Caller, organization_id: &OrganizationId) -> Result<bool> {
    if !deps.rules.email_domain_rule {
        return Ok(false);
    }
    let found = match peers::organization(&deps.peers, By::Id(organization_id.clone().into())).await {
        Ok(found) => found,
        Err(error) if error.reason() == Reason::OrganizationNotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let login = peers::login(&deps.peers, caller.account_id, caller.user_id).await?;
    Ok(domains::agree(&found.admin_email, &login))
}

fn required<'w>(value: &'w Option<String>, member: &str) -> Result<&'w str> {
    match value.as_deref().map(str::trim) {
        Some(value) if !value.is_empty() => Ok(value),
        _ => Err(missing(member)),
    }
}

fn missing(member: &str) -> Error {
    Error::new(Reason::BillingMemberRequired).with("member", member)
}

fn is_web_url(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| ["http", "https"].contains(&url.scheme()) && url.has_host())
}

/// 8-4-4-4-12 letters and digits, not only hexadecimal ones.
fn is_uuid_shaped(id: &str) -> bool {
    let lengths = id.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && id.bytes().all(|byte| byte == b'-' || byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_shape_of_a_uuid() {
        assert!(is_uuid_shaped("123E4567-e89b-12d3-a456-426614174zzz"));
        for id in ["", "123", "123e4567-e89b-12d3-a456-42661417400", "123e4567_e89b_12d3_a456_426614174000"] {
            assert!(!is_uuid_shaped(id), "{id}");
        }
    }

    #[test]
    fn a_checkout_returns_to_the_web() {
        assert!(is_web_url("https://example.com/done?x=1") && is_web_url("http://localhost:3000"));
        for url in ["javascript:alert(1)", "/done", "ftp://example.com", "https://", "example.com"] {
            assert!(!is_web_url(url), "{url}");
        }
    }
}
