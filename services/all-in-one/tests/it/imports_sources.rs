//! Postman, Imperva and addresses over REST: every documented answer, and the files of public projects item by item.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{Response, request::Parts},
};
use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::{
    sealing,
    server::{PATIENCE, Server},
};

/// A stand-in for the Postman API and for a site: answers by path, the slow one after a while.
pub struct Site {
    url: String,
    slow_calls: Arc<AtomicUsize>,
}

impl Site {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let slow_calls = Arc::new(AtomicUsize::new(0));
        let counted = slow_calls.clone();
        let router = Router::new().fallback(move |request: Request| {
            let counted = counted.clone();
            async move { answer(&request.into_parts().0, &counted).await }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, slow_calls }
    }
}

pub const KEY: &str = "PMAK-0123456789abcdef-0123";

async fn answer(request: &Parts, slow_calls: &AtomicUsize) -> Response<Body> {
    let path = request.uri.path();
    let is_postman = ["/workspaces", "/collections", "/apis"].iter().any(|prefix| path.starts_with(prefix));
    let respond = |status: u16, body: Value| {
        let response = Response::builder().status(status).header("content-type", "application/json");
        response.body(Body::from(body.to_string())).unwrap()
    };
    if is_postman && request.headers.get("x-api-key").is_none_or(|key| key != KEY) {
        return respond(401, json!({}));
    }
    let collection = json!({"collection": {"info": {"_postman_id": "c1", "name": "Books"},
        "item": [{"name": "list", "request": "https://books.example.com/books"}]}});
    match path {
        "/workspaces" => respond(200, json!({"workspaces": [{"id": "w", "name": "Team", "type": "team"}]})),
        "/workspaces/w" => respond(200, json!({"workspace": {"collections": [{"uid": "1-c1", "name": "Books"}]}})),
        "/collections" => respond(200, json!({"collections": [{"uid": "1-c1", "name": "Books"}]})),
        "/collections/1-c1" => respond(200, collection),
        "/apis" if request.method == "POST" => respond(200, json!({"api": {"id": "a"}})),
        "/apis" => respond(200, json!({"apis": []})),
        path if path.starts_with("/apis/a") => respond(200, json!({"schemas": []})),
        "/slow" => {
            if slow_calls.fetch_add(1, Ordering::SeqCst) == 0 {
                tokio::time::sleep(Duration::from_secs(20)).await;
            }
            respond(200, json!({"slow": true}))
        }
        "/agent" => respond(200, json!({"email": "ada@lovelace.dev"})),
        _ => respond(404, json!({})),
    }
}

pub async fn start(test: &TestDb, site: &Site) -> Server {
    let data_dir = tempfile::tempdir().unwrap().keep();
    start_in(test, site, data_dir).await
}

async fn start_in(test: &TestDb, site: &Site, data_dir: std::path::PathBuf) -> Server {
    let variables = [("PORTOLAN__FETCH__ALLOW_PRIVATE", "true"), ("PORTOLAN__POSTMAN__URL", site.url.as_str())];
    Server::start_with(test, data_dir, &variables).await
}

