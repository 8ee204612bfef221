use std::{collections::BTreeSet, process::Stdio, time::Duration};

use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::server::Server;

/// The documented routes: verb, path, and the service behind it.
const ROUTES: &str = include_str!("../routes.tsv");
const SCHEMATHESIS: [(&str, &str); 2] = [
    ("schemathesis.toml", include_str!("../../../../deploy/dev/schemathesis/schemathesis.toml")),
    ("hooks.py", include_str!("../../../../deploy/dev/schemathesis/hooks.py")),
];
/// A run that takes longer hangs.
const RUN_MAX: Duration = Duration::from_secs(20 * 60);

/// The served document holds the documented routes and no others, each behind its service, and each is served.
pub async fn the_routes_are_the_listed_ones(test: TestDb) {
    let server = Server::start(&test).await;
    let listed: BTreeSet<_> = ROUTES.lines().skip(1).map(str::to_owned).collect();
    assert!(listed.len() > 150 && listed.len() == ROUTES.lines().count() - 1, "a route is listed twice");

    let document = server.get("/openapi.json").await.expect(200).json();
    let mut served = BTreeSet::new();
    for (verb, path, operation_id) in operations(&document) {
        served.insert(format!("{verb}\t{path}\t{}", service_of(&operation_id)));
        // Without a credential some routes answer that a path's parameter names nothing; none that there is no route.
        let place =
            path.split('/').map(|part| part.split_once('}').map_or(part.into(), |(_, rest)| format!("1{rest}")));
        let answer = server.call(&verb, &place.collect::<Vec<String>>().join("/"), "", json!(null)).await;
        let reason = answer.header("x-portolan-error");
        assert!(!["PATH_UNKNOWN", "VERB_NOT_ALLOWED"].contains(&reason), "{verb} {path}: {}", answer.body);
        assert!(answer.status < 500, "{verb} {path}: {} {}", answer.status, answer.body);
    }
    let missing: Vec<_> = listed.difference(&served).collect();
    let unlisted: Vec<_> = served.difference(&listed).collect();
    assert!(missing.is_empty() && unlisted.is_empty(), "not served: {missing:#?}, not listed: {unlisted:#?}");
}

/// Verb, path and operation id of each.
fn operations(document: &Value) -> Vec<(String, String, String)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let each = paths.flat_map(|(path, verbs)| verbs.as_object().unwrap().iter().map(move |verb| (path, verb)));
    let id = |operation: &Value| operation["operationId"].as_str().unwrap().to_owned();
    each.map(|(path, (verb, operation))| (verb.to_uppercase(), path.clone(), id(operation))).collect()
}

/// The service that has the RPC of an operation, `Inventory_CreateCollection`; later routes of an RPC have a number.
fn service_of(operation_id: &str) -> String {
    let mut parts = operation_id.split('_');
    let (service, method) = (parts.next().unwrap(), parts.next().unwrap());
    let services = portolan_api::descriptors().services();
    let has = |name: &str| name == service || name.strip_suffix("Service") == Some(service);
    let mut found = services.filter(|s| has(s.name()) && s.methods().any(|m| m.name() == method));
    let found = found.next().unwrap_or_else(|| panic!("no RPC for {operation_id}"));
    // portolan.inventory.v1
    found.package_name().split('.').nth(1).unwrap().to_owned()
}

/// Schemathesis makes requests that fit the served document and requests that do not; statuses, content types and
/// bodies of all answers are the documented ones, and what does not fit is refused.
pub async fn answers_fit_the_document(test: TestDb) {
    // What answers look like does not depend on the database.
    if test.url.starts_with("postgres") {
        return;
    }
    let server = Server::start(&test).await;
    let workspace = json!({"name": "Acme", "external_id": "acme", "notification_email": "acme@example.com"});
    let workspace = server.call("POST", "/api/managed_users", &server.api_key, workspace).await.expect(200).json();
    let organization = server.get("/v1/organization").await.expect(200).json();
    let collection = server.create_collection("Target").await;

    // The tool reads its configuration from the directory that it runs in, and leaves files there.
    let place = tempfile::tempdir().unwrap();
    for (name, text) in SCHEMATHESIS {
        std::fs::write(place.path().join(name), text).unwrap();
    }
    let run = tokio::process::Command::new(std::env::var("PORTOLAN_TEST_SCHEMATHESIS").unwrap())
        .args(["run", "--no-color", &format!("{}/openapi.json", server.http)])
        .current_dir(place.path())
        .env("PORTOLAN_API_KEY", &server.api_key)
        .env("PORTOLAN_MANAGED_USER", workspace["result"]["id"].to_string())
        .env("PORTOLAN_ORGANIZATION", organization["publicId"].as_str().unwrap())
        .env("PORTOLAN_COLLECTION", collection.to_string())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(RUN_MAX, run).await.expect("schemathesis hangs").unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("Fuzzing") && text.contains(" passed"), "nothing was tested: {text}");
    println!("{}", text.split_once("SUMMARY").map_or("", |(_, summary)| summary));
}
