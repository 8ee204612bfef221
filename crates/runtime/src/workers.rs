//! The threads that serve the tasks of a process.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use tokio::runtime::{Builder, Runtime};

/// Name of a worker before its number, as `top -H` shows it.
const WORKER: &str = "worker-";

/// The variable of Tokio that says how many workers there are. Where it is set they run on any core.
const WORKERS_VARIABLE: &str = "TOKIO_WORKER_THREADS";

/// Workers begin within this, or some other thread may have the core of one of them.
const BEGIN_MAX: Duration = Duration::from_secs(1);

/// A runtime with a worker for each core, which keeps to this core, for the one process of a machine.
///
/// The system balances cores by what waits on them and moves what sleeps. Workers of a busy process never sleep, and those
/// that once met on one core stay there, half as fast, while threads of lower priority have the other core for themselves.
/// On a machine that is shared a core may be taken by others for long, so a process that may use less than it sees leaves
/// its workers to the system, and so does every process of a single service.
///
/// # Errors
/// When the threads cannot be begun.
pub fn runtime() -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.enable_all();
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cores = cores::allowed();
    if workers < 2 || workers != cores.len() || std::env::var_os(WORKERS_VARIABLE).is_some() {
        return builder.build();
    }
    let begun = AtomicUsize::new(0);
    let name = move || match begun.fetch_add(1, Ordering::Relaxed) {
        number if number < workers => format!("{WORKER}{number}"),
        _ => "blocking".to_owned(),
    };
    builder.worker_threads(workers).thread_name_fn(name).on_thread_start(|| match number() {
        Some(number) => cores::keep_to(&cores::allowed()[number..=number]),
        None => on_any_core(),
    });
    let runtime = builder.build()?;
    // The threads of other work are taken from the same pool as workers: until these have begun there is no other work.
    let started = Instant::now();
    while (0..workers).any(|worker| runtime.metrics().worker_park_count(worker) == 0) && started.elapsed() < BEGIN_MAX {
        std::thread::sleep(Duration::from_micros(100));
    }
    Ok(runtime)
}

/// Runs work that begins threads of a library, so that they do not inherit the core of this worker.
pub fn beginning_threads<T>(work: impl FnOnce() -> T) -> T {
    let Some(number) = number() else { return work() };
    on_any_core();
    let made = work();
    cores::keep_to(&cores::allowed()[number..=number]);
    made
}

/// Lets this thread run on every core of the process: it has inherited the core of the worker that began it.
pub(crate) fn on_any_core() {
    cores::keep_to(cores::allowed());
}

/// The number of the worker that this thread is.
fn number() -> Option<usize> {
    std::thread::current().name()?.strip_prefix(WORKER)?.parse().ok()
}

#[cfg(target_os = "linux")]
mod cores {
    use std::sync::OnceLock;

    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    /// The cores that the process may use, as it was begun.
    pub fn allowed() -> &'static [usize] {
        static ALLOWED: OnceLock<Vec<usize>> = OnceLock::new();
        ALLOWED.get_or_init(of_this_thread)
    }

    pub fn of_this_thread() -> Vec<usize> {
        let set = sched_getaffinity(None).unwrap_or_default();
        (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()
    }

    /// A thread that the system lets run nowhere else does its work, too.
    pub fn keep_to(cores: &[usize]) {
        let mut set = CpuSet::new();
        cores.iter().for_each(|core| set.set(*core));
        let _ = sched_setaffinity(None, &set);
    }
}

#[cfg(not(target_os = "linux"))]
mod cores {
    pub fn allowed() -> &'static [usize] {
        &[]
    }

    pub fn keep_to(_: &[usize]) {}
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_worker_keeps_to_its_core_and_nothing_that_it_begins_does() {
        let allowed = cores::allowed();
        let is_own = std::thread::available_parallelism().is_ok_and(|workers| workers.get() == allowed.len());
        let is_own = is_own && allowed.len() > 1 && std::env::var_os(WORKERS_VARIABLE).is_none();
        let look = move || async move {
            let begun = beginning_threads(|| std::thread::spawn(cores::of_this_thread));
            let apart = tokio::task::spawn_blocking(cores::of_this_thread).await.unwrap();
            assert_eq!((&*begun.join().unwrap(), &*apart), (allowed, allowed));
            let own = cores::of_this_thread();
            assert_eq!(own.len(), if is_own { 1 } else { allowed.len() }, "{own:?}");
            // Long enough that others take up the next ones.
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        runtime().unwrap().block_on(async {
            let looks: Vec<_> = std::iter::repeat_with(|| tokio::spawn(look())).take(50).collect();
            for look in looks {
                look.await.unwrap();
            }
        });
    }
}
