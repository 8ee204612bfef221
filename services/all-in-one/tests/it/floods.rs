//! Clients that send what costs them little and a server much, on the ports of REST and gRPC: everybody else is answered
//! in time, and memory stays where it is.

use std::time::Duration;

use bytes::Bytes;
use portolan_api::{
    Who,
    imports::v1::{ImportHarRequest, imports_service_client::ImportsServiceClient},
};
use portolan_testkit::TestDb;
use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::timeout};

use crate::{
    isolation::{capture, tenant},
    server::{PATIENCE, Server},
};

/// What a flood may leave in memory.
const GROWTH_KIB_MAX: u64 = 96 << 10;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// `POST http /` in the static table of HPACK.
const HEAD: [u8; 3] = [0x83, 0x86, 0x84];
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A header that is in no table: a name and a value of 100 bytes.
fn header(name: u8) -> Vec<u8> {
    let mut header = vec![0, 1, name, 100];
    header.extend([b'v'; 100]);
    header
}

/// What one connection sends, piece by piece, for as long as the server takes it.
type Flood = Box<dyn Fn(u32) -> Option<Vec<u8>> + Send + Sync>;

fn floods() -> Vec<(&'static str, Flood)> {
    let stream = |n: u32| 2 * n + 1;
    let bounded = |n: u32, frame: Vec<u8>| (n < 20_000).then_some(frame);
    vec![
        (
            "streams that are reset at once",
            Box::new(move |n| {
                let open = frame(HEADERS, END_HEADERS, stream(n), &HEAD);
                bounded(n, [open, frame(RST_STREAM, 0, stream(n), &8_u32.to_be_bytes())].concat())
            }),
        ),
        ("streams that are never ended", Box::new(move |n| bounded(n, frame(HEADERS, END_HEADERS, stream(n), &HEAD)))),
        (
            "a head without an end",
            Box::new(move |n| {
                let kind = if n == 0 { HEADERS } else { CONTINUATION };
                let fields: Vec<u8> = (0..100).flat_map(|_| header(b'a' + u8::try_from(n % 26).unwrap())).collect();
                bounded(n, frame(kind, 0, 1, &if n == 0 { [HEAD.to_vec(), fields].concat() } else { fields }))
            }),
        ),
        (
            "empty continuations",
            Box::new(move |n| {
                let kind = if n == 0 { HEADERS } else { CONTINUATION };
                bounded(n, frame(kind, 0, 1, if n == 0 { &HEAD } else { &[] }))
            }),
        ),
        ("settings", Box::new(move |n| bounded(n, frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0])))),
        ("pings", Box::new(move |n| bounded(n, frame(PING, 0, 0, &[7; 8])))),
        ("windows of one byte", Box::new(move |n| bounded(n, frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes())))),
        (
            "lines of a head without an end",
            Box::new(|n| {
                let line = format!("x-{n}: {}\r\n", "v".repeat(1_000));
                (n < 20_000).then(|| if n == 0 { b"GET / HTTP/1.1\r\n".to_vec() } else { line.into_bytes() })
            }),
        ),
        (
            "requests whose answers nobody reads",
            Box::new(|n| (n < 20_000).then(|| b"GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n".to_vec())),
        ),
    ]
}

/// Sends until the server ends it, takes no more, or the flood is over; the connection stays open.
async fn send(address: &str, flood: &Flood) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let is_http2 = !flood(0)?.starts_with(b"GET");
    if is_http2 {
        stream.write_all(&[PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[])].concat()).await.ok()?;
    }
    let mut piece = Vec::new();
    for n in 0.. {
        let Some(next) = flood(n) else { break };
        piece.extend(next);
        if piece.len() > 64 << 10 {
            // A server that takes no more has done what it can.
            timeout(Duration::from_millis(300), stream.write_all(&piece)).await.ok()?.ok()?;
            piece.clear();
        }
    }
    let _ = timeout(Duration::from_millis(300), stream.write_all(&piece)).await;
    Some(stream)
}

