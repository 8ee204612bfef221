use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// No value is served longer than this, whatever happens.
const VALUE_AGE_MAX: Duration = Duration::from_secs(60);
/// Above this many keys the cache starts over; a miss costs one question to the owner.
const KEYS_MAX: usize = 100_000;

/// Values owned by another part, kept so that a change is never answered while an old value can still be served.
///
/// The protocol is that of leases: a reader that misses takes a lease, reads from the owner, and fills only if the lease
/// is still its own; a change puts a tombstone first, which ends every lease and keeps readers from filling until the
/// change is in the owner's database.
#[derive(Clone)]
pub enum Cache<V> {
    /// In this process; right only when every reader and writer of the values lives in it.
    Memory(Memory<V>),
    /// Every read asks the owner.
    Off,
}

/// The in-process form.
#[derive(Clone)]
pub struct Memory<V> {
    slots: Arc<Mutex<Slots<V>>>,
}

struct Slots<V> {
    by_key: HashMap<String, Slot<V>>,
    next_nonce: u64,
}

enum Slot<V> {
    Value {
        value: V,
        read_at: Instant,
    },
    Lease {
        nonce: u64,
    },
    /// `changes` that have begun and not ended.
    Tombstone {
        changes: usize,
    },
}

/// What a look-up found.
pub enum Lookup<V> {
    Hit(V),
    /// Read from the owner, then fill the lease if there is one.
    Miss(Option<Lease<V>>),
}

/// The right to fill a key, as long as nothing changed meanwhile.
pub struct Lease<V> {
    cache: Memory<V>,
    key: String,
    nonce: u64,
}

/// A change under way. Ends when dropped; hold it until the database has committed.
#[must_use = "the change ends when this is dropped"]
pub struct Change<V> {
    cache: Option<Memory<V>>,
    keys: Vec<String>,
}

impl<V: Clone> Cache<V> {
    pub fn memory() -> Self {
        Self::Memory(Memory { slots: Arc::new(Mutex::new(Slots { by_key: HashMap::new(), next_nonce: 0 })) })
    }

    pub fn get(&self, key: &str) -> Lookup<V> {
        let Self::Memory(memory) = self else { return Lookup::Miss(None) };
        let mut slots = memory.lock();
        match slots.by_key.get(key) {
            Some(Slot::Value { value, read_at }) if read_at.elapsed() < VALUE_AGE_MAX => Lookup::Hit(value.clone()),
            Some(Slot::Tombstone { .. }) => Lookup::Miss(None),
            _ => {
                if slots.by_key.len() >= KEYS_MAX {
                    slots.by_key.retain(|_, slot| matches!(slot, Slot::Tombstone { .. }));
                }
                let nonce = slots.next_nonce;
                slots.next_nonce += 1;
                slots.by_key.insert(key.to_owned(), Slot::Lease { nonce });
                Lookup::Miss(Some(Lease { cache: memory.clone(), key: key.to_owned(), nonce }))
            }
        }
    }

    /// Announces a change of the values under these keys, before the database is touched.
    pub fn begin_change(&self, keys: impl IntoIterator<Item = String>) -> Change<V> {
        let Self::Memory(memory) = self else { return Change { cache: None, keys: Vec::new() } };
        let keys: Vec<_> = keys.into_iter().collect();
        let mut slots = memory.lock();
        for key in &keys {
            match slots.by_key.get_mut(key) {
                Some(Slot::Tombstone { changes }) => *changes += 1,
                _ => {
                    slots.by_key.insert(key.clone(), Slot::Tombstone { changes: 1 });
                }
            }
        }
        drop(slots);
        Change { cache: Some(memory.clone()), keys }
    }
}

impl<V> Memory<V> {
    /// A panic while the lock is held leaves whole slots behind, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, Slots<V>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Lease<V> {
    /// `value` must have been read from the owner after the lease was taken.
    pub fn fill(self, value: V) {
        let mut slots = self.cache.lock();
        if matches!(slots.by_key.get(&self.key), Some(Slot::Lease { nonce }) if *nonce == self.nonce) {
            slots.by_key.insert(self.key, Slot::Value { value, read_at: Instant::now() });
        }
    }
}

impl<V> Drop for Change<V> {
    fn drop(&mut self) {
        let Some(cache) = &self.cache else { return };
        let mut slots = cache.lock();
        for key in &self.keys {
            match slots.by_key.get_mut(key) {
                Some(Slot::Tombstone { changes }) if *changes > 1 => *changes -= 1,
                Some(Slot::Tombstone { .. }) => {
                    slots.by_key.remove(key);
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(cache: &Cache<i32>) -> Lease<i32> {
        match cache.get("k") {
            Lookup::Miss(Some(lease)) => lease,
            _ => panic!("expected a lease"),
        }
    }

    fn hit(cache: &Cache<i32>) -> Option<i32> {
        match cache.get("k") {
            Lookup::Hit(value) => Some(value),
            Lookup::Miss(_) => None,
        }
    }

    #[test]
    fn a_filled_value_is_served() {
        let cache = Cache::memory();
        lease(&cache).fill(1);
        assert_eq!(hit(&cache), Some(1));
    }

    #[test]
    fn a_read_that_began_before_a_change_fills_nothing() {
        let cache = Cache::memory();
        let before = lease(&cache);
        let change = cache.begin_change(["k".to_owned()]);
        before.fill(1);
        assert_eq!(hit(&cache), None);
        drop(change);
        assert_eq!(hit(&cache), None);
    }

    #[test]
    fn readers_during_a_change_get_no_lease() {
        let cache = Cache::memory();
        let first = cache.begin_change(["k".to_owned()]);
        let second = cache.begin_change(["k".to_owned()]);
        drop(first);
        assert!(matches!(cache.get("k"), Lookup::Miss(None)));
        drop(second);
        lease(&cache).fill(2);
        assert_eq!(hit(&cache), Some(2));
    }

    #[test]
    fn a_later_lease_replaces_an_earlier_one() {
        let cache = Cache::memory();
        let first = lease(&cache);
        let second = lease(&cache);
        first.fill(1);
        assert!(matches!(cache.get("k"), Lookup::Miss(Some(_))));
        second.fill(2);
        assert_eq!(hit(&cache), None);
    }
}
