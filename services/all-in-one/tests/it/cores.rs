//! Where the threads of a process run.

use std::{collections::BTreeSet, time::Duration};

use portolan_testkit::TestDb;
use serde_json::json;

use crate::server::{PATIENCE, Server, har};

/// The number of calls makes a capture large enough to be read in the background.
const CALLS: usize = 1_000;
/// How often the threads are looked at.
const LOOKS_MAX: usize = 20;

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

    // A thread that has just begun still has the name and the core of the one that began it.
    for _ in 0..LOOKS_MAX {
        if is_apart(server).is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    is_apart(server).unwrap();
}

/// What the system says of the threads now; the error lists them.
fn is_apart(server: &Server) -> Result<(), Vec<(String, String)>> {
    let own = cores_of("/proc/thread-self/status");
    let mut threads = Vec::new();
    for pid in server.pids() {
        for thread in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
            let path = thread.unwrap().path();
            // A thread may have ended since.
            let Ok(name) = std::fs::read_to_string(path.join("comm")) else { continue };
            threads.push((name.trim().to_owned(), cores_of(&path.join("status").display().to_string())));
        }
    }
    let (workers, others): (Vec<_>, Vec<_>) = threads.iter().partition(|(name, _)| name.starts_with("worker-"));
    let is_background = others.iter().any(|(name, _)| name == "background");
    let is_wide = others.iter().all(|(_, cores)| cores.is_empty() || *cores == own);
    let kept: BTreeSet<_> = workers.iter().filter_map(|(_, core)| core.parse::<u32>().ok()).collect();
    let cores = std::thread::available_parallelism().unwrap().get();
    let has_all = cores > 1 && count(&own) == cores && std::env::var_os("TOKIO_WORKER_THREADS").is_none();
    let expected = if has_all && server.pids().len() == 1 { cores } else { 0 };
    let is_kept = kept.len() == expected && workers.len() == expected;
    if is_background && is_wide && is_kept { Ok(()) } else { Err(threads) }
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
