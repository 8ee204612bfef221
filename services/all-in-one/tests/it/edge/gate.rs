//! A protected API: Portolan, Envoy and an upstream that answers what it saw.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};

use axum::{Router, body::Body, http::Request};
use portolan_testkit::TestDb;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};

use crate::server::{PATIENCE, Server};

pub const HOST: &str = "orders.localhost";
const ENVOY_CONFIG: &str = include_str!("../../../../../deploy/example/envoy.yaml");

const OPERATORS_CONFIG: &str = include_str!("../../../../../deploy/envoy/protected-service.yaml");

/// A running gate. Everything ends when it is dropped.
pub struct Gate {
    pub server: Server,
    pub address: SocketAddr,
    pub collection_id: i64,
    _envoy: Child,
}

/// An answer through the gate.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// A header that the upstream saw; null when it saw none.
    pub fn seen(&self, header: &str) -> Value {
        self.json()["headers"][header].clone()
    }
}

/// A profile with what its callers need.
#[derive(Clone, Debug)]
pub struct Made {
    pub id: i64,
    /// Token or key.
    pub secret: String,
    pub answer: Value,
}

impl Gate {
    pub async fn start(test: &TestDb, variables: &[(&str, &str)]) -> Self {
        let allowed = [("PORTOLAN__FETCH__ALLOW_HOSTS", "127.0.0.1"), ("PORTOLAN__EDGE__TOKEN", "shared with envoy")];
        let variables: Vec<_> = allowed.iter().chain(variables).copied().collect();
        let data_dir = tempfile::tempdir().unwrap().keep();
        let server = Server::start_with(test, data_dir.clone(), &variables).await;
        let mut gate = Self::before(server, data_dir).await;
        gate.collection_id = gate.protect("Orders", HOST, &["/orders", "/orders/{id}", "/private"]).await;
        gate
    }

    /// Puts Envoy before a running installation; nothing is protected yet.
    pub async fn before(server: Server, data_dir: PathBuf) -> Self {
        let upstream = serve(Router::new().fallback(echo)).await;
        let (edge, admin) = (free_port(), free_port());
        let ports = [
            ("{ADMIN_PORT}", admin.to_string()),
            ("{EDGE_PORT}", edge.to_string()),
            ("{GRPC_PORT}", server.grpc.rsplit_once(':').unwrap().1.to_owned()),
            ("{ORDERS_PORT}", upstream.port().to_string()),
            ("{STOCK_PORT}", upstream.port().to_string()),
            ("{EDGE_TOKEN}", "shared with envoy".to_owned()),
        ];
        let config = ports.iter().fold(ENVOY_CONFIG.to_owned(), |text, (name, value)| text.replace(name, value));
        // Callers of these tests stand for the proxy before Envoy, so their list stays as they wrote it; Envoy would add
        // an address of this machine for a peer on the loopback.
        let remote = "use_remote_address: true";
        let config = config.replace(remote, &format!("{remote}\n                skip_xff_append: true"));
        Self::with_envoy(server, &data_dir, config, edge).await
    }

    /// Puts an Envoy before six processes that asks by way of their edge, configured as the page for operators says.
    pub async fn before_the_edge(server: Server, data_dir: PathBuf) -> Self {
        let upstream = serve(Router::new().fallback(echo)).await;
        let edge = free_port();
        let (plain, secured) = OPERATORS_CONFIG.split_once("      # The certificate of the edge").unwrap();
        assert!(secured.contains("transport_socket:"), "what is left out here is TLS");
        let place = |host: &str, port: u16| format!("{{ address: {host}, port_value: {port} }}");
        let here = |port: u16| place("127.0.0.1", port);
        let asked = server.grpc.rsplit_once(':').unwrap().1.parse().unwrap();
        let mut config = plain.to_owned();
        for (from, to) in [
            (place("0.0.0.0", 10_000), here(edge)),
            (place("orders", 8_080), here(upstream.port())),
            (place("portolan.example.com", 443), here(asked)),
            ("value: EDGE_TOKEN".to_owned(), "value: shared with envoy".to_owned()),
        ] {
            assert!(config.contains(&from), "{from}");
            config = config.replace(&from, &to);
        }
        Self::with_envoy(server, &data_dir, config, edge).await
    }

