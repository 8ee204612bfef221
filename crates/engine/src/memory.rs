//! What names say, remembered: the names in most records are those of others.

use compact_str::CompactString;

/// Names that a memory holds.
const SLOTS: usize = 1024;

/// Longer names are not remembered.
const NAME_BYTES_MAX: usize = 64;

/// Up to here the two ends of a name and its length are the whole name.
const ENDS_BYTES: usize = 16;

/// What is known of the names that came last, each under an owner.
pub struct Memory<V> {
    slots: Vec<Slot<V>>,
}

#[derive(Clone, Default)]
struct Slot<V> {
    owner: u64,
    ends: (u64, u64),
    bytes: usize,
    /// The name, where its ends are not all of it.
    long: CompactString,
    value: V,
}

impl<V: Clone + Copy + Default> Memory<V> {
    pub const fn new() -> Self {
        Self { slots: Vec::new() }
    }

    /// The value of a name; `find` is a function of the owner and the name alone. No owner is 0.
    pub fn get(&mut self, owner: u64, name: &str, find: impl FnOnce() -> V) -> V {
        if name.len() > NAME_BYTES_MAX {
            return find();
        }
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, Slot::default());
        }
        let ends = ends(name.as_bytes());
        // Two names that share a place have room there; with one alone, they would push each other out with every record.
        let (first, second) = (place(name, ends), place(name, ends) + 1);
        if self.slots[first].is_of(owner, name, ends) {
            return self.slots[first].value;
        }
        if self.slots[second].is_of(owner, name, ends) {
            return self.slots[second].value;
        }
        let long = if name.len() <= ENDS_BYTES { CompactString::default() } else { name.into() };
        let found = Slot { owner, ends, bytes: name.len(), long, value: find() };
        self.slots[second] = std::mem::replace(&mut self.slots[first], found);
        self.slots[first].value
    }
}

impl<V> Slot<V> {
    fn is_of(&self, owner: u64, name: &str, ends: (u64, u64)) -> bool {
        self.owner == owner
            && self.ends == ends
            && self.bytes == name.len()
            && (name.len() <= ENDS_BYTES || self.long == name)
    }
}

/// The first of the two slots of a name whose ends are at hand.
fn place(name: &str, ends: (u64, u64)) -> usize {
    (digest(name.len() as u64, ends) % SLOTS) & !1
}

/// The first and the last eight bytes. Texts of one length of at most sixteen bytes have the same only if they are the same.
pub fn ends(bytes: &[u8]) -> (u64, u64) {
    if let (Some(head), Some(tail)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        return (u64::from_le_bytes(*head), u64::from_le_bytes(*tail));
    }
    if let (Some(head), Some(tail)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        return (u64::from(u32::from_le_bytes(*head)), u64::from(u32::from_le_bytes(*tail)));
    }
    (bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0)
}

/// Mixes the ends of a text with what else tells it apart: of a whole product, folded, each bit depends on every bit.
pub fn digest(seed: u64, ends: (u64, u64)) -> usize {
    const LEFT: u64 = 0x9e37_79b9_7f4a_7c15;
    const RIGHT: u64 = 0xd1b5_4a32_d192_ed03;
    let mix = |word: u64, by: u64| {
        let product = u128::from(word) * u128::from(by);
        (product >> 64) as u64 ^ product as u64
    };
    mix(mix(seed ^ ends.0 ^ LEFT, LEFT) ^ ends.1, RIGHT) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_once_for_each_owner() {
        let mut memory = Memory::<u32>::new();
        assert_eq!(memory.get(1, "tel", || 7), 7);
        assert_eq!(memory.get(1, "tel", || unreachable!("it is remembered")), 7);
        assert_eq!(memory.get(2, "tel", || 8), 8);
        // More names than there is room for: each has its own.
        let names: Vec<_> = (0..3 * SLOTS).map(|at| format!("{at:0width$}", width = at % 40)).collect();
        for _ in 0..2 {
            for name in &names {
                let value = name.bytes().fold(name.len() as u32, |sum, byte| sum.wrapping_mul(31) ^ u32::from(byte));
                assert_eq!(memory.get(2, name, || value), value);
            }
        }
    }

    fn place_of(name: &str) -> usize {
        place(name, ends(name.as_bytes()))
    }

    #[test]
    fn names_that_share_a_place_stay_known() {
        let names: Vec<_> = (0..).map(|at| format!("name{at}")).filter(|name| place_of(name) == 0).take(2).collect();
        let mut memory = Memory::<usize>::new();
        names.iter().for_each(|name| _ = memory.get(1, name, || name.len()));
        for name in names.iter().chain(&names) {
            assert_eq!(memory.get(1, name, || unreachable!("it is remembered")), name.len());
        }
    }

    #[test]
    fn every_byte_of_a_short_name_decides_its_place() {
        for bytes in 4..=ENDS_BYTES {
            for at in 0..bytes {
                let names = (b'a'..=b'z').map(|letter| {
                    let mut name = vec![b'a'; bytes];
                    name[at] = letter;
                    String::from_utf8(name).unwrap()
                });
                let places: std::collections::BTreeSet<_> = names.map(|name| place_of(&name)).collect();
                assert!(places.len() > 20, "{bytes} {at}");
            }
        }
    }

    #[test]
    fn ends_tell_short_texts_apart() {
        for bytes in 1..=ENDS_BYTES {
            for at in 0..bytes {
                let (mut one, other) = (vec![b'a'; bytes], vec![b'a'; bytes]);
                one[at] = b'b';
                assert_ne!(ends(&one), ends(&other), "{bytes} {at}");
            }
        }
    }
}
