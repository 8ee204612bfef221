use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use portolan_store::apart;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::readiness::Check;

/// A task that panicked is begun anew after this, doubled each time…
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// … up to this. One that went on for longer begins at the shortest again.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// What a service does by itself, and its one way to stop: every task is told at the same time, and ends at its next
/// safe point.
#[derive(Clone, Default)]
pub struct Tasks {
    stop: CancellationToken,
    tracker: TaskTracker,
    needs: Arc<Mutex<Vec<(&'static str, Check)>>>,
}

impl Tasks {
    /// Begins a task, which ends soon after its token is cancelled. Where connections of the database are short, it takes
    /// turns with accounts and other tasks.
    pub fn spawn<F>(&self, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(apart(task(self.stop.clone())));
    }

    /// Begins a task that is begun anew whenever it panics, each time with its own clone of what it works with: what one
    /// thing does to it costs everything else a pause.
    pub fn keep<D, F>(&self, name: &'static str, deps: &D, task: impl Fn(D, CancellationToken) -> F + Send + 'static)
    where
        D: Clone + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let deps = deps.clone();
        self.spawn(|stop| async move {
            let mut pause = PAUSE_MIN;
            loop {
                let begun = Instant::now();
                match tokio::spawn(apart(task(deps.clone(), stop.clone()))).await {
                    Err(error) if error.is_panic() => {}
                    _ => return,
                }
                if begun.elapsed() > PAUSE_MAX {
                    pause = PAUSE_MIN;
                }
                metrics::counter!("portolan_task_panics_total", "task" => name).increment(1);
                tracing::error!(task = name, pause_s = pause.as_secs(), "a task panicked and is begun anew");
                if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                    return;
                }
                pause = (pause * 2).min(PAUSE_MAX);
            }
        });
    }

    /// As [`Tasks::keep`], for what is done at an interval, the first time after one. A turn that was begun is ended before
    /// the task stops.
    pub fn every<D, F>(
        &self,
        name: &'static str,
        interval: Duration,
        deps: &D,
        turn: impl Fn(D) -> F + Clone + Send + 'static,
    ) where
        D: Clone + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.keep(name, deps, move |deps, stop| {
            let turn = turn.clone();
            async move {
                while stop.run_until_cancelled(tokio::time::sleep(interval)).await.is_some() {
                    turn(deps.clone()).await;
                }
            }
        });
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_panics_is_begun_anew_until_it_ends() {
        let (tasks, begun) = (Tasks::default(), Arc::new(AtomicUsize::new(0)));
        tasks.keep("test", &begun, |count, stop| {
            let at = count.fetch_add(1, Ordering::SeqCst);
            async move {
                assert!(at >= 3, "the first three panic");
                stop.cancelled().await;
            }
        });
        while begun.load(Ordering::SeqCst) < 4 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tasks.stop().await;
        assert_eq!(begun.load(Ordering::SeqCst), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_comes_after_each_interval_until_the_end() {
        let (tasks, turns) = (Tasks::default(), Arc::new(AtomicUsize::new(0)));
        tasks.every("test", Duration::from_secs(2), &turns, |turns| async move {
            turns.fetch_add(1, Ordering::SeqCst);
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(turns.load(Ordering::SeqCst), 0);
        while turns.load(Ordering::SeqCst) < 3 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tasks.stop().await;
        assert_eq!(turns.load(Ordering::SeqCst), 3);
    }
}
