//! Requests a second through the gateway, beside a bare JSON echo under the same load in the same process.
//!
//! `cargo run --release -p portolan-gateway --example gateway_throughput`

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, routing::post};
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use portolan_api::{
    Error,
    inventory::v1::{ApiCollection, CreateCollectionRequest, CreateCollectionResponse},
};
use portolan_gateway::{
    Arrival, Authenticator, Backends, Begin, GatewayDeps, IdempotencyId, IdempotencyStore, Identified, Readiness, Site,
    StoredAnswer, router,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tonic::{Request, Response, Status, server::UnaryService, service::Routes};

const CONNECTIONS: usize = 32;
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(4);
const PACKAGE: &str = "portolan.inventory.v1";
const BODY: &str = r#"{"collectionName":"payments api"}"#;

struct Open;

impl Authenticator for Open {
    fn authenticate<'a>(&'a self, _: Arrival<'a>) -> BoxFuture<'a, Result<Identified, Error>> {
        async { Ok(Identified::default()) }.boxed()
    }
}

impl IdempotencyStore for Open {
    fn begin<'a>(&'a self, _: &'a IdempotencyId, _: [u8; 32]) -> BoxFuture<'a, Result<Begin, Error>> {
        async { Ok(Begin::Fresh) }.boxed()
    }
    fn finish<'a>(&'a self, _: &'a IdempotencyId, _: StoredAnswer) -> BoxFuture<'a, Result<(), Error>> {
        async { Ok(()) }.boxed()
    }
    fn abandon<'a>(&'a self, _: &'a IdempotencyId) -> BoxFuture<'a, Result<(), Error>> {
        async { Ok(()) }.boxed()
    }
}

impl Readiness for Open {
    fn look(&self) -> BoxFuture<'_, Vec<portolan_runtime::readiness::Part>> {
        async { Vec::new() }.boxed()
    }
}

struct Create;

impl UnaryService<CreateCollectionRequest> for Create {
    type Response = CreateCollectionResponse;
    type Future = std::future::Ready<Result<Response<CreateCollectionResponse>, Status>>;

    fn call(&mut self, request: Request<CreateCollectionRequest>) -> Self::Future {
        let name = request.into_inner().collection_name.unwrap_or_default();
        let collection = ApiCollection { id: 7, name: name.clone(), display_name: name, ..Default::default() };
        let answer = CreateCollectionResponse { api_collections: vec![collection] };
        std::future::ready(Ok(Response::new(answer)))
    }
}

async fn grpc(request: axum::extract::Request) -> http::Response<tonic::body::Body> {
    let codec = tonic_prost::ProstCodec::<CreateCollectionResponse, CreateCollectionRequest>::default();
    tonic::server::Grpc::new(codec).unary(Create, request).await
}

/// The least that a JSON route does: parse and write.
async fn echo(body: Bytes) -> Vec<u8> {
    let value: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    value.to_string().into_bytes()
}

fn deps(backends: Backends) -> GatewayDeps {
    GatewayDeps {
        backends,
        site: Site::default(),
        authenticator: Arc::new(Open),
        idempotency: Arc::new(Open),
        readiness: Arc::new(Open),
        sunset: None,
        budget: portolan_gateway::CallBudget::new(1 << 30, 1 << 30),
    }
}

/// Serves a router and returns its address.
async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Sends the same request over and over on every connection; the requests a second and the 99th percentile.
async fn load(address: SocketAddr) -> (f64, Duration) {
    let request = format!(
        "POST /api/createCollection HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let begin = Instant::now() + WARM_UP;
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let request = request.clone();
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.expect("a connection");
                let mut buffer = vec![0; 64 * 1024];
                let mut taken = Vec::new();
                while Instant::now() < begin + MEASURED {
                    let sent = Instant::now();
                    stream.write_all(request.as_bytes()).await.expect("an open connection");
                    let mut filled = 0;
                    while !is_whole(&buffer[..filled]) {
                        filled += stream.read(&mut buffer[filled..]).await.expect("an answer");
                    }
                    assert!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..filled]));
                    if sent >= begin {
                        taken.push(sent.elapsed());
                    }
                }
                taken
            })
        })
        .collect();
    let mut taken = Vec::new();
    for worker in workers {
        taken.extend(worker.await.expect("a worker"));
    }
    taken.sort_unstable();
    (taken.len() as f64 / MEASURED.as_secs_f64(), taken[taken.len() * 99 / 100])
}

/// Whether the buffer holds a head and as many bytes as it announces.
fn is_whole(buffer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(buffer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    length.is_some_and(|length| body.len() >= length)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let echo = Router::new().route("/api/createCollection", post(echo));
    let routes = || Routes::from(Router::new().fallback(grpc)).prepare();

    let mut inside = Backends::default();
    inside.insert(
        PACKAGE,
        tower::service_fn(move |request: http::Request<tonic::body::Body>| async move {
            Ok::<_, Infallible>(grpc(request.map(axum::body::Body::new)).await)
        }),
    );

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let grpc_address = listener.local_addr()?;
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(tonic::transport::Server::builder().add_routes(routes()).serve_with_incoming(incoming));
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{grpc_address}"))?.tcp_nodelay(true);
    let mut outside = Backends::default();
    outside.insert(PACKAGE, channel.connect_lazy());

    let cases = [
        ("bare JSON echo", serve(echo).await),
        ("gateway, service in the process", serve(router(deps(inside))?).await),
        ("gateway, service over TCP", serve(router(deps(outside))?).await),
    ];
    for (name, address) in cases {
        let (rate, p99) = load(address).await;
        println!("{name:35} {rate:9.0} requests/s   p99 {:6.2} ms", p99.as_secs_f64() * 1000.0);
    }
    Ok(())
}
