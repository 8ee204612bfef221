//! The canary: while one tenant sends everything that is bad through every door, another one does ordinary work.
//!
//! A short run stands in the suite. `make canary` runs it for `PORTOLAN_CANARY_S` seconds, quiet and hostile each.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    net::IpAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use portolan_log::{Log, Message};
use portolan_store::Dialect;
use portolan_testkit::{TestDb, runtime};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpSocket};

use crate::{
    identity_team::Person,
    isolation::{capture, documents, hostile_urls, tenant},
    server::{PATIENCE, Server, har},
};

const SECONDS: &str = "PORTOLAN_CANARY_S";
/// The hostile tenant's own addresses, which no limit shares with the other's: from one alone it would run out of ports.
const HOSTILE_ADDRESSES: std::ops::RangeInclusive<u8> = 2..=33;
/// Connections that say nothing, at once.
const SILENT: usize = 100;

/// What the ordinary tenant met.
#[derive(Default)]
struct Met {
    took: Vec<(Duration, String)>,
    failures: Vec<String>,
    /// From the call of an upload until its endpoint was listed.
    arrivals: Vec<Duration>,
}

impl Met {
    fn percentile(&self, share: f64) -> Duration {
        let mut took: Vec<Duration> = self.took.iter().map(|(took, _)| *took).collect();
        took.sort_unstable();
        took.get(((took.len() as f64 * share) as usize).min(took.len().saturating_sub(1))).copied().unwrap_or_default()
    }

    /// The median and the longest time of each path, the longest first.
    fn by_path(&self) -> Vec<String> {
        let mut paths: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
        self.took.iter().for_each(|(took, path)| paths.entry(path).or_default().push(*took));
        let mut paths: Vec<_> = paths.into_iter().collect();
        paths.iter_mut().for_each(|(_, took)| took.sort_unstable());
        paths.sort_by_key(|(_, took)| Reverse(took.last().copied()));
        let line = |(path, took): (&str, Vec<Duration>)| {
            format!("{path} {:.0?} to {:.0?}", took[took.len() / 2], took[took.len() - 1])
        };
        paths.into_iter().map(line).collect()
    }
}

