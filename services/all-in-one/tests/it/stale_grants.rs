//! The promise of the role cache over operating-system processes: what was answered counts for whoever asks afterwards.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use portolan_testkit::{RedisServer, TestDb, changes_of_test};
use serde_json::json;

use crate::{
    roles::{Person, create, identity},
    server::Server,
};

const READERS: usize = 8;
/// Each has a writer of its own: an answer waits for copies, and writers wait together.
const MEMBERS: usize = 16;
/// Of one change, while Redis or a process is away.
const ATTEMPTS_MAX: usize = 300;
/// Change n restricts the member to collection n modulo this, by which a reader tells which change it sees.
const COLLECTIONS: usize = 30;
/// While so many changes are made, one of the two processes is killed.
const CHANGES_PER_KILL: usize = 100;

/// What the readers and the writers know of each other.
#[derive(Default)]
struct Ledger {
    /// Of the two processes, in turn. A restart moves them.
    addresses: Mutex<[String; 2]>,
    api_key: String,
    members: Vec<Member>,
    collections: Vec<i64>,
    changes: AtomicUsize,
    refused: AtomicUsize,
    took: Mutex<Vec<Duration>>,
    reads: AtomicU64,
    unread: AtomicU64,
    stale: AtomicU64,
    done: AtomicBool,
}

#[derive(Default)]
struct Member {
    user_id: i64,
    cookie: String,
    token: String,
    begun: AtomicUsize,
    answered: AtomicUsize,
}

impl Ledger {
    fn address(&self, process: usize) -> String {
        self.addresses.lock().unwrap()[process].clone()
    }
}

/// Changes of members' collections, at two processes in turn that are killed now and then in the middle of some; 8 readers
/// at both, as those members; a Redis that is paused, killed and restarted meanwhile. No reader sees anything older than
/// the last change that was answered before it asked.
pub async fn two_processes_and_a_failing_redis_grant_nothing_old(test: TestDb) {
    let changes = changes_of_test(200);
    let redis = RedisServer::start();
    let url = redis.url();
    let data_dir = tempfile::tempdir().unwrap().keep();
    let mut servers = [Some(start(&test, &data_dir, &url).await), Some(start(&test, &data_dir, &url).await)];
    let first = servers[0].as_ref().unwrap();
    let mut ledger = Ledger { api_key: first.api_key.clone(), ..Ledger::default() };
    for i in 0..COLLECTIONS {
        ledger.collections.push(first.create_collection(&format!("Version {i}")).await);
    }
    let deps = identity(&test, first).await;
    for i in 0..MEMBERS {
        let login = format!("reader-{i}@example.org");
        let user_id = create(&deps, 1_000_000, &login, "MEMBER").await;
        let person = Person::log_in(first, &login).await;
        let (cookie, token) = (person.cookie, person.token);
        ledger.members.push(Member { user_id, cookie, token, ..Member::default() });
    }
    let lists = ledger.members.iter().map(|member| (member.user_id.to_string(), vec![ledger.collections[0]]));
    let lists: std::collections::BTreeMap<_, _> = lists.collect();
    first.post("/api/updateUserCollections", json!({ "userCollectionMap": lists })).await.expect(200);

    *ledger.addresses.lock().unwrap() = servers.each_ref().map(|server| server.as_ref().unwrap().http.clone());
    let ledger = Arc::new(ledger);
    let readers: Vec<_> = (0..READERS).map(|i| tokio::spawn(read(ledger.clone(), i))).collect();
    let faults = tokio::spawn(fail(redis, ledger.clone()));
    let began = Instant::now();
    let each = changes.div_ceil(MEMBERS);
    let writers: Vec<_> = (0..MEMBERS).map(|i| tokio::spawn(write(ledger.clone(), i, each))).collect();
    let mut killed = 0;
    while killed < changes / CHANGES_PER_KILL && !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        if ledger.changes.load(Ordering::SeqCst) < killed * CHANGES_PER_KILL + CHANGES_PER_KILL / 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        }
        let process = killed % 2;
        let server = servers[process].take().unwrap();
        let pid = server.pids()[0].to_string();
        assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        server.kill().await;
        servers[process] = Some(start(&test, &data_dir, &url).await);
        ledger.addresses.lock().unwrap()[process] = servers[process].as_ref().unwrap().http.clone();
        killed += 1;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let took = began.elapsed();
    ledger.done.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.unwrap();
    }
    let [paused, restarted] = faults.await.unwrap();
    let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    let (made, refused) = (ledger.changes.load(Ordering::SeqCst), ledger.refused.load(Ordering::SeqCst));
    let mut times = std::mem::take(&mut *ledger.took.lock().unwrap());
    times.sort_unstable();
    println!(
        "{made} changes in {took:.1?}, half of them within {:.0?} and nine of ten within {:.0?}; {refused} attempts \
         refused or cut off by {killed} kills; Redis paused {paused} and restarted {restarted} times; {READERS} readers: \
         {} answers, {} refusals, {} stale",
        times[times.len() / 2],
        times[times.len() * 9 / 10],
        count(&ledger.reads),
        count(&ledger.unread),
        count(&ledger.stale),
    );
    assert_eq!(count(&ledger.stale), 0);
    assert!(count(&ledger.reads) > 100, "hardly any read was answered");
    assert!(paused > 0 && restarted > 0 && killed > 0, "nothing failed");
}

