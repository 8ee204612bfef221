use std::{path::PathBuf, process::Stdio, time::Duration};

use envoy_types::{
    ext_authz::v3::pb::CheckRequest,
    pb::envoy::service::auth::v3::{
        AttributeContext,
        attribute_context::{HttpRequest, Request as ContextRequest},
    },
};
use portolan_identity::audit::AuditKeys;
use portolan_runtime::{Keys, Secrets};
use portolan_store::Db;
use portolan_testkit::TestDb;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::six;

/// Longest wait for a start, and for what a job does in the background.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running installation: `portolan up`, or six processes behind Envoy. Killed when dropped.
pub struct Server {
    children: Vec<Child>,
    pub http: String,
    pub grpc: String,
    pub data_dir: PathBuf,
    pub api_key: String,
    client: reqwest::Client,
}

/// An answer with its whole body.
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {} {}", self.status, self.body))
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    #[track_caller]
    pub fn expect_error(self, status: u16, text: &str) -> Self {
        assert_eq!((self.status, self.json()), (status, json!({ "actionErrors": [text] })));
        self
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Server {
    /// Starts on the test's database, with a data directory of its own.
    pub async fn start(test: &TestDb) -> Self {
        let data_dir = tempfile::tempdir().unwrap().keep();
        Self::start_in(test, data_dir).await
    }

    pub async fn start_in(test: &TestDb, data_dir: PathBuf) -> Self {
        Self::start_with(test, data_dir, &[]).await
    }

    /// With variables of its own.
    pub async fn start_with(test: &TestDb, data_dir: PathBuf, variables: &[(&str, &str)]) -> Self {
        Self::start_logging(test, data_dir, variables, Stdio::inherit()).await
    }

    /// With its log in a place of its own.
    pub async fn start_logging(test: &TestDb, data_dir: PathBuf, variables: &[(&str, &str)], log: Stdio) -> Self {
        if std::env::var(six::FORM).is_ok_and(|form| form == "six") {
            return Self::start_six(test, data_dir, variables).await;
        }
        Self::start_program(env!("CARGO_BIN_EXE_portolan"), test, data_dir, variables, log).await
    }

    /// Another build of the one process.
    pub async fn start_program(
        program: &str,
        test: &TestDb,
        data_dir: PathBuf,
        variables: &[(&str, &str)],
        log: Stdio,
    ) -> Self {
        // The client wants a provider even for plain HTTP; a second installation changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut child = Command::new(program)
            .args(["up", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--data-dir"])
            .arg(&data_dir)
            .env("PORTOLAN__STORE__URL", &test.url)
            .env("PORTOLAN__ADMIN__PASSWORD", "correct horse battery staple")
            .env("RUST_LOG", "warn")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("no ready line in time").unwrap();
        let line = line.expect("the process ended before it was ready");
        let part = |name: &str| {
            let rest = line.split_once(name).unwrap_or_else(|| panic!("{line}")).1;
            rest.split(' ').next().unwrap().to_owned()
        };
        assert!(line.starts_with("portolan ready http=http"), "{line}");
        let api_key = std::fs::read_to_string(data_dir.join("admin-api-key")).unwrap();
        let (http, grpc) = (part("http="), part("grpc="));
        Self { children: vec![child], http, grpc, data_dir, api_key, client: reqwest::Client::new() }
    }

    /// Two processes by `up --services`, of which the first has the gateway.
    pub async fn start_two(test: &TestDb, data_dir: PathBuf) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let parts = [&["gateway", "identity", "billing"][..], &["tokens", "inventory", "imports"]];
        let ports = [portolan_testkit::free_port(), portolan_testkit::free_port()];
        let http = format!("127.0.0.1:{}", portolan_testkit::free_port());
        let peers = parts.iter().zip(ports).flat_map(|(services, port)| {
            let services = services.iter().filter(|service| **service != "gateway");
            services.map(move |service| (format!("PORTOLAN__PEERS__{}", service.to_uppercase()), port))
        });
        let peers: Vec<_> = peers.map(|(name, port)| (name, format!("http://127.0.0.1:{port}"))).collect();
        let start = |(services, port): (&&[&str], u16)| {
            Command::new(env!("CARGO_BIN_EXE_portolan"))
                .args([
                    "up",
                    "--services",
                    &services.join(","),
                    "--grpc",
                    &format!("127.0.0.1:{port}"),
                    "--http",
                    &http,
                ])
                .arg("--data-dir")
                .arg(&data_dir)
                .env("PORTOLAN__STORE__URL", &test.url)
                .env("PORTOLAN__ADMIN__PASSWORD", "correct horse battery staple")
                .env("RUST_LOG", "warn")
                .envs(peers.iter().cloned())
                .stdout(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .unwrap()
        };
        let children = parts.iter().zip(ports).map(start).collect();
        Self::when_answering(children, [format!("http://{http}"), format!("127.0.0.1:{}", ports[0])], data_dir).await
    }

    /// Ends each process by SIGTERM.
    pub async fn terminate(self) -> Vec<(u32, std::process::ExitStatus)> {
        let mut ends = Vec::new();
        for mut child in self.children {
            let pid = child.id().expect("it runs");
            assert!(std::process::Command::new("kill").args(["-TERM", &pid.to_string()]).status().unwrap().success());
            ends.push((pid, tokio::time::timeout(PATIENCE, child.wait()).await.expect("SIGTERM ends it").unwrap()));
        }
        ends
    }

    /// Six processes, whatever form the tests run on.
    pub async fn start_six(test: &TestDb, data_dir: PathBuf, variables: &[(&str, &str)]) -> Self {
        // The client wants a provider even for plain HTTP; a second installation changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let six = six::Six::start(&test.url, &data_dir, 1, variables);
        let (http, grpc) = (format!("http://{}", six.address), six.address.clone());
        let children = six.processes.into_iter().map(|process| process.child).collect();
        Self::when_answering(children, [http, grpc], data_dir).await
    }

    /// Processes that have begun, when they answer together.
    async fn when_answering(children: Vec<Child>, [http, grpc]: [String; 2], data_dir: PathBuf) -> Self {
        let client = reqwest::Client::new();
        let mut server = Self { children, http, grpc, data_dir, api_key: String::new(), client };
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            // The key comes when identity has reached tokens; an answer under it has passed every service it needs.
            server.api_key = std::fs::read_to_string(server.data_dir.join("admin-api-key")).unwrap_or_default();
            let probe = server.request("/api/getAllCollections").header("x-api-key", &server.api_key).body("{}");
            if !server.api_key.is_empty() && server.send(probe).await.is_ok_and(|answer| answer.status == 200) {
                return server;
            }
            assert!(tokio::time::Instant::now() < deadline, "the processes are not ready in time");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Under which the installation chains its audit.
    pub async fn audit_keys(&self, identity: &Db) -> AuditKeys {
        let keys = Keys::load(&self.data_dir.join("secret-key")).unwrap();
        let secrets = Secrets::of(&keys, "identity").unwrap();
        AuditKeys::read(identity, &secrets).await.unwrap()
    }

    /// What `portolan doctor` prints of its data directory and of the store of the test.
    pub async fn doctor(&self, test: &TestDb) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
        command.args(["doctor", "--data-dir"]).arg(&self.data_dir).env("PORTOLAN__STORE__URL", &test.url);
        String::from_utf8_lossy(&command.output().await.unwrap().stdout).into_owned()
    }

    /// Of each process.
    pub fn pids(&self) -> Vec<u32> {
        self.children.iter().filter_map(Child::id).collect()
    }

    /// The most that each process has held in memory, together.
    pub fn memory_kib(&self) -> u64 {
        let peak = |pid: &u32| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap().to_owned();
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
        };
        self.pids().iter().map(peak).sum()
    }

    /// `kill -9`; fine for a process that is dead already.
    pub async fn kill(mut self) -> PathBuf {
        for child in &mut self.children {
            let _ = child.kill().await;
        }
        self.data_dir.clone()
    }

    /// A POST of a JSON body with the administrator's key.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(path).header("x-api-key", &self.api_key).body(body.to_string())).await.unwrap()
    }

    /// A POST with a JSON content type and nothing else.
    pub fn request(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.post(format!("{}{path}", self.http)).header("content-type", "application/json")
    }

    pub async fn get(&self, path: &str) -> Answer {
        let request = self.client.get(format!("{}{path}", self.http)).header("x-api-key", &self.api_key);
        self.send(request).await.unwrap()
    }

    /// Any verb with a Bearer credential (none when empty) and a JSON body (none when null).
    pub async fn call(&self, verb: &str, path: &str, bearer: &str, body: Value) -> Answer {
        let mut request = self.client.request(verb.parse().unwrap(), format!("{}{path}", self.http));
        if !bearer.is_empty() {
            request = request.header("authorization", format!("Bearer {bearer}"));
        }
        if !body.is_null() {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        self.send(request).await.unwrap()
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, body: response.text().await? })
    }

    /// Starts a new measure of the largest memory, where the system has one.
    pub fn forget_peak(&self) {
        if let Some(id) = self.children.first().and_then(Child::id) {
            let _ = std::fs::write(format!("/proc/{id}/clear_refs"), "5");
        }
    }

    /// The largest resident memory of the first process, in MiB; 0 where the system does not tell.
    pub fn peak_mib(&self) -> u64 {
        let status = self.children.first().and_then(Child::id).map(|id| format!("/proc/{id}/status"));
        let status = status.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() / 1024
    }

    pub async fn create_collection(&self, name: &str) -> i64 {
        let answer = self.post("/api/createCollection", json!({ "collectionName": name })).await.expect(200);
        answer.json()["apiCollections"][0]["id"].as_i64().unwrap()
    }

    /// `METHOD url` of every endpoint of a collection, sorted.
    pub async fn endpoints(&self, collection_id: i64) -> Vec<String> {
        let body = json!({ "apiCollectionId": collection_id });
        let answer = self.post("/api/fetchApiInfosForCollection", body).await.expect(200).json();
        let infos = answer["apiInfoList"].as_array().unwrap().clone();
        let name = |info: &Value| {
            format!("{} {}", info["id"]["method"].as_str().unwrap(), info["id"]["url"].as_str().unwrap())
        };
        let mut names: Vec<_> = infos.iter().map(name).collect();
        names.sort();
        names
    }

    pub async fn parameters(&self, collection_id: i64, method: &str, url: &str) -> Vec<Value> {
        let body = json!({ "apiCollectionId": collection_id, "url": url, "method": method });
        let answer = self.post("/api/loadParamsOfEndpoint", body).await.expect(200).json();
        answer["data"]["params"].as_array().unwrap().clone()
    }

    /// Waits until the job has ended and returns it.
    pub async fn wait_for_job(&self, job_id: &str) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let job = self.get(&format!("/v1/jobs/{job_id}")).await.expect(200).json();
            if !["PENDING", "RUNNING"].contains(&job["state"].as_str().unwrap()) {
                return job;
            }
            assert!(tokio::time::Instant::now() < deadline, "{job}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What an Envoy asks of a request, with the token that it shares with the edge.
pub fn edge_check(http: HttpRequest, token: &str) -> tonic::Request<CheckRequest> {
    let context = ContextRequest { http: Some(http), ..Default::default() };
    let asked = AttributeContext { request: Some(context), ..Default::default() };
    let mut check = tonic::Request::new(CheckRequest { attributes: Some(asked) });
    check.metadata_mut().insert("x-portolan-edge-token", token.parse().unwrap());
    check
}

/// A HAR capture of these calls: method, url, request body, status, response body.
pub fn har(calls: &[(&str, &str, &str, u16, &str)]) -> String {
    let entry = |(method, url, request, status, response): &(&str, &str, &str, u16, &str)| {
        let host = url.split('/').nth(2).unwrap();
        let mut entry = json!({
            "startedDateTime": "2026-01-02T03:04:05.000Z",
            "time": 1,
            "request": {
                "method": method, "url": url, "httpVersion": "HTTP/1.1", "cookies": [], "queryString": [],
                "headers": [{"name": "Host", "value": host}, {"name": "Authorization", "value": "Bearer abc"}],
                "headersSize": -1, "bodySize": request.len(),
            },
            "response": {
                "status": status, "statusText": "", "httpVersion": "HTTP/1.1", "cookies": [], "redirectURL": "",
                "headers": [{"name": "Content-Type", "value": "application/json"}],
                "content": {"size": response.len(), "mimeType": "application/json", "text": response},
                "headersSize": -1, "bodySize": response.len(),
            },
            "cache": {}, "timings": {"send": 0, "wait": 0, "receive": 0},
        });
        if !request.is_empty() {
            entry["request"]["postData"] = json!({"mimeType": "application/json", "text": request});
            let headers = entry["request"]["headers"].as_array_mut().unwrap();
            headers.push(json!({"name": "Content-Type", "value": "application/json"}));
        }
        entry
    };
    let entries: Vec<_> = calls.iter().map(entry).collect();
    json!({"log": {"version": "1.2", "creator": {"name": "test", "version": "1"}, "entries": entries}}).to_string()
}
