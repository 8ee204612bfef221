use std::collections::HashSet;
use std::sync::{LazyLock, PoisonError, RwLock};

/// A kind of data that an account has defined, by its name. The names are kept for as long as the process runs: an
/// account has few, and they come from the store alone.
#[derive(Clone, Copy, Debug)]
pub struct CustomType(&'static str);

static NAMES: LazyLock<RwLock<HashSet<&'static str>>> = LazyLock::new(RwLock::default);

impl CustomType {
    /// The kind of that name. For names from the store only, since each stays in memory.
    pub fn named(name: &str) -> Self {
        if let Some(known) = Self::known(name) {
            return known;
        }
        let mut names = NAMES.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.get(name) {
            return Self(known);
        }
        let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
        names.insert(name);
        Self(name)
    }

    /// The kind of that name, when there is one in this process.
    pub fn known(name: &str) -> Option<Self> {
        NAMES.read().unwrap_or_else(PoisonError::into_inner).get(name).copied().map(Self)
    }

    /// As the account spells it.
    pub fn name(self) -> &'static str {
        self.0
    }
}

// By name: two processes must sort alike.
impl PartialEq for CustomType {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for CustomType {}

impl PartialOrd for CustomType {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for CustomType {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(other.0)
    }
}

impl std::hash::Hash for CustomType {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
