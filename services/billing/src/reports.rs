//! Tells the provider what organizations use. What is to be told waits in a table, so it arrives whatever fails; it is
//! told as a value to set, so telling it twice is telling it once.

use std::collections::HashSet;

use portolan_api::Result;
use portolan_ids::OrganizationId;

use crate::model::reports::Due;
use crate::provider::{Provider, stigg::Report};
use crate::{Deps, organizations, store};

/// Reports in one call.
const REPORTS_MAX: i64 = 500;
/// One process reports at a time.
pub const LEASE: &str = "usage reports";
/// How long one process alone reports, in seconds.
pub const LEASE_S: i64 = 60;

/// Writes down what an organization uses now, to be told.
pub async fn note(deps: &Deps, organization_id: &OrganizationId) -> Result<()> {
    let Provider::Stigg(stigg) = &*deps.provider else { return Ok(()) };
    let totals = store::usage::totals(&deps.db, organization_id, deps.clock.now()).await?;
    let told = totals.features().filter(|feature| stigg.feature_id(feature).is_some());
    let values: Vec<_> = told.map(|feature| (feature, totals.of(feature))).collect();
    Ok(store::reports::note(&deps.db, organization_id, &values).await?)
}

/// Writes down what every organization uses now.
pub async fn note_all(deps: &Deps) -> Result<()> {
    for organization_id in store::organizations::list(&deps.db).await? {
        if let Err(error) = note(deps, &organization_id).await {
            tracing::warn!(organization_id = organization_id.as_str(), %error, "the usage of an organization is written down later");
        }
    }
    Ok(())
}

/// Tells the provider everything it has not been told. An organization that it does not take, or that identity does not
/// know, waits alone.
///
/// # Errors
/// `BILLING_PROVIDER_UNAVAILABLE`: the rest waits.
pub async fn send_due(deps: &Deps, owner: &str) -> Result<()> {
    let Provider::Stigg(stigg) = &*deps.provider else { return Ok(()) };
    let now = deps.clock.now();
    if !store::reports::lease(&deps.db, LEASE, owner, now, now + LEASE_S).await? {
        return Ok(());
    }
    let mut after = (OrganizationId::default(), String::new());
    loop {
        let due = store::reports::due(&deps.db, (&after.0, &after.1), REPORTS_MAX).await?;
        let Some(last) = due.last() else { return Ok(()) };
        after = (last.organization_id.clone(), last.feature.clone());
        let (mut of_customers, mut reports) = (Vec::with_capacity(due.len()), Vec::with_capacity(due.len()));
        let mut refused: HashSet<&OrganizationId> = HashSet::new();
        for one in &due {
            let Due { organization_id, feature, value } = one;
            if refused.contains(organization_id) {
                continue;
            }
            if let Err(error) = customer(deps, organization_id).await {
                if stigg.is_resting() {
                    return Err(error);
                }
                tracing::warn!(organization_id = organization_id.as_str(), %error, "the usage of an organization waits: it is no customer");
                refused.insert(organization_id);
                continue;
            }
            of_customers.push(one);
            reports.push(Report {
                customer_id: deps.plans.customer_id(organization_id),
                feature_id: stigg.feature_id(feature).unwrap_or_default().to_owned(),
                value: *value,
            });
        }
        if reports.is_empty() {
            continue;
        }
        let taken = stigg.report_usage(&reports).await?;
        let told: Vec<_> =
            of_customers.into_iter().zip(taken).filter(|(_, taken)| *taken).map(|(due, _)| due).collect();
        store::reports::told(&deps.db, &told).await?;
    }
}

async fn customer(deps: &Deps, organization_id: &OrganizationId) -> Result<()> {
    let organization = store::organizations::get(&deps.db, organization_id).await?.unwrap_or_default();
    organizations::ensure_customer(deps, organization_id, &organization).await
}
