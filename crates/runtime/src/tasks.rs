use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::readiness::Check;

/// What a service does by itself, and its one way to stop: every task is told at the same time, and ends at its next
/// safe point.
#[derive(Clone, Default)]
pub struct Tasks {
    stop: CancellationToken,
    tracker: TaskTracker,
    needs: Arc<Mutex<Vec<(&'static str, Check)>>>,
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

    /// Names what the tasks need beside store and cache: a process of this service alone is ready only while the check
    /// succeeds.
    pub fn needs(&self, name: &'static str, check: Check) {
        self.needs.lock().unwrap_or_else(PoisonError::into_inner).push((name, check));
    }

    /// What was named by [`Tasks::needs`].
    pub fn checks(&self) -> Vec<(&'static str, Check)> {
        self.needs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells every task to stop, and waits for their ends.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}
