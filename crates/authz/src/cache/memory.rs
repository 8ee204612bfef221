use std::{
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::{hints::Hints, reading::Reading, slots};

/// Above this many keys the cache starts over.
const KEYS_MAX: usize = 100_000;

/// The in-process form.
pub struct Memory<V> {
    slots: Arc<Mutex<slots::Slots<Arc<V>>>>,
    hints: Hints,
}

pub(super) struct Lease<V> {
    cache: Memory<V>,
    key: String,
    nonce: u64,
    basis: Option<slots::Basis>,
}

/// The writers' side, whatever the values are.
pub(super) trait Tombstones: Send + Sync {
    fn begin(&self, keys: &[String], nonce: u64);
    fn finish(&self, keys: &[String], nonce: u64);
}

impl<V> Clone for Memory<V> {
    fn clone(&self) -> Self {
        Self { slots: self.slots.clone(), hints: self.hints.clone() }
    }
}

impl<V> Default for Memory<V> {
    fn default() -> Self {
        Self { slots: Arc::default(), hints: Hints::default() }
    }
}

impl<V> Memory<V> {
    /// A panic while the lock is held leaves whole slots behind, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, slots::Slots<Arc<V>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: &str) -> Reading<V, Lease<V>> {
        let hint = self.hints.of(key);
        let nonce = rand::random();
        let mut slots = self.lock();
        if slots.len() >= KEYS_MAX {
            slots.lose_values();
        }
        match slots.get(key, hint.as_deref(), nonce, now_ms()) {
            slots::SlotReading::Hit(value) => Reading::Hit(value),
            slots::SlotReading::Miss => Reading::Miss,
            slots::SlotReading::Leased(basis) => {
                Reading::Leased(Lease { cache: self.clone(), key: key.to_owned(), nonce, basis })
            }
        }
    }
}

impl<V> Lease<V> {
    pub fn fill(self, value: Arc<V>, basis: Option<&str>) {
        if self.basis.as_ref().map(|leased| leased.key.as_str()) == basis {
            self.cache.lock().fill(&self.key, self.nonce, value, now_ms());
        } else {
            self.cache.hints.note(&self.key, basis);
            self.cache.lock().release(&self.key, self.nonce);
        }
    }
}

impl<V> Drop for Lease<V> {
    /// A reader that failed leaves the key to the next.
    fn drop(&mut self) {
        self.cache.lock().release(&self.key, self.nonce);
    }
}

impl<V: Send + Sync> Tombstones for Memory<V> {
    fn begin(&self, keys: &[String], nonce: u64) {
        let mut slots = self.lock();
        keys.iter().for_each(|key| slots.begin(key, nonce, now_ms()));
    }

    fn finish(&self, keys: &[String], nonce: u64) {
        let mut slots = self.lock();
        keys.iter().for_each(|key| slots.finish(key, nonce, now_ms()));
    }
}

fn now_ms() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_millis() as u64
}
