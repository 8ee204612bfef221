use std::sync::Arc;
use std::time::Duration;

use portolan_store::retrying;
use tokio_util::sync::CancellationToken;

use super::batch::{self, Batch};
use super::catalogs::Catalogs;
use super::write::{self, Outcome};
use crate::{Deps, Error, store};

/// Records taken at once. Large enough that the cost of a transaction is spread, small enough that several partitions
/// fit in memory and other writers do not wait long.
const BATCH_BYTES_MAX: usize = 8 << 20;
/// An idle consumer looks at the stored position this often: another process may have moved it.
const IDLE: Duration = Duration::from_secs(1);
/// Waits after failures double from here…
const WAIT_MIN: Duration = Duration::from_millis(100);
/// … up to here.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Consumes one partition until `stop`, through failures of the store and the log.
pub async fn run(deps: Deps, catalogs: Arc<Catalogs>, partition: i64, stop: CancellationToken) {
    let mut wait = WAIT_MIN;
    while !stop.is_cancelled() {
        match consume(&deps, &catalogs, partition, &stop, &mut wait).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(partition, %error, wait_ms = wait.as_millis(), "ingest is delayed"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = (wait * 2).min(WAIT_MAX);
    }
}

/// Consumes until `stop`, or until the first failure that does not pass at once.
async fn consume(
    deps: &Deps,
    catalogs: &Catalogs,
    partition: i64,
    stop: &CancellationToken,
    wait: &mut Duration,
) -> Result<(), Error> {
    store::positions::ensure(&deps.db, partition).await?;
    let mut position = load_position(deps, partition).await?;
    while !stop.is_cancelled() {
        let records = deps.log.fetch(partition, position, BATCH_BYTES_MAX).await?;
        let Some(last) = records.last() else {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                found = deps.log.wait(partition, position, IDLE) => found?,
            };
            position = load_position(deps, partition).await?;
            continue;
        };
        let next = last.offset + 1;
        let batch = batch::read(records).await?;
        for rejected in &batch.rejected {
            deps.log.reject(partition, rejected.offset, &rejected.reason, &rejected.value).await?;
        }
        position = match retrying(|| write::apply(deps, catalogs, partition, position, next, &batch)).await? {
            Outcome::Written => {
                publish(deps, partition, next);
                report(partition, next, &batch);
                deps.log.trim(partition, next).await?;
                next
            }
            Outcome::Overtaken => load_position(deps, partition).await?,
        };
        *wait = WAIT_MIN;
    }
    Ok(())
}

async fn load_position(deps: &Deps, partition: i64) -> Result<i64, Error> {
    let position = store::positions::list(&deps.db).await?.get(&partition).copied().unwrap_or_default();
    publish(deps, partition, position);
    Ok(position)
}

fn publish(deps: &Deps, partition: i64, position: i64) {
    deps.shared.positions.send_if_modified(|positions| positions.insert(partition, position) != Some(position));
}

fn report(partition: i64, next: i64, batch: &Batch) {
    let (records, rejected, passed_over) = (batch.records, batch.rejected.len(), batch.passed_over);
    tracing::debug!(partition, next, records, rejected, passed_over, "ingested");
}
