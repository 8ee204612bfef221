use std::{
    future::Future,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::Config;

/// Whether the process was told to end.
static DRAINING: AtomicBool = AtomicBool::new(false);

/// Whether the process was told to end and takes requests only until its balancers have noticed.
pub fn is_draining() -> bool {
    DRAINING.load(Ordering::Relaxed)
}

/// SIGTERM or SIGINT, whichever comes first.
#[derive(Clone)]
pub struct Stop(CancellationToken);

impl Stop {
    /// Takes over the signals: from here on none ends the process by itself. It is the first thing that a process does,
    /// so that one that is told to end while it starts ends well.
    ///
    /// # Errors
    /// When the system takes no handler.
    pub fn listen() -> std::io::Result<Self> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let token = CancellationToken::new();
        let told = token.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            DRAINING.store(true, Ordering::Relaxed);
            told.cancel();
        });
        Ok(Self(token))
    }

    /// Runs what a process does before it is ready; `None` when it was told to end meanwhile.
    pub async fn unless_told<T>(&self, start: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.0.cancelled() => None,
            started = start => Some(started),
        }
    }

    /// Ends `drain.delay_ms` after the signal; in between the process answers that it is not ready any more.
    pub async fn after_delay(self, config: &Config) {
        let delay = Duration::from_millis(config.shared.drain.delay_ms);
        self.0.cancelled().await;
        tokio::time::sleep(delay).await;
    }
}