/// The status and texts of every documented refusal.
pub async fn refusals_are_exact(test: TestDb) {
    let site = Site::start().await;
    let server = start(&test, &site).await;
    let id = server.create_collection("Plain").await;
    let credential = "Please add postman credentials in settings";
    for (path, body, text) in [
        ("addOrUpdatePostmanCred", json!({"api_key": "x"}), "workspace_id is required"),
        ("addOrUpdatePostmanCred", json!({}), "api_key is required"),
        ("fetchCollections", json!({}), credential),
        ("savePostmanCollection", json!({"postmanCollectionId": "1-c1", "apiCollectionId": id}), credential),
        ("createPostmanApi", json!({"apiCollectionId": id}), credential),
        ("fetchPostmanWorkspaces", json!({"api_key": "wrong"}), "Invalid postman key"),
        ("importPostmanWorkspace", json!({"workspace_id": "w"}), "Invalid postman key"),
        ("importPostmanWorkspace", json!({"api_key": KEY}), "Invalid workspace id"),
        ("importDataFromPostmanFile", json!({}), "Invalid Postman file: missing info"),
        ("importDataFromPostmanFile", json!({"postmanCollectionFile": "{"}), "Error while parsing the file"),
        ("importDataFromPostmanFile", json!({"postmanCollectionFile": "{}"}), "Invalid Postman file: missing info"),
        ("fetchPostmanImportLogs", json!({}), "Upload id is required"),
        ("fetchPostmanImportLogs", json!({"uploadId": "x"}), "Invalid upload id"),
        ("deletePostmanImportLogs", json!({}), "Upload id is required"),
        ("deletePostmanImportLogs", json!({"uploadId": "x"}), "Invalid upload id"),
        ("ingestPostman", json!({"uploadId": "x"}), "Invalid import type or upload id"),
        ("ingestPostman", json!({"uploadId": "x", "importType": "ALL_APIS"}), "Invalid upload id"),
        ("importSwaggerLogs", json!({"uploadId": "x", "importType": "ALL_APIS"}), "Invalid upload id"),
        ("fetchSwaggerImportLogs", json!({}), "Invalid uploadId "),
        ("importImpervaSchema", json!({}), "Empty file uploaded"),
        (
            "importImpervaSchema",
            json!({"impervaString": "x".repeat(10_485_761)}),
            "Upload file should be less than 10 MB",
        ),
        (
            "importImpervaSchema",
            json!({"impervaString": "{"}),
            "Import failed: line 1, column 1: EOF while parsing an object",
        ),
        ("importImpervaSchema", json!({"impervaString": r#"{"services": []}"#}), "Failed to parse Imperva JSON file"),
        ("importImpervaSchema", json!({"impervaString": r#"{"data": {}}"#}), "Hostname not found in Imperva file"),
        ("importFromUrl", json!({}), "URL is required"),
        ("importFromUrl", json!({"url": "x"}), "Error importing from URL: Failed to create API collection"),
        (
            "importFromUrl",
            json!({"url": "http://2852039166/"}),
            "Error importing from URL: calls to this address are not allowed",
        ),
    ] {
        let answer = server.post(&format!("/api/{path}"), body).await;
        assert_eq!((answer.status, answer.json()), (422, json!({"actionErrors": [text]})), "{path}");
    }
    let answer = server.post("/api/importImpervaSchema", json!({"impervaString": "{}"})).await.expect(422).json();
    let text = "Missing 'data' node in Imperva JSON";
    assert_eq!(answer, json!({"actionErrors": [text, format!("Import failed: {text}")]}));
    assert_eq!(
        server.post("/api/getPostmanCredential", json!({})).await.expect(200).json(),
        json!({"postmanCred": null})
    );
    assert_eq!(
        server.post("/api/fetchPostmanWorkspaces", json!({"api_key": ""})).await.expect(200).json(),
        json!({"workspaces": []})
    );
}

/// The documented shapes of the answers, from a credential to a workspace in the inventory.
pub async fn a_workspace_reaches_the_inventory(test: TestDb) {
    let site = Site::start().await;
    let server = start(&test, &site).await;
    let import = server
        .post("/api/importPostmanWorkspace", json!({"api_key": KEY, "workspace_id": "w"}))
        .await
        .expect(200)
        .json();
    let (upload_id, job_id) = (&import["uploadId"], import["jobId"].as_str().unwrap());
    assert_eq!(server.wait_for_job(job_id).await["state"], "SUCCEEDED");
    let saved = server.post("/api/getPostmanCredential", json!({})).await.expect(200).json();
    assert_eq!(saved, json!({"postmanCred": {"api_key": "PMA********0123", "workspace_id": "w"}}));
    let listed = server.post("/api/fetchCollections", json!({})).await.expect(200).json();
    assert_eq!(listed, json!({"collections": [{"uid": "1-c1", "name": "Books"}]}));
    let log = server.post("/api/fetchPostmanImportLogs", json!({"uploadId": upload_id})).await.expect(200).json();
    assert_eq!(
        log["uploadDetails"],
        json!({"uploadStatus": "SUCCEEDED", "uploadId": upload_id, "collectionErrors": [], "logs": [], "errorCount": 0,
            "totalCount": 1, "correctlyParsedApis": 1, "apisWithErrorsAndParsed": 0, "apisWithErrorsAndCannotBeImported": 0})
    );
    assert_eq!(
        (&log["uploadStatus"], &log["postmanUploadLogs"][0]["postmanWorkspaceId"]),
        (&json!("SUCCEEDED"), &json!("w"))
    );
    let approval = json!({"uploadId": upload_id, "importType": "ALL_APIS"});
    for _ in 0..2 {
        let answer = server.post("/api/ingestPostman", approval.clone()).await.expect(200).json();
        assert_eq!((&answer["uploadId"], &answer["importType"]), (upload_id, &json!("ALL_APIS")));
    }
    let list = server.post("/api/getAllCollections", json!({})).await.expect(200).json();
    let books =
        list["apiCollections"].as_array().unwrap().iter().find(|found| found["name"] == "Books").unwrap().clone();
    let id = books["id"].as_i64().unwrap();
    assert_eq!(server.endpoints(id).await, ["GET https://books.example.com/books"]);
    server
        .post("/api/savePostmanCollection", json!({"postmanCollectionId": "1-c1", "apiCollectionId": id}))
        .await
        .expect(200);
    // What is kept is compared with, and nothing of it is ingested.
    let of_it = json!({"apiCollectionId": id});
    let methods = server.post("/api/fetchAllUrlsAndMethods", of_it.clone()).await.expect(200).json();
    assert!(!methods["data"].as_object().unwrap().is_empty(), "{methods}");
    let stored = server.post("/api/fetchOpenApiSchema", of_it).await.expect(200).body;
    assert!(stored.contains("Books"), "{stored}");
    let export = server.post("/api/createPostmanApi", json!({"apiCollectionId": id})).await.expect(200).json();
    let job = server.wait_for_job(export["jobId"].as_str().unwrap()).await;
    assert_eq!((&job["state"], &job["kind"]), (&json!("SUCCEEDED"), &json!("export.postman")));
    server.post("/api/deletePostmanImportLogs", json!({"uploadId": upload_id})).await.expect(200);
    let gone = server.post("/api/fetchPostmanImportLogs", json!({"uploadId": upload_id})).await;
    gone.expect_error(422, "Invalid upload id");
    let jobs = server.get("/v1/jobs?pageSize=100").await.expect(200).json();
    let kinds: Vec<_> = jobs["jobs"].as_array().unwrap().iter().map(|job| job["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["upload.delete", "export.postman", "import.approve", "import.postman_workspace"]);
}

/// A repeated key answers the same and changes nothing; the tagged collection is in the default scope.
pub async fn addresses_and_schemas_are_imported_once(test: TestDb) {
    let site = Site::start().await;
    let server = start(&test, &site).await;
    let body = json!({"url": format!("{}/agent", site.url), "customHeaders": {"x-trace": "1"}});
    let mut answers = Vec::new();
    for _ in 0..2 {
        let request =
            server.request("/api/importFromUrl").header("x-api-key", &server.api_key).header("idempotency-key", "k");
        answers.push(server.send(request.body(body.to_string())).await.unwrap().expect(200).json());
    }
    assert_eq!(answers[0], answers[1]);
    let job = server.wait_for_job(answers[0]["jobId"].as_str().unwrap()).await;
    assert_eq!((&job["state"], &job["totalItems"]), (&json!("SUCCEEDED"), &json!(1)), "{job}");
    let id = answers[0]["apiCollectionId"].as_i64().unwrap();
    let url = format!("{}/agent", site.url);
    assert_eq!(server.endpoints(id).await, [format!("GET {url}")]);
    let parameters = server.parameters(id, "GET", &url).await;
    let email = parameters.iter().find(|p| p["param"] == "email").unwrap();
    assert_eq!((&email["count"], &email["subTypeString"]), (&json!(1), &json!("EMAIL")));

    let schema = json!({"services": [{"hostname": "a.example", "traffic": [{"method": "GET", "resource": "/x"}, {"method": "GET"}]}]});
    let body = json!({"impervaString": schema.to_string()});
    let mut answers = Vec::new();
    for _ in 0..2 {
        let request = server
            .request("/api/importImpervaSchema")
            .header("x-api-key", &server.api_key)
            .header("idempotency-key", "i");
        answers.push(server.send(request.body(body.to_string())).await.unwrap().expect(200).json());
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0]["message"], "Imperva schema imported successfully. Collection: a.example");
    assert_eq!((&answers[0]["importedRecords"], &answers[0]["skippedRecords"]), (&json!(1), &json!(1)));
    let id = answers[0]["collections"][0]["apiCollectionId"].as_i64().unwrap();
    assert_eq!(server.endpoints(id).await, ["GET https://a.example/x"]);
}

/// A process that is killed while its job waits for an answer makes the call again at its next start, and the record
/// counts once.
pub async fn a_killed_call_is_made_again(test: TestDb) {
    let site = Site::start().await;
    let server = start(&test, &site).await;
    let url = format!("{}/slow", site.url);
    let answer = server.post("/api/importFromUrl", json!({"url": url})).await.expect(200).json();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while site.slow_calls.load(Ordering::SeqCst) == 0 {
        assert!(tokio::time::Instant::now() < deadline, "the call was not made");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    sealing::expect_bound(&test, &server.data_dir, &sealing::OF_JOBS).await;
    let data_dir = server.kill().await;
    let server = start_in(&test, &site, data_dir).await;
    // The lease of the killed process runs out first.
    let deadline = tokio::time::Instant::now() + 3 * PATIENCE;
    let job = loop {
        let job = server.get(&format!("/v1/jobs/{}", answer["jobId"].as_str().unwrap())).await.expect(200).json();
        if !["PENDING", "RUNNING"].contains(&job["state"].as_str().unwrap()) {
            break job;
        }
        assert!(tokio::time::Instant::now() < deadline, "{job}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!((&job["state"], &job["importedItems"]), (&json!("SUCCEEDED"), &json!(1)), "{job}");
    let id = answer["apiCollectionId"].as_i64().unwrap();
    let parameters = server.parameters(id, "GET", &url).await;
    let slow = parameters.iter().find(|p| p["param"] == "slow").unwrap();
    assert_eq!((&slow["count"], site.slow_calls.load(Ordering::SeqCst)), (&json!(1), 2));
}

/// Files of public projects with the number of their requests, and of the addresses of these and their saved answers.
const POSTMAN: [(&str, i64, i64); 7] = [
    ("crapi", 49, 37),
    ("vapi", 26, 26),
    ("echo-v2", 22, 21),
    ("multi-level-folders-v1", 6, 1),
    ("midtrans", 61, 10),
    ("twitter-api-v2", 56, 56),
    ("stripe", 457, 456),
];

/// Each file goes into a collection of its own: items are imported or refused, and every address becomes an endpoint.
pub async fn every_request_is_accounted_for(test: TestDb) {
    let Ok(folder) = std::env::var("PORTOLAN_TEST_DATA") else {
        return println!("skipped: PORTOLAN_TEST_DATA names no folder with the files");
    };
    let server = Server::start(&test).await;
    println!(
        "{:<26} {:>8} {:>9} {:>8} {:>9} {:>9}",
        "file", "requests", "imported", "refused", "addresses", "endpoints"
    );
    for (name, requests, addresses) in POSTMAN {
        let file = format!("{name}.postman_collection.json");
        let bytes = std::fs::read(Path::new(&folder).join("postman").join(&file)).unwrap();
        let url = format!("{}/v1/imports?collectionName={name}", server.http);
        let request = reqwest::Client::new().post(url).header("x-api-key", &server.api_key).body(bytes);
        let answer = server.send(request).await.unwrap().expect(200).json();
        let job = server.wait_for_job(answer["jobId"].as_str().unwrap()).await;
        let number = |name: &str| job[name].as_i64().unwrap();
        let (imported, refused) = (number("importedItems"), number("refusedItems"));
        assert_eq!(
            (&job["state"], &job["format"], number("totalItems")),
            (&json!("SUCCEEDED"), &json!("POSTMAN"), requests),
            "{job}"
        );
        assert_eq!((imported, refused), (requests, 0), "{name}: {job}");
        let endpoints = server.endpoints(job["collectionId"].as_i64().unwrap()).await.len() as i64;
        println!("{name:<26} {requests:>8} {imported:>9} {refused:>8} {addresses:>9} {endpoints:>9}");
        assert_eq!(endpoints, addresses, "{name}");
    }
}
