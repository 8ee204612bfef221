use std::future::Future;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What a service does by itself, and its one way to stop: every task is told at the same time, and ends at its next
/// safe point.
#[derive(Clone, Default)]
pub struct Tasks {
    stop: CancellationToken,
    tracker: TaskTracker,
}

impl Tasks {
    /// Begins a task, which ends soon after its token is cancelled.
    pub fn spawn<F>(&self, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(task(self.stop.clone()));
    }

    /// Takes in work that was begun elsewhere, by what stops it.
    pub fn stopping(&self, end: impl Future<Output = ()> + Send + 'static) {
        self.spawn(|stop| async move {
            stop.cancelled().await;
            end.await;
        });
    }

    /// Tells every task to stop, and waits for their ends.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}
