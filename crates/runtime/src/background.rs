//! Work that takes a core for long, such as reading a tenant's file.

use std::sync::OnceLock;

use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

/// What the threads add to their niceness: while a request wants the core, they have a tenth of it.
const NICENESS: i32 = 10;

/// Work over fewer bytes is done sooner than a thread of lower priority would begin.
const SMALL_BYTES: usize = 64 << 10;

/// Runs the work over a text of so many bytes: of a small one among the requests, of every other one [`in_background`].
pub fn in_background_from<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    if bytes < SMALL_BYTES { tokio::task::spawn_blocking(work) } else { in_background(work) }
}

/// Runs the work on a thread that the system serves after those of requests. The thread ends some seconds after its last
/// work.
///
/// There are as many threads as work, up to 512: what bounds the work of a tenant is its caller's business.
pub fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    static POOL: OnceLock<Option<Runtime>> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        let be_nice = || {
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
    }
}