async fn expect_health(server: &Server, during: &str) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let health = reqwest::Client::new().get(format!("{}/readyz", server.http)).timeout(Duration::from_secs(5));
        if health.send().await.is_ok_and(|answer| answer.status() == 200) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{during}: nobody is answered");
    }
}

/// Each flood from several connections at once, on both ports.
pub async fn floods_of_frames_harm_nobody(test: TestDb) {
    if std::env::var(crate::six::FORM).is_ok() {
        return; // The edge is Envoy's.
    }
    let server = Server::start(&test).await;
    let id = server.create_collection("Beside").await;
    expect_health(&server, "before").await;
    let before = server.memory_kib();
    for (name, flood) in floods() {
        for address in [server.http.trim_start_matches("http://"), &server.grpc] {
            let held = futures::future::join_all((0..8).map(|_| send(address, &flood))).await;
            expect_health(&server, name).await;
            let upload = json!({"harString": capture("http://a.test/books"), "apiCollectionId": id});
            server.post("/api/uploadHar", upload).await.expect(200);
            drop(held);
        }
        let grown = server.memory_kib().saturating_sub(before);
        eprintln!("flood: {name}: {grown} KiB more at the peak");
        assert!(grown < GROWTH_KIB_MAX, "{name}: {grown} KiB more at the peak");
    }
    server.post("/api/getAllCollections", json!({})).await.expect(200);
}

/// What a gRPC server says to the beginning of a message of 3 MiB whose rest never comes.
async fn status_of_a_large_message(client: &h2::client::SendRequest<Bytes>, url: String) -> Option<i32> {
    let status_of = |headers: &http::HeaderMap| headers.get("grpc-status")?.to_str().ok()?.parse().ok();
    let request = http::Request::post(url).header("content-type", "application/grpc").header("te", "trailers");
    let (answer, mut body) = client.clone().ready().await.ok()?.send_request(request.body(()).ok()?, false).ok()?;
    let message = [&[0][..], &(3_u32 << 20).to_be_bytes(), &[0; 4 << 10]].concat();
    body.send_data(message.into(), false).ok()?;
    let answer = answer.await.ok()?;
    if let Some(status) = status_of(answer.headers()) {
        return Some(status);
    }
    let mut rest = answer.into_body();
    while let Some(data) = rest.data().await {
        data.ok()?;
    }
    rest.trailers().await.ok()?.as_ref().and_then(status_of)
}

/// A large message of a caller who has shown nothing is refused by its first bytes: it is neither waited for nor held.
pub async fn strangers_send_small_messages(test: TestDb) {
    if std::env::var(crate::six::FORM).is_ok() {
        return; // The edge is Envoy's.
    }
    let server = Server::start(&test).await;
    let stream = TcpStream::connect(&server.grpc).await.unwrap();
    let (client, connection) = h2::client::Builder::new().handshake::<_, Bytes>(stream).await.unwrap();
    tokio::spawn(connection);
    let public = portolan_api::policies().values().filter(|policy| policy.who == Who::Public);
    let mut open: Vec<_> = public.map(|policy| policy.path.as_str()).collect();
    assert!(open.len() > 3, "{open:?}");
    // Beside the contract of the product itself.
    open.extend([
        "/envoy.service.auth.v3.Authorization/Check",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ]);
    for path in open {
        let asked = status_of_a_large_message(&client, format!("http://{}{path}", server.grpc));
        let status = timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("{path} waits for the rest"));
        // Reflection ends its answers without saying why.
        assert!(status.is_some_and(|status| status != 0 || path.contains("reflection")), "{path}: {status:?}");
    }
}

