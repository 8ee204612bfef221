use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use portolan_testkit::TestDb;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use crate::server::{PATIENCE, Server, har};

const KILLS: u64 = 50;
/// A group takes seconds to share its partitions anew, so each round is longer, and there are fewer of them.
const BROKER_KILLS: u64 = 8;
const RECORDS_PER_UPLOAD: usize = 7;
const UPLOADERS: u64 = 3;

/// Uploads go on while the process is killed at random points, 50 times. An upload that was not answered is repeated
/// under its Idempotency-Key. In the end every record is counted exactly once.
pub async fn nothing_is_lost_or_counted_twice(test: TestDb) {
    let plan = Plan { kills: kills(KILLS), round_ms: 1..250, variables: Vec::new(), second: false };
    plan.run(test).await;
}

/// The same over a broker, with a second process that reads the same topic and is killed, too, so that partitions move
/// between the two all the time.
pub async fn nothing_is_lost_or_counted_twice_over_a_broker(test: TestDb) {
    let variables = vec![
        ("PORTOLAN__LOG__URL", format!("kafka://{}", std::env::var("PORTOLAN_TEST_KAFKA").unwrap())),
        ("PORTOLAN__LOG__TOPIC", format!("kill.{}", uuid::Uuid::new_v4())),
    ];
    let plan = Plan { kills: kills(BROKER_KILLS), round_ms: 200..5_000, variables, second: true };
    plan.run(test).await;
}

