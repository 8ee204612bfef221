//! What runs by itself: jobs, reports to the provider, and forgetting what is old.

use std::time::Duration;

use portolan_runtime::Tasks;
use tokio_util::sync::CancellationToken;

use crate::{Deps, forget, reports};

/// How often there may be something to report.
const LOOK_EVERY: Duration = Duration::from_secs(2);

pub(crate) fn start(deps: &Deps, tasks: &Tasks) {
    tasks.keep("jobs of billing", deps, |deps, stop| async move { deps.jobs.run(&deps, &stop).await });
    tasks.keep("reports of usage", deps, keep_up);
}

async fn keep_up(deps: Deps, stop: CancellationToken) {
    let owner = uuid::Uuid::new_v4().to_string();
    let (mut noted_at, mut forgot_at) = (i64::MIN, i64::MIN);
    while !stop.is_cancelled() {
        if let Err(error) = report(&deps, &owner, &mut noted_at).await {
            tracing::warn!(%error, "usage reports are delayed");
        }
        if deps.clock.now().saturating_sub(forgot_at) >= forget::EVERY_S {
            match forget::run(&deps, &owner).await {
                Ok(()) => forgot_at = deps.clock.now(),
                Err(error) => tracing::warn!(%error, "old events stay known for now"),
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

async fn report(deps: &Deps, owner: &str, noted_at: &mut i64) -> portolan_api::Result<()> {
    let now = deps.clock.now();
    if now.saturating_sub(*noted_at) >= deps.rules.report_s {
        reports::note_all(deps).await?;
        *noted_at = now;
    }
    reports::send_due(deps, owner).await
}
