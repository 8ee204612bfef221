//! Decisions at the edge, measured from outside against yardsticks of the same run. Prints a Markdown table.
//!
//! Through Envoy it measures where `PORTOLAN_TEST_ENVOY` names one and `wrk` is installed.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use envoy_types::{
    ext_authz::v3::pb::{Authorization, AuthorizationServer, CheckRequest, CheckResponse},
    pb::envoy::service::auth::v3::{
        AttributeContext,
        attribute_context::{HttpRequest, Request as ContextRequest},
        authorization_client::AuthorizationClient,
    },
};
use jsonwebtoken::{Algorithm, EncodingKey, crypto::sign};
use serde_json::{Value, json};
use tonic::{Request, Response, Status, transport::Channel};

const CONNECTIONS: usize = 4;
const CALLS_UNDER_WAY: usize = 64;
const LOAD_TIME: Duration = Duration::from_secs(5);
const ROUNDS: usize = 3;
const REFRESHES: usize = 30;
const TOKEN: &str = "shared with envoy";
const HOST: &str = "orders.localhost";
const PRIVATE_KEY: &str = include_str!("../../../crates/jwks/tests/data/trusted.pem");
const ENVOY_CONFIG: &str = include_str!("../../../deploy/example/envoy.yaml");

type BoxError = Box<dyn std::error::Error>;

fn main() -> Result<(), BoxError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match std::env::args().nth(1).as_deref() {
        Some("grpc-echo") => return runtime.block_on(grpc_echo()),
        Some("http-echo") => return runtime.block_on(http_echo()),
        _ => {}
    }
    // The client wants a provider even for plain HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    runtime.block_on(measure())
}

async fn measure() -> Result<(), BoxError> {
    let directory = tempfile::tempdir()?;
    let portolan = Portolan::start(directory.path())?;
    let collection_id = portolan.protect().await?;
    let made = portolan.profile(collection_id, json!({"auth_type": "token"})).await?;
    let secret = made["secret"].as_str().ok_or("no secret")?.to_owned();
    let signed =
        portolan.profile(collection_id, json!({"auth_type": "jwt", "jwt_method": "rsa", "jwt_secret": public_key()?}));
    let token = rs256(signed.await?["secret"].as_str().ok_or("no key")?)?;

    println!("| what | measured | against | ratio | goal |\n|---|---|---|---|---|");
    let mut echo = Child::spawn_self("grpc-echo")?;
    let key = check("api-token", &secret);
    let jwt = check("authorization", &format!("Bearer {token}"));
    let (mut bare, mut by_key, mut by_jwt) = (0.0_f64, 0.0_f64, 0.0_f64);
    for _ in 0..ROUNDS {
        bare = bare.max(load(&echo.address, &key, 0).await?);
        by_key = by_key.max(load(&portolan.grpc, &key, 0).await?);
        by_jwt = by_jwt.max(load(&portolan.grpc, &jwt, 0).await?);
    }
    for (name, figure, goal) in [("key", by_key, 0.8), ("RS256, warm", by_jwt, 0.5)] {
        let ratio = figure / bare;
        println!(
            "| decision, {name} | {figure:.0}/s | bare tonic unary echo {bare:.0}/s | {ratio:.2} × | ≥ {goal} × |"
        );
    }
    echo.child.kill()?;

    // Before the refreshes, which end this secret.
    if let Ok(envoy) = std::env::var("PORTOLAN_TEST_ENVOY") {
        through_envoy(&envoy, &portolan, directory.path(), &secret)?;
    }
    let (latest, settled) = last_accepted(&portolan, &made).await?;
    println!(
        "| last request with an old secret that passed | {latest:.1} ms before the 200 of its refresh, the latest of {REFRESHES} \
         | – | – | none after it |\n| the refresh itself | {settled:.1} ms median | – | – | – |"
    );
    Ok(())
}

