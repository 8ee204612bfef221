//! The gateway before a service over TCP, against Envoy's own transcoder before the same service. Prints rows of a
//! Markdown table. Needs `PORTOLAN_TEST_ENVOY`; the form with six processes also `PORTOLAN_TEST_REDIS`,
//! `PORTOLAN_TEST_POSTGRES` and the binary `portolan-gateway` beside `portolan`.
//!
//! The service answers `GetCollection` at once, so that what is measured is the way to it. Behind the gateway it has its
//! guard, which verifies the caller and asks for the grant; behind Envoy it has none, and Envoy checks nobody. All
//! processes and the generator of load share the same cores.

use std::{
    io::{BufRead as _, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
};

use portolan_api::inventory::v1::{ApiCollection, GetCollectionRequest, GetCollectionResponse};
use portolan_authz::Guard;
use portolan_gateway::{Backends, GatewayDeps, GuardAuthenticator, IdempotencyTable, Site};
use portolan_runtime::{Config, Opened, Service as _, guarded, serve_grpc};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status, server::UnaryService, service::Routes};

mod common;
#[path = "common/transcoder.rs"]
mod transcoder;
use common::{BoxError, Load, Portolan, Process, Way, against, costs, free_address, row, spawn_self, start_envoy};

#[global_allocator]
static ALLOCATOR: portolan_runtime::Allocator = portolan_runtime::Allocator;

const PATH: &str = "/api/getCollection";
const BODY: &str = r#"{"apiCollectionId":7}"#;
const PACKAGE: &str = "portolan.inventory.v1";
const DATA: &str = "PORTOLAN_BENCH_DATA";
const SERVICE: &str = "PORTOLAN_BENCH_SERVICE";

fn main() -> Result<(), BoxError> {
    // Clients want a provider even for plain HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    portolan_testkit::runtime().block_on(async {
        match std::env::args().nth(1).as_deref() {
            Some("bare") => bare().await,
            Some("guarded") => guarded_service().await,
            Some("gateway") => gateway().await,
            _ => measure().await,
        }
    })
}

async fn measure() -> Result<(), BoxError> {
    let Ok(envoy) = std::env::var("PORTOLAN_TEST_ENVOY") else {
        eprintln!("left out: PORTOLAN_TEST_ENVOY names no Envoy");
        return Ok(());
    };
    let directory = tempfile::tempdir()?;
    let (bare, bare_address) = spawn_self("bare", &[])?;
    let edge_address = free_address()?;
    let descriptors = directory.path().join("descriptors.bin");
    std::fs::write(&descriptors, transcoder::descriptors())?;
    let config = transcoder::config(
        edge_address,
        bare_address.parse()?,
        &descriptors,
        &["portolan.inventory.v1.CollectionService"],
    );
    let envoy = start_envoy(&envoy, directory.path(), &config, edge_address)?;
    let transcoded = Load::post(edge_address, PATH, "", BODY);

    let one = in_one_process(directory.path().join("one")).await?;
    let (measured, yardstick) = against(&one.load, &transcoded).await?;
    let what =
        "gateway with identity in its process, a documented POST to a service over TCP, authenticated and authorized";
    row(what, measured, "Envoy grpc_json_transcoder, nobody authenticated", yardstick, "≥ 2.5 ×");
    let transcoder = Way { load: transcoded.clone(), own: envoy.id(), whole: vec![envoy.id(), bare.id()] };
    costs("gateway with identity in its process", &one.way([]), &transcoder, ["≤ 0.7 ×", "≤ 1 ×"]).await?;
    drop(one);

    let servers = (std::env::var("PORTOLAN_TEST_REDIS"), std::env::var("PORTOLAN_TEST_POSTGRES"), gateway_program());
    let (Ok(redis), Ok(postgres), Some(program)) = servers else {
        eprintln!("left out: the gateway as a process of its own needs Redis, Postgres and its binary");
        return Ok(());
    };
    let (database, test) = portolan_testkit::PostgresDatabase::create(&postgres).await;
    let six = apart(directory.path().join("six"), &redis, &test.url, &program).await?;
    let (measured, yardstick) = against(&six.load, &transcoded).await?;
    let what = "the same with the gateway as a process of its own, over Redis and identity in another process";
    row(what, measured, "the same", yardstick, "–");
    let way = six.way([process_of(&redis)?]);
    costs("gateway as a process of its own", &way, &transcoder, ["≤ 0.7 ×", "≤ 1 ×"]).await?;
    changes_of_rights(&six.portolan).await?;
    drop(six);
    test.store.close().await;
    Ok(database.drop_database().await?)
}

