use std::sync::atomic::Ordering;

use portolan_runtime::{Process, measure_also, options::LogOptions, process};

use crate::{Error, Log};

/// Opens the log of a process as its configuration names it, and waits for servers that are not there yet.
///
/// # Errors
/// What no wait mends.
pub async fn open(process: &Process) -> Result<Log, Error> {
    let LogOptions { url, topic, .. } = process.config.shared.log.clone();
    let store = process.store.clone();
    // Owned by each attempt: the future of a trait lends nothing to closures.
    let open = move || {
        let (url, topic, store) = (url.clone(), topic.clone(), store.clone());
        async move { Log::open(&url, &topic, &store).await }
    };
    let log = process::waiting("the log", Error::transient, open).await?;
    let measured = log.unacknowledged.clone();
    measure_also(move || {
        metrics::gauge!("portolan_log_unacknowledged_records").set(measured.load(Ordering::Relaxed));
    });
    Ok(log)
}
