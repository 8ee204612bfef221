use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{LazyLock, PoisonError, RwLock};

/// A kind of data that an account has defined, by its name. The names are kept for as long as the process runs: an
/// account has few, and they come from the store alone. A name is a small number to the process, since kinds are copied
/// with every value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CustomType(u32);

#[derive(Default)]
struct Names {
    list: Vec<&'static str>,
    places: HashMap<&'static str, CustomType>,
}

static NAMES: LazyLock<RwLock<Names>> = LazyLock::new(RwLock::default);

impl CustomType {
    /// The kind of that name. For names from the store only, since each stays in memory.
    pub fn named(name: &str) -> Self {
        if let Some(known) = Self::known(name) {
            return known;
        }
        let mut names = NAMES.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.places.get(name) {
            return *known;
        }
        let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
        // Four billion names would fill the memory first.
        let new = Self(names.list.len() as u32);
        names.list.push(name);
        names.places.insert(name, new);
        new
    }

    /// The kind of that name, when there is one in this process.
    pub fn known(name: &str) -> Option<Self> {
        NAMES.read().unwrap_or_else(PoisonError::into_inner).places.get(name).copied()
    }

    /// As the account spells it.
    pub fn name(self) -> &'static str {
        NAMES.read().unwrap_or_else(PoisonError::into_inner).list[self.0 as usize]
    }
}

// By name: two processes must sort alike.
impl PartialOrd for CustomType {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for CustomType {
    fn cmp(&self, other: &Self) -> Ordering {
        if self == other { Ordering::Equal } else { self.name().cmp(other.name()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_equal_and_sorted_by_their_names() {
        let (later, earlier) = (CustomType::named("sort-b"), CustomType::named("sort-a"));
        assert!(earlier < later && earlier != later);
        assert_eq!((later.name(), earlier.name()), ("sort-b", "sort-a"));
        assert_eq!(CustomType::named("sort-b"), later);
        assert_eq!(CustomType::known("sort-c"), None);
        assert_eq!(size_of::<super::super::SubType>(), 8, "a kind is copied with every value");
    }
}
