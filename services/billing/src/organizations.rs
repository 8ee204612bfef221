//! Organizations as billing knows them: their accounts, and the plan each has.

use portolan_api::{Error, Result};
use portolan_ids::{AccountId, OrganizationId};

use crate::model::{entitlements::Entitlements, organizations::Organization, subscriptions::Customer};
use crate::peers::{self, By};
use crate::provider::Provider;
use crate::{Deps, store};

/// The organization that an account belongs to.
///
/// # Errors
/// `ORGANIZATION_NOT_FOUND`, `UNAVAILABLE`.
pub async fn of_account(deps: &Deps, account_id: AccountId) -> Result<OrganizationId> {
    if let Some(organization_id) = store::organizations::of_account(&deps.db, account_id).await? {
        return Ok(organization_id);
    }
    let found = peers::organization(&deps.peers, By::AccountId(account_id.into())).await?;
    // An account that is being closed is no longer listed, but still belongs there.
    let account_ids = found.account_ids.iter().copied().chain([account_id]).collect::<Vec<_>>();
    store::organizations::insert(&deps.db, &found.id, &account_ids).await?;
    Ok(found.id)
}

/// Asks identity for an organization and keeps its accounts.
pub async fn refresh_accounts(deps: &Deps, organization_id: &OrganizationId) -> Result<Vec<AccountId>> {
    let found = peers::organization(&deps.peers, By::Id(organization_id.clone().into())).await?;
    store::organizations::insert(&deps.db, organization_id, &found.account_ids).await?;
    // Accounts that were closed stay: what they used is still to be set to nothing.
    Ok(store::organizations::list_accounts(&deps.db, organization_id).await?)
}

/// What the plan of an organization includes at this moment.
///
/// # Errors
/// `BILLING_PROVIDER_UNAVAILABLE` when the provider does not answer and its last answer is too old or of an earlier
/// plan.
pub async fn entitlements(deps: &Deps, organization_id: &OrganizationId) -> Result<Entitlements> {
    let organization = store::organizations::get(&deps.db, organization_id).await?.unwrap_or_default();
    let Provider::Stigg(stigg) = &*deps.provider else {
        return Ok(built_in(deps, organization_id, &organization));
    };
    let age_s = deps.clock.now().saturating_sub(organization.fetched_at);
    let known = organization.entitlements.clone().filter(|_| organization.fetched_version == organization.version);
    if let Some(known) = &known
        && age_s < deps.rules.refresh_s
    {
        return Ok(known.clone());
    }
    // One question at a time: whoever waited finds the answer of the one before.
    let _turn = deps.fetching.lock().await;
    let organization = store::organizations::get(&deps.db, organization_id).await?.unwrap_or_default();
    let known = organization.entitlements.clone().filter(|_| organization.fetched_version == organization.version);
    let age_s = deps.clock.now().saturating_sub(organization.fetched_at);
    if let Some(known) = &known
        && (age_s < deps.rules.refresh_s || (stigg.is_resting() && age_s < deps.rules.stale_s))
    {
        return Ok(known.clone());
    }
    match fetch(deps, organization_id, &organization).await {
        Ok(entitlements) => Ok(entitlements),
        Err(error) => match known {
            Some(known) if age_s < deps.rules.stale_s => Ok(known),
            _ => Err(error),
        },
    }
}

/// What is known of the plan without asking the provider.
pub async fn known_entitlements(deps: &Deps, organization_id: &OrganizationId) -> Result<Option<Entitlements>> {
    let organization = store::organizations::get(&deps.db, organization_id).await?.unwrap_or_default();
    Ok(match &*deps.provider {
        Provider::BuiltIn(_) => Some(built_in(deps, organization_id, &organization)),
        Provider::Stigg(_) => organization.entitlements,
    })
}

/// Makes the organization a customer of the provider, on its first plan.
pub async fn ensure_customer(deps: &Deps, organization_id: &OrganizationId, organization: &Organization) -> Result<()> {
    let Provider::Stigg(stigg) = &*deps.provider else { return Ok(()) };
    if organization.is_customer {
        return Ok(());
    }
    let customer_id = &deps.plans.customer_id(organization_id);
    if !stigg.has_customer(customer_id).await? {
        let found = peers::organization(&deps.peers, By::Id(organization_id.clone().into())).await?;
        let customer = Customer { id: customer_id, name: &found.name, email: &found.admin_email };
        stigg.provision_customer(&customer).await?;
    }
    store::organizations::insert(&deps.db, organization_id, &[]).await?;
    Ok(store::organizations::set_customer(&deps.db, organization_id).await?)
}

async fn fetch(deps: &Deps, organization_id: &OrganizationId, organization: &Organization) -> Result<Entitlements> {
    let Provider::Stigg(stigg) = &*deps.provider else {
        return Err(Error::internal("the built-in provider is asked for nothing"));
    };
    ensure_customer(deps, organization_id, organization).await?;
    let entitlements = stigg.entitlements(&deps.plans.customer_id(organization_id)).await?;
    let now = deps.clock.now();
    store::organizations::save_entitlements(&deps.db, organization_id, &entitlements, organization.version, now)
        .await?;
    Ok(entitlements)
}

fn built_in(deps: &Deps, organization_id: &OrganizationId, organization: &Organization) -> Entitlements {
    let plan_id = organization.plan_id.as_ref().unwrap_or_else(|| deps.plans.first_plan(organization_id));
    deps.plans.entitlements(plan_id)
}
