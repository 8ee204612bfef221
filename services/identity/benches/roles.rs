//! What a role check costs: in process, over Redis beside a bare GET in the same run, and in an account with many custom
//! roles and collections against one with few. Prints a Markdown table. Redis is the one that `PORTOLAN_TEST_REDIS` names,
//! else a `redis-server` of this run alone.

#[path = "../tests/common/world.rs"]
mod world;

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use portolan_api::{Access, Feature};
use portolan_authz::{Cache, Grant, Lookup, Redis, Role, Scope, grant_key};
use portolan_identity::{Deps, grants};
use portolan_ids::{CollectionId, UserId};
use portolan_store::args;
use portolan_testkit::{RedisServer, TestDb};
use world::ACCOUNT;

const FEW: usize = 10;
const MANY_ROLES: usize = 10_000;
const MANY_COLLECTIONS: i32 = 1_000;
const ROUNDS: usize = 40;

#[tokio::main]
async fn main() {
    in_process().await;
    over_redis().await;
    from_the_database().await;
}

fn row(what: &str, measured: f64, against: f64, goal: &str) {
    println!("| {what} | {measured:.0} ns | {against:.0} ns | {:.2} × | {goal} |", measured / against);
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// A member with a custom role of so many collections.
fn grant(collections: i32) -> Grant {
    Grant::new("AUDITOR", Role::Member, Some((0..collections).map(CollectionId).collect()))
}

/// Puts a grant into the cache under a key of its own; the second lease covers the role that it rests on.
async fn fill(cache: &Cache<Grant>, user: i64, grant: Grant) -> String {
    let (key, grant) = (grant_key(ACCOUNT, UserId(user), Scope::Api), Arc::new(grant));
    for _ in 0..2 {
        if let Lookup::Miss(Some(lease)) = cache.get(&key).await {
            lease.fill_on(grant.clone(), grant.basis(ACCOUNT).as_deref()).await;
        }
    }
    key
}

async fn check(cache: &Cache<Grant>, key: &str, collection: CollectionId) -> bool {
    match cache.get(key).await {
        Lookup::Hit(grant) => grant.allows(Feature::ApiCollections, Access::ReadWrite) && grant.sees(collection),
        Lookup::Miss(_) => panic!("{key} left the cache"),
    }
}

async fn in_process() {
    const CALLS: u32 = 20_000;
    let held = grant(FEW as i32);
    let time = async |checks: &mut dyn FnMut()| {
        let samples = (0..ROUNDS).map(|_| {
            let began = Instant::now();
            (0..CALLS).for_each(|_| checks());
            began.elapsed().as_nanos() as f64 / f64::from(CALLS)
        });
        median(samples.collect())
    };
    let mut and = || assert!(black_box(&held).allows(black_box(Feature::ApiCollections), Access::ReadWrite));
    let and = time(&mut and).await;
    println!("| permission of a grant at hand, in process | {and:.1} ns | | | |");
    let cache = Cache::memory();
    let keys = [fill(&cache, 1, grant(FEW as i32)).await, fill(&cache, 2, grant(MANY_COLLECTIONS)).await];
    let mut medians = Vec::new();
    for (key, collections) in keys.iter().zip([FEW as i32, MANY_COLLECTIONS]) {
        let samples = (0..ROUNDS).map(async |_| {
            let began = Instant::now();
            for call in 0..CALLS {
                black_box(check(&cache, key, CollectionId(call as i32 % collections)).await);
            }
            began.elapsed().as_nanos() as f64 / f64::from(CALLS)
        });
        let mut all = Vec::new();
        for sample in samples {
            all.push(sample.await);
        }
        medians.push(median(all));
    }
    println!("| role check in process, {FEW} collections | {:.0} ns | | | |", medians[0]);
    let what = format!("role check in process, {MANY_COLLECTIONS} collections against {FEW}");
    row(&what, medians[1], medians[0], "1 ×");
}

/// The address of the Redis that the environment names, else of one that is stopped with the value.
async fn open_redis() -> Option<(String, Option<RedisServer>)> {
    if let Ok(url) = std::env::var("PORTOLAN_TEST_REDIS") {
        return Some((url, None));
    }
    let server = RedisServer::start_program("redis-server").ok()?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    Some((server.url(), Some(server)))
}

/// Checks and bare GETs in turn, so that both meet the same moments of the machine.
async fn over_redis() {
    const CALLS: usize = 100;
    let Some((url, _server)) = open_redis().await else {
        println!("| role check over Redis | no Redis: set PORTOLAN_TEST_REDIS | | | |");
        return;
    };
    let link = Redis::new(&url, &format!("bench-{:016x}", rand::random::<u64>())).unwrap();
    let cache = Cache::redis(link, "grants");
    let client = redis::Client::open(url.as_str()).unwrap();
    let mut bare = client.get_multiplexed_async_connection().await.unwrap();
    let name = format!("portolan-bench-{:016x}", rand::random::<u64>());
    let size = serde_json::to_vec(&grant(FEW as i32)).unwrap().len();
    redis::cmd("SET").arg(&name).arg("x".repeat(size)).arg("EX").arg(600).exec_async(&mut bare).await.unwrap();
    // A value stands for 50 s, and this takes less.
    let few = fill(&cache, 1, grant(FEW as i32)).await;
    let many = fill(&cache, 2, grant(MANY_COLLECTIONS)).await;
    let (mut gets, mut checks, mut large) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for call in 0..CALLS {
            let began = Instant::now();
            black_box(redis::cmd("GET").arg(&name).query_async::<String>(&mut bare).await.unwrap());
            gets.push(began.elapsed().as_nanos() as f64);
            for (key, into, collections) in [(&few, &mut checks, FEW as i32), (&many, &mut large, MANY_COLLECTIONS)] {
                let began = Instant::now();
                black_box(check(&cache, key, CollectionId(call as i32 % collections)).await);
                into.push(began.elapsed().as_nanos() as f64);
            }
        }
    }
    let (gets, checks, large) = (median(gets), median(checks), median(large));
    row("role check over Redis against a bare GET of the same size", checks, gets, "≤ 1.3 ×");
    row(&format!("role check over Redis, {MANY_COLLECTIONS} collections against {FEW}"), large, checks, "1 ×");
    from_copies(&url).await;
    redis::cmd("DEL").arg(&name).exec_async(&mut bare).await.unwrap();
}