/// Requests a second through Envoy with and without asking.
fn through_envoy(envoy: &str, portolan: &Portolan, directory: &Path, secret: &str) -> Result<(), BoxError> {
    let mut upstream = Child::spawn_self("http-echo")?;
    let mut figures = Vec::new();
    for asks in [false, true] {
        let (start, end) = (
            "                  - name: envoy.filters.http.ext_authz",
            "                  - name: envoy.filters.http.router",
        );
        let (before, rest) = ENVOY_CONFIG.split_once(start).ok_or("no ext_authz")?;
        let (filter, after) = rest.split_once(end).ok_or("no router")?;
        let filter = if asks { format!("{start}{filter}") } else { String::new() };
        let port = |address: &str| address.rsplit_once(':').map_or_else(String::new, |(_, port)| port.to_owned());
        let config = format!("{before}{filter}{end}{after}")
            .replace("{ADMIN_PORT}", &free_port().to_string())
            .replace("{EDGE_PORT}", &portolan.edge_port.to_string())
            .replace("{GRPC_PORT}", &port(&portolan.grpc))
            .replace("{ORDERS_PORT}", &port(&upstream.address))
            .replace("{STOCK_PORT}", &port(&upstream.address))
            .replace("{EDGE_TOKEN}", TOKEN);
        let file = directory.join("envoy.yaml");
        std::fs::write(&file, config)?;
        let mut envoy = Command::new(envoy)
            .args(["--log-level", "error", "--use-dynamic-base-id", "--concurrency", "2", "-c"])
            .arg(&file)
            .stdout(Stdio::null())
            .spawn()?;
        std::thread::sleep(Duration::from_secs(2));
        let url = format!("http://127.0.0.1:{}/orders", portolan.edge_port);
        let host = format!("host: {HOST}:{}", portolan.edge_port);
        let output = Command::new("wrk")
            .args(["-t1", "-c32", "-d5s", "--latency", "-H", &host, "-H", &format!("api-token: {secret}"), &url])
            .output()?;
        envoy.kill()?;
        envoy.wait()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let word = |line: &str| {
            let line = text.lines().find(|found| found.trim_start().starts_with(line));
            line.and_then(|line| line.split_whitespace().nth(1)).unwrap_or("?").to_owned()
        };
        if text.contains("Non-2xx") {
            return Err(format!("refused:\n{text}").into());
        }
        figures.push((word("Requests/sec:"), word("99%")));
    }
    upstream.child.kill()?;
    let per_s = |at: usize| figures[at].0.parse::<f64>().unwrap_or(f64::NAN);
    println!(
        "| through Envoy, key | {}/s, p99 {} | Envoy without ext_authz {}/s, p99 {} | {:.2} × | – |",
        figures[1].0,
        figures[1].1,
        figures[0].0,
        figures[0].1,
        per_s(1) / per_s(0)
    );
    Ok(())
}

