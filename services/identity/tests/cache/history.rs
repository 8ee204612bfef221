use std::collections::BTreeMap;

use portolan_authz::{Cache, Redis, Scope};
use portolan_identity::{Deps, grants};
use portolan_testkit::TestDb;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::world::{ACCOUNT, identity, member};

const USERS: usize = 3;

/// What happens to grants, one thing after the other.
#[derive(Clone, Debug)]
enum Event {
    /// At one of two processes.
    Restrict {
        process: usize,
        user: usize,
        collections: Vec<i32>,
    },
    Add {
        process: usize,
        user: usize,
        collection: i32,
    },
    Read {
        process: usize,
        user: usize,
        scope: usize,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let collections = prop::collection::vec(1..6_i32, 0..4);
    prop_oneof![
        2 => (0..2_usize, 0..USERS, collections)
            .prop_map(|(process, user, collections)| Event::Restrict { process, user, collections }),
        2 => (0..2_usize, 0..USERS, 1..6_i32)
            .prop_map(|(process, user, collection)| Event::Add { process, user, collection }),
        5 => (0..2_usize, 0..USERS, 0..2_usize)
            .prop_map(|(process, user, scope)| Event::Read { process, user, scope }),
    ]
}

/// Random histories give, read by read, what a list that is simply kept gives; over both forms of the cache.
pub async fn random_histories_agree_with_a_naive_evaluator(test: TestDb) {
    let shared = Cache::memory();
    let mut worlds = vec![("memory", [identity(&test, shared.clone()).await, identity(&test, shared).await])];
    if let Ok(url) = std::env::var("PORTOLAN_TEST_REDIS") {
        let space: &str = format!("history-{:016x}", rand::random::<u64>()).leak();
        let cache = || Cache::redis(Redis::new(&url, "test").unwrap(), space);
        worlds.push(("redis", [identity(&test, cache()).await, identity(&test, cache()).await]));
    }
    let seed: [u8; 32] = rand::random();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for (name, processes) in worlds {
        for round in 0..4 {
            let events = prop::collection::vec(event(), 60).new_tree(&mut runner).unwrap().current();
            run(name, round, &processes, &events, &seed).await;
        }
    }
}

async fn run(name: &str, round: usize, processes: &[Deps; 2], events: &[Event], seed: &[u8; 32]) {
    let mut users = Vec::new();
    for user in 0..USERS {
        users.push(member(&processes[0], &format!("{name}-{round}-{user}@example.org")).await);
    }
    // Empty: every collection.
    let mut naive = BTreeMap::<usize, Vec<i32>>::new();
    for event in events {
        match event.clone() {
            Event::Restrict { process, user, collections } => {
                grants::set_collections(&processes[process], ACCOUNT, users[user], &collections).await.unwrap();
                naive.insert(user, collections);
            }
            Event::Add { process, user, collection } => {
                grants::add_collection(&processes[process], ACCOUNT, users[user], collection).await.unwrap();
                let list = naive.entry(user).or_default();
                if !list.is_empty() {
                    list.push(collection);
                }
            }
            Event::Read { process, user, scope } => {
                let scope = [Scope::Api, Scope::Dast][scope];
                let grant = grants::get(&processes[process], ACCOUNT, users[user], scope).await.unwrap();
                let list = naive.get(&user).cloned().unwrap_or_default();
                for collection in 1..6 {
                    let expected = list.is_empty() || list.contains(&collection);
                    assert_eq!(grant.sees(collection), expected, "{name}: {event:?} of {events:?}, seed {seed:?}");
                }
            }
        }
    }
}
