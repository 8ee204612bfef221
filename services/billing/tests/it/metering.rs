use std::collections::BTreeMap;
use std::time::Duration;

use portolan_billing::usage::{self, Count, Event, event_key};
use portolan_billing::{model::windows::Grain, readings};
use portolan_store::{Faults, args};
use portolan_testkit::TestDb;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use rand::seq::SliceRandom as _;

use crate::world::{ACCOUNT, START, World};

fn event(account_id: i64, id: usize, feature: &str, value: i64, time: i64) -> Event {
    let key = event_key("test", &id.to_string());
    Event { account_id: account_id.into(), key, feature: feature.to_owned(), value, time }
}

/// Places where a transaction may end as if the process had been killed: before anything is written, after the claim,
/// before the commit, and after it, where the writer does not learn of its success.
const KILLS: [&str; 5] = ["store.begin", "usage.claimed", "store.execute", "store.commit", "store.committed"];

/// Ends a transaction at one of these places every few milliseconds, two hundred times.
pub async fn kill_often(faults: Faults, places: [&str; 5]) {
    for _ in 0..200 {
        let fault = faults.at(places[rand::random_range(0..places.len())]);
        if rand::random() {
            fault.lose_connection()
        } else {
            fault.fail()
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Ten senders repeat every batch until each was acknowledged ten times, while transactions die at every point: each
/// event counts once.
pub async fn a_retry_storm_counts_once(test: TestDb) {
    let world = World::built_in(test, "").await;
    let features = ["TEST_RUNS", "api.calls"];
    let events: Vec<Event> =
        (0..600).map(|id| event(ACCOUNT, id, features[id % 2], (id % 7) as i64, START + id as i64 * 600)).collect();
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let (deps, events) = (world.deps.clone(), events.clone());
        senders.spawn(async move {
            let mut batches: Vec<_> = events.chunks(50).map(<[Event]>::to_vec).collect();
            batches.shuffle(&mut rand::rng());
            let mut counted = 0;
            for batch in &mut batches {
                batch.shuffle(&mut rand::rng());
                loop {
                    match usage::record(&deps, batch).await {
                        Ok(new) => break counted += new.iter().filter(|is_new| **is_new).count(),
                        Err(error) => assert_eq!(error.reason(), portolan_api::Reason::Unavailable, "{error}"),
                    }
                }
            }
            counted
        });
    }
    let killer = tokio::spawn(kill_often(world.test.store.faults().clone(), KILLS));
    let mut counted = 0;
    while let Some(sender) = senders.join_next().await {
        counted += sender.unwrap();
    }
    killer.abort();
    let _ = killer.await;
    world.test.store.faults().clear();
    for feature in features {
        let of_feature = events.iter().filter(|event| event.feature == feature);
        let expected = (of_feature.clone().map(|event| event.value).sum(), of_feature.count() as i64);
        assert_eq!(world.total(ACCOUNT, feature).await, expected, "{feature}");
    }
    // A success of which the sender did not learn is not among these.
    assert!(counted <= events.len(), "{counted}");
    let rows = world.deps.db.fetch_one("SELECT count(*) AS n FROM usage_events", args![]).await.unwrap();
    assert_eq!(rows.get::<i64>("n").unwrap(), 600);
}

/// The sums are a function of the set of events, whatever their order, their batches and their repetitions.
pub async fn any_order_gives_the_same_usage(test: TestDb) {
    let world = World::built_in(test, "").await;
    let one = (0..40_usize, 0..3_usize, -5..50_i64, 0..4_000_000_i64);
    let mut runner = TestRunner::deterministic();
    for case in 0..25_i64 {
        let drawn = prop::collection::vec(one.clone(), 1..80).new_tree(&mut runner).unwrap().current();
        // One meaning for an id: the last drawn.
        let by_id: BTreeMap<usize, _> = drawn.iter().map(|drawn| (drawn.0, *drawn)).collect();
        let mut sums = Vec::new();
        for turn in 0..3 {
            let account_id = case * 10 + turn;
            let mut events: Vec<_> = by_id
                .values()
                .map(|(id, feature, value, time)| event(account_id, *id, &format!("f{feature}"), *value, START + time))
                .collect();
            let repeated: Vec<_> = events.iter().filter(|_| rand::random_bool(0.3)).cloned().collect();
            events.extend(repeated);
            events.shuffle(&mut rand::rng());
            let mut rest = events.as_slice();
            while !rest.is_empty() {
                let (batch, after) = rest.split_at(rand::random_range(1..=rest.len()));
                usage::record(&world.deps, batch).await.unwrap();
                rest = after;
            }
            sums.push(all_sums(&world, account_id).await);
        }
        let mut expected: BTreeMap<(String, &str, i64), (i64, i64)> = BTreeMap::new();
        for (_, feature, value, time) in by_id.values() {
            for grain in Grain::ALL {
                let key = (format!("f{feature}"), grain.name(), grain.start(START + time));
                let sum = expected.entry(key).or_default();
                *sum = (sum.0 + value, sum.1 + 1);
            }
        }
        let expected: Vec<_> = expected.into_iter().map(|((f, g, s), (v, e))| (f, g.to_owned(), s, v, e)).collect();
        for sums in sums {
            assert_eq!(sums, expected, "case {case}");
        }
    }
}

async fn all_sums(world: &World, account_id: i64) -> Vec<(String, String, i64, i64, i64)> {
    let sql = "SELECT feature, grain, start_at, value, events FROM usage_buckets WHERE account_id = $1";
    let rows = world.deps.db.fetch_all(sql, args![account_id]).await.unwrap();
    let mut sums: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row.get("feature").unwrap(),
                row.get("grain").unwrap(),
                row.get("start_at").unwrap(),
                row.get("value").unwrap(),
                row.get("events").unwrap(),
            )
        })
        .collect();
    sums.sort();
    sums
}

