//! What readers and writers rely on, over both forms. Redis cases need the server that `PORTOLAN_TEST_REDIS` names.

use std::sync::Arc;

use portolan_authz::{Cache, Lease, Lookup, Redis};

pub const REDIS: &str = "PORTOLAN_TEST_REDIS";

/// The server of the cases that need it.
pub fn redis_url() -> String {
    std::env::var(REDIS).expect("the case runs only with a Redis")
}

/// A cache of its own, on a fresh space of keys.
pub fn redis() -> Cache<i32> {
    let space = format!("protocol-{:016x}", rand::random::<u64>());
    Cache::redis(Redis::new(&redis_url(), "test").unwrap(), space.leak())
}

async fn lease(cache: &Cache<i32>, key: &str) -> Lease<i32> {
    match cache.get(key).await {
        Lookup::Miss(Some(lease)) => lease,
        Lookup::Miss(None) => panic!("no lease"),
        Lookup::Hit(value) => panic!("value {value}"),
    }
}

async fn hit(cache: &Cache<i32>, key: &str) -> Option<i32> {
    match cache.get(key).await {
        Lookup::Hit(value) => Some(*value),
        Lookup::Miss(_) => None,
    }
}

fn keys(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

pub async fn a_filled_value_is_served(cache: Cache<i32>) {
    lease(&cache, "k").await.fill(Arc::new(1)).await;
    assert_eq!(hit(&cache, "k").await, Some(1));
}

pub async fn a_read_that_began_before_a_change_fills_nothing(cache: Cache<i32>) {
    let before = lease(&cache, "k").await;
    let change = cache.begin_change(keys(&["k"])).await.unwrap();
    before.fill(Arc::new(1)).await;
    assert_eq!(hit(&cache, "k").await, None);
    change.finish().await.unwrap();
    assert_eq!(hit(&cache, "k").await, None);
}

pub async fn a_read_across_a_whole_change_fills_nothing(cache: Cache<i32>) {
    let across = lease(&cache, "k").await;
    cache.begin_change(keys(&["k"])).await.unwrap().finish().await.unwrap();
    across.fill(Arc::new(1)).await;
    assert_eq!(hit(&cache, "k").await, None);
}

pub async fn nobody_fills_before_both_of_two_changes_finish(cache: Cache<i32>) {
    let first = cache.begin_change(keys(&["k", "other"])).await.unwrap();
    let second = cache.begin_change(keys(&["k"])).await.unwrap();
    first.finish().await.unwrap();
    assert!(matches!(cache.get("k").await, Lookup::Miss(None)));
    second.finish().await.unwrap();
    lease(&cache, "k").await.fill(Arc::new(2)).await;
    assert_eq!(hit(&cache, "k").await, Some(2));
}

pub async fn a_dropped_change_keeps_its_tombstone(cache: Cache<i32>) {
    drop(cache.begin_change(keys(&["k"])).await.unwrap());
    assert!(matches!(cache.get("k").await, Lookup::Miss(None)));
}

pub async fn one_reader_at_a_time_has_the_lease(cache: Cache<i32>) {
    let first = lease(&cache, "k").await;
    assert!(matches!(cache.get("k").await, Lookup::Miss(None)));
    first.fill(Arc::new(1)).await;
    assert_eq!(hit(&cache, "k").await, Some(1));
}

pub async fn a_value_ends_with_its_basis(cache: Cache<i32>) {
    // The first read learns of the basis, the second fills.
    lease(&cache, "user").await.fill_on(Arc::new(1), Some("role")).await;
    lease(&cache, "user").await.fill_on(Arc::new(1), Some("role")).await;
    assert_eq!(hit(&cache, "user").await, Some(1));
    let change = cache.begin_change(keys(&["role"])).await.unwrap();
    assert!(matches!(cache.get("user").await, Lookup::Miss(None)));
    change.finish().await.unwrap();
    let before = lease(&cache, "user").await;
    cache.begin_change(keys(&["role"])).await.unwrap().finish().await.unwrap();
    before.fill_on(Arc::new(2), Some("role")).await;
    assert_eq!(hit(&cache, "user").await, None, "the role changed between lease and fill");
}

pub async fn a_basis_may_change_and_end(cache: Cache<i32>) {
    for basis in [Some("a"), Some("b"), None] {
        lease(&cache, "user").await.fill_on(Arc::new(1), basis).await;
        lease(&cache, "user").await.fill_on(Arc::new(1), basis).await;
        assert_eq!(hit(&cache, "user").await, Some(1), "{basis:?}");
        cache.begin_change(keys(&["user"])).await.unwrap().finish().await.unwrap();
    }
}

/// Two processes: what one filled the other serves, and what one changed the other no longer serves.
pub async fn processes_share_one_redis() {
    let url = redis_url();
    let space: &str = format!("shared-{:016x}", rand::random::<u64>()).leak();
    let [one, two] = [(); 2].map(|()| Cache::<i32>::redis(Redis::new(&url, "test").unwrap(), space));
    lease(&one, "k").await.fill(Arc::new(1)).await;
    assert_eq!(hit(&two, "k").await, Some(1));
    one.begin_change(keys(&["k"])).await.unwrap().finish().await.unwrap();
    lease(&two, "k").await.fill(Arc::new(2)).await;
    assert_eq!((hit(&one, "k").await, hit(&two, "k").await), (Some(2), Some(2)));
}

/// Without Redis readers ask the owner, and changes are refused before they begin.
pub async fn without_redis_changes_are_refused() {
    let cache = Cache::<i32>::redis(Redis::new("redis://127.0.0.1:1", "test").unwrap(), "none");
    assert!(matches!(cache.get("k").await, Lookup::Miss(None)));
    assert!(cache.begin_change(keys(&["k"])).await.is_err());
}

/// What one installation caches is nothing to another that shares its Redis.
pub async fn installations_share_a_redis_but_no_values() {
    let url = redis_url();
    let space: &str = format!("test-{:016x}", rand::random::<u64>()).leak();
    let [one, other] = ["one", "other"].map(|name| Cache::<i32>::redis(Redis::new(&url, name).unwrap(), space));
    lease(&one, "k").await.fill(Arc::new(1)).await;
    lease(&other, "k").await.fill(Arc::new(2)).await;
    assert_eq!((hit(&one, "k").await, hit(&other, "k").await), (Some(1), Some(2)));
    other.begin_change(keys(&["k"])).await.unwrap().finish().await.unwrap();
    assert_eq!((hit(&one, "k").await, hit(&other, "k").await), (Some(1), None));
}
