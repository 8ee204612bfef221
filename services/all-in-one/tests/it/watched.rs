//! What an operator sees of requests: lines of the log and metrics.

use std::path::Path;

use envoy_types::pb::envoy::service::auth::v3::{
    attribute_context::HttpRequest, authorization_client::AuthorizationClient,
};
use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::{
    proxy::{Proxy, Road},
    server::{PATIENCE, Server, edge_check},
};

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
    let open = reqwest::Client::new().get(&metrics_url).header("accept", "application/openmetrics-text; version=1.0.0");
    let open = open.send().await.unwrap();
    assert!(
        open.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text; version=1.0.0")
    );
    let open = open.text().await.unwrap();
    let bucket = "portolan_gateway_request_seconds_bucket{method=\"CollectionService/CreateCollection\"";
    let example = |line: &str| line.starts_with(bucket) && line.contains(" # {request_id=\"watched-1\"} ");
    assert!(open.lines().any(example) && open.ends_with("# EOF\n"), "{open}");
    assert!(!read(&metrics_url).await.contains(" # {"), "Prometheus text has no examples");
    for part in [
        "portolan_build_info{program=\"portolan\"",
        "portolan_authentication_failures_total{reason=\"UNAUTHENTICATED\"} 5",
        "portolan_gateway_request_seconds_bucket{method=\"CollectionService/CreateCollection\"",
        "portolan_store_connections{service=",
        "process_resident_memory_bytes ",
        "portolan_jobs_oldest_seconds{service=\"billing\"} 0",
        // Those of faults are there before the first one, which is an increase then.
        "portolan_connections_refused_total 0",
        "portolan_bodies_refused_total{reason=\"BODIES_SHARE_EXCEEDED\"} 0",
        "portolan_bodies_refused_total{reason=\"BODIES_BUDGET_EXCEEDED\"} 0",
        "portolan_calls_waited_total 0",
        "portolan_ingest_dropped_total 0",
        "portolan_ingest_rejected_forgotten_total 0",
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

/// The series of `alerts-test.yaml`: a name with labels, except those that Prometheus adds and the ones that tell an
/// installation of six from this one.
fn alerted_series() -> Vec<(String, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join("deploy/observability/alerts-test.yaml")).unwrap();
    let mut all = Vec::new();
    for line in text.lines().filter_map(|line| line.split_once("series: '")) {
        let series = line.1.split('\'').next().unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels = labels.trim_end_matches('}').split(", ").map(str::to_owned).filter(|label| {
            let name = label.split('=').next().unwrap();
            !["", "instance", "job", "program"].contains(&name)
        });
        // Whether somebody answers is asked by Prometheus itself, and a fault of the program is made by no one from outside.
        if !["up", "portolan_task_panics_total"].contains(&name) {
            all.push((name.to_owned(), labels.collect::<Vec<_>>()));
        }
    }
    all
}