async fn start(test: &TestDb, data_dir: &std::path::Path, redis: &str) -> Server {
    Server::start_with(test, PathBuf::from(data_dir), &[("PORTOLAN__CACHE__URL", redis)]).await
}

/// The changes of one member.
async fn write(ledger: Arc<Ledger>, member: usize, changes: usize) {
    let client = reqwest::Client::new();
    let Member { user_id, begun, answered, .. } = &ledger.members[member];
    let (mut change, mut attempts) = (1, 0);
    while change <= changes {
        assert!(attempts < ATTEMPTS_MAX, "change {change} is not answered");
        let collection = ledger.collections[change % COLLECTIONS];
        let body = json!({ "userCollectionMap": { user_id.to_string(): [collection] } });
        begun.store(change, Ordering::SeqCst);
        let started = Instant::now();
        let request = client
            .post(format!("{}/api/updateUserCollections", ledger.address((change + member + attempts) % 2)))
            .header("content-type", "application/json")
            .header("x-api-key", &ledger.api_key);
        let answer = request.body(body.to_string()).send().await;
        match answer.map(|answer| answer.status().as_u16()) {
            Ok(200) => {
                answered.store(change, Ordering::SeqCst);
                ledger.took.lock().unwrap().push(started.elapsed());
                ledger.changes.fetch_add(1, Ordering::SeqCst);
                (change, attempts) = (change + 1, 0);
            }
            // Redis is away, or the process was killed; both come back, the process elsewhere.
            refused => {
                assert!(matches!(refused, Ok(503) | Err(_)), "change {change}: {refused:?}");
                ledger.refused.fetch_add(1, Ordering::SeqCst);
                attempts += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn read(ledger: Arc<Ledger>, number: usize) {
    let client = reqwest::Client::new();
    let collections = &ledger.collections;
    for turn in number.. {
        if ledger.done.load(Ordering::SeqCst) {
            break;
        }
        let member = &ledger.members[turn % MEMBERS];
        let floor = member.answered.load(Ordering::SeqCst);
        let request = client
            .post(format!("{}/api/getAllCollectionsBasic", ledger.address(turn / MEMBERS % 2)))
            .header("content-type", "application/json")
            .header("cookie", &member.cookie)
            .header("access-token", &member.token)
            .body("{}");
        let answer = request.send().await;
        let Ok(answer) = answer else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        let status = answer.status().as_u16();
        let Ok(body) = answer.text().await else { continue };
        let newest = member.begun.load(Ordering::SeqCst);
        if status == 503 {
            ledger.unread.fetch_add(1, Ordering::SeqCst);
            continue;
        }
        assert_eq!(status, 200, "{body}");
        let list: serde_json::Value = serde_json::from_str(&body).unwrap();
        let seen: Vec<_> = list["apiCollections"].as_array().unwrap().iter().filter_map(|c| c["id"].as_i64()).collect();
        assert_eq!(seen.len(), 1, "{body}");
        ledger.reads.fetch_add(1, Ordering::SeqCst);
        if !(floor..=newest).any(|change| collections[change % COLLECTIONS] == seen[0]) {
            ledger.stale.fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn fail(mut redis: RedisServer, ledger: Arc<Ledger>) -> [u32; 2] {
    let mut faults = [0_u32; 2];
    for round in 0_u64.. {
        tokio::time::sleep(Duration::from_millis(500)).await;
        if ledger.done.load(Ordering::SeqCst) && faults[1] > 0 {
            break;
        }
        let wait = Duration::from_millis(60 + 90 * (round % 5));
        if round % 2 == 0 {
            redis.pause(wait).await
        } else {
            redis.restart(wait).await
        }
        faults[(round % 2) as usize] += 1;
    }
    faults
}