/// Callers of the gRPC port hold as much memory by what they send as callers of REST do, together.
pub async fn bodies_of_both_ports_share_one_budget(test: TestDb) {
    if std::env::var(crate::six::FORM).is_ok() {
        return; // The edge is one port for both.
    }
    const SHARE: usize = 1 << 20;
    let variables = [("PORTOLAN__HTTP__BODIES_BYTES_SHARE", "1048576")];
    let server = Server::start_with(&test, tempfile::tempdir().unwrap().keep(), &variables).await;
    let id = i32::try_from(server.create_collection("Both").await).unwrap();
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", server.grpc)).unwrap();
    let channel = channel.connect().await.unwrap();
    let import = async |bytes: usize| {
        let request = import_har(&server, capture("http://a.test/books") + &" ".repeat(bytes), id);
        let mut client = ImportsServiceClient::new(channel.clone());
        client.import_har(request).await.map(|answer| answer.into_inner().imported_records)
    };
    assert_eq!(import(SHARE / 2).await.unwrap(), 1);
    let refused = import(2 * SHARE).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted, "{refused:?}");
    assert_eq!(portolan_api::Error::from(refused).reason().as_str_name(), "BODIES_SHARE_EXCEEDED");
    let upload = json!({"harString": capture("http://a.test/b") + &" ".repeat(2 * SHARE), "apiCollectionId": id});
    server.post("/api/uploadHar", upload).await.expect(429);
    assert_eq!(import(SHARE / 2).await.unwrap(), 1);
}

/// Many calls of one account at once wait for each other where another one calls too, on either port, and all are
/// answered; who makes one call after the other never waits.
pub async fn many_calls_of_an_account_wait_for_each_other(test: TestDb) {
    if std::env::var(crate::six::FORM).is_ok() {
        return; // Its metrics have no address.
    }
    let metrics = format!("127.0.0.1:{}", portolan_testkit::free_port());
    let variables = [("PORTOLAN__METRICS__ADDR", metrics.as_str())];
    let server = Server::start_with(&test, tempfile::tempdir().unwrap().keep(), &variables).await;
    let waited = async || -> u64 {
        let text = reqwest::get(format!("http://{metrics}/metrics")).await.unwrap().text().await.unwrap();
        let count = text.lines().find_map(|line| line.strip_prefix("portolan_calls_waited_total "));
        count.unwrap_or_else(|| panic!("no count in {text}")).parse().unwrap()
    };
    let other = tenant(&server, &test).await;
    let id = i32::try_from(server.create_collection("Many").await).unwrap();
    for _ in 0..20 {
        other.post("/api/getAllCollections", json!({})).await.expect(200);
        server.post("/api/getAllCollections", json!({})).await.expect(200);
    }
    assert_eq!(waited().await, 0);

    let channel = tonic::transport::Channel::from_shared(format!("http://{}", server.grpc)).unwrap();
    let channel = channel.connect().await.unwrap();
    let by_rest = async || {
        let upload = json!({"harString": capture("http://a.test/rest"), "apiCollectionId": id, "skipKafka": true});
        server.post("/api/uploadHar", upload).await.expect(200);
    };
    let by_grpc = async || {
        let mut client = ImportsServiceClient::new(channel.clone());
        client.import_har(import_har(&server, capture("http://a.test/grpc"), id)).await.unwrap();
    };
    let deadline = tokio::time::Instant::now() + PATIENCE;
    for is_grpc in [false, true] {
        let before = waited().await;
        while waited().await == before {
            assert!(tokio::time::Instant::now() < deadline, "nothing waits, by gRPC: {is_grpc}");
            other.post("/api/getAllCollections", json!({})).await.expect(200);
            if is_grpc {
                futures::future::join_all((0..40).map(|_| by_grpc())).await;
            } else {
                futures::future::join_all((0..40).map(|_| by_rest())).await;
            }
        }
    }
}

/// With the key of the first account.
fn import_har(server: &Server, har: String, collection_id: i32) -> tonic::Request<ImportHarRequest> {
    let mut request = tonic::Request::new(ImportHarRequest {
        har_string: Some(har),
        api_collection_id: collection_id,
        ..Default::default()
    });
    request.metadata_mut().insert("x-api-key", server.api_key.parse().unwrap());
    request
}
