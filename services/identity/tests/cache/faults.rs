use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use portolan_authz::{Cache, Grant, Redis, Scope};
use portolan_identity::{Deps, grants};
use portolan_ids::UserId;
use portolan_testkit::{RedisServer, TestDb, changes_of_test};

use crate::world::{ACCOUNT, identity, member};

const READERS: usize = 8;
/// Each has a writer of its own: an answer waits for copies, and writers wait together.
const MEMBERS: usize = 50;
/// Of one change, while Redis does not answer.
const ATTEMPTS_MAX: usize = 200;

#[derive(Default)]
struct Counts {
    reads: AtomicU64,
    stale: AtomicU64,
    answered: AtomicU64,
    refused: AtomicU64,
    died: AtomicU64,
    took: Mutex<Vec<Duration>>,
}

/// The version of a grant: change n restricts the member to collection n.
fn version(grant: &Grant) -> i32 {
    grant.collections().map_or(0, |ids| ids[0].get())
}

/// Changes at two instances in turn (each with connections and copies of its own, and in one process so that a writer can
/// die anywhere); writers of one member die at a random moment; 8 readers at both; a Redis that is paused, killed and
/// restarted, and emptied meanwhile. Whoever reads after a change was answered sees it or a later one.
pub async fn no_answered_change_is_unseen(test: TestDb) {
    let changes = changes_of_test(300);
    let mut server = RedisServer::start();
    let client = || Redis::new(&server.url(), "test").unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let [one, two] = [client(), client()].map(|redis| Cache::near(redis, "grants"));
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
            tokio::time::sleep(Duration::from_millis(350)).await;
            if flag.load(Ordering::SeqCst) && !faults.contains(&0) {
                break;
            }
            match round % 3 {
                0 => server.pause(wait).await,
                1 => server.restart(wait).await,
                _ => {
                    let flush = async |mut session: portolan_authz::LinkSession| {
                        redis::cmd("FLUSHALL").query_async::<()>(&mut session.connection).await
                    };
                    let _ = redis.patient(flush).await;
                }
            }
            faults[(round % 3) as usize] += 1;
        }
        faults
    });

    let writers: Vec<_> = users
        .iter()
        .enumerate()
        .map(|(i, (user, answered))| {
            let (user, answered, processes, counts) = (*user, answered.clone(), processes.clone(), counts.clone());
            tokio::spawn(async move {
                for change in 1..=changes.div_ceil(MEMBERS) as i32 {
                    // What was refused is repeated until it is answered: Redis comes back.
                    for attempt in 0.. {
                        assert!(attempt < ATTEMPTS_MAX, "nothing is answered");
                        let deps = &processes[(change as usize + i + attempt) % 2];
                        if write(deps, user, change, i == 0, &answered, &counts).await {
                            break;
                        }
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let took = began.elapsed();
    done.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.unwrap();
    }
    let [paused, restarted, emptied] = faults.await.unwrap();
    let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    let mut each = std::mem::take(&mut *counts.took.lock().unwrap());
    each.sort_unstable();
    println!(
        "{} changes in {took:.1?}: {} answered, half of them within {:.0?}, {} refused, {} writers died; Redis paused \
         {paused}, restarted {restarted}, emptied {emptied} times; {READERS} readers: {} reads, {} stale after an answer",
        changes.div_ceil(MEMBERS) * MEMBERS,
        count(&counts.answered),
        each[each.len() / 2],
        count(&counts.refused),
        count(&counts.died),
        count(&counts.reads),
        count(&counts.stale),
    );
    assert_eq!(count(&counts.stale), 0);
    assert!(count(&counts.reads) > 1_000, "hardly anything was read");
    assert!(count(&counts.died) > 0, "no writer died");
}

/// One change, which is answered, refused, or cut off between its announcement and its answer. Tells whether it was not
/// refused.
async fn write(deps: &Deps, user: UserId, change: i32, dies: bool, answered: &AtomicI32, counts: &Counts) -> bool {
    let began = Instant::now();
    let deps = deps.clone();
    let writer = tokio::spawn(async move { grants::set_collections(&deps, ACCOUNT, user, &[change.into()]).await });
    if dies && change % 2 == 0 {
        tokio::time::sleep(Duration::from_micros(rand::random::<u64>() % 6_000)).await;
        writer.abort();
    }
    match writer.await {
        Ok(Ok(())) => {
            answered.store(change, Ordering::SeqCst);
            counts.answered.fetch_add(1, Ordering::SeqCst);
            counts.took.lock().unwrap().push(began.elapsed());
        }
        Ok(Err(error)) => {
            assert_eq!(error.reason(), portolan_api::Reason::Unavailable, "{error}");
            counts.refused.fetch_add(1, Ordering::SeqCst);
            return false;
        }
        Err(_) => {
            counts.died.fetch_add(1, Ordering::SeqCst);
        }
    }
    true
}

async fn read(deps: &Deps, user: UserId, answered: &AtomicI32, counts: &Counts) {
    let floor = answered.load(Ordering::SeqCst);
    let Ok(grant) = grants::get(deps, ACCOUNT, user, Scope::Api).await else { return };
    counts.reads.fetch_add(1, Ordering::SeqCst);
    if version(&grant) < floor {
        counts.stale.fetch_add(1, Ordering::SeqCst);
    }
}
