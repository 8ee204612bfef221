//! What runs by itself: ingest, jobs, and the upkeep of what both leave behind.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use portolan_runtime::{Age, Tasks, now_s};
use tokio_util::sync::CancellationToken;

use crate::{
    Deps, Error,
    catalogs::Catalogs,
    ingest::{attempts, partition, write},
    retemplating, retention,
    statistics::calls,
    store,
};

/// Sequences of producers are kept for days, so an hour more does no harm.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);

/// What is looked for along whole tables is looked for once a day.
const FORGET_ALL_EVERY: Duration = Duration::from_secs(24 * 3_600);

/// Nobody repeats an append later than this.
const PRODUCER_MEMORY_S: i64 = 7 * 24 * 3_600;

/// How often the distance to the end of the log is measured.
const MEASURE_LAG_EVERY: Duration = Duration::from_secs(10);

/// Begins a consumer for each partition, the runner of jobs, and the upkeep of the log. The tables must be there.
pub fn start(deps: &Deps, tasks: &Tasks) {
    let catalogs = Arc::new(Catalogs::new(deps.urls_bytes_max));
    // From zero on, so that the first event is an increase.
    for name in [write::DROPPED, portolan_log::FORGOTTEN] {
        metrics::counter!(name).increment(0);
    }
    for partition in 0..deps.log.partitions() {
        let catalogs = catalogs.clone();
        tasks.keep("a partition", deps, move |deps, stop| partition::run(deps, catalogs.clone(), partition, stop));
    }
    tasks.keep("jobs of the inventory", deps, |deps, stop| async move { deps.jobs.run(&deps, &stop).await });
    tasks.keep("retention of the inventory", deps, forget_old);
    tasks.keep("measuring of the lag", deps, measure_lag);
    tasks.keep("signs of life", &deps.db, attempts::show_life);
    tasks.keep("rules of templates", deps, retemplating::ask_where_due);
}

/// Keeps what is remembered of old appends and old calls from growing.
async fn forget_old(deps: Deps, stop: CancellationToken) {
    let mut forgotten_at: Option<Instant> = None;
    loop {
        if let Err(error) = deps.log.trim_producers(now_s()).await {
            tracing::warn!(%error, "old producers stay in the log for now");
        }
        if let Err(error) = store::producers::delete_older(&deps.db, now_s() - PRODUCER_MEMORY_S).await {
            tracing::warn!(%error, "old producers stay known for now");
        }
        if let Err(error) = deps.jobs.forget().await {
            tracing::warn!(%error, "ended jobs stay listed for now");
        }
        if let Err(error) = calls::forget_old(&deps).await {
            tracing::warn!(%error, "old calls stay counted for now");
        }
        if forgotten_at.is_none_or(|at| at.elapsed() >= FORGET_ALL_EVERY) {
            match retention::forget_old(&deps).await {
                Ok(()) => forgotten_at = Some(Instant::now()),
                Err(error) => tracing::warn!(%error, "old issues, samples and rejected records stay for now"),
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(FORGET_EVERY) => {}
        }
    }
}

/// What is known of a partition.
struct Known {
    /// How old the oldest record is that the inventory does not have yet.
    age: Age,
    /// Where the partition stands while records wait, and since when.
    stand: Option<(i64, Instant)>,
}

impl Known {
    fn new(partition: i64) -> Self {
        let name = partition.to_string();
        let age = Age::new(move |age_s| {
            metrics::gauge!("portolan_ingest_oldest_unread_seconds", "partition" => name.clone()).set(age_s);
        });
        Self { age, stand: None }
    }
}

/// Publishes how many records of each partition the inventory does not have yet, and how old the oldest one is.
async fn measure_lag(deps: Deps, stop: CancellationToken) {
    let mut known: BTreeMap<i64, Known> =
        (0..deps.log.partitions()).map(|partition| (partition, Known::new(partition))).collect();
    loop {
        if let Err(error) = measure(&deps, &mut known).await {
            tracing::warn!(%error, "the lag cannot be measured");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(MEASURE_LAG_EVERY) => {}
        }
    }
}

async fn measure(deps: &Deps, known: &mut BTreeMap<i64, Known>) -> Result<(), Error> {
    let ends = deps.log.end_offsets().await?;
    let positions = store::positions::list(&deps.db, deps.log.source()).await?;
    for (partition, end) in ends {
        let known = known.entry(partition).or_insert_with(|| Known::new(partition));
        let position = positions.get(&partition).copied().unwrap_or_default();
        let lag = (end - position).max(0);
        let mut age_s = 0;
        if lag == 0 {
            known.stand = None;
        } else {
            let stood = known.stand.filter(|(stood, _)| *stood == position);
            let (_, since) = *known.stand.insert(stood.unwrap_or((position, Instant::now())));
            // What cannot be read has no time of its own.
            let appended_at = deps.log.appended_at(partition, position).await.ok().flatten();
            let stands_s = i64::try_from(since.elapsed().as_secs()).unwrap_or(i64::MAX);
            age_s = appended_at.map_or(0, |appended_at| now_s() - appended_at).max(stands_s);
        }
        known.age.set(age_s);
        let lag = u32::try_from(lag).unwrap_or(u32::MAX);
        metrics::gauge!("portolan_ingest_lag_records", "partition" => partition.to_string()).set(lag);
    }
    Ok(())
}
