//! The protocol as pure code: what stands under a key, and how it changes. Time is an argument.

use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};

use super::times::{GENERATION_MS, LEASE_MS, TOMBSTONE_MS, VALUE_MS};

/// What stands under a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the text of each variant says what its fields are")]
pub enum Slot<V> {
    Value {
        value: V,
        basis: Option<Basis>,
    },
    Lease {
        nonce: u64,
        basis: Option<Basis>,
    },
    /// Under a key that other values rest on.
    Generation(u64),
    /// The changes that have begun and not finished, each with the moment at which its writer counts as dead.
    Tombstone(Vec<(u64, u64)>),
}

/// What a value rests on: a key, and the generation of it that was read before the value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Basis {
    /// Of the value that it follows from.
    pub key: String,
    /// What it was when it was read.
    pub generation: u64,
}

/// What a look-up found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotReading<V> {
    /// A value that counts.
    Hit(V),
    /// None, or one that no longer counts.
    Miss,
    /// The reader has a lease now, which covers this basis.
    Leased(Option<Basis>),
}

/// Slots by key, each with the moment of its end.
#[derive(Clone, Debug)]
pub struct Slots<V> {
    by_key: HashMap<String, (Slot<V>, u64)>,
}

impl<V> Default for Slots<V> {
    fn default() -> Self {
        Self { by_key: HashMap::new() }
    }
}

impl<V> Slots<V> {
    /// How many values are kept.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The slot under a key, unless it has ended.
    pub fn at(&self, key: &str, now_ms: u64) -> Option<&Slot<V>> {
        self.by_key.get(key).filter(|(_, until)| *until > now_ms).map(|(slot, _)| slot)
    }

    fn put(&mut self, key: &str, slot: Slot<V>, until: u64) {
        match self.by_key.get_mut(key) {
            Some(held) => *held = (slot, until),
            None => {
                self.by_key.insert(key.to_owned(), (slot, until));
            }
        }
    }

    /// Takes whatever stands under a key away, as expiry and eviction do.
    pub fn lose(&mut self, key: &str) {
        self.by_key.remove(key);
    }

    /// Drops everything but tombstones; a value that is lost costs one question to the owner.
    pub fn lose_values(&mut self) {
        self.by_key.retain(|_, (slot, _)| matches!(slot, Slot::Tombstone(_)));
    }

    /// A change begins: no lease and no value survives, and none is given until it finishes.
    pub fn begin(&mut self, key: &str, nonce: u64, now_ms: u64) {
        let mut changes = match self.at(key, now_ms) {
            Some(Slot::Tombstone(changes)) => changes.clone(),
            _ => Vec::new(),
        };
        changes.retain(|(_, until)| *until > now_ms);
        changes.push((nonce, now_ms + TOMBSTONE_MS));
        self.put(key, Slot::Tombstone(changes), now_ms + TOMBSTONE_MS);
    }

    /// A change has committed. Its tombstone may be gone meanwhile, and leases and values may stand in its place that
    /// are older than the commit: they go too. The tombstones of other changes stay.
    pub fn finish(&mut self, key: &str, nonce: u64, now_ms: u64) {
        if let Some((Slot::Tombstone(changes), until)) = self.by_key.get_mut(key)
            && *until > now_ms
        {
            changes.retain(|(other, until)| *other != nonce && *until > now_ms);
            if let Some(last) = changes.iter().map(|(_, until)| *until).max() {
                *until = last;
                return;
            }
        }
        self.by_key.remove(key);
    }

    /// Ends a lease that will not be filled.
    pub fn release(&mut self, key: &str, nonce: u64) {
        if matches!(self.by_key.get(key), Some((Slot::Lease { nonce: own, .. }, _)) if *own == nonce) {
            self.by_key.remove(key);
        }
    }

    /// Fills a lease that is still its own, and whose basis has not changed since it was taken.
    pub fn fill(&mut self, key: &str, nonce: u64, value: V, now_ms: u64) -> bool {
        let basis = match self.at(key, now_ms) {
            Some(Slot::Lease { nonce: own, basis }) if *own == nonce => basis.clone(),
            _ => return false,
        };
        if !self.rests_well(basis.as_ref(), now_ms) {
            self.by_key.remove(key);
            return false;
        }
        self.put(key, Slot::Value { value, basis }, now_ms + VALUE_MS);
        true
    }

    fn rests_well(&self, basis: Option<&Basis>, now_ms: u64) -> bool {
        let Some(basis) = basis else { return true };
        matches!(self.at(&basis.key, now_ms), Some(Slot::Generation(generation)) if *generation == basis.generation)
    }
}

impl<V: Clone> Slots<V> {
    /// Reads a key; on a miss takes a lease, unless a change or another reader is under way. `hint`: the key that the
    /// value is expected to rest on.
    pub fn get(&mut self, key: &str, hint: Option<&str>, nonce: u64, now_ms: u64) -> SlotReading<V> {
        match self.at(key, now_ms) {
            Some(Slot::Value { value, basis }) if self.rests_well(basis.as_ref(), now_ms) => {
                return SlotReading::Hit(value.clone());
            }
            Some(Slot::Tombstone(_) | Slot::Lease { .. }) => return SlotReading::Miss,
            _ => {}
        }
        let basis = match hint {
            None => None,
            Some(basis) => {
                let generation = match self.at(basis, now_ms) {
                    Some(Slot::Tombstone(_)) => return SlotReading::Miss,
                    Some(Slot::Generation(generation)) => *generation,
                    _ => nonce,
                };
                self.put(basis, Slot::Generation(generation), now_ms + GENERATION_MS);
                Some(Basis { key: basis.to_owned(), generation })
            }
        };
        self.put(key, Slot::Lease { nonce, basis: basis.clone() }, now_ms + LEASE_MS);
        SlotReading::Leased(basis)
    }
}

impl<V: Ord> Slots<V> {
    fn sorted(&self) -> BTreeMap<&String, &(Slot<V>, u64)> {
        self.by_key.iter().collect()
    }
}

impl<V: Ord> PartialEq for Slots<V> {
    fn eq(&self, other: &Self) -> bool {
        self.sorted() == other.sorted()
    }
}

impl<V: Ord> Eq for Slots<V> {}

impl<V: Ord + Hash> Hash for Slots<V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sorted().hash(state);
    }
}
