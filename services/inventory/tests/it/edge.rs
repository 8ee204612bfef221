use std::collections::BTreeMap;

use portolan_inventory::{Deps, collections, feed, model::feed::EdgeEndpoint};
use portolan_testkit::TestDb;

use crate::harness::{ACCOUNT, admin, append, call, create, deps, distinct_path, ingest_all};

/// Reads the feed to its end from a version, a few at a time.
async fn read(deps: &Deps, mut version: i64, state: &mut BTreeMap<i64, EdgeEndpoint>) -> i64 {
    loop {
        let (changes, complete) = feed::changes(deps, version, 3).await.unwrap();
        for change in changes {
            assert!(change.version > version);
            version = change.version;
            state.insert(change.endpoint_id, change);
        }
        if complete {
            return version;
        }
    }
}

fn urls(state: &BTreeMap<i64, EdgeEndpoint>) -> Vec<String> {
    let there = state.values().filter(|endpoint| !endpoint.removed);
    let mut urls: Vec<_> = there.map(|endpoint| format!("{} {}", endpoint.method, endpoint.url)).collect();
    urls.sort();
    urls
}

/// A reader who applies the changes has the endpoints that the inventory has, merged and deleted ones too.
pub async fn the_feed_follows_the_inventory(test: TestDb) {
    let deps = deps(&test).await;
    let collection = create(&deps, ACCOUNT, "A").await;
    let names = ["qa", "wb", "ec", "rd", "te", "yf", "ug", "ih", "oj", "pk", "al"];
    let weak = |name: &&str| call(collection.id, "GET", &format!("/items/{name}7{name}9x{name}"), 5);
    let first: Vec<_> = names[..5].iter().map(weak).chain([call(collection.id, "POST", "/items", 5)]).collect();
    append(&deps, "p", 0, &first).await;
    ingest_all(&deps).await;
    let mut state = BTreeMap::new();
    let version = read(&deps, 0, &mut state).await;
    let known = |state: &BTreeMap<i64, EdgeEndpoint>| urls(state);
    let before = known(&state);

    let mut failed = call(collection.id, "GET", &distinct_path(3), 5);
    failed.status_code = 404;
    let second: Vec<_> = names[5..].iter().map(weak).chain([failed]).collect();
    append(&deps, "p", 1, &second).await;
    ingest_all(&deps).await;
    let version = read(&deps, version, &mut state).await;
    let (_, listed) = portolan_inventory::endpoints::list(&deps, &admin(ACCOUNT), collection.id).await.unwrap();
    let mut listed: Vec<_> = listed.iter().map(|known| format!("{} {}", known.id.method, known.id.url)).collect();
    listed.sort();
    assert_eq!(urls(&state), listed);
    assert_ne!(before, listed);
    assert!(state.values().all(|endpoint| endpoint.active && endpoint.account_id == ACCOUNT));

    // What changes nothing is no change.
    append(&deps, "p", 2, &first).await;
    ingest_all(&deps).await;
    assert_eq!(read(&deps, version, &mut state).await, version);

    collections::delete(&deps, &admin(ACCOUNT), vec![collection.id]).await.unwrap();
    read(&deps, version, &mut state).await;
    assert!(urls(&state).is_empty() && !state.is_empty());
    assert!(state.values().all(|endpoint| endpoint.url.is_empty()));
}

/// However long the URLs are that an account has, a page of the feed fits into a message, and the feed goes on.
pub async fn pages_of_long_urls_fit_a_message(test: TestDb) {
    const MESSAGE_BYTES_MAX: usize = 4 << 20;
    let deps = deps(&test).await;
    let collection = create(&deps, ACCOUNT, "A").await;
    let long = "/customers-and-orders-of-the-year".repeat(240);
    let paths: Vec<String> = (0..600).map(|n| distinct_path(n) + &long).collect();
    let calls: Vec<_> = paths.iter().map(|path| call(collection.id, "GET", path, 5)).collect();
    assert!(paths.iter().map(String::len).sum::<usize>() > MESSAGE_BYTES_MAX);
    append(&deps, "p", 0, &calls).await;
    ingest_all(&deps).await;
    let (mut version, mut read, mut complete) = (0, 0, false);
    while !complete {
        let page = feed::changes(&deps, version, 5_000).await.unwrap();
        assert!(page.0.iter().map(|change| change.url.len()).sum::<usize>() < MESSAGE_BYTES_MAX * 3 / 4);
        assert!(page.0.iter().all(|change| change.version > version));
        version = page.0.last().map_or(version, |last| last.version);
        read += page.0.len();
        complete = page.1;
    }
    assert_eq!(read, paths.len());
}