fn kills(default: u64) -> u64 {
    std::env::var("PORTOLAN_TEST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(default)
}

struct Plan {
    kills: u64,
    round_ms: std::ops::Range<u64>,
    variables: Vec<(&'static str, String)>,
    /// Whether another process on the same store and log runs beside the one that takes the uploads.
    second: bool,
}

impl Plan {
    async fn start(&self, test: &TestDb, data_dir: PathBuf) -> Server {
        let variables: Vec<_> = self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Server::start_with(test, data_dir, &variables).await
    }

    async fn run(self, test: TestDb) {
        let seed: u64 = std::env::var("PORTOLAN_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
        println!("seed {seed} (PORTOLAN_TEST_SEED)");
        let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
        let server = self.start(&test, tempfile::tempdir().unwrap().keep()).await;
        let id = server.create_collection("Killed").await;
        let mut data_dir = server.kill().await;
        // Both processes share the installation's secret key and the first key of its administrator.
        let second_dir = tempfile::tempdir().unwrap().keep();
        for file in ["secret-key", "admin-api-key"] {
            std::fs::copy(data_dir.join(file), second_dir.join(file)).unwrap();
        }

        let ledger = Arc::new(Ledger::default());
        for round in 0..self.kills {
            let server = Arc::new(self.start(&test, data_dir).await);
            let second = if self.second { Some(self.start(&test, second_dir.clone()).await) } else { None };
            let uploaders: Vec<_> = (0..UPLOADERS)
                .map(|_| tokio::spawn(upload_until_refused(server.clone(), ledger.clone(), id)))
                .collect();
            tokio::time::sleep(Duration::from_millis(rng.random_range(self.round_ms.clone()))).await;
            // In every other round the second process ends first, and the first one takes over its partitions.
            if let Some(second) = second
                && round % 2 == 0
            {
                second.kill().await;
                tokio::time::sleep(Duration::from_millis(rng.random_range(self.round_ms.clone()))).await;
            }
            let pids = server.pids().into_iter().map(|pid| pid.to_string());
            assert!(std::process::Command::new("kill").arg("-9").args(pids).status().unwrap().success());
            for uploader in uploaders {
                uploader.await.unwrap();
            }
            data_dir = Arc::into_inner(server).expect("uploaders have ended").kill().await;
        }
        let server = self.start(&test, data_dir).await;
        send_the_rest(&server, &ledger, id).await;
        check_counts(&server, &ledger, id, self.kills).await;
    }
}

async fn send_the_rest(server: &Server, ledger: &Ledger, id: i64) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while let Some(upload) = ledger.take_open() {
        match send(server, id, upload).await {
            Outcome::Accepted => ledger.note_accepted(),
            // A shared database keeps the key of a killed process until its hold lapses.
            Outcome::KeyInUse if tokio::time::Instant::now() < deadline => {
                ledger.note_open(upload);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            other => panic!("upload {upload}: {other:?}"),
        }
    }
}

async fn check_counts(server: &Server, ledger: &Ledger, id: i64, kills: u64) {
    let expected = ledger.accepted() * RECORDS_PER_UPLOAD as i64;
    // What the kills kept from being read is read now, however long that takes: lost is what stays away.
    let (mut deadline, mut seen) = (tokio::time::Instant::now() + PATIENCE, 0);
    loop {
        let parameters = server.parameters(id, "POST", "http://api.test/orders/INTEGER").await;
        let count = |name: &str| {
            parameters
                .iter()
                .filter(|p| p["param"] == name && p["responseCode"] == -1 && p["isHeader"] == false)
                .map(|p| p["count"].as_i64().unwrap())
                .sum::<i64>()
        };
        assert!(count("item") <= expected, "counted twice: {} of {expected}", count("item"));
        if count("item") == expected {
            println!("{kills} kills, {} uploads, {expected} records, each counted once", ledger.accepted());
            assert_eq!(count("1"), expected, "the url parameter is counted with its record");
            return;
        }
        if count("item") > seen {
            (deadline, seen) = (tokio::time::Instant::now() + PATIENCE, count("item"));
        }
        assert!(tokio::time::Instant::now() < deadline, "lost: {} of {expected}", count("item"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Which uploads were begun, which answered.
#[derive(Default)]
struct Ledger {
    state: Mutex<Uploads>,
}

#[derive(Default)]
struct Uploads {
    begun: u64,
    /// Without an answer, to be repeated.
    open: Vec<u64>,
    /// Answered that the key is in use, to be repeated in the end.
    busy: Vec<u64>,
    accepted: i64,
}

impl Ledger {
    /// An upload that was begun without an answer, or a new one.
    fn next(&self) -> u64 {
        let mut state = self.state.lock().unwrap();
        state.open.pop().unwrap_or_else(|| {
            state.begun += 1;
            state.begun
        })
    }

    fn take_open(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap();
        state.open.pop().or_else(|| state.busy.pop())
    }

    fn note_open(&self, upload: u64) {
        self.state.lock().unwrap().open.push(upload);
    }

    fn note_busy(&self, upload: u64) {
        self.state.lock().unwrap().busy.push(upload);
    }

    fn note_accepted(&self) {
        self.state.lock().unwrap().accepted += 1;
    }

    fn accepted(&self) -> i64 {
        self.state.lock().unwrap().accepted
    }
}

#[derive(Debug)]
enum Outcome {
    Accepted,
    KeyInUse,
    Gone,
}

async fn upload_until_refused(server: Arc<Server>, ledger: Arc<Ledger>, id: i64) {
    loop {
        let upload = ledger.next();
        match send(&server, id, upload).await {
            Outcome::Accepted => ledger.note_accepted(),
            Outcome::KeyInUse => ledger.note_busy(upload),
            Outcome::Gone => return ledger.note_open(upload),
        }
    }
}

async fn send(server: &Server, id: i64, upload: u64) -> Outcome {
    let urls = (0..RECORDS_PER_UPLOAD as u64).map(|n| format!("http://api.test/orders/{}", upload * 10 + n));
    let urls: Vec<_> = urls.collect();
    let calls = urls.iter().map(|url| ("POST", url.as_str(), r#"{"item":"book"}"#, 201, r#"{"ok":true}"#));
    let calls: Vec<_> = calls.collect();
    let body = json!({"harString": har(&calls), "apiCollectionId": id}).to_string();
    let key = format!("upload-{upload}");
    let request = server.request("/api/uploadHar").header("x-api-key", &server.api_key).header("idempotency-key", key);
    match server.send(request.body(body)).await.map(|answer| answer.status) {
        Ok(200) => Outcome::Accepted,
        Ok(409) => Outcome::KeyInUse,
        _ => Outcome::Gone,
    }
}
