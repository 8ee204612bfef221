use std::time::Duration;

use portolan_ids::{AccountId, CollectionId};
use portolan_log::Positions;
use portolan_runtime::now_s;
use tokio::time::Instant;

use crate::{Deps, Error, store};

/// How soon whoever waits for ingest sees what another process has written.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The oldest record that the inventory does not have yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Where it stands.
    pub partition: i64,
    /// Where the partition stands.
    pub offset: i64,
    /// For how long it has waited, in seconds.
    pub age_s: i64,
}

/// The oldest record of all partitions that the inventory does not have yet, as anybody on the store can see it. A batch
/// that cannot be read counts as old.
///
/// # Errors
/// When log or tables cannot be read.
pub async fn oldest_unread(
    store: &portolan_store::Store,
    log: &portolan_log::Log,
    ends: &Positions,
) -> Result<Option<Unread>, Error> {
    let positions = store::positions::list(&store.service(crate::migrations::SERVICE).await?, log.source()).await?;
    let mut oldest: Option<Unread> = None;
    for (&partition, &end) in ends {
        let offset = positions.get(&partition).copied().unwrap_or_default();
        if offset >= end {
            continue;
        }
        let age_s = match log.appended_at(partition, offset).await {
            Ok(Some(appended_at)) => (now_s() - appended_at).max(0),
            Ok(None) => continue,
            Err(portolan_log::Error::Damaged { .. }) => i64::MAX,
            Err(error) => return Err(error.into()),
        };
        if oldest.is_none_or(|known| age_s > known.age_s) {
            oldest = Some(Unread { partition, offset, age_s });
        }
    }
    Ok(oldest)
}

/// Longest look for the oldest record: whether the log is there does not hang on it.
const AGE_TIME_MAX: std::time::Duration = std::time::Duration::from_millis(500);

/// Whether the log answers, and how long its oldest unread record has waited, for readiness. An age that is not known in
/// time is left out.
///
/// # Errors
/// What is wrong with the log.
pub async fn log_readiness(store: portolan_store::Store, log: portolan_log::Log) -> Result<String, String> {
    let detail = portolan_log::is_there(log.clone()).await?;
    let age = async {
        let ends = log.end_offsets().await.ok()?;
        oldest_unread(&store, &log, &ends).await.ok()
    };
    Ok(match tokio::time::timeout(AGE_TIME_MAX, age).await {
        Ok(Some(Some(Unread { partition, offset, age_s }))) => {
            format!("{detail}; the oldest unread record has waited {age_s} s, partition {partition}, offset {offset}")
        }
        Ok(Some(None)) => format!("{detail}; no record waits"),
        Ok(None) | Err(_) => detail,
    })
}

/// How many records of the log the inventory does not have yet, as anybody on the store can see it.
///
/// # Errors
/// When the tables cannot be read.
pub async fn lag(store: &portolan_store::Store, log: &portolan_log::Log, ends: &Positions) -> Result<i64, Error> {
    let positions = store::positions::list(&store.service(crate::migrations::SERVICE).await?, log.source()).await?;
    let waiting = ends.iter().map(|(partition, end)| end - positions.get(partition).copied().unwrap_or_default());
    Ok(waiting.map(|records| records.max(0)).sum())
}

/// The collections that had no place for records, since they are deactivated or full, and for how many, the most first:
/// account, collection, records. As anybody on the store can see it.
///
/// # Errors
/// When the tables cannot be read.
pub async fn dropped(store: &portolan_store::Store) -> Result<Vec<(AccountId, CollectionId, i64)>, Error> {
    Ok(store::collections::dropped(&store.service(crate::migrations::SERVICE).await?).await?)
}

/// How far each partition is in the inventory for an account, whose records may be ahead of others.
///
/// # Errors
/// When the tables cannot be read.
pub async fn positions(deps: &Deps, account_id: AccountId) -> Result<Positions, Error> {
    let known = store::positions::of_account(&deps.db, deps.log.source(), account_id).await?;
    let next = |partition| (partition, known.get(&partition).copied().unwrap_or_default());
    Ok((0..deps.log.partitions()).map(next).collect())
}

/// The same once the awaited offsets are reached, or when the time has passed; the awaited offsets themselves as soon as
/// this process has read so far.
///
/// # Errors
/// When the tables cannot be read.
pub async fn positions_at(
    deps: &Deps,
    account_id: AccountId,
    awaited: &Positions,
    wait: Duration,
) -> Result<Positions, Error> {
    let is_read = |next: &dyn Fn(&i64) -> Option<i64>| {
        awaited.iter().all(|(partition, offset)| next(partition).is_some_and(|next| next >= *offset))
    };
    let deadline = Instant::now() + wait;
    let mut reached = deps.shared.reached.subscribe();
    // The tables tell nothing new of partitions that this process reads; what another one commits is looked for.
    let is_known = !awaited.is_empty() && awaited.keys().all(|partition| reached.borrow().contains_key(partition));
    let mut look_at = if is_known { Instant::now() + LOOK_EVERY } else { Instant::now() };
    loop {
        let known = |partition: &i64| reached.borrow().get(partition).map(|reached| reached.of(account_id));
        if !awaited.is_empty() && is_read(&known) {
            return Ok(awaited.clone());
        }
        look_at = look_at.min(deadline);
        if Instant::now() >= look_at {
            let read = positions(deps, account_id).await?;
            if is_read(&|partition| read.get(partition).copied()) || Instant::now() >= deadline {
                return Ok(read);
            }
            look_at = Instant::now() + LOOK_EVERY;
            continue;
        }
        // Either end leads to another look.
        let _ = tokio::time::timeout_at(look_at, reached.changed()).await;
    }
}
