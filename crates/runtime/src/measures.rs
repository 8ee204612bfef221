//! What a process tells of itself beside its requests: its version, what it uses of what it has, and when its certificates
//! end.

use std::{
    path::PathBuf,
    sync::{LazyLock, Mutex, PoisonError},
};

/// Looks at something and sets its gauges.
type Measure = Box<dyn Fn() + Send + Sync>;

static MEASURES: Mutex<Vec<Measure>> = Mutex::new(Vec::new());

/// Also looks at this, every few seconds, once metrics are collected.
pub fn also(measure: impl Fn() + Send + Sync + 'static) {
    MEASURES.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(measure));
}

/// What the process may take of memory: the bound of its container, else all that the machine has.
static MEMORY_MAX_BYTES: LazyLock<Option<f64>> = LazyLock::new(|| {
    let bound = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .into_iter()
        .find_map(|file| std::fs::read_to_string(file).ok()?.trim().parse::<f64>().ok());
    let all = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let kib = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.split_whitespace().next()?;
        Some(kib.parse::<f64>().ok()? * 1_024.0)
    });
    // A bound that nobody set is larger than any machine.
    all.map(|all| bound.map_or(all, |bound| bound.min(all))).or(bound)
});

/// Room on the disk of the data directory, in bytes.
pub(crate) fn tell_disk(directory: PathBuf) {
    also(move || {
        if let Ok(disk) = rustix::fs::statvfs(&directory) {
            metrics::gauge!("portolan_disk_free_bytes").set(disk.f_bavail as f64 * disk.f_frsize as f64);
        }
    });
}

/// Which program this is.
pub(crate) fn tell_build() {
    let path = std::env::current_exe().unwrap_or_default();
    let program = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    metrics::gauge!("portolan_build_info", "program" => program, "version" => env!("CARGO_PKG_VERSION")).set(1);
}

pub(crate) fn measure() {
    process();
    for measure in MEASURES.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        measure();
    }
}

/// Memory and descriptors, where the system tells them.
fn process() {
    if let Some(bytes) = *MEMORY_MAX_BYTES {
        metrics::gauge!("portolan_memory_max_bytes").set(bytes);
    }
    let page_bytes = rustix::param::page_size() as f64;
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    if let Some(pages) = statm.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()) {
        metrics::gauge!("process_resident_memory_bytes").set(pages * page_bytes);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        metrics::gauge!("process_open_fds").set(open.count() as f64);
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    if let Some(limit) = limit {
        metrics::gauge!("process_max_fds").set(limit as f64);
    }
}
