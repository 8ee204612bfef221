//! What looks after a step while it goes on.

use std::{any::Any, convert::Infallible, time::Duration};

use portolan_store::retrying;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    error::Error,
    job::Task,
    jobs::Jobs,
    pulse::Pulse,
    store::{self, Key},
};

/// How often a step is looked at, at least.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Renews the lease of a job. Returns when it is lost.
pub(crate) async fn keep_lease<T: Task>(jobs: &Jobs<T>, key: &Key, lease: &str, pulse: &Pulse) -> Error {
    loop {
        tokio::time::sleep(jobs.pace.renew_every).await;
        let now = jobs.clock.now();
        let until = now + jobs.pace.lease_s;
        let bytes = i64::try_from(pulse.bytes_read()).unwrap_or(i64::MAX);
        let renewed = retrying(|| async {
            let mut tx = jobs.db.begin().await?;
            let held = store::keep(&mut tx, jobs.db.service(), key, lease, until, bytes, now).await?;
            tx.commit().await?;
            Ok::<_, portolan_store::Error>(held)
        });
        match renewed.await {
            Ok(true) => {}
            Ok(false) => return Error::Lost,
            // The lease outlasts some failures.
            Err(error) => {
                tracing::warn!(job_id = key.job_id.as_str(), %error, "the lease of a job could not be renewed")
            }
        }
    }
}

/// Returns when there was no sign of life for so long.
pub(crate) async fn stalled(pulse: &Pulse, stall_max: Duration) -> Error {
    let mut life = (pulse.life(), Instant::now());
    loop {
        tokio::time::sleep(LOOK_EVERY.min(stall_max)).await;
        if pulse.life() != life.0 {
            life = (pulse.life(), Instant::now());
        } else if life.1.elapsed() >= stall_max {
            return Error::Stalled(stall_max);
        }
    }
}

/// Tells a step that the process ends. The step is waited for.
pub(crate) async fn tell(stop: &CancellationToken, pulse: &Pulse) -> Infallible {
    stop.cancelled().await;
    pulse.stop();
    std::future::pending().await
}

pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a text").to_owned()
}
