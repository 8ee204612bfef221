//! What keys say, remembered: the keys of most records are those of others.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use compact_str::CompactString;

use super::subtype::SubType;

/// What a key alone says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// The kind that it names.
    pub kind: Option<SubType>,
    /// The pairs of key and value whose key it fits, as bits.
    pub pairs: u8,
    pub speaks_of_iban: bool,
    pub names_a_phone: bool,
}

/// Keys that each thread remembers.
const SLOTS: usize = 1024;

/// Longer keys are not remembered.
const KEY_BYTES_MAX: usize = 64;

#[derive(Clone, Default)]
struct Slot {
    owner: u64,
    key: CompactString,
    facts: Facts,
}

thread_local! {
    static MEMORY: RefCell<Vec<Slot>> = const { RefCell::new(Vec::new()) };
}

/// Tells the memories of different detectors apart.
#[derive(Debug)]
pub(super) struct Owner(u64);

impl Owner {
    pub fn new() -> Self {
        // From 1, so that an empty slot belongs to nobody.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// The facts of a key; `find` is a function of the key alone.
    pub fn facts(&self, key: &str, find: impl FnOnce() -> Facts) -> Facts {
        if key.len() > KEY_BYTES_MAX {
            return find();
        }
        MEMORY.with_borrow_mut(|slots| {
            if slots.is_empty() {
                slots.resize(SLOTS, Slot::default());
            }
            let slot = &mut slots[digest(key.as_bytes()) % SLOTS];
            if slot.owner != self.0 || slot.key != key {
                *slot = Slot { owner: self.0, key: key.into(), facts: find() };
            }
            slot.facts
        })
    }
}

fn digest(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    let mix = |digest: u64, word: u64| (digest ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let digest = words.iter().fold(bytes.len() as u64, |digest, word| mix(digest, u64::from_le_bytes(*word)));
    let last = rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    (mix(digest, last) >> 40) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_once_for_each_owner() {
        let (one, two) = (Owner::new(), Owner::new());
        let phone = Facts { names_a_phone: true, ..Facts::default() };
        assert_eq!(one.facts("tel", || phone), phone);
        assert_eq!(one.facts("tel", || unreachable!("it is remembered")), phone);
        assert_eq!(two.facts("tel", Facts::default), Facts::default());
        // More keys than there is room for: each has its own.
        for round in 0..2 {
            for at in 0..3 * SLOTS {
                let facts = Facts { pairs: (at % 251) as u8, ..Facts::default() };
                assert_eq!(two.facts(&format!("key{at}"), || facts), facts, "{round}");
            }
        }
    }
}
