use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use portolan_testkit::{Certificates, TestDb};
use serde_json::json;

use crate::{
    server::{PATIENCE, Server},
    six::Six,
};

/// A request that names a trace is found there again: at the gateway, at the service, and at the service behind it.
pub async fn a_trace_follows_a_request_over_every_hop(test: TestDb) {
    let collector = Collector::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let service = TraceServiceServer::new(collector.clone());
    tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));

    let data_dir = tempfile::tempdir().unwrap().keep();
    let metrics = format!("127.0.0.1:{}", portolan_testkit::free_port());
    let variables =
        [("PORTOLAN__TELEMETRY__OTLP_ENDPOINT", endpoint.as_str()), ("PORTOLAN__METRICS__ADDR", metrics.as_str())];
    let program = env!("CARGO_BIN_EXE_portolan");
    let server = Server::start_program(program, &test, data_dir, &variables, std::process::Stdio::inherit()).await;
    let trace_id = format!("{:032x}", rand::random::<u128>() | 1);
    let traceparent = format!("00-{trace_id}-00f067aa0ba902b7-01");
    let body = json!({ "collectionName": "Traced" }).to_string();
    let request = server.request("/api/createCollection").header("x-api-key", &server.api_key).body(body);
    server.send(request.header("traceparent", traceparent)).await.unwrap().expect(200);

    let wanted = ["request", "/portolan.inventory.v1.CollectionService/CreateCollection"];
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let spans = collector.of(&trace_id);
        if wanted.iter().all(|name| spans.iter().any(|(span, ..)| span == name)) {
            let parent_of = |name: &str| spans.iter().find(|(span, ..)| span == name).unwrap().1.clone();
            assert_eq!(parent_of("request"), "00f067aa0ba902b7", "the gateway's span is the caller's child");
            for name in wanted {
                let told = &spans.iter().find(|(span, ..)| span == name).unwrap().2;
                assert!(["account_id", "credential_id"].iter().all(|key| told.contains(*key)), "{name}: {told:?}");
            }
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "spans of the trace: {spans:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let open = reqwest::Client::new().get(format!("http://{metrics}/metrics"));
    let open = open.header("accept", "application/openmetrics-text").send().await.unwrap().text().await.unwrap();
    for series in ["portolan_gateway_request_seconds_bucket{", "portolan_rpc_seconds_bucket{"] {
        let example = format!(" # {{trace_id=\"{trace_id}\"}} ");
        assert!(open.lines().any(|line| line.starts_with(series) && line.contains(&example)), "{series}: {open}");
    }
}

/// Hex trace id, name, hex id of the parent, and what is told of it.
type Span = (String, String, String, BTreeSet<String>);

/// Spans as they come.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

impl Collector {
    fn of(&self, trace_id: &str) -> Vec<(String, String, BTreeSet<String>)> {
        let spans = self.0.lock().unwrap();
        let found = spans.iter().filter(|(trace, ..)| trace == trace_id);
        found.map(|(_, name, parent, told)| (name.clone(), parent.clone(), told.clone())).collect()
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let resources = request.into_inner().resource_spans.into_iter();
        let spans = resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans);
        let mut kept = self.0.lock().unwrap();
        kept.extend(spans.map(|span| {
            let told = span.attributes.into_iter().filter(|told| told.value.is_some()).map(|told| told.key).collect();
            (hex(&span.trace_id), span.name, hex(&span.parent_span_id), told)
        }));
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

/// With certificates the services answer only each other, and go on when the files are replaced.
pub async fn services_speak_mutual_tls(test: TestDb) {
    let data_dir = tempfile::tempdir().unwrap().keep();
    let certificates = data_dir.join("tls");
    std::fs::create_dir(&certificates).unwrap();
    Certificates::write(&certificates);
    let file = |name: &str| certificates.join(name).display().to_string();
    let (cert, key, ca) = (file("tls.crt"), file("tls.key"), file("ca.crt"));
    let variables = [("PORTOLAN__TLS__CERT", cert.as_str()), ("PORTOLAN__TLS__KEY", &key), ("PORTOLAN__TLS__CA", &ca)];
    let mut installation = Installation::start(&test, &data_dir, 1, &variables).await;
    installation.probe().await.expect("requests pass over mutual TLS");

    let identity = installation.six.processes.iter().position(|process| process.name == "identity").unwrap();
    let port = installation.six.processes[identity].port;
    let health = async |endpoint: tonic::transport::Endpoint| {
        let channel = endpoint.connect().await?;
        let mut client = tonic_health::pb::health_client::HealthClient::new(channel);
        let request = tonic_health::pb::HealthCheckRequest { service: String::new() };
        client.check(request).await.map(drop).map_err(Box::<dyn std::error::Error>::from)
    };
    let plain = tonic::transport::Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
    assert!(health(plain).await.is_err(), "plain text is refused");
    let authority = tonic::transport::Certificate::from_pem(std::fs::read(&ca).unwrap());
    let anonymous = tonic::transport::ClientTlsConfig::new().ca_certificate(authority).domain_name("127.0.0.1");
    let anonymous =
        tonic::transport::Endpoint::from_shared(format!("https://127.0.0.1:{port}")).unwrap().tls_config(anonymous);
    assert!(health(anonymous.unwrap()).await.is_err(), "a peer without certificate is refused");

    // Another authority altogether: connections of before end with the process that is restarted.
    Certificates::write(&certificates);
    tokio::time::sleep(Duration::from_secs(5)).await;
    installation.six.processes[identity].child.kill().await.unwrap();
    installation.six.restart(identity);
    installation.wait().await;
}

/// Two instances of everything: while each process is stopped by SIGTERM and started again in turn, no request of the
/// load fails.
pub async fn a_rolling_restart_fails_no_request(test: TestDb) {
    let data_dir = tempfile::tempdir().unwrap().keep();
    let variables = [("PORTOLAN__DRAIN__DELAY_MS", "2500")];
    let mut installation = Installation::start(&test, &data_dir, 2, &variables).await;
    let load = Load::start(&installation, 4);
    let restarted = installation.six.processes.iter().filter(|process| process.name != "edge").count();
    for index in 0..restarted {
        let process = &mut installation.six.processes[index];
        let pid = process.child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = tokio::time::timeout(Duration::from_secs(15), process.child.wait()).await;
        assert!(status.expect("SIGTERM ends it").unwrap().success(), "{} ends well", process.name);
        installation.six.restart(index);
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    }
    let (answered, failed) = load.stop().await;
    assert!(failed.is_empty(), "{} of {answered} requests failed: {:?}", failed.len(), &failed[..failed.len().min(5)]);
    println!("{restarted} processes restarted in turn, {answered} requests, none failed");
    assert!(answered > 200, "there was no load: {answered}");
}

/// An installation of several processes with the key of its administrator.
pub struct Installation {
    pub six: Six,
    api_key: String,
    client: reqwest::Client,
}

impl Installation {
    pub async fn start(test: &TestDb, data_dir: &Path, instances: usize, variables: &[(&str, &str)]) -> Self {
        Self::start_on(&test.url, data_dir, instances, variables).await
    }

