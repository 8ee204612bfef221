//! `make up-distributed` as somebody who tries it meets it: the script itself, with the binaries of this build.

use std::{path::Path, process::Stdio, time::Duration};

use portolan_testkit::TestDb;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::server::{PATIENCE, har};

/// The running script and where its processes listen.
struct Script {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    http: String,
    service_port: u16,
}

impl Script {
    fn start(test: &TestDb, log: &str) -> Self {
        Self::start_at(test, log, free_ports(5))
    }

    fn start_at(test: &TestDb, log: &str, service_port: u16) -> Self {
        let (edge, gateway) = (free_ports(1), free_ports(1));
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut child = Command::new(root.join("deploy/local/up-distributed"))
            .env("LOG", log)
            .env("PORTOLAN_BINARIES", Path::new(env!("CARGO_BIN_EXE_portolan")).parent().unwrap())
            .env("PORTOLAN_TEST_POSTGRES", &test.url)
            .env("PORTOLAN__LOG__TOPIC", format!("up-{:016x}", rand::random::<u64>()))
            .env("EDGE_PORT", edge.to_string())
            .env("GATEWAY_PORT", gateway.to_string())
            .env("SERVICE_PORT", service_port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, http: format!("http://127.0.0.1:{edge}"), service_port }
    }

    /// The data folder that the ready line names.
    async fn ready(&mut self) -> String {
        let line = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if line.starts_with("portolan ready ") {
                    return Some(line.rsplit_once("data=").unwrap().1.to_owned());
                }
            }
            None
        };
        let found = tokio::time::timeout(PATIENCE, line).await.expect("not ready in time");
        match found {
            Some(data) => data,
            None => panic!("the script ended: {}", self.end().await.1),
        }
    }

    /// Its exit code and what it wrote to standard error.
    async fn end(&mut self) -> (Option<i32>, String) {
        let mut text = String::new();
        let read = self.child.stderr.as_mut().unwrap().read_to_string(&mut text);
        tokio::time::timeout(PATIENCE, read).await.expect("the script does not end").unwrap();
        (self.child.wait().await.unwrap().code(), text)
    }

    /// One capture by curl, and the endpoint that comes of it.
    async fn upload(&self, data: &str) {
        let folder = Path::new(data);
        let capture = har(&[("GET", "http://api.test/orders", "", 200, "{}")]);
        std::fs::write(folder.join("capture.har"), capture).unwrap();
        let key = std::fs::read_to_string(folder.join("admin-api-key")).unwrap();
        let curl = async |path: &str, body: &str| {
            let mut command = Command::new("curl");
            command.args(["-sS", "--fail-with-body", &format!("{}{path}", self.http)]);
            command.args(["-H", &format!("x-api-key: {key}"), "-H", "content-type: application/json"]);
            let output = command.args(["--data-binary", body]).current_dir(folder).output().await.unwrap();
            assert!(output.status.success(), "{path}: {output:?}");
            serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
        };
        curl("/v1/imports?collectionName=Shop", "@capture.har").await;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let answer = curl("/api/getAllCollections", "{}").await;
            let collections = answer["apiCollections"].as_array().unwrap();
            if let Some(shop) = collections.iter().find(|found| found["displayName"] == "Shop") {
                let body = json!({ "apiCollectionId": shop["id"] }).to_string();
                let endpoints = curl("/api/fetchApiInfosForCollection", &body).await;
                if endpoints["apiInfoList"].as_array().unwrap().len() == 1 {
                    return;
                }
            }
            assert!(tokio::time::Instant::now() < deadline, "the upload does not arrive: {answer}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The doctor finds everything well, called as the script prints it.
    async fn doctor(&mut self) {
        let line = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if let Some(command) = line.strip_prefix("look: ") {
                    return command.to_owned();
                }
            }
            panic!("the script ended");
        };
        let command = tokio::time::timeout(PATIENCE, line).await.expect("the script says how to look");
        let output = Command::new("sh").args(["-c", &command]).output().await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.lines().all(|line| line.starts_with("ok    ")), "{text}");
        assert_eq!(text.lines().filter(|line| line.contains(" at http://127.0.0.1:")).count(), 5, "{text}");
    }

    fn is_listening(&self) -> bool {
        (self.service_port..self.service_port + 5).any(|port| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok())
    }
}

/// The id of the process that runs this binary at this port.
fn process_of(binary: &str, port: u16) -> String {
    let here = |entry: std::fs::DirEntry| {
        let command = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        let mut words = command.split('\0');
        let is_it = words.next().is_some_and(|path| path.ends_with(binary))
            && words.any(|word| word == format!("127.0.0.1:{port}"));
        is_it.then(|| entry.file_name().into_string().unwrap())
    };
    std::fs::read_dir("/proc").unwrap().flatten().find_map(here).expect("the process runs")
}

/// The first of so many ports in a row that were free a moment ago.
fn free_ports(count: u16) -> u16 {
    loop {
        let first = rand::random_range(21_000..32_000);
        let bound = (first..first + count).map(|port| std::net::TcpListener::bind(("127.0.0.1", port)));
        if bound.collect::<Result<Vec<_>, _>>().is_ok() {
            return first;
        }
    }
}

/// With its log in Postgres it takes an upload; a process that dies ends everything, by name and with a failure.
pub async fn a_dead_process_ends_the_others(test: TestDb) {
    let mut script = Script::start(&test, "postgres");
    let data = script.ready().await;
    script.upload(&data).await;
    script.doctor().await;

    let pid = process_of("portolan-inventory", script.service_port + 2);
    assert!(Command::new("kill").args(["-9", &pid]).status().await.unwrap().success());
    let (code, text) = script.end().await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("inventory ended with status 137; its last lines:"), "{text}");
    assert!(text.contains("portolan.inventory.v1 ready"), "its last lines are shown: {text}");
    assert!(!script.is_listening(), "the others have ended");
    assert!(!Path::new(&data).exists(), "the data is removed");
}

/// With its log in Kafka it takes an upload, and ends when it is told to.
pub async fn the_log_is_kafka(test: TestDb) {
    let mut script = Script::start(&test, "kafka");
    let data = script.ready().await;
    script.upload(&data).await;
    script.doctor().await;
    let pid = script.child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    let (code, text) = script.end().await;
    assert_eq!(code, Some(143), "{text}");
    assert!(!script.is_listening(), "every process has ended");
}

/// An address that is in use is named, with the service that wanted it.
pub async fn an_address_in_use_is_named(test: TestDb) {
    let service_port = free_ports(5);
    let port = service_port + 4;
    let taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let mut script = Script::start_at(&test, "postgres", service_port);
    let (code, text) = script.end().await;
    drop(taken);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("billing ended with status 1"), "{text}");
    assert!(text.contains(&format!("grpc.addr 127.0.0.1:{port}: Address already in use")), "{text}");
    assert!(!script.is_listening(), "the others have ended");
}
