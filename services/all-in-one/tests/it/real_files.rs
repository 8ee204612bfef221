use std::path::Path;

use portolan_testkit::TestDb;
use serde_json::json;

use crate::server::Server;

/// Files of public projects with the number of their operations or entries.
const OPENAPI: [(&str, i64); 9] = [
    ("moby-docker-engine.swagger2.yaml", 108),
    ("slack-web.swagger2.json", 174),
    ("github-enterprise.openapi3.yaml", 672),
    ("discord.openapi31.json", 242),
    ("crapi.openapi3.json", 44),
    ("vampi.openapi3.yml", 14),
    ("realworld-conduit.openapi31.yml", 19),
    ("train-travel.openapi31.yaml", 7),
    ("katapult-core.openapi3.json", 189),
];
const HAR: [(&str, i64); 6] = [
    ("akto-restapi_81.har", 81),
    ("cnn-chrome.har", 292),
    ("petstore.swagger.io.har", 9),
    ("request-generator-all-status-and-method.har", 665),
    ("reqres.in.har", 2),
    ("ie11.fiddler.har", 11),
];

/// Each file goes into a collection of its own: every operation and entry is imported, and every operation becomes an
/// endpoint of its own unless two differ in the names of path parameters only.
pub async fn every_operation_and_entry_is_accounted_for(test: TestDb) {
    let Ok(folder) = std::env::var("PORTOLAN_TEST_DATA") else {
        return println!("skipped: PORTOLAN_TEST_DATA names no folder with the files");
    };
    let server = Server::start(&test).await;
    println!("{:<46} {:>6} {:>9} {:>9} {:>9}", "file", "items", "imported", "endpoints", "sensitive");
    for (kind, name, items) in
        OPENAPI.map(|(n, i)| ("openapi", n, i)).into_iter().chain(HAR.map(|(n, i)| ("har", n, i)))
    {
        let bytes = std::fs::read(Path::new(&folder).join(kind).join(name)).unwrap();
        let collection: String = name.chars().map(|c| if c == '_' { '-' } else { c }).take(60).collect();
        let url = format!("{}/v1/imports?collectionName={collection}", server.http);
        let request = reqwest::Client::new().post(url).header("x-api-key", &server.api_key).body(bytes);
        let answer = server.send(request).await.unwrap().expect(200).json();
        let job = server.wait_for_job(answer["jobId"].as_str().unwrap()).await;
        assert_eq!(job["state"], "SUCCEEDED", "{job}");
        assert_eq!((&job["totalItems"], &job["importedItems"]), (&json!(items), &json!(items)), "{name}: {job}");
        let id = job["collectionId"].as_i64().unwrap();
        let endpoints = server.endpoints(id).await.len() as i64;
        let sensitive = server.post("/api/loadSensitiveParameters", json!({"apiCollectionId": id})).await.expect(200);
        let sensitive = sensitive.json()["data"]["endpoints"].as_array().unwrap().len();
        println!("{name:<46} {items:>6} {:>9} {endpoints:>9} {sensitive:>9}", job["importedItems"]);
        if kind == "openapi" {
            assert!(endpoints <= items && endpoints >= items * 95 / 100, "{name}: {endpoints} endpoints of {items}");
        }
    }
}
