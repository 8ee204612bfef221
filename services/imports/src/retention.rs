//! Removes ended jobs and reviewed uploads when they are old.

use std::time::Duration;

use tokio::sync::watch;

use crate::store::{jobs, uploads};
use crate::{Deps, Error, now_s};

const LOOK_EVERY: Duration = Duration::from_secs(600);

/// Looks from time to time until the process ends.
pub async fn keep(deps: Deps, mut stopped: watch::Receiver<bool>) {
    loop {
        if let Err(error) = sweep(&deps).await {
            tracing::warn!(%error, "old jobs and uploads could not be removed");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}

async fn sweep(deps: &Deps) -> Result<(), Error> {
    let before = now_s() - deps.retention_s;
    loop {
        let old = uploads::older_than(&deps.db, before).await?;
        if old.is_empty() {
            break;
        }
        for (account_id, upload_id) in old {
            uploads::delete(&deps.db, account_id, &upload_id).await?;
        }
    }
    jobs::delete_ended_before(&deps.db, before).await?;
    Ok(())
}