/// Milliseconds by which the last request with an old secret that passed began before the answer to its refresh
/// (negative: after it), and the median time of a refresh.
async fn last_accepted(portolan: &Portolan, made: &Value) -> Result<(f64, f64), BoxError> {
    let id = made["id"].as_i64().ok_or("no id")?;
    let mut secret = made["secret"].as_str().ok_or("no secret")?.to_owned();
    let (mut latest, mut times) = (f64::MAX, Vec::new());
    for _ in 0..REFRESHES {
        let stop = Arc::new(AtomicBool::new(false));
        let mut hammers = Vec::new();
        for _ in 0..4 {
            let (mut client, call, stop) = (client(&portolan.grpc).await?, check("api-token", &secret), stop.clone());
            hammers.push(tokio::spawn(async move {
                let mut last = None;
                while !stop.load(Ordering::Relaxed) {
                    let sent = Instant::now();
                    if client.check(call.clone()).await.is_ok_and(|answer| passed(&answer.into_inner())) {
                        last = Some(sent);
                    }
                }
                last
            }));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        let began = Instant::now();
        let answer = portolan.put(&format!("/api/api_access_profiles/{id}/refresh_secret")).await?;
        let answered = Instant::now();
        times.push((answered - began).as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_millis(50)).await;
        stop.store(true, Ordering::Relaxed);
        for hammer in hammers {
            let last = hammer.await?.ok_or("the secret never passed")?;
            let before = answered.saturating_duration_since(last).as_secs_f64() * 1e3;
            let after = last.saturating_duration_since(answered).as_secs_f64() * 1e3;
            latest = latest.min(before - after);
        }
        answer["secret"].as_str().ok_or("no secret")?.clone_into(&mut secret);
    }
    times.sort_by(f64::total_cmp);
    Ok((latest, times[times.len() / 2]))
}

async fn client(address: &str) -> Result<AuthorizationClient<Channel>, BoxError> {
    Ok(AuthorizationClient::new(tonic::transport::Endpoint::new(format!("http://{address}"))?.connect().await?))
}

fn check(header: &str, value: &str) -> CheckRequestTemplate {
    let headers = [
        (header, value),
        (":authority", HOST),
        (":method", "GET"),
        (":path", "/orders"),
        ("user-agent", "bench"),
        ("accept", "*/*"),
        ("x-forwarded-for", "203.0.113.9"),
        ("x-request-id", "00000000-0000-0000-0000-000000000000"),
    ];
    let http = HttpRequest {
        method: "GET".into(),
        path: "/orders".into(),
        host: HOST.into(),
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        ..HttpRequest::default()
    };
    let request = ContextRequest { http: Some(http), ..ContextRequest::default() };
    CheckRequestTemplate(CheckRequest {
        attributes: Some(AttributeContext { request: Some(request), ..AttributeContext::default() }),
    })
}

/// A request that is sent many times.
#[derive(Clone)]
struct CheckRequestTemplate(CheckRequest);

impl tonic::IntoRequest<CheckRequest> for CheckRequestTemplate {
    fn into_request(self) -> Request<CheckRequest> {
        let mut request = Request::new(self.0);
        request.metadata_mut().insert("x-portolan-edge-token", TOKEN.parse().expect("the token is ASCII"));
        request
    }
}

fn passed(answer: &CheckResponse) -> bool {
    answer.status.as_ref().is_some_and(|status| status.code == 0)
}

/// Calls a second that answered with this status.
async fn load(address: &str, call: &CheckRequestTemplate, code: i32) -> Result<f64, BoxError> {
    let mut tasks = Vec::new();
    let (begin, end) =
        (Instant::now() + Duration::from_millis(500), Instant::now() + Duration::from_millis(500) + LOAD_TIME);
    for _ in 0..CONNECTIONS {
        let shared = client(address).await?;
        for _ in 0..CALLS_UNDER_WAY / CONNECTIONS {
            let (mut client, call) = (shared.clone(), call.clone());
            tasks.push(tokio::spawn(async move {
                let mut count = 0_u64;
                loop {
                    let answer = client.check(call.clone()).await.map_err(|status| status.to_string())?.into_inner();
                    if answer.status.as_ref().map(|status| status.code) != Some(code) {
                        return Err(format!("another answer: {answer:?}"));
                    }
                    let now = Instant::now();
                    if now >= end {
                        return Ok(count);
                    }
                    count += u64::from(now >= begin);
                }
            }));
        }
    }
    let mut total = 0;
    for task in tasks {
        total += task.await??;
    }
    Ok(total as f64 / LOAD_TIME.as_secs_f64())
}

struct Portolan {
    child: Child,
    http: String,
    grpc: String,
    api_key: String,
    edge_port: u16,
    client: reqwest::Client,
}

impl Portolan {
    fn start(directory: &Path) -> Result<Self, BoxError> {
        let data = directory.join("data");
        let mut child = Command::new(env!("CARGO_BIN_EXE_portolan"))
            .args(["up", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--data-dir"])
            .arg(&data)
            .env("PORTOLAN__EDGE__TOKEN", TOKEN)
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let line = first_line(&mut child)?;
        let part = |name: &str| {
            let rest = line.split_once(name).map_or("", |(_, rest)| rest);
            rest.split(' ').next().unwrap_or_default().to_owned()
        };
        let api_key = std::fs::read_to_string(data.join("admin-api-key"))?;
        let (http, grpc) = (part("http="), part("grpc="));
        Ok(Self { child, http, grpc, api_key, edge_port: free_port(), client: reqwest::Client::new() })
    }

    async fn send(&self, request: reqwest::RequestBuilder, body: Value) -> Result<Value, BoxError> {
        let request = request.bearer_auth(&self.api_key).header("x-api-key", &self.api_key);
        let answer = request.header("content-type", "application/json").body(body.to_string()).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        if status.is_success() { Ok(serde_json::from_str(&text)?) } else { Err(format!("{status}: {text}").into()) }
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, BoxError> {
        self.send(self.client.post(format!("{}{path}", self.http)), body).await
    }

    async fn put(&self, path: &str) -> Result<Value, BoxError> {
        self.send(self.client.put(format!("{}{path}", self.http)), json!({})).await
    }

    async fn profile(&self, collection_id: i64, settings: Value) -> Result<Value, BoxError> {
        let mut body = json!({"name": "bench", "api_collection_ids": [collection_id]});
        body.as_object_mut().ok_or("no object")?.extend(settings.as_object().ok_or("no object")?.clone());
        self.post("/api/api_access_profiles", body).await
    }

    /// A collection with an endpoint.
    async fn protect(&self) -> Result<i64, BoxError> {
        let collection = self.post("/api/createCollection", json!({"collectionName": "Orders"})).await?;
        let id = collection["apiCollections"][0]["id"].as_i64().ok_or("no collection")?;
        let document = json!({
            "openapi": "3.0.3", "info": {"title": "Orders", "version": "1"}, "servers": [{"url": format!("http://{HOST}")}],
            "paths": {"/orders": {"get": {"responses": {"200": {"description": "good"}}}}},
        });
        let body = json!({"openAPIString": document.to_string(), "apiCollectionId": id});
        self.post("/api/importDataFromOpenApiSpec", body).await?;
        // It is asked for until it is there: the first decision waits for the feed anyway.
        for _ in 0..200 {
            let infos = self.post("/api/fetchApiInfosForCollection", json!({"apiCollectionId": id})).await?;
            if infos["apiInfoList"].as_array().is_some_and(|list| !list.is_empty()) {
                return Ok(id);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err("the endpoint does not arrive".into())
    }
}

impl Drop for Portolan {
    fn drop(&mut self) {
        // It may have ended before; nothing is left to do then.
        let _ = self.child.kill();
    }
}

/// A yardstick in a process of its own.
struct Yardstick {
    child: Child,
    address: String,
}

trait SpawnSelf {
    fn spawn_self(role: &str) -> Result<Yardstick, BoxError>;
}

impl SpawnSelf for Child {
    fn spawn_self(role: &str) -> Result<Yardstick, BoxError> {
        let mut child = Command::new(std::env::current_exe()?).arg(role).stdout(Stdio::piped()).spawn()?;
        let address = first_line(&mut child)?.trim().to_owned();
        Ok(Yardstick { child, address })
    }
}

fn first_line(child: &mut Child) -> Result<String, BoxError> {
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    Ok(line)
}

struct Echo;

#[tonic::async_trait]
impl Authorization for Echo {
    async fn check(&self, _: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        Ok(Response::new(CheckResponse { status: Some(Default::default()), ..CheckResponse::default() }))
    }
}

async fn grpc_echo() -> Result<(), BoxError> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
    Ok(tonic::transport::Server::builder()
        .add_service(AuthorizationServer::new(Echo))
        .serve_with_incoming(incoming)
        .await?)
}

async fn http_echo() -> Result<(), BoxError> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    Ok(axum::serve(listener, axum::Router::new().fallback(async || "{}")).await?)
}

fn rs256(key: &str) -> Result<String, BoxError> {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let claims = json!({"sub": key, "iss": "https://idp.example", "exp": now + 3600, "scope": "orders"});
    let input = format!("{}.{}", part(json!({"alg": "RS256", "typ": "JWT"})), part(claims));
    let signature = sign(input.as_bytes(), &EncodingKey::from_rsa_pem(PRIVATE_KEY.as_bytes())?, Algorithm::RS256)?;
    Ok(format!("{input}.{signature}"))
}

fn public_key() -> Result<String, BoxError> {
    Ok(rcgen::KeyPair::from_pem(PRIVATE_KEY)?.public_key_pem())
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_or(0, |address| address.port())
}