    pub async fn start_on(store_url: &str, data_dir: &Path, instances: usize, variables: &[(&str, &str)]) -> Self {
        // The client wants a provider even for plain HTTP; a second installation changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let six = Six::start(store_url, data_dir, instances, variables);
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
        let mut made = Self { six, api_key: String::new(), client };
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while made.api_key.is_empty() {
            made.api_key = std::fs::read_to_string(data_dir.join("admin-api-key")).unwrap_or_default();
            assert!(tokio::time::Instant::now() < deadline, "the first key was not made in time");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        made.wait().await;
        made
    }

    /// Waits until reads and writes pass again.
    pub async fn wait(&self) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            match self.probe().await {
                Ok(()) => return,
                Err(error) => assert!(tokio::time::Instant::now() < deadline, "not ready again in time: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// A read and a write that cross identity, tokens and inventory.
    pub async fn probe(&self) -> Result<(), String> {
        let name = format!("Probe {:016x}", rand::random::<u64>());
        self.call("/api/createCollection", json!({ "collectionName": name })).await?;
        self.call("/api/getAllCollections", json!({})).await
    }

    /// `Err` says what came instead of a 200.
    pub async fn call(&self, path: &str, body: serde_json::Value) -> Result<(), String> {
        call(&self.client, &self.six.address, &self.api_key, path, body).await
    }
}

async fn call(
    client: &reqwest::Client,
    address: &str,
    api_key: &str,
    path: &str,
    body: serde_json::Value,
) -> Result<(), String> {
    let request = client.post(format!("http://{address}{path}")).header("content-type", "application/json");
    let answer = request.header("x-api-key", api_key).body(body.to_string()).send().await;
    let answer = answer.map_err(|error| format!("no answer: {error:?}"))?;
    let (status, reason) = (answer.status(), answer.headers().get("x-portolan-error").cloned());
    let text = answer.text().await.unwrap_or_default();
    if status == 200 { Ok(()) } else { Err(format!("{path} {status} {reason:?} {text}")) }
}

/// Requests that go on until they are stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    workers: Vec<tokio::task::JoinHandle<(u64, Vec<String>)>>,
}

impl Load {
    pub fn start(installation: &Installation, workers: usize) -> Self {
        let next = |worker: usize, round: u64| match round % 4 {
            0 => {
                let name = format!("W{worker} {:016x}", rand::random::<u64>());
                ("/api/createCollection", json!({ "collectionName": name }))
            }
            1 => ("/api/me", json!({})),
            2 => ("/api/fetchApiTokens", json!({})),
            _ => ("/api/getAllCollections", json!({})),
        };
        Self::of(&installation.six.address, &installation.api_key, workers, next)
    }

    /// Of requests that `next` makes from the number of a worker and of its round.
    pub fn of(
        address: &str,
        api_key: &str,
        workers: usize,
        next: impl Fn(usize, u64) -> (&'static str, serde_json::Value) + Clone + Send + 'static,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
        let workers = (0..workers).map(|worker| {
            let (stop, client, next) = (stop.clone(), client.clone(), next.clone());
            let (address, api_key) = (address.to_owned(), api_key.to_owned());
            tokio::spawn(async move {
                let (mut answered, mut failed) = (0, Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    let (path, body) = next(worker, answered);
                    if let Err(error) = call(&client, &address, &api_key, path, body).await {
                        failed.push(error);
                    }
                    answered += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                (answered, failed)
            })
        });
        Self { workers: workers.collect(), stop }
    }

    /// How many requests were made, and what went wrong with those that failed.
    pub async fn stop(self) -> (u64, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let (mut answered, mut failed) = (0, Vec::new());
        for worker in self.workers {
            let (count, errors) = worker.await.unwrap();
            answered += count;
            failed.extend(errors);
        }
        (answered, failed)
    }
}
