use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// What an attempt tells of itself while it goes on, and how it is asked to stop; cheap to clone into the threads that
/// do the work.
#[derive(Clone, Debug, Default)]
pub struct Pulse {
    bytes_read: Arc<AtomicU64>,
    beats: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
}

impl Pulse {
    /// Says that the work goes on, though it reads nothing.
    pub fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// Says that so many further bytes were read.
    pub fn read(&self, bytes: u64) {
        self.bytes_read.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How many bytes of its input the job has read.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Differs from what it was whenever the work has gone on.
    pub(crate) fn life(&self) -> (u64, u64) {
        (self.bytes_read(), self.beats.load(Ordering::Relaxed))
    }

    /// Asks the work to end at its next safe point.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether the work should end at its next safe point.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}
