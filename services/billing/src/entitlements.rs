//! Whether usage is within what a plan includes.

use std::collections::BTreeSet;

use portolan_api::Result;
use portolan_ids::{AccountId, OrganizationId};

use crate::model::{features, usage::Totals};
use crate::{Deps, organizations, store};

pub use crate::model::entitlements::{Access, Entitlements, FeatureState, Overages, State, UNLIMITED, Verdict};

/// Judges the wish of an account to use more of a feature. `usage` is the organization's, when the asking service
/// counted it itself.
///
/// # Errors
/// `BILLING_PROVIDER_UNAVAILABLE` when the plan is not known, `UNAVAILABLE` when a part does not answer: then nothing
/// more may be used.
pub async fn check(
    deps: &Deps,
    account_id: AccountId,
    feature: &str,
    wanted: i64,
    usage: Option<i64>,
) -> Result<Verdict> {
    let organization_id = organizations::of_account(deps, account_id).await?;
    let now = deps.clock.now();
    let Stored { plan: entitlements, mut totals, overages } = stored(deps, &organization_id, now).await?;
    if let Some(usage) = usage {
        totals.set(feature, usage);
    }
    let overages = note_changes(deps, &organization_id, &entitlements, &totals, overages, now).await?;
    Ok(entitlements.judge(feature, &totals, &overages, wanted, now))
}

/// What is known of an organization at a moment.
struct Stored {
    plan: Entitlements,
    totals: Totals,
    /// Since when each feature is over its limit, as it was noted last.
    overages: Overages,
}

/// What is known of an organization. Every use of a feature waits for it, so its parts are read side by side.
///
/// # Errors
/// As [`check`].
async fn stored(deps: &Deps, organization_id: &OrganizationId, now: i64) -> Result<Stored> {
    let plan = organizations::entitlements(deps, organization_id);
    let totals = async { Ok(store::usage::totals(&deps.db, organization_id, now).await?) };
    let overages = async { Ok(store::organizations::list_overages(&deps.db, organization_id).await?) };
    let (plan, totals, overages) = tokio::try_join!(plan, totals, overages)?;
    Ok(Stored { plan, totals, overages })
}

/// Keeps since when each feature is over its limit: the first moment counts until the usage is below again.
pub async fn note_overages(
    deps: &Deps,
    organization_id: &OrganizationId,
    entitlements: &Entitlements,
    totals: &Totals,
    now: i64,
) -> Result<Overages> {
    let overages = store::organizations::list_overages(&deps.db, organization_id).await?;
    note_changes(deps, organization_id, entitlements, totals, overages, now).await
}

/// The same where it is known what was noted before.
async fn note_changes(
    deps: &Deps,
    organization_id: &OrganizationId,
    entitlements: &Entitlements,
    totals: &Totals,
    mut overages: Overages,
    now: i64,
) -> Result<Overages> {
    let is_over = |feature: &str| entitlements.is_over(feature, totals.of(feature));
    let named: BTreeSet<&str> = totals.features().chain(entitlements.features.keys().map(String::as_str)).collect();
    let begun = named.into_iter().filter(|feature| is_over(feature) && !overages.contains_key(*feature));
    let begun: Vec<String> = begun.map(str::to_owned).collect();
    let ended: Vec<String> = overages.keys().filter(|feature| !is_over(feature)).cloned().collect();
    if begun.is_empty() && ended.is_empty() {
        return Ok(overages);
    }
    store::organizations::change_overages(&deps.db, organization_id, &begun, &ended, now).await?;
    for feature in ended {
        overages.remove(&feature);
    }
    for feature in begun {
        overages.entry(feature).or_insert(now);
    }
    Ok(overages)
}

/// The plan of an account's organization at this moment.
///
/// # Errors
/// As [`check`].
pub async fn state(deps: &Deps, account_id: AccountId) -> Result<State> {
    let organization_id = organizations::of_account(deps, account_id).await?;
    let now = deps.clock.now();
    let Stored { plan, totals, overages } = stored(deps, &organization_id, now).await?;
    let overages = note_changes(deps, &organization_id, &plan, &totals, overages, now).await?;
    let counted = features::KEPT_COUNTS.into_iter();
    let names: BTreeSet<&str> =
        totals.features().chain(plan.features.keys().map(String::as_str)).chain(counted).collect();
    let features = names.into_iter().map(|feature| {
        let access = plan.access(feature);
        FeatureState {
            feature: feature.to_owned(),
            is_granted: access.is_granted,
            limit: access.limit,
            usage: totals.of(feature),
            overage_first_detected: overages.get(feature).copied().unwrap_or(-1),
        }
    });
    let features = features.collect();
    let version = store::organizations::get(&deps.db, &organization_id).await?.map_or(0, |found| found.version);
    Ok(State { organization_id, plan, version, features })
}
