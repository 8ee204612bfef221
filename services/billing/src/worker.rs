//! Background work of billing: recomputations that were asked for, and reports to the provider, and forgetting what is old.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{Deps, forget, refresh, reports, store};

/// New requests wake the worker at once; this finds those of other processes, and those that failed.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Pause before a failed recomputation is tried again.
const RETRY_AFTER_S: i64 = 2;

/// The background work of a process.
pub struct WorkHandle {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl WorkHandle {
    /// Ends at the next safe point.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // A task that panicked has nothing left to wait for.
        let _ = self.task.await;
    }
}

pub fn start(deps: Deps) -> WorkHandle {
    let (stop, stopped) = watch::channel(false);
    WorkHandle { stop, task: tokio::spawn(work(deps, stopped)) }
}

async fn work(deps: Deps, mut stopped: watch::Receiver<bool>) {
    let owner = uuid::Uuid::new_v4().to_string();
    let (mut noted_at, mut forgot_at) = (i64::MIN, i64::MIN);
    while !*stopped.borrow() {
        if let Err(error) = refresh::run_due(&deps, &owner).await {
            tracing::warn!(%error, "a recomputation of usage is delayed");
            let again_at = deps.clock.now() + RETRY_AFTER_S;
            if let Err(error) = store::refreshes::release(&deps.db, &owner, again_at).await {
                tracing::warn!(%error, "a recomputation was not given back; it waits for its lease to end");
            }
        }
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
            () = deps.wake.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stopped.changed() => {}
        }
    }
}

async fn report(deps: &Deps, owner: &str, noted_at: &mut i64) -> portolan_api::Result<()> {
    let now = deps.clock.now();
    if now.saturating_sub(*noted_at) >= deps.settings.report_s {
        reports::note_all(deps).await?;
        *noted_at = now;
    }
    reports::send_due(deps, owner).await
}