    async fn with_envoy(server: Server, data_dir: &Path, config: String, edge: u16) -> Self {
        let file = data_dir.join("envoy.yaml");
        std::fs::write(&file, config).unwrap();
        let binary = std::env::var("PORTOLAN_TEST_ENVOY").unwrap();
        let envoy = Command::new(binary)
            .args(["--log-level", "error", "--use-dynamic-base-id", "--concurrency", "1", "-c"])
            .arg(&file)
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let address: SocketAddr = ([127, 0, 0, 1], edge).into();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while TcpStream::connect(address).await.is_err() {
            assert!(tokio::time::Instant::now() < deadline, "Envoy does not listen");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        Self { server, address, collection_id: 0, _envoy: envoy }
    }

    /// Brings GET and POST of these paths of a host into the inventory, as a collection.
    pub async fn protect(&self, name: &str, host: &str, paths: &[&str]) -> i64 {
        let collection_id = self.server.create_collection(name).await;
        let call = json!({"responses": {"200": {"description": "good"}}});
        let items: serde_json::Map<_, _> = paths
            .iter()
            .map(|path| {
                let id = json!([{"name": "id", "in": "path", "required": true, "schema": {"type": "integer"}}]);
                let parameters = if path.contains("{id}") { id } else { json!([]) };
                ((*path).to_owned(), json!({"parameters": parameters, "get": call, "post": call}))
            })
            .collect();
        let document = json!({
            "openapi": "3.0.3", "info": {"title": name, "version": "1"},
            "servers": [{"url": format!("http://{host}")}], "paths": items,
        });
        let body = json!({"openAPIString": document.to_string(), "apiCollectionId": collection_id});
        self.server.post("/api/importDataFromOpenApiSpec", body).await.expect(200);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.server.endpoints(collection_id).await.len() < paths.len() * 2 {
            assert!(tokio::time::Instant::now() < deadline, "the endpoints do not arrive");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        collection_id
    }

    /// Makes an access profile for the gate's collection, with these settings.
    pub async fn profile(&self, settings: Value) -> Made {
        let mut body = json!({"name": "caller", "api_collection_ids": [self.collection_id]});
        body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let answer = self.call("POST", "/api/api_access_profiles", body).await;
        let secret = answer["secret"].as_str().unwrap_or_default().to_owned();
        Made { id: answer["id"].as_i64().unwrap(), secret, answer }
    }

    /// `enable`, `disable` or `refresh_secret`.
    pub async fn act(&self, profile_id: i64, action: &str) -> Value {
        self.call("PUT", &format!("/api/api_access_profiles/{profile_id}/{action}"), Value::Null).await
    }

    pub async fn call(&self, verb: &str, path: &str, body: Value) -> Value {
        self.server.call(verb, path, &self.server.api_key, body).await.expect(200).json()
    }

    /// A GET through the gate.
    pub async fn get(&self, target: &str, headers: &[(&str, &str)]) -> Reply {
        self.send("GET", HOST, target, headers).await
    }

    pub async fn bearer(&self, token: &str) -> u16 {
        self.get("/orders", &[("authorization", &format!("Bearer {token}"))]).await.status
    }

    /// A request as it is written here, byte by byte.
    pub async fn send(&self, method: &str, host: &str, target: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = format!("{method} {target} HTTP/1.1\r\nhost: {host}:{}\r\n", self.address.port());
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += "connection: close\r\ncontent-length: 0\r\n\r\n";
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{request}: no answer: {answer}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
        Reply { status, headers: lines.filter_map(header).collect(), body: body.to_owned() }
    }
}

/// Serves until the test ends.
pub async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

async fn echo(request: Request<Body>) -> axum::response::Response {
    let headers: BTreeMap<_, _> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let seen = json!({"method": request.method().as_str(), "target": request.uri().to_string(), "headers": headers});
    axum::response::Response::new(Body::from(seen.to_string()))
}

pub fn free_port() -> u16 {
    portolan_testkit::free_port()
}