/// Whatever one tenant sends, the other one is served; what was bad is listed with its reason.
pub async fn one_tenant_harms_no_other(test: TestDb) {
    let seconds = std::env::var(SECONDS).ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let server = Arc::new(Server::start(&test).await);
    let target = server.create_collection("Target").await;
    let person = tenant(&server, &test).await;
    let quiet = ordinary(&person, Duration::from_secs(seconds), 0).await;

    let stop = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicU64::new(0));
    let log = Log::open("embedded:", "akto.api.logs", &test.store).await.unwrap();
    // A connection for each call, as from many clients.
    let client = |last| {
        let client = reqwest::Client::builder().local_address(IpAddr::from([127, 0, 0, last]));
        client.pool_max_idle_per_host(0).build().unwrap()
    };
    let clients = HOSTILE_ADDRESSES.map(client).collect();
    let hostile = Hostile { server: server.clone(), clients, log, target, stop: stop.clone(), sent: sent.clone() };
    let hostile = Arc::new(hostile);
    // On threads of its own: on those of the other tenant its work would be measured as that one's wait.
    let doors = std::thread::spawn(move || runtime().block_on(hostile.every_door()));
    let met = ordinary(&person, Duration::from_secs(seconds), 1_000_000).await;
    stop.store(true, Ordering::Relaxed);
    tokio::task::spawn_blocking(move || doors.join().unwrap()).await.unwrap();

    let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
    let [calm, busy] = [&quiet, &met].map(|met| ms(met.percentile(0.99)));
    eprintln!(
        "canary: {} hostile calls; other tenant: {} calls quiet, {} hostile, {} failures, p99 {calm:.0} ms quiet, \
         {busy:.0} ms hostile ({:.1} x), slowest arrival {:.0} ms",
        sent.load(Ordering::Relaxed),
        quiet.took.len(),
        met.took.len(),
        met.failures.len(),
        busy / calm,
        ms(met.arrivals.iter().max().copied().unwrap_or_default()),
    );
    eprintln!("canary, median and longest: quiet {:?}, hostile {:?}", quiet.by_path(), met.by_path());
    assert_eq!((&quiet.failures, &met.failures), (&Vec::new(), &Vec::new()));
    assert!(!met.arrivals.is_empty(), "the other tenant did nothing");
    assert_eq!(deadlocks(&test).await, 0, "transactions take what they hold in different orders");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let listed = server.get("/v1/ingest/rejected").await.expect(200).json();
        if listed["records"].as_array().unwrap().iter().any(|record| record["reason"] != "") {
            break;
        }
        assert!(Instant::now() < deadline, "nothing that was set aside is listed: {listed}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How often Postgres has broken a transaction off that waited for another one in a circle.
async fn deadlocks(test: &TestDb) -> i64 {
    let db = test.store.service("inventory").await.unwrap();
    match db.dialect() {
        Dialect::Sqlite => 0,
        Dialect::Postgres => {
            let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
            db.fetch_one(sql, Vec::new()).await.unwrap().get("deadlocks").unwrap()
        }
    }
}

/// Ten ordinary things in a loop, one upload among them.
async fn ordinary(person: &Person<'_>, time: Duration, first: u64) -> Met {
    let mut met = Met::default();
    let started = Instant::now();
    let mut round = first;
    while started.elapsed() < time || met.arrivals.is_empty() {
        round += 1;
        let url = format!("http://other.test/things/thing{round}x/parts");
        let upload = json!({"harString": har(&[("GET", &url, "", 200, r#"{"mail":"jane@corp.io"}"#)]),
            "apiCollectionName": "Ordinary", "skipKafka": true});
        let uploaded_at = Instant::now();
        let answer = call(&mut met, person, "/api/uploadHar", upload).await;
        let Some(id) = answer["apiCollectionId"].as_i64() else {
            met.failures.push(format!("no collection: {answer}"));
            return met;
        };
        let one = json!({ "apiCollectionId": id });
        loop {
            let listed = call(&mut met, person, "/api/fetchApiInfosForCollection", one.clone()).await;
            if listed.to_string().contains("/things/") {
                met.arrivals.push(uploaded_at.elapsed());
                break;
            }
            if uploaded_at.elapsed() > PATIENCE {
                met.failures.push(format!("round {round} does not arrive"));
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for (path, body) in [
            ("/api/getAllCollections", json!({})),
            ("/api/getCollection", one.clone()),
            ("/api/saveCollectionDescription", json!({"apiCollectionId": id, "description": format!("{round}")})),
            ("/api/loadSensitiveParameters", one.clone()),
            ("/api/fetchAllSampleData", json!({"apiCollectionId": id, "skip": 0, "limit": 5})),
            ("/api/getSensitiveInfoForCollections", json!({})),
            ("/api/generateOpenApiFile", one.clone()),
            ("/api/getLastSeenTrafficInfoForCollections", json!({})),
        ] {
            call(&mut met, person, path, body).await;
        }
    }
    met
}

async fn call(met: &mut Met, person: &Person<'_>, path: &str, body: Value) -> Value {
    let started = Instant::now();
    let answer = person.post(path, body).await;
    met.took.push((started.elapsed(), path.to_owned()));
    if answer.status != 200 {
        met.failures.push(format!("{path}: {} {}", answer.status, answer.body));
        return Value::Null;
    }
    answer.json()
}

/// The tenant that sends what is bad, until it is stopped.
struct Hostile {
    server: Arc<Server>,
    clients: Vec<reqwest::Client>,
    log: Log,
    target: i64,
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
}

impl Hostile {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    async fn every_door(self: Arc<Self>) {
        let tasks = [
            tokio::spawn(self.clone().routes()),
            tokio::spawn(self.clone().files()),
            tokio::spawn(self.clone().topic()),
            tokio::spawn(self.clone().settings()),
            tokio::spawn(self.clone().strangers()),
            tokio::spawn(self.connections()),
        ];
        for task in tasks {
            task.await.unwrap();
        }
    }

    /// From one of its own addresses; whatever the answer is.
    async fn send(&self, method: &str, path: &str, with_key: bool, body: Vec<u8>) {
        let at = usize::try_from(self.sent.fetch_add(1, Ordering::Relaxed)).unwrap_or_default();
        let client = &self.clients[at % self.clients.len()];
        let mut request = client.request(method.parse().unwrap(), format!("{}{path}", self.server.http));
        if with_key {
            request = request.header("x-api-key", &self.server.api_key);
        }
        request = request.header("content-type", "application/json").timeout(Duration::from_secs(20));
        if let Ok(answer) = request.body(body).send().await {
            let _ = answer.bytes().await;
        }
    }

    /// Every documented route with bodies that fit none of them.
    async fn routes(self: Arc<Self>) {
        let routes = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/routes.tsv")).unwrap();
        let routes: Vec<(String, String)> = routes
            .lines()
            .filter_map(|line| {
                line.split_once('\t').and_then(|(method, rest)| Some((method, rest.split('\t').next()?)))
            })
            .map(|(method, path)| (method.to_owned(), path.replace(['{', '}'], "")))
            .collect();
        let bodies = bad_bodies(self.target);
        let mut random = Random(1);
        while self.goes_on() {
            let (method, path) = random.choose(&routes);
            let body = random.changed_one(&bodies);
            self.send(method, path, true, body).await;
        }
    }

    /// Files of every format, as they are and changed, through both doors of uploads.
    async fn files(self: Arc<Self>) {
        let mut files = seeds();
        for (url, _) in hostile_urls() {
            files.extend(documents(&url).map(|(_, text)| text.into_bytes()));
        }
        let mut random = Random(2);
        while self.goes_on() {
            let file = random.changed_one(&files);
            let upload = json!({"harString": String::from_utf8_lossy(&file), "apiCollectionId": self.target,
                "skipKafka": true});
            self.send("POST", "/api/uploadHar", true, upload.to_string().into_bytes()).await;
            self.send("POST", &format!("/v1/imports?collectionId={}", self.target), true, file).await;
        }
    }

    /// What a producer of the topic can write.
    async fn topic(self: Arc<Self>) {
        let mut records = vec![b"no record".to_vec(), vec![0xff; 100], br#"{"akto_account_id":424242}"#.to_vec()];
        records.extend(seeds());
        for (url, _) in hostile_urls() {
            records.push(json!({"akto_account_id": "1000000", "method": "GET", "path": url}).to_string().into_bytes());
        }
        let mut random = Random(3);
        let mut sequence = 0;
        while self.goes_on() {
            let messages =
                (0..20).map(|n| Message { key: format!("{n}").into_bytes(), value: random.changed_one(&records) });
            let messages: Vec<Message> = messages.collect();
            let _ = self.log.append("hostile", sequence, messages).await;
            sequence += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Settings that ingest, edge and notices read.
    async fn settings(self: Arc<Self>) {
        let mut round = 0;
        while self.goes_on() {
            round += 1;
            for (path, body) in [
                (
                    "/api/createCustomCollection",
                    json!({"collectionName": format!("G{round}"), "conditions": [
                    {"type": "REGEX", "operator": "AND", "data": {"regex": "(a|a?)+$"}}]}),
                ),
                (
                    "/api/addApisToCustomCollection",
                    json!({"collectionName": "G", "apiList": [
                    {"apiCollectionId": self.target, "url": "/x", "method": "FETCH"}]}),
                ),
                (
                    "/v1/dataTypes",
                    json!({"name": format!("T{round}"), "keyConditions": {"operator": "AND",
                    "predicates": [{"type": "REGEX", "value": "(.*)*"}]}}),
                ),
                ("/v1/slackWebhooks", json!({"url": "https://hooks.slack.com/services/none"})),
                ("/api/importFromUrl", json!({"url": "http://127.0.0.1:1/openapi.json"})),
                ("/api/deleteMultipleCollections", json!({"apiCollectionIds": (1_000..6_000).collect::<Vec<_>>()})),
            ] {
                self.send("POST", path, true, body.to_string().into_bytes()).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Without a credential.
    async fn strangers(self: Arc<Self>) {
        let mut round = 0;
        while self.goes_on() {
            round += 1;
            let name = format!("{round}{}", "x".repeat(200_000));
            let login = json!({"username": name, "password": "guess"}).to_string().into_bytes();
            self.send("POST", "/auth/login", false, login).await;
            let name = json!({"username": format!("{round}@example.org"), "password": "guess"});
            self.send("POST", "/auth/login", false, name.to_string().into_bytes()).await;
            self.send("POST", "/oauth2/token", false, format!("client_id={round}").into_bytes()).await;
        }
    }

    /// Connections that say nothing, half a word, or end at once.
    async fn connections(self: Arc<Self>) {
        let address = self.server.http.trim_start_matches("http://").parse().unwrap();
        let mut held = Vec::new();
        while self.goes_on() {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind((IpAddr::from([127, 0, 0, *HOSTILE_ADDRESSES.start()]), 0).into()).unwrap();
            let Ok(mut stream) = socket.connect(address).await else { continue };
            let _ = match held.len() % 3 {
                0 => Ok(()),
                1 => stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM").await,
                _ => stream.write_all(b"POST /api/getAllCollections HTTP/1.1\r\ncontent-length: 99\r\n\r\n{").await,
            };
            held.push(stream);
            if held.len() >= SILENT {
                held.drain(..SILENT / 2);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

fn bad_bodies(target: i64) -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = vec![
        b"{}".to_vec(),
        b"[".repeat(20_000),
        br#"{"a":"#.repeat(5_000),
        b"\x00\xff\xfe".to_vec(),
        format!(r#"{{"apiCollectionId":{target},"url":"{}","method":"GET"}}"#, "/a".repeat(50_000)).into_bytes(),
        format!(r#"{{"apiCollectionIds":[{}0]}}"#, "1,".repeat(50_000)).into_bytes(),
        br#"{"apiCollectionId":99999999999999999999,"skip":-1,"limit":2147483647}"#.to_vec(),
        br#"{"collectionName":"\u0000","conditions":[{"type":"REGEX","operator":"AND","data":{"regex":"(("}}]}"#
            .to_vec(),
    ];
    bodies.push(json!({"apiCollectionId": target, "harString": capture("http://x.test/a")}).to_string().into_bytes());
    bodies.extend(seeds());
    bodies
}

/// The corpora of the fuzz targets.
fn seeds() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut folders = vec![root.join("crates/formats/fuzz/seeds"), root.join("gateway/fuzz/seeds")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(std::fs::read(path).unwrap());
            }
        }
    }
    assert!(found.len() > 10, "the corpora of the fuzz targets are missing");
    found.sort();
    found
}

/// A sequence that is the same in every run (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap_or_default()
    }

    fn choose<'c, T>(&mut self, among: &'c [T]) -> &'c T {
        &among[self.next() % among.len()]
    }

    /// One of the texts; of half of them some bytes change, repeat or go.
    fn changed_one(&mut self, texts: &[Vec<u8>]) -> Vec<u8> {
        let mut text = self.choose(texts).clone();
        if self.next().is_multiple_of(2) || text.is_empty() {
            return text;
        }
        for _ in 0..=self.next() % 4 {
            let at = self.next() % text.len();
            match self.next() % 3 {
                0 => text[at] = self.next().to_le_bytes()[0],
                1 => text.truncate(at.max(1)),
                _ => text.extend_from_within(at..),
            }
        }
        text
    }
}
