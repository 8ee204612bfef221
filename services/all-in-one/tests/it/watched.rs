//! What an operator sees of requests: lines of the log and metrics.

use std::path::Path;

use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::server::{PATIENCE, Server};

/// Lines of a log in JSON whose message is this one.
fn lines(log: &Path, message: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap();
    assert!(!text.contains('\u{1b}'), "no colors outside of a terminal");
    let parsed = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    parsed.filter(|line| line["fields"]["message"] == message).collect()
}

async fn read(url: &str) -> String {
    reqwest::get(url).await.unwrap().text().await.unwrap()
}

/// Every request leaves a line that says who called what and how it went, a refusal one more a second and kind, and the
/// metrics tell of the program, its pools and the credentials that did not count.
pub async fn a_request_leaves_a_line(test: TestDb) {
    let place = tempfile::tempdir().unwrap().keep();
    let log = place.join("log");
    let file = std::fs::File::create(&log).unwrap();
    let address = format!("127.0.0.1:{}", portolan_testkit::free_port());
    let metrics_url = format!("http://{address}/metrics");
    let variables = [
        ("PORTOLAN__METRICS__ADDR", address.as_str()),
        ("RUST_LOG", "info"),
        ("PORTOLAN__TELEMETRY__LOG", "json"),
        ("PORTOLAN__TELEMETRY__ACCESS_LOG", "full"),
        ("PORTOLAN__ADMIN__PASSWORD", "correct horse battery staple"),
    ];
    let program = env!("CARGO_BIN_EXE_portolan");
    let server = Server::start_program(program, &test, place.join("data"), &variables, file.into()).await;
    let request = server.request("/api/createCollection").header("x-api-key", &server.api_key);
    let request = request.header("x-request-id", "watched-1").body(json!({ "collectionName": "Watched" }).to_string());
    server.send(request).await.unwrap().expect(200);
    for _ in 0..5 {
        let guess = server.request("/api/getAllCollections").header("x-api-key", "guess").body("{}");
        server.send(guess).await.unwrap().expect(401);
    }
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", server.grpc)).unwrap();
    let mut client = portolan_api::inventory::v1::collection_service_client::CollectionServiceClient::new(
        channel.connect().await.unwrap(),
    );
    let mut call = tonic::Request::new(portolan_api::inventory::v1::ListCollectionsRequest::default());
    call.metadata_mut().insert("x-api-key", server.api_key.parse().unwrap());
    client.list_collections(call).await.unwrap();

    let deadline = tokio::time::Instant::now() + PATIENCE;
    let told = loop {
        let told = lines(&log, "request");
        if told.len() >= 7 {
            break told;
        }
        assert!(tokio::time::Instant::now() < deadline, "{told:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    let one = told.iter().find(|line| line["fields"]["request_id"] == "watched-1").expect("a line of the request");
    let fields = &one["fields"];
    assert_eq!(fields["account_id"], 1_000_000, "{one}");
    assert!(!fields["credential_id"].as_str().unwrap().is_empty() && fields["duration_ms"].is_f64(), "{one}");
    assert_eq!((&fields["route"], &fields["status"]), (&json!("POST /api/createCollection"), &json!("200")));
    let over_grpc = told.iter().find(|line| line["fields"]["status"] == "Ok").expect("a line of the call over gRPC");
    assert_eq!(over_grpc["fields"]["account_id"], 1_000_000, "{over_grpc}");
    assert_eq!(over_grpc["fields"]["credential_id"], fields["credential_id"]);
    let refused = lines(&log, "refused");
    assert!((1..5).contains(&refused.len()), "one a second: {refused:?}");
    assert_eq!(refused[0]["fields"]["route"], "POST /api/getAllCollections");
    assert!(!std::fs::read_to_string(&log).unwrap().contains(&server.api_key), "no secret");

    server.get("/metrics").await.expect(404);
    for part in [
        "portolan_build_info{program=\"portolan\"",
        "portolan_authentication_failures_total{reason=\"UNAUTHENTICATED\"} 5",
        "portolan_gateway_request_seconds_bucket{method=\"CollectionService/CreateCollection\"",
        "portolan_store_connections{service=",
        "process_resident_memory_bytes ",
        "portolan_jobs_oldest_seconds{service=\"billing\"} 0",
    ] {
        // What is measured every few seconds comes a moment after the start.
        let mut metrics = read(&metrics_url).await;
        while !metrics.contains(part) {
            assert!(tokio::time::Instant::now() < deadline, "{part}: {metrics}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            metrics = read(&metrics_url).await;
        }
    }
}
