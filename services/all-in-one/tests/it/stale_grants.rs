//! The promise of the role cache over operating-system processes: what was answered counts for whoever asks afterwards.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use portolan_testkit::{RedisServer, TestDb};
use serde_json::json;

use crate::{
    roles::{Person, create, identity},
    server::Server,
};

const CHANGES: usize = 1_000;
const READERS: usize = 8;
/// Change n restricts the member to collection n modulo this, by which a reader tells which change it sees.
const COLLECTIONS: usize = 50;
/// Each so many changes, one of the two processes is killed while it makes one.
const CHANGES_PER_KILL: usize = 100;

/// What the readers and the writer know of each other.
#[derive(Default)]
struct Ledger {
    /// Of the two processes, in turn. A restart moves them.
    addresses: Mutex<[String; 2]>,
    begun: AtomicUsize,
    answered: AtomicUsize,
    reads: AtomicU64,
    refused: AtomicU64,
    stale: AtomicU64,
    done: AtomicBool,
}

impl Ledger {
    fn address(&self, process: usize) -> String {
        self.addresses.lock().unwrap()[process].clone()
    }
}

/// 1,000 changes of a member's collections, at two processes in turn that are killed now and then in the middle of one;
/// 8 readers at both, as that member; a Redis that is paused, killed and restarted meanwhile. No reader sees anything
/// older than the last change that was answered before it asked.
pub async fn two_processes_and_a_failing_redis_grant_nothing_old(test: TestDb) {
    let redis = RedisServer::start();
    let url = redis.url();
    let start =
        async |data_dir: PathBuf| Server::start_with(&test, data_dir, &[("PORTOLAN__CACHE__URL", url.as_str())]).await;
    let data_dir = tempfile::tempdir().unwrap().keep();
    let mut servers = [Some(start(data_dir.clone()).await), Some(start(data_dir.clone()).await)];
    let first = servers[0].as_ref().unwrap();
    let mut collections = Vec::new();
    for i in 0..COLLECTIONS {
        collections.push(first.create_collection(&format!("Version {i}")).await);
    }
    let deps = identity(&test, first).await;
    let user_id = create(&deps, 1_000_000, "reader@example.org", "MEMBER").await;
    let person = Person::log_in(first, "reader@example.org").await;
    let session = (person.cookie, person.token);
    let body =
        |change: usize| json!({ "userCollectionMap": { user_id.to_string(): [collections[change % COLLECTIONS]] } });
    first.post("/api/updateUserCollections", body(0)).await.expect(200);

    let ledger = Arc::new(Ledger::default());
    *ledger.addresses.lock().unwrap() = servers.each_ref().map(|server| server.as_ref().unwrap().http.clone());
    let readers: Vec<_> =
        (0..READERS).map(|i| tokio::spawn(read(ledger.clone(), i, session.clone(), collections.clone()))).collect();
    let faults = tokio::spawn(fail(redis, ledger.clone()));

    let began = Instant::now();
    let (mut refused, mut killed) = (0, 0);
    for change in 1..=CHANGES {
        let process = change % 2;
        let server = servers[process].as_ref().unwrap();
        ledger.begun.store(change, Ordering::SeqCst);
        let request = server.request("/api/updateUserCollections").header("x-api-key", &server.api_key);
        let request = server.send(request.body(body(change).to_string()));
        let answer = if change % CHANGES_PER_KILL == 0 {
            let pid = server.pids()[0].to_string();
            let wait = Duration::from_micros(rand::random::<u64>() % 8_000);
            let kill = async {
                tokio::time::sleep(wait).await;
                assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
            };
            let (answer, ()) = tokio::join!(request, kill);
            killed += 1;
            servers[process].take().unwrap().kill().await;
            servers[process] = Some(start(data_dir.clone()).await);
            ledger.addresses.lock().unwrap()[process] = servers[process].as_ref().unwrap().http.clone();
            answer
        } else {
            request.await
        };
        match answer.map(|answer| answer.status) {
            Ok(200) => ledger.answered.store(change, Ordering::SeqCst),
            Ok(status) => {
                assert_eq!(status, 503, "change {change}");
                refused += 1;
            }
            Err(_) => refused += 1,
        }
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
    let took = began.elapsed();
    ledger.done.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.unwrap();
    }
    let [paused, restarted] = faults.await.unwrap();
    let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    println!(
        "{CHANGES} changes in {took:.1?}: {} answered, {refused} refused or cut off by {killed} kills; Redis paused \
         {paused} and restarted {restarted} times; {READERS} readers: {} answers, {} refusals, {} stale",
        CHANGES - refused,
        count(&ledger.reads),
        count(&ledger.refused),
        count(&ledger.stale),
    );
    assert_eq!(count(&ledger.stale), 0);
    assert!(refused < CHANGES / 2, "hardly any change was answered");
    assert!(count(&ledger.reads) > 1_000, "hardly any read was answered");
    assert!(paused > 0 && restarted > 0, "nothing failed");
}

async fn read(ledger: Arc<Ledger>, number: usize, (cookie, token): (String, String), collections: Vec<i64>) {
    let client = reqwest::Client::new();
    for turn in number.. {
        if ledger.done.load(Ordering::SeqCst) {
            break;
        }
        let floor = ledger.answered.load(Ordering::SeqCst);
        let request = client
            .post(format!("{}/api/getAllCollectionsBasic", ledger.address(turn % 2)))
            .header("content-type", "application/json")
            .header("cookie", &cookie)
            .header("access-token", &token)
            .body("{}");
        let answer = request.send().await;
        let Ok(answer) = answer else {
            // The process was killed, and comes back elsewhere.
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        let status = answer.status().as_u16();
        let Ok(body) = answer.text().await else { continue };
        let newest = ledger.begun.load(Ordering::SeqCst);
        if status == 503 {
            ledger.refused.fetch_add(1, Ordering::SeqCst);
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
        if ledger.done.load(Ordering::SeqCst) {
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