/// How long a change of rights takes where processes keep copies of them, beside one that touches none.
async fn changes_of_rights(portolan: &Portolan) -> Result<(), BoxError> {
    const CHANGES: usize = 30;
    let client = reqwest::Client::new();
    let post = async |path: &str, body: serde_json::Value| {
        let began = std::time::Instant::now();
        let request = client.post(format!("http://{}{path}", portolan.http)).header("x-api-key", &portolan.api_key);
        let request = request.header("content-type", "application/json").body(body.to_string());
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        if status.is_success() { Ok(began.elapsed().as_secs_f64() * 1e3) } else { Err(BoxError::from(text)) }
    };
    let (mut changes, mut others) = (Vec::new(), Vec::new());
    let role = |threat: bool| {
        let features = serde_json::json!(["INVENTORY"]);
        serde_json::json!({"roleName": "bench", "baseRole": "MEMBER", "allowedFeaturesForUser": features,
            "threatProtectionEnabled": threat})
    };
    post("/api/createCustomRole", role(false)).await?;
    post("/api/createCollection", serde_json::json!({"collectionName": "bench"})).await?;
    for turn in 0..CHANGES {
        changes.push(post("/api/updateCustomRole", role(turn % 2 == 0)).await?);
        let other = serde_json::json!({"apiCollectionId": 1, "description": format!("Turn {turn}")});
        others.push(post("/api/saveCollectionDescription", other).await?);
    }
    for times in [&mut changes, &mut others] {
        times.sort_by(f64::total_cmp);
    }
    let (median, most, other) = (changes[CHANGES / 2], changes[CHANGES * 9 / 10], others[CHANGES / 2]);
    println!(
        "| change of a right, answered when no process has a copy of the one before | {median:.0} ms, nine of ten within \
         {most:.0} ms | a change of no right {other:.0} ms | – | ≤ 400 ms |"
    );
    Ok(())
}

/// Processes under measurement, and the load for them.
struct Running {
    load: Load,
    /// The gateway first.
    processes: Vec<Process>,
    portolan: Portolan,
}

impl Running {
    /// What a request costs here; identity is in the process of the product, or in that of the gateway.
    fn way<const N: usize>(&self, more: [u32; N]) -> Way {
        let ids = self.processes.iter().map(Process::id);
        let whole = ids.chain([self.portolan.process.id()]).chain(more).collect();
        Way { load: self.load.clone(), own: self.processes[0].id(), whole }
    }
}

/// The process of a Redis on this machine.
fn process_of(redis: &str) -> Result<u32, BoxError> {
    let address = redis.trim_start_matches("redis://").split('/').next().unwrap_or_default();
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.write_all(b"INFO server\r\n")?;
    let mut lines = std::io::BufReader::new(stream).lines();
    let line = lines.find_map(|line| line.ok()?.strip_prefix("process_id:").map(str::to_owned));
    Ok(line.ok_or("Redis names no process")?.trim().parse()?)
}

/// A gateway that shares its process with identity. The installation is made by the product itself before.
async fn in_one_process(directory: PathBuf) -> Result<Running, BoxError> {
    let portolan = Portolan::start(&directory, &[])?;
    let (data, api_key) = (portolan.data.display().to_string(), portolan.api_key.clone());
    let (service, service_address) = spawn_self("guarded", &[(DATA, &data)])?;
    // Tokens, which identity asks for keys that it does not know, stay where they are.
    let tokens = format!("http://{}", portolan.grpc);
    let variables =
        [(DATA, data.as_str()), (SERVICE, service_address.as_str()), ("PORTOLAN__PEERS__TOKENS", tokens.as_str())];
    let (gateway, address) = spawn_self("gateway", &variables)?;
    let load = Load::post(address.parse()?, PATH, &format!("x-api-key: {api_key}\r\n"), BODY);
    Ok(Running { load, processes: vec![gateway, service], portolan })
}

