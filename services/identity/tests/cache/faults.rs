use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use portolan_authz::{Cache, Grant, Lookup, Redis, Scope, grant_key};
use portolan_identity::{Deps, grants};
use portolan_testkit::{RedisServer, TestDb};

use crate::world::{ACCOUNT, identity, member};

const CHANGES: i32 = 1_000;
const READERS: usize = 8;
/// The members whose rights change, in turn. Writers that die leave a tombstone, so they die at the first only.
const MEMBERS: usize = 4;

#[derive(Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    stale: AtomicU64,
}

/// The version of a grant: change n restricts the member to collection n.
fn version(grant: &Grant) -> i32 {
    grant.collections().map_or(0, |ids| ids[0])
}

/// 1,000 changes, at two instances in turn (each with connections of its own, and in one process so that a writer can die
/// anywhere); one writer in twenty dies at a random moment; 8 readers at both; a Redis that is paused, killed and
/// restarted, and emptied meanwhile. Whoever reads after a change was answered sees it or a later one.
pub async fn no_answered_change_is_unseen(test: TestDb) {
    let mut server = RedisServer::start();
    let client = || Redis::new(&server.url(), "test").unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let [one, two] = [client(), client()].map(|redis| Cache::redis(redis, "grants"));
    let processes = [identity(&test, one).await, identity(&test, two).await];
    let mut users = Vec::new();
    for i in 0..MEMBERS {
        users.push((member(&processes[0], &format!("reader-{i}@example.org")).await, Arc::new(AtomicI32::new(0))));
    }
    let (counts, done) = (Arc::new(Counts::default()), Arc::new(AtomicBool::new(false)));
    let readers: Vec<_> = (0..READERS)
        .map(|i| {
            let (deps, users) = (processes[i % 2].clone(), users.clone());
            let (counts, done) = (counts.clone(), done.clone());
            tokio::spawn(async move {
                for turn in i.. {
                    if done.load(Ordering::SeqCst) {
                        break;
                    }
                    let (user, answered) = &users[turn % MEMBERS];
                    read(&deps, *user, answered, &counts).await;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();

    let began = Instant::now();
    let flag = done.clone();
    let redis = client();
    let faults = tokio::spawn(async move {
        let mut faults = [0_u32; 3];
        for round in 0_u64.. {
            let wait = Duration::from_millis(60 + 90 * (round % 5));
            tokio::time::sleep(Duration::from_millis(500)).await;
            if flag.load(Ordering::SeqCst) {
                break;
            }
            match round % 3 {
                0 => server.pause(wait).await,
                1 => server.restart(wait).await,
                _ => {
                    let flush = async |mut session: portolan_authz::Session| {
                        redis::cmd("FLUSHALL").query_async::<()>(&mut session.connection).await
                    };
                    let _ = redis.patient(flush).await;
                }
            }
            faults[(round % 3) as usize] += 1;
        }
        faults
    });

    let (mut done_changes, mut refused, mut died) = (0, 0, 0);
    for change in 1..=CHANGES {
        let (user, answered) = users[change as usize % MEMBERS].clone();
        let deps = processes[(change / 5) as usize % 2].clone();
        let writer = tokio::spawn(async move { grants::set_collections(&deps, ACCOUNT, user, &[change]).await });
        if change % 20 == 0 {
            // 20 is a multiple of the members: these are changes of the first.
            // The writer dies somewhere between its announcement and its answer.
            tokio::time::sleep(Duration::from_micros(rand::random::<u64>() % 6_000)).await;
            writer.abort();
        }
        match writer.await {
            Ok(Ok(())) => {
                answered.store(change, Ordering::SeqCst);
                done_changes += 1;
            }
            Ok(Err(error)) => {
                assert_eq!(error.reason(), portolan_api::Reason::Unavailable, "{error}");
                refused += 1;
            }
            Err(_) => died += 1,
        }
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
    let took = began.elapsed();
    done.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.unwrap();
    }
    let [paused, restarted, emptied] = faults.await.unwrap();
    let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    println!(
        "{CHANGES} changes in {took:.1?}: {done_changes} answered, {refused} refused, {died} writers died; Redis paused \
         {paused}, restarted {restarted}, emptied {emptied} times; {READERS} readers: {} reads from the cache, {} from \
         the database, {} stale after an answer",
        count(&counts.hits),
        count(&counts.misses),
        count(&counts.stale),
    );
    assert_eq!(count(&counts.stale), 0);
    assert!(count(&counts.hits) > 1_000, "the cache was hardly used");
    assert!(done_changes > CHANGES / 2, "hardly any change was answered");
    assert!(paused > 0 && restarted > 0 && emptied > 0, "nothing failed");
}

async fn read(deps: &Deps, user: i64, answered: &AtomicI32, counts: &Counts) {
    let floor = answered.load(Ordering::SeqCst);
    let grant = match deps.grants.get(&grant_key(ACCOUNT, user, Scope::Api)).await {
        Lookup::Hit(grant) => {
            counts.hits.fetch_add(1, Ordering::SeqCst);
            grant
        }
        Lookup::Miss(lease) => {
            counts.misses.fetch_add(1, Ordering::SeqCst);
            let Ok(grant) = grants::read(deps, ACCOUNT, user, Scope::Api).await else { return };
            let grant = Arc::new(grant);
            if let Some(lease) = lease {
                lease.fill(grant.clone()).await;
            }
            grant
        }
    };
    if version(&grant) < floor {
        counts.stale.fetch_add(1, Ordering::SeqCst);
    }
}
