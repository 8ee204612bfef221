//! What runs by itself: push messages, the watch over organizations, the end of old sessions, heads of the audit, the
//! first API key. Every step is safe to cut off.

use std::{path::PathBuf, time::Duration};

use portolan_outbox::{AUDIT_HEADS, Relay};
use portolan_runtime::Tasks;

use crate::{
    Deps,
    audit::{self, Exported},
    first_start,
    options::AdminOptions,
    push, retention,
};

/// The operator's command works on the database, so the bound on its effect is this.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const SWEEP_EVERY: Duration = Duration::from_secs(600);
const SIGN_EVERY: Duration = Duration::from_secs(60);
const EXPORT_EVERY: Duration = Duration::from_secs(60 * 60);
const FIRST_START_EVERY: Duration = Duration::from_secs(1);

pub(crate) fn start(deps: &Deps, tasks: &Tasks) {
    tasks.keep("push messages", deps, |deps, stop| async move {
        stop.run_until_cancelled(push::deliver(&deps)).await;
    });
    tasks.every("states of organizations", LOOK_EVERY, deps, |deps| async move {
        deps.suspended.refresh(&deps.db).await;
    });
    tasks.every("identity's retention", SWEEP_EVERY, deps, |deps| async move { retention::sweep(&deps).await });
    sign_heads(deps, tasks);
    export_audit(deps, tasks);
    let failures = deps.failures.clone();
    tasks.stopping(async move {
        let _ = failures.flush().await;
    });
}

/// Signs the heads of the audit, and delivers them where somebody gets them.
fn sign_heads(deps: &Deps, tasks: &Tasks) {
    if let Some(receiver) = &deps.head_receiver {
        let relay = Relay::default().sink(AUDIT_HEADS, receiver.clone()).with_db(&deps.db).start();
        tasks.stopping(relay.stop());
    }
    tasks.every("heads of the audit", SIGN_EVERY, deps, |deps| async move {
        if let Err(error) = audit::sign_moved(&deps.db, &deps.audit, deps.head_receiver.is_some()).await {
            tracing::warn!(%error, "heads of the audit are signed later");
        }
    });
}

/// Lets months leave the audit that are kept no longer.
fn export_audit(deps: &Deps, tasks: &Tasks) {
    if deps.audit_kept.0 == 0 {
        return;
    }
    tasks.keep("export of the audit", deps, |deps, stop| async move {
        let (keep_days, directory) = &deps.audit_kept;
        loop {
            let before_ms = audit::kept_from_ms(*keep_days);
            let export = audit::export(&deps.db, &deps.audit, directory, before_ms);
            // Cut off at any moment, it begins the month anew.
            match stop.run_until_cancelled(export).await {
                None => return,
                Some(Err(error)) => tracing::error!(%error, "the audit is exported later"),
                Some(Ok(months)) => {
                    for Exported { account_id, month, events, path } in months {
                        tracing::info!(account_id = account_id.get(), month, events, path = %path.display(), "a month has left the audit");
                    }
                }
            }
            if stop.run_until_cancelled(tokio::time::sleep(EXPORT_EVERY)).await.is_none() {
                return;
            }
        }
    });
}

/// Makes the first user and the first API key. Repeated until the tokens service answers: processes start in any order,
/// and tokens asks identity in turn.
pub(crate) fn make_first_key(deps: &Deps, admin: AdminOptions, data_dir: PathBuf, tasks: &Tasks) {
    let deps = deps.clone();
    tasks.spawn(async move |stop| {
        let mut said = String::new();
        for attempt in 0_u32.. {
            match first_start(&deps, &admin, &data_dir).await {
                Ok(made) => return made.tell(),
                // The first refusals are those of a service that starts at the same time.
                Err(error) if attempt >= 2 && error.to_string() != said => {
                    said = error.to_string();
                    tracing::warn!(cause = said, "the first API key waits for the service in `peers.tokens`");
                }
                Err(_) => {}
            }
            if stop.run_until_cancelled(tokio::time::sleep(FIRST_START_EVERY)).await.is_none() {
                return;
            }
        }
    });
}
