use std::{
    any::Any,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use portolan_authz::{Cache, Changes};

/// The caches in the memory of a process, one a space, whoever asks for them.
#[derive(Clone, Default)]
pub struct Caches(Arc<Mutex<HashMap<&'static str, Kept>>>);

struct Kept {
    cache: Box<dyn Any + Send + Sync>,
    changes: Changes,
}

impl Caches {
    /// The cache of a space, which has values of one type.
    pub(crate) fn cache<V: Send + Sync + 'static>(&self, space: &'static str) -> Cache<V> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let made = kept.entry(space).or_insert_with(|| {
            let cache = Cache::<V>::memory();
            Kept { changes: cache.changes(), cache: Box::new(cache) }
        });
        made.cache.downcast_ref::<Cache<V>>().expect("a space has values of one type").clone()
    }

    /// The writers' side of a cache that was made.
    pub(crate) fn changes(&self, space: &str) -> Option<Changes> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(space).map(|kept| kept.changes.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_space_has_one_cache() {
        let caches = Caches::default();
        assert!(caches.changes("a").is_none());
        let (one, other) = (caches.cache::<u64>("a"), caches.cache::<u64>("a"));
        let lease = |lookup| match lookup {
            portolan_authz::Lookup::Miss(Some(lease)) => lease,
            _ => panic!("there is no value yet"),
        };
        lease(one.get("key").await).fill(Arc::new(7)).await;
        assert!(matches!(other.get("key").await, portolan_authz::Lookup::Hit(value) if *value == 7));
        let change = caches.changes("a").unwrap().begin(["key".to_owned()]).await.unwrap();
        assert!(matches!(other.get("key").await, portolan_authz::Lookup::Miss(_)));
        change.finish().await.unwrap();
    }
}
