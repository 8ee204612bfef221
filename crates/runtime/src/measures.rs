//! What a process tells of itself beside its requests: its version, what it uses of what it has, and when its certificates
//! end.

use std::sync::{Mutex, PoisonError};

/// Looks at something and sets its gauges.
type Measure = Box<dyn Fn() + Send + Sync>;

static MEASURES: Mutex<Vec<Measure>> = Mutex::new(Vec::new());

/// Also looks at this, every few seconds, once metrics are collected.
pub(crate) fn also(measure: impl Fn() + Send + Sync + 'static) {
    MEASURES.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(measure));
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
