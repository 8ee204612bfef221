//! Removes what deleted collections held: durable jobs, leased, resumed after a crash, a bounded piece a transaction.

use std::time::Duration;

use portolan_store::retrying;
use tokio_util::sync::CancellationToken;

use crate::store::jobs::{self, Deletion};
use crate::{Deps, Error, store};
use portolan_runtime::now_s;

/// A job is another worker's after this long without a sign of life.
const LEASE_S: i64 = 60;
/// Endpoints removed in one transaction: short enough that other writers do not wait for it.
const ENDPOINTS_PER_STEP: i64 = 200;
/// Jobs left behind by another process are found this often.
const POLL: Duration = Duration::from_secs(15);

/// Works on jobs until `stop`; a job under way is given back and goes on at the next start.
pub async fn run(deps: Deps, owner: String, stop: CancellationToken) {
    loop {
        match step_all(&deps, &owner, &stop).await {
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, "deletion of collections is delayed"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = deps.shared.jobs.notified() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// Ends every job that can be claimed.
pub async fn step_all(deps: &Deps, owner: &str, stop: &CancellationToken) -> Result<(), Error> {
    while !stop.is_cancelled() {
        let now = now_s();
        let Some(job) = retrying(|| jobs::claim(&deps.db, owner, now, now + LEASE_S)).await? else { return Ok(()) };
        while retrying(|| remove_piece(deps, &job, owner)).await? {
            if stop.is_cancelled() {
                return Ok(jobs::release(&deps.db, &job, owner).await?);
            }
        }
    }
    Ok(())
}

/// Removes some endpoints with what belongs to them; false when the job is over or another worker has it.
async fn remove_piece(deps: &Deps, job: &Deletion, owner: &str) -> Result<bool, Error> {
    let (account_id, collection_id) = (job.account_id, job.collection_id);
    let mut tx = deps.db.begin().await?;
    if !jobs::renew(&mut tx, job, owner, now_s() + LEASE_S).await? {
        return Ok(false);
    }
    let keys = store::endpoints::some_keys(&mut tx, account_id, collection_id, ENDPOINTS_PER_STEP).await?;
    if keys.is_empty() {
        store::delete_rest(&mut tx, account_id, collection_id).await?;
        jobs::delete(&mut tx, job).await?;
    } else {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        store::parameters::delete(&mut tx, account_id, collection_id, &keys).await?;
        store::samples::delete(&mut tx, account_id, collection_id, &keys).await?;
        store::call_stats::delete(&mut tx, account_id, collection_id, &keys).await?;
        store::endpoints::delete(&mut tx, account_id, collection_id, &keys).await?;
    }
    tx.commit().await?;
    Ok(!keys.is_empty())
}
