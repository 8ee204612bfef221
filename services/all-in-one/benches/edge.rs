//! Decisions at the edge, measured from outside against yardsticks of the same run. Prints rows of a Markdown table.
//!
//! Through Envoy it measures where `PORTOLAN_TEST_ENVOY` names one.

use std::{
    net::SocketAddr,
    path::Path,
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

mod common;
use common::{BoxError, Load, against, free_address, row, spawn_self, start_envoy};

fn main() -> Result<(), BoxError> {
    let runtime = portolan_testkit::runtime();
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

    let (echo, echo_address) = spawn_self("grpc-echo", &[])?;
    let key = check("api-token", &secret);
    let jwt = check("authorization", &format!("Bearer {token}"));
    for (name, call, goal) in [("key", &key, 0.8), ("RS256, warm", &jwt, 0.5)] {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push((load(&portolan.grpc, call, 0).await?, load(&echo_address, call, 0).await?));
        }
        rounds.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
        let (figure, bare) = rounds[ROUNDS / 2];
        let ratio = figure / bare;
        println!(
            "| ext_authz decision, {name} | {figure:.0}/s | bare tonic unary echo {bare:.0}/s | {ratio:.2} × | ≥ {goal} × |"
        );
    }
    drop(echo);

    // Before the refreshes, which end this secret.
    if let Ok(envoy) = std::env::var("PORTOLAN_TEST_ENVOY") {
        through_envoy(&envoy, &portolan, directory.path(), &secret).await?;
    }
    let (latest, settled) = last_accepted(&portolan, &made).await?;
    println!(
        "| last request with an old secret that passed | {latest:.1} ms before the 200 of its refresh, the latest of {REFRESHES} \
         | – | – | none after it |\n| the refresh itself | {settled:.1} ms median | – | – | – |"
    );
    Ok(())
}

/// Requests a second through Envoy with and without asking.
async fn through_envoy(envoy: &str, portolan: &Portolan, directory: &Path, secret: &str) -> Result<(), BoxError> {
    let (_upstream, upstream) = spawn_self("http-echo", &[])?;
    let free = free_address()?;
    let load_of = |address: SocketAddr| {
        let headers = format!("host: {HOST}:{}\r\napi-token: {secret}\r\n", address.port());
        Load { connections: 32, ..Load::get(address, "/orders", &headers) }
    };
    let mut running = Vec::new();
    for (asks, address) in [(true, portolan.edge), (false, free)] {
        let config = envoy_config(portolan, address, &upstream, asks)?;
        running.push((start_envoy(envoy, directory, &config, address)?, load_of(address)));
    }
    let (measured, yardstick) = against(&running[0].1, &running[1].1).await?;
    row("through Envoy, with a decision by key", measured, "Envoy without ext_authz", yardstick, "–");
    Ok(())
}

/// The configuration of the example with addresses of this run, with or without the filter that asks.
fn envoy_config(portolan: &Portolan, edge: SocketAddr, upstream: &str, asks: bool) -> Result<String, BoxError> {
    let (start, end) = (
        "                  - name: envoy.filters.http.ext_authz",
        "                  - name: envoy.filters.http.router",
    );
    let (before, rest) = ENVOY_CONFIG.split_once(start).ok_or("no ext_authz")?;
    let (filter, after) = rest.split_once(end).ok_or("no router")?;
    let filter = if asks { format!("{start}{filter}") } else { String::new() };
    let port = |address: &str| address.rsplit_once(':').map_or_else(String::new, |(_, port)| port.to_owned());
    Ok(format!("{before}{filter}{end}{after}")
        .replace("{ADMIN_PORT}", &free_address()?.port().to_string())
        .replace("{EDGE_PORT}", &edge.port().to_string())
        .replace("{GRPC_PORT}", &port(&portolan.grpc))
        .replace("{ORDERS_PORT}", &port(upstream))
        .replace("{STOCK_PORT}", &port(upstream))
        .replace("{EDGE_TOKEN}", TOKEN))
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

/// The product, and a client of its REST interface.
struct Portolan {
    _running: common::Portolan,
    http: String,
    grpc: String,
    api_key: String,
    /// Where Envoy listens that asks it.
    edge: SocketAddr,
    client: reqwest::Client,
}

impl Portolan {
    fn start(directory: &Path) -> Result<Self, BoxError> {
        let running = common::Portolan::start(directory, &[("PORTOLAN__EDGE__TOKEN", TOKEN)])?;
        let (http, grpc) = (format!("http://{}", running.http), running.grpc.to_string());
        let api_key = running.api_key.clone();
        Ok(Self { _running: running, http, grpc, api_key, edge: free_address()?, client: reqwest::Client::new() })
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