/// Counts of services may arrive repeated, reordered, and interrupted: the one with the highest version stands.
pub async fn the_highest_version_counts(test: TestDb) {
    let world = World::built_in(test, "").await;
    let counts: Vec<_> = (1..=40)
        .map(|version| {
            let count = (version * 37) % 11;
            Count { account_id: ACCOUNT.into(), feature: "ACTIVE_ENDPOINTS".to_owned(), count, version }
        })
        .collect();
    let mut reporters = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (deps, mut counts) = (world.deps.clone(), counts.clone());
        let faults = world.test.store.faults().clone();
        reporters.spawn(async move {
            counts.shuffle(&mut rand::rng());
            for count in counts {
                faults.at(["usage.reported", "store.committed"][count.version as usize % 2]).fail();
                while usage::report(&deps, vec![count.clone()]).await.is_err() {}
            }
        });
    }
    while let Some(reporter) = reporters.join_next().await {
        reporter.unwrap();
    }
    world.test.store.faults().clear();
    assert_eq!(world.total(ACCOUNT, "ACTIVE_ENDPOINTS").await.0, counts[39].count);
    let months = "SELECT cast(sum(value) as bigint) AS v FROM usage_buckets WHERE account_id = $1 AND grain = 'MONTH'";
    let row = world.deps.db.fetch_one(months, args![ACCOUNT]).await.unwrap();
    assert_eq!(row.get::<i64>("v").unwrap(), counts[39].count);
}

/// Pages of windows hold each window once, in order, and add up to the total.
pub async fn windows_add_up(test: TestDb) {
    let world = World::built_in(test, "").await;
    let events: Vec<_> = (0..300)
        .map(|id| event(ACCOUNT, id, ["a", "b", "c"][id % 3], 1 + id as i64, START - id as i64 * 7_200))
        .collect();
    usage::record(&world.deps, &events).await.unwrap();
    for feature in [None, Some("b".to_owned())] {
        let mut wish = readings::Wish {
            feature: feature.clone(),
            start: Some(0),
            grain: Some("day".to_owned()),
            page_size: Some(7),
            ..readings::Wish::default()
        };
        let mut windows = Vec::new();
        loop {
            let reading = readings::read(&world.deps, &world.caller(), &wish).await.unwrap();
            assert!(reading.windows.len() <= 7);
            windows.extend(reading.windows);
            wish.page_token = reading.next_page_token;
            if wish.page_token.is_empty() {
                break;
            }
        }
        let keys: Vec<_> = windows.iter().map(|window| (window.feature.clone(), window.start)).collect();
        assert!(keys.is_sorted() && keys.windows(2).all(|pair| pair[0] != pair[1]), "{keys:?}");
        let of = |event: &&Event| feature.as_ref().is_none_or(|feature| *feature == event.feature);
        let expected: i64 = events.iter().filter(of).map(|event| event.value).sum();
        assert_eq!(windows.iter().map(|window| window.value).sum::<i64>(), expected);
    }
}
