use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

/// Above this the memory starts over; a hint that is gone costs one question to the owner.
const HINTS_MAX: usize = 100_000;

/// What the value of each key rested on when it was last read. A wrong hint costs a question, never a wrong answer.
#[derive(Clone, Default)]
pub(super) struct Hints(Arc<RwLock<HashMap<String, Arc<str>>>>);

impl Hints {
    pub fn of(&self, key: &str) -> Option<Arc<str>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    pub fn note(&self, key: &str, basis: Option<&str>) {
        let mut hints = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if hints.len() >= HINTS_MAX {
            hints.clear();
        }
        match basis {
            Some(basis) => hints.insert(key.to_owned(), basis.into()),
            None => hints.remove(key),
        };
    }
}