/// Checks as each of six processes makes them: from a copy, which is read anew four times a second.
async fn from_copies(url: &str) {
    const CALLS: u32 = 20_000;
    let link = Redis::new(url, &format!("bench-{:016x}", rand::random::<u64>())).unwrap();
    let cache = Cache::near(link, "grants");
    let owner = || async { Ok(grant(FEW as i32)) };
    let mut samples = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for call in 0..CALLS {
            let key = grant_key(ACCOUNT, UserId(1), Scope::Api);
            let held = cache.read(&key, owner, |grant: &Grant| grant.basis(ACCOUNT)).await.unwrap();
            black_box(
                held.allows(Feature::ApiCollections, Access::ReadWrite)
                    && held.sees(CollectionId(call as i32 % FEW as i32)),
            );
        }
        samples.push(began.elapsed().as_nanos() as f64 / f64::from(CALLS));
    }
    println!("| role check in six processes, from a copy, with its key | {:.0} ns | | | |", median(samples));
}

/// What a check costs that the cache cannot answer: the same SQLite, with few custom roles and with many.
async fn from_the_database() {
    const CALLS: u32 = 50;
    let test = TestDb::sqlite().await;
    let deps = world::identity(&test, Cache::Off).await;
    let [few, many] = ["few@example.org", "many@example.org"].map(str::to_owned);
    let few = world::with_role(&deps, &few, "ROLE-0").await;
    let many = world::with_role(&deps, &many, &format!("ROLE-{}", MANY_ROLES - 1)).await;
    insert_roles(&deps, 0..FEW, FEW as i32).await;
    let alone = read(&deps, few, CALLS).await;
    insert_roles(&deps, FEW..MANY_ROLES, FEW as i32).await;
    let among = read(&deps, few, CALLS).await;
    row(&format!("grant from the database, {MANY_ROLES} custom roles against {FEW}"), among, alone, "1 ×");
    let list: Vec<i32> = (0..MANY_COLLECTIONS).collect();
    let widen = "UPDATE custom_roles SET collection_ids = $2 WHERE account_id = $1 AND name_key = $3";
    let values = args![ACCOUNT, serde_json::to_string(&list).unwrap(), format!("ROLE-{}", MANY_ROLES - 1)];
    deps.db.execute(widen, values).await.unwrap();
    let wide = read(&deps, many, CALLS).await;
    row(&format!("the same with {MANY_COLLECTIONS} collections against {FEW}"), wide, among, "1 ×");
}

async fn read(deps: &Deps, user: UserId, calls: u32) -> f64 {
    let mut samples = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for _ in 0..calls {
            let grant = grants::read(deps, ACCOUNT, user, Scope::Api).await.unwrap();
            assert_eq!(grant.base_role, Role::Member);
        }
        samples.push(began.elapsed().as_nanos() as f64 / f64::from(calls));
    }
    median(samples)
}

async fn insert_roles(deps: &Deps, numbers: std::ops::Range<usize>, collections: i32) {
    const INSERT: &str = "INSERT INTO custom_roles (account_id, name_key, name, base_role, collection_ids, features,
        threat_protection, is_default, created_at) VALUES ($1, $2, $2, 'MEMBER', $3, '[]', 0, 0, 0)";
    let ids = serde_json::to_string(&(0..collections).collect::<Vec<_>>()).unwrap();
    let mut tx = deps.db.begin().await.unwrap();
    for number in numbers {
        tx.execute(INSERT, args![ACCOUNT, format!("ROLE-{number}"), &ids]).await.unwrap();
    }
    tx.commit().await.unwrap();
}