/// The faults that alerts are for leave the very series, by name and labels, that the tests of the alerts are made of; none
/// of those that count faults is there, or above 0, before.
pub async fn faults_leave_the_series_of_the_alerts(test: TestDb) {
    let rest = test.url.strip_prefix("postgres://").expect("the case is for Postgres");
    let (server_part, database) = rest.split_once('/').unwrap();
    let (user, address) = server_part.split_once('@').unwrap();
    let postgres = Proxy::start(address).await;
    let own = test.at(format!("postgres://{user}@127.0.0.1:{}/{database}", postgres.port));
    let place = tempfile::tempdir().unwrap().keep();
    let certificates = portolan_testkit::Certificates::write(&place.join("tls"));
    let (cert, key, ca) = (certificates.cert(), certificates.key(), certificates.ca());
    let metrics = format!("127.0.0.1:{}", portolan_testkit::free_port());
    // So few descriptors that there is soon no place for clients.
    let program = place.join("portolan");
    let script = format!("#!/bin/sh\nulimit -n 320\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_portolan"));
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let redis = portolan_testkit::RedisServer::start();
    let cache_url = redis.url();
    let variables = [
        ("PORTOLAN__METRICS__ADDR", metrics.as_str()),
        ("PORTOLAN__CACHE__URL", &cache_url),
        ("PORTOLAN__EDGE__TOKEN", "shared with envoy"),
        ("PORTOLAN__EDGE__ALLOW_UNKNOWN", "true"),
        ("PORTOLAN__EDGE__PROFILES_AGE_MAX_MS", "1000"),
        ("PORTOLAN__HTTP__BODIES_BYTES_MAX", "131072"),
        ("PORTOLAN__HTTP__BODIES_BYTES_SHARE", "131072"),
        ("PORTOLAN__INVENTORY__URLS_BYTES_MAX", "1"),
        ("PORTOLAN__TLS__CERT", &cert),
        ("PORTOLAN__TLS__KEY", &key),
        ("PORTOLAN__TLS__CA", &ca),
        ("RUST_LOG", "off"),
    ];
    let server = Server::start_program(
        program.to_str().unwrap(),
        &own,
        place.join("data"),
        &variables,
        std::process::Stdio::null(),
    )
    .await;
    let metrics_url = format!("http://{metrics}/metrics");
    let series = alerted_series();
    assert!(series.len() > 20, "{series:?}");
    let is_told = |text: &str, (name, labels): &(String, Vec<String>), above: f64| {
        let prefixes = [format!("{name}{{"), format!("{name} ")];
        let is_it = |line: &&str| prefixes.iter().any(|prefix| line.starts_with(prefix.as_str()));
        text.lines().filter(is_it).any(|line| {
            labels.iter().all(|label| line.contains(label.as_str()))
                && line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() > above
        })
    };
    let tells_no_fault = |labels: &[String]| labels == ["status=\"200\""] || labels == ["code=\"OK\""];
    server.post("/api/me", json!({})).await.expect(200);
    let before = read(&metrics_url).await;
    for one in series.iter().filter(|(name, labels)| name.ends_with("_total") && !tells_no_fault(labels)) {
        assert!(!is_told(&before, one, 0.0), "{one:?} before any fault: {before}");
    }

    // Credentials that do not count, a process with another key, a record that is none, an event that is none.
    server.send(server.request("/api/me").header("x-api-key", "guess").body("{}")).await.unwrap().expect(401);
    let pem = |path: &str| std::fs::read(path).unwrap();
    let tls = tonic::transport::ClientTlsConfig::new()
        .ca_certificate(tonic::transport::Certificate::from_pem(pem(&ca)))
        .identity(tonic::transport::Identity::from_pem(pem(&cert), pem(&key)))
        .domain_name("127.0.0.1");
    let channel = tonic::transport::Channel::from_shared(format!("https://{}", server.grpc)).unwrap();
    let channel = channel.tls_config(tls).unwrap().connect().await.unwrap();
    let foreign = portolan_authz::ServiceAuth::new(&[7; 32]).named("portolan-foreign").token("inventory").unwrap();
    let headers = vec![(portolan_authz::SERVICE_HEADER, foreign.as_ref().to_owned())];
    let path = "/portolan.inventory.v1.CollectionService/ListCollections";
    assert!(crate::guards::call(&channel, path, &headers, Vec::new()).await.is_err());
    let log = portolan_log::Log::open("embedded:", "akto.api.logs", &test.store).await.unwrap();
    let mut messages = Vec::new();
    // As many are kept already as are of one account, so that the next ones take the place of others.
    let kept = "INSERT INTO log_rejected (topic, partition_id, record_offset, account_id, reason, record_key, value, created_at) \
                SELECT 'akto.api.logs', 0, 1000000 + n, 0, 'no record', '', '', 0 FROM generate_series(1, 1000) AS n";
    test.store.service("log").await.unwrap().execute(kept, Vec::new()).await.unwrap();
    for n in 0..64 {
        messages.push(portolan_log::Message { key: format!("{n}").into_bytes(), value: b"no record".to_vec() });
    }
    log.append("watched", 1, messages).await.unwrap();
    // One URL fills its collection.
    for url in ["first", "second"] {
        let entry = json!({
            "startedDateTime": "2026-01-01T00:00:00Z",
            "request": { "method": "GET", "url": format!("http://full.test/{url}"), "headers": [] },
            "response": { "status": 200, "headers": [], "content": {} }
        });
        let har = json!({ "log": { "entries": [entry] } }).to_string();
        let sent = json!({ "harString": har, "apiCollectionName": "Full", "skipKafka": true });
        server.post("/api/uploadHar", sent).await.expect(200);
    }
    let identity = test.store.service("identity").await.unwrap();
    let event = "INSERT INTO outbox (topic, event_id, payload, event_key, created_at) \
                 VALUES ('usage', 'none', 'no event', 'none', 0)";
    identity.execute(event, Vec::new()).await.unwrap();
    // A body that comes slowly holds most of the room of its account, and the next one finds too little.
    let mut slow = tokio::net::TcpStream::connect(server.http.trim_start_matches("http://")).await.unwrap();
    let head = format!(
        "POST /api/uploadHar HTTP/1.1\r\nhost: x\r\nx-api-key: {}\r\ncontent-type: application/json\r\n\
         content-length: 120000\r\n\r\n",
        server.api_key
    );
    tokio::io::AsyncWriteExt::write_all(&mut slow, head.as_bytes()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut slow, &[b' '; 110_000]).await.unwrap();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let held = ("portolan_bodies_bytes".to_owned(), Vec::new());
    while !is_told(&read(&metrics_url).await, &held, 80_000.0) {
        assert!(tokio::time::Instant::now() < deadline, "the body is not held");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let large = json!({ "harString": "x".repeat(100_000) });
    assert_ne!(server.post("/api/uploadHar", large).await.status, 200);
    drop(slow);
    let mut clients = Vec::new();
    for _ in 0..200 {
        clients.push(tokio::net::TcpStream::connect(server.http.trim_start_matches("http://")).await.unwrap());
    }
    // A client without a place is cut off, which the connections of before do not notice.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    drop(clients);
    // Heads of the audit are looked at once a minute.
    let deadline = tokio::time::Instant::now() + 2 * PATIENCE;
    // What a server that is gone leaves behind.
    const OF_CUT: [&str; 3] = ["status=\"503\"", "code=\"UNAVAILABLE\"", "outcome=\"not_ready\""];
    let missing = async |is_cut: bool| loop {
        let text = read(&metrics_url).await;
        let is_of_cut = |(name, labels): &(String, Vec<String>)| {
            name == "portolan_cache_failures_total" || labels.iter().any(|label| OF_CUT.contains(&label.as_str()))
        };
        let wanted = series.iter().filter(|one| is_of_cut(one) == is_cut);
        let missing: Vec<_> =
            wanted.filter(|one| !is_told(&text, one, if one.0.ends_with("_total") { 0.0 } else { -1.0 })).collect();
        if missing.is_empty() {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{missing:#?} in {text}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    };
    // An Envoy asks, first while something can be decided.
    let ask = async |channel| {
        let http =
            HttpRequest { method: "GET".into(), path: "/".into(), host: "api.test".into(), ..Default::default() };
        let check = edge_check(http, "shared with envoy");
        AuthorizationClient::new(channel).check(check).await.unwrap();
    };
    ask(channel.clone()).await;
    missing(false).await;
    let state = |text: &str, part: &str| {
        let series = format!("portolan_part_ready{{part=\"{part}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&series)).map(str::to_owned)
    };
    let text = read(&metrics_url).await;
    assert_eq!(["store", "cache", "log"].map(|part| state(&text, part).unwrap()), ["1", "1", "1"], "{text}");
    postgres.set(Road::Cut);
    drop(redis);
    server.post("/api/createCollection", json!({ "collectionName": "Meanwhile" })).await.expect(503);
    loop {
        let text = read(&metrics_url).await;
        if ["store", "cache", "log"].iter().all(|part| state(&text, part).as_deref() == Some("0")) {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{text}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    // Soon nothing can be decided at the edge either.
    let undecided = ("portolan_edge_decisions_total".to_owned(), vec!["outcome=\"not_ready\"".to_owned()]);
    while !is_told(&read(&metrics_url).await, &undecided, 0.0) {
        assert!(tokio::time::Instant::now() < deadline, "the edge goes on deciding");
        ask(channel.clone()).await;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    missing(true).await;
    // The same is said in words, part by part.
    let told = reqwest::get(format!("http://{metrics}/readyz?verbose")).await.unwrap();
    assert_eq!(told.status(), 503);
    let told: Value = serde_json::from_str(&told.text().await.unwrap()).unwrap();
    let parts = told["parts"].as_array().unwrap().iter();
    let failed: Vec<_> = parts.filter(|part| part["status"] == "failed").map(|part| part["name"].clone()).collect();
    assert_eq!(failed, ["store", "cache", "log"], "{told}");
    assert_eq!(reqwest::get(format!("http://{metrics}/livez")).await.unwrap().status(), 200);
}
