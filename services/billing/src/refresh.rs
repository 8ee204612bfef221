//! Recomputes the usage of organisations: durable, one run for all requests that came before it began.

use portolan_api::{Result, identity, inventory};
use serde::{Deserialize, Serialize};

use crate::store::usage::Recounted;
use crate::{Deps, entitlements, organizations, reports, store};

/// A run is another runner's after this long without an end.
pub const LEASE_S: i64 = 120;

/// Usage that was recorded differently from what its owner counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub account_id: i64,
    pub feature: String,
    pub recorded: i64,
    pub counted: i64,
}

/// The last recomputation of an organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh {
    pub state: &'static str,
    pub requested_at: i64,
    pub finished_at: i64,
    pub differences: Vec<Difference>,
}

/// A run that was taken.
pub struct Run {
    pub organization_id: String,
    /// How many requests it answers.
    pub requested: i64,
}

/// Asks for a recomputation, which the account then finds among its jobs; requests that wait for one run are one job.
///
/// # Errors
/// `ORGANIZATION_NOT_FOUND`, `UNAVAILABLE`.
pub async fn request(deps: &Deps, account_id: i64) -> Result<()> {
    let organization_id = organizations::of_account(deps, account_id).await?;
    let job_id = uuid::Uuid::new_v4().to_string();
    store::refreshes::request(&deps.db, &organization_id, account_id, &job_id, deps.clock.now()).await?;
    deps.wake.notify_one();
    Ok(())
}

/// The last recomputation of an organisation; `None` when there was none.
pub async fn last(deps: &Deps, organization_id: &str) -> Result<Option<Refresh>> {
    Ok(store::refreshes::get(&deps.db, organization_id, deps.clock.now()).await?)
}

/// Does every run that is due; what fails stays due.
pub async fn run_due(deps: &Deps, owner: &str) -> Result<()> {
    loop {
        let now = deps.clock.now();
        let Some(run) = store::refreshes::claim(&deps.db, owner, now, now + LEASE_S).await? else { return Ok(()) };
        let differences = recompute(deps, &run.organization_id).await?;
        for difference in &differences {
            tracing::warn!(
                organization_id = run.organization_id,
                account_id = difference.account_id,
                feature = difference.feature,
                recorded = difference.recorded,
                counted = difference.counted,
                "usage was recorded differently from what was counted; it is repaired"
            );
        }
        store::refreshes::end(&deps.db, &run, owner, &differences, deps.clock.now()).await?;
    }
}

/// Lets every owner count anew, sets what is recorded to it, and answers the differences. A second run finds none.
async fn recompute(deps: &Deps, organization_id: &str) -> Result<Vec<Difference>> {
    let mut differences = Vec::new();
    for account_id in organizations::refresh_accounts(deps, organization_id).await? {
        for recounted in recount(deps, account_id).await? {
            differences.extend(store::usage::reconcile(&deps.db, &recounted, deps.clock.now()).await?);
        }
    }
    if let Some(known) = organizations::known_entitlements(deps, organization_id).await? {
        let now = deps.clock.now();
        let totals = store::usage::totals(&deps.db, organization_id, now).await?;
        entitlements::note_overages(deps, organization_id, &known, &totals, now).await?;
    }
    reports::note(deps, organization_id).await?;
    Ok(differences)
}

async fn recount(deps: &Deps, account_id: i64) -> Result<Vec<Recounted>> {
    let request = identity::v1::RecountUsageRequest { account_id };
    let accounts = deps.peers.identity_usage().recount_usage(request).await?.into_inner().counts;
    let request = inventory::v1::RecountUsageRequest { account_id };
    let endpoints = deps.peers.inventory_usage().recount_usage(request).await?.into_inner().counts;
    let accounts = accounts.into_iter().map(|count| Recounted {
        account_id,
        feature: count.feature,
        kept: count.kept,
        counted: count.counted,
        settled_version: count.settled_version,
        count: count.count,
        version: count.version,
    });
    let endpoints = endpoints.into_iter().map(|count| Recounted {
        account_id,
        feature: count.feature,
        kept: count.kept,
        counted: count.counted,
        settled_version: count.settled_version,
        count: count.count,
        version: count.version,
    });
    Ok(accounts.chain(endpoints).collect())
}
