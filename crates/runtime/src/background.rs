//! Work that takes a core for long, such as reading a tenant's file.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::OnceLock,
};

use tokio::{
    runtime::{Builder, Runtime},
    task::{JoinError, JoinHandle},
};

use crate::workers::on_any_core;

/// What the threads add to their niceness: while a request wants the core, they have a tenth of it.
const NICENESS: i32 = 10;

/// Work over fewer bytes is done sooner than a thread of lower priority would begin.
const SMALL_BYTES: usize = 64 << 10;

/// Work over fewer bytes, in a time that they bound, is done sooner than a switch to another thread and back.
const SHORT_BYTES: usize = 4 << 10;

/// Runs the work over a text of so many bytes: of a small one among the requests, of every other one [`in_background`].
pub fn in_background_from<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    if bytes < SMALL_BYTES { tokio::task::spawn_blocking(work) } else { in_background(work) }
}

/// As [`in_background_from`], for work whose time so many bytes bound: a short one is done at once, on this thread.
///
/// # Errors
/// When the work panics.
pub async fn read_from<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    if bytes < SMALL_BYTES { apart_from(bytes, work).await } else { in_background(work).await }
}

/// Runs work whose time so many bytes bound: a short one at once, on this thread, every other one apart from the tasks and
/// as soon as theirs.
///
/// # Errors
/// When the work panics.
pub async fn apart_from<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    if bytes >= SHORT_BYTES {
        return tokio::task::spawn_blocking(work).await;
    }
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => Ok(done),
        // A task alone can make the error of one that panicked.
        Err(panic) => tokio::spawn(async move { resume_unwind(panic) }).await,
    }
}

/// Runs the work on a thread that the system serves after those of requests. The thread ends some seconds after its last
/// work.
///
/// There are as many threads as work, up to 512: what bounds the work of a tenant is its caller's business.
pub fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    static POOL: OnceLock<Option<Runtime>> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        let be_nice = || {
            on_any_core();
            // Of this thread alone, as Linux has it. A thread that stays as important as others does its work, too.
            let own = rustix::process::getpriority_process(None).unwrap_or_default();
            let _ = rustix::process::setpriority_process(None, own + NICENESS);
        };
        Builder::new_current_thread().thread_name("background").on_thread_start(be_nice).build().ok()
    });
    match pool {
        Some(pool) => pool.handle().spawn_blocking(work),
        None => tokio::task::spawn_blocking(work),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn background_work_comes_after_requests() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let own = niceness();
        assert_eq!(in_background(niceness).await.unwrap(), (own + NICENESS).min(19));
        assert_eq!((niceness(), tokio::task::spawn_blocking(niceness).await.unwrap()), (own, own));
        let of = async |bytes| in_background_from(bytes, niceness).await.unwrap();
        assert_eq!((of(SMALL_BYTES - 1).await, of(SMALL_BYTES).await), (own, (own + NICENESS).min(19)));
        let of = async |bytes| read_from(bytes, niceness).await.unwrap();
        assert_eq!((of(SMALL_BYTES - 1).await, of(SMALL_BYTES).await), (own, (own + NICENESS).min(19)));
    }

    #[tokio::test]
    async fn short_work_is_done_here_and_its_panic_is_an_error() {
        let thread = || std::thread::current().id();
        let here = thread();
        let of = async |bytes| apart_from(bytes, thread).await.unwrap();
        assert_eq!((of(SHORT_BYTES - 1).await == here, of(SHORT_BYTES).await == here), (true, false));
        for bytes in [0, SHORT_BYTES] {
            assert!(apart_from(bytes, || panic!("of the work")).await.unwrap_err().is_panic());
        }
    }
}
