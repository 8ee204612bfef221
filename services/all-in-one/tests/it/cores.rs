//! Where the threads of a process run.

use std::collections::BTreeSet;

use portolan_testkit::TestDb;
use serde_json::json;

use crate::server::{PATIENCE, Server, har};

/// The number of calls makes a capture large enough to be read in the background.
const CALLS: usize = 1_000;

/// Each worker keeps to a core of its own, and nothing else does, whichever thread began it.
pub async fn only_workers_keep_to_a_core(test: TestDb) {
    expect_apart(&Server::start(&test).await).await;
}

/// The same of the threads of a Kafka client.
pub async fn only_workers_keep_to_a_core_over_a_broker(test: TestDb) {
    let url = format!("kafka://{}", std::env::var("PORTOLAN_TEST_KAFKA").unwrap());
    let topic = format!("cores.{}", uuid::Uuid::new_v4());
    let variables = [("PORTOLAN__LOG__URL", url.as_str()), ("PORTOLAN__LOG__TOPIC", topic.as_str())];
    expect_apart(&Server::start_with(&test, tempfile::tempdir().unwrap().keep(), &variables).await).await;
}

async fn expect_apart(server: &Server) {
    let id = server.create_collection("Cores").await;
    let paths: Vec<String> = (0..CALLS).map(|n| format!("https://cores.test/{n}/read")).collect();
    let calls: Vec<_> = paths.iter().map(|path| ("GET", path.as_str(), "", 200, "{}")).collect();
    let upload = json!({ "harString": har(&calls), "apiCollectionId": id });
    let list = async || server.post("/api/fetchApiInfosForCollection", json!({ "apiCollectionId": id })).await;
    server.post("/api/uploadHar", upload).await.expect(200);
    let deadline = std::time::Instant::now() + PATIENCE;
    while list().await.expect(200).json()["apiInfoList"].as_array().is_none_or(Vec::is_empty) {
        assert!(std::time::Instant::now() < deadline, "nothing arrives");
    }

    let own = cores_of("/proc/thread-self/status");
    let mut kept = Vec::new();
    let mut names = BTreeSet::new();
    for pid in server.pids() {
        for thread in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
            let path = thread.unwrap().path();
            // A thread may have ended since.
            let Ok(name) = std::fs::read_to_string(path.join("comm")) else { continue };
            let cores = cores_of(&path.join("status").display().to_string());
            if name.starts_with("worker-") {
                kept.push(cores);
            } else {
                assert!(cores.is_empty() || cores == own, "{name}: {cores}");
            }
            names.insert(name.trim().to_owned());
        }
    }
    assert!(names.contains("background"), "{names:?}");
    let distinct: BTreeSet<_> = kept.iter().collect();
    let is_own = |cores: &String| cores.parse::<u32>().is_ok();
    assert!(distinct.len() == kept.len() && kept.iter().all(is_own), "{kept:?}");
    let workers = std::thread::available_parallelism().unwrap().get();
    let has_all = workers > 1 && count(&own) == workers && std::env::var_os("TOKIO_WORKER_THREADS").is_none();
    let is_one_process = server.pids().len() == 1;
    assert_eq!(kept.len(), if is_one_process && has_all { workers } else { 0 }, "{names:?}");
}

/// How many cores a list names.
fn count(list: &str) -> usize {
    let number = |text: &str| text.parse::<usize>().unwrap();
    let part = |part: &str| part.split_once('-').map_or(1, |(first, last)| number(last) + 1 - number(first));
    list.split(',').map(part).sum()
}

/// As the system lists them, such as `0-3`; nothing of a thread that has ended.
fn cores_of(status: &str) -> String {
    let text = std::fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.unwrap_or_default().trim().to_owned()
}
