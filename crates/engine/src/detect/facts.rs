//! What keys say.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use super::subtype::SubType;
use crate::memory::Memory;

/// What a key alone says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// The kind that it names.
    pub kind: Option<SubType>,
    /// The pairs of key and value whose key it fits, as bits.
    pub pairs: u8,
    pub speaks_of_iban: bool,
    pub names_a_phone: bool,
    /// It speaks of an identifier of some country.
    pub names_an_identifier: bool,
    /// Whatever stands under it is a credential.
    pub is_credential: bool,
}

thread_local! {
    static MEMORY: RefCell<Memory<Facts>> = const { RefCell::new(Memory::new()) };
}

/// Tells what is remembered for different detectors apart.
#[derive(Debug)]
pub(super) struct Owner(u64);

impl Owner {
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// The facts of a key; `find` is a function of the key alone.
    pub fn facts(&self, key: &str, find: impl FnOnce() -> Facts) -> Facts {
        // Written to a place of its own: on the way out of the closure it would be copied twice.
        let mut facts = Facts::default();
        MEMORY.with_borrow_mut(|memory| facts = memory.get(self.0, key, find));
        facts
    }
}
