//! Forgets what the operator keeps no longer, in steps that no writer waits long for.

use portolan_ids::{AccountId, NamedCollectionId};
use portolan_runtime::now_s;
use portolan_store::retrying;

use crate::{Deps, Error, store};

/// Rows that one statement looks at or forgets.
pub const STEP: i64 = 2_000;

/// Issues that are closed and tests without a finding, samples, and records that could not be read.
///
/// # Errors
/// When the tables cannot be written; what is left goes the next time.
pub async fn forget_old(deps: &Deps) -> Result<(), Error> {
    let before = |kept_s: i64| now_s().saturating_sub(kept_s);
    let issues = before(deps.kept.closed_issues_s);
    while retrying(|| store::issues::forget_closed(&deps.db, issues, STEP)).await? == STEP.unsigned_abs() {}
    deps.log.trim_rejected(before(deps.kept.rejected_s)).await?;
    if deps.kept.samples_s < i64::MAX {
        forget_samples(deps, before(deps.kept.samples_s)).await?;
    }
    Ok(())
}

async fn forget_samples(deps: &Deps, before: i64) -> Result<(), Error> {
    let mut after = Some((AccountId(i64::MIN), NamedCollectionId(i64::MIN), String::new(), String::new()));
    while let Some(place) = after {
        after = retrying(|| store::samples::forget_page(&deps.db, &place, before, STEP)).await?;
    }
    Ok(())
}
