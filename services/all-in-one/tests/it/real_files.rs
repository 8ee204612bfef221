use std::{path::Path, time::Instant};

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

const POSTMAN: [(&str, i64); 7] = [
    ("crapi.postman_collection.json", 49),
    ("echo-v2.postman_collection.json", 22),
    ("midtrans.postman_collection.json", 61),
    ("multi-level-folders-v1.postman_collection.json", 6),
    ("stripe.postman_collection.json", 457),
    ("twitter-api-v2.postman_collection.json", 56),
    ("vapi.postman_collection.json", 26),
];

/// Each file goes into a collection of its own: every operation, entry and request is imported, and every operation and
/// request becomes an endpoint of its own unless the import names the one that it shares. Prints the table of all files.
pub async fn every_operation_and_entry_is_accounted_for(test: TestDb) {
    let Ok(folder) = std::env::var("PORTOLAN_TEST_DATA") else {
        return println!("skipped: PORTOLAN_TEST_DATA names no folder with the files");
    };
    let server = Server::start(&test).await;
    println!(
        "{:<46} {:>6} {:>8} {:>9} {:>7} {:>7} {:>9} {:>8} {:>5} {:>5}",
        "file", "items", "imported", "endpoints", "shared", "refused", "sensitive", "seconds", "MB", "MiB"
    );
    let of = |kind: &'static str, files: &[(&'static str, i64)]| -> Vec<_> {
        files.iter().map(|(name, items)| (kind, *name, *items)).collect()
    };
    for (kind, name, items) in [of("openapi", &OPENAPI), of("har", &HAR), of("postman", &POSTMAN)].concat() {
        let bytes = std::fs::read(Path::new(&folder).join(kind).join(name)).unwrap();
        let megabytes = bytes.len() as f64 / 1e6;
        let collection: String = name.chars().map(|c| if c == '_' { '-' } else { c }).take(60).collect();
        let url = format!("{}/v1/imports?collectionName={collection}", server.http);
        server.forget_peak();
        let begun = Instant::now();
        let request = reqwest::Client::new().post(url).header("x-api-key", &server.api_key).body(bytes);
        let answer = server.send(request).await.unwrap().expect(200).json();
        let job = server.wait_for_job(answer["jobId"].as_str().unwrap()).await;
        let (seconds, peak) = (begun.elapsed().as_secs_f64(), server.peak_mib());
        assert_eq!(job["state"], "SUCCEEDED", "{job}");
        assert_eq!((&job["totalItems"], &job["importedItems"]), (&json!(items), &json!(items)), "{name}: {job}");
        let id = job["collectionId"].as_i64().unwrap();
        let endpoints = server.endpoints(id).await.len() as i64;
        let sensitive = server.post("/api/loadSensitiveParameters", json!({"apiCollectionId": id})).await.expect(200);
        let sensitive = sensitive.json()["data"]["endpoints"].as_array().unwrap().len();
        let notes = job["notes"].as_array().unwrap();
        let shared =
            notes.iter().filter(|note| note.as_str().unwrap().contains("shares the endpoint of")).count() as i64;
        println!(
            "{name:<46} {items:>6} {:>8} {endpoints:>9} {shared:>7} {:>7} {sensitive:>9} {seconds:>8.2} {megabytes:>5.1} {peak:>5}",
            job["importedItems"], job["refusedItems"]
        );
        if kind != "har" {
            assert_eq!(endpoints + shared, items, "{name}");
        }
    }
}