/// The form of six processes: gateway, identity and service apart, and a Redis and a Postgres that they share.
async fn apart(directory: PathBuf, redis: &str, postgres: &str, program: &PathBuf) -> Result<Running, BoxError> {
    let stores = [("PORTOLAN__CACHE__URL", redis), ("PORTOLAN__STORE__URL", postgres)];
    let portolan = Portolan::start(&directory, &stores)?;
    let (data, api_key) = (portolan.data.display().to_string(), portolan.api_key.clone());
    let others = format!("http://{}", portolan.grpc);
    let peers = ["IDENTITY", "TOKENS", "IMPORTS", "BILLING"].map(|name| format!("PORTOLAN__PEERS__{name}"));
    let peers = peers.iter().map(|name| (name.as_str(), others.as_str()));
    let shared: Vec<(&str, &str)> = stores.into_iter().chain(peers).collect();
    let (service, service_address) = spawn_self("guarded", &[&shared[..], &[(DATA, data.as_str())]].concat())?;
    let http = free_address()?.to_string();
    let child = Command::new(program)
        .args(["--http", &http, "--data-dir"])
        .arg(directory.join("gateway"))
        .envs(shared.iter().copied())
        .env("PORTOLAN__SECRETS__KEY_FILE", portolan.data.join("secret-key"))
        .env("PORTOLAN__PEERS__INVENTORY", format!("http://{service_address}"))
        .env("RUST_LOG", "warn")
        .stdout(Stdio::piped())
        .spawn()?;
    let mut gateway = Process(child);
    gateway.first_line()?;
    let load = Load::post(http.parse()?, PATH, &format!("x-api-key: {api_key}\r\n"), BODY);
    Ok(Running { load, processes: vec![gateway, service], portolan })
}

fn gateway_program() -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_BIN_EXE_portolan")).with_file_name("portolan-gateway");
    path.exists().then_some(path)
}

/// The configuration of a role, over the installation that the product made.
fn config() -> Result<Config, BoxError> {
    let data = std::env::var(DATA)?;
    let variables = std::env::vars().filter(|(name, _)| name.starts_with("PORTOLAN__"));
    Ok(Config::load(data.into(), None, variables)?)
}

/// The service without any guard, as Envoy's transcoder reaches it.
async fn bare() -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
    Ok(tonic::transport::Server::builder().add_routes(routes()).serve_with_incoming(incoming).await?)
}

/// The service as every service of the product is served.
async fn guarded_service() -> Result<(), BoxError> {
    let process = portolan_runtime::Process::open(config()?).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let guard = match process.redis {
        Some(_) => process.remote_guard(),
        // Without a shared cache each request would ask identity for the grant: the one process keeps it in memory.
        None => memory_guard(&process).await?,
    };
    Ok(serve_grpc(
        listener,
        routes(),
        guard,
        portolan_gateway::CallBudget::new(1 << 30, 1 << 30),
        None,
        std::future::pending(),
    )
    .await?)
}

/// The gateway with identity in its process.
async fn gateway() -> Result<(), BoxError> {
    let process = portolan_runtime::Process::open(config()?).await?;
    let guard = memory_guard(&process).await?;
    let mut backends = Backends::default();
    let service = portolan_runtime::Channel::remote(&format!("http://{}", std::env::var(SERVICE)?), None)?;
    backends.insert(PACKAGE, service.without_deadline());
    let db = process.db("gateway").await?;
    let router = portolan_gateway::router(GatewayDeps {
        backends,
        authenticator: Arc::new(GuardAuthenticator::new(guard, process.peers.auth.clone())),
        site: Site::default(),
        readiness: process.readiness(&db).shared(),
        idempotency: Arc::new(IdempotencyTable::open(db).await?),
        sunset: None,
        budget: portolan_gateway::CallBudget::new(1 << 30, 1 << 30),
    })?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    portolan_gateway::serve(listener, router, None, std::future::pending()).await;
    Ok(())
}

/// The guard of a process that holds identity.
async fn memory_guard(process: &portolan_runtime::Process) -> Result<Guard, BoxError> {
    let process = portolan_runtime::Process { is_whole: true, ..process.clone() };
    let Opened { routes, guard, .. } = portolan_identity::Identity::open(&process).await?;
    process.peers.identity.connect_local(guarded(routes, guard.clone()));
    Ok(guard)
}

fn routes() -> Routes {
    Routes::from(axum::Router::new().fallback(grpc))
}

async fn grpc(request: axum::extract::Request) -> tonic::codegen::http::Response<tonic::body::Body> {
    let codec = tonic_prost::ProstCodec::<GetCollectionResponse, GetCollectionRequest>::default();
    tonic::server::Grpc::new(codec).unary(Answer, request).await
}

struct Answer;

impl UnaryService<GetCollectionRequest> for Answer {
    type Response = GetCollectionResponse;
    type Future = std::future::Ready<Result<Response<GetCollectionResponse>, Status>>;

    fn call(&mut self, request: Request<GetCollectionRequest>) -> Self::Future {
        let id = request.into_inner().api_collection_id;
        let name = "payments api".to_owned();
        let collection = ApiCollection {
            id,
            name: name.clone(),
            display_name: name,
            start_ts: 1_772_366_400,
            urls_count: 1_000,
            host_name: Some("api.example.com".to_owned()),
            ..ApiCollection::default()
        };
        std::future::ready(Ok(Response::new(GetCollectionResponse { api_collections: vec![collection] })))
    }
}
