//! Collections as documents: what is exported reads back as the same endpoints, with the names that their owner gave.

use std::{collections::BTreeSet, fs, path::PathBuf};

use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::server::{Server, har};

/// Documents of the tests of the formats.
const CASES: [&str; 9] = [
    "01-oas32-query/input.yaml",
    "02-aws-any-method/input.yaml",
    "03-custom-verbs/input.yaml",
    "10-dictionary/input.yaml",
    "12-and-security/input.yaml",
    "16-drift/spec.yaml",
    "17-graph/input.har",
    "19-postman-inherit/input.json",
    "kfp.swagger2.json",
];

/// Files with their names: those of the formats, and those that `PORTOLAN_TEST_DATA` names.
fn files() -> Vec<(String, Vec<u8>)> {
    let cases = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../crates/formats/tests/cases");
    let mut files: Vec<PathBuf> = CASES.iter().map(|name| cases.join(name)).collect();
    if let Some(folder) = std::env::var_os("PORTOLAN_TEST_DATA").map(PathBuf::from) {
        for kind in ["openapi", "har", "postman"] {
            let mut found: Vec<_> =
                fs::read_dir(folder.join(kind)).unwrap().map(|entry| entry.unwrap().path()).collect();
            found.sort();
            files.append(&mut found);
        }
    }
    files.into_iter().map(|path| (path.display().to_string(), fs::read(&path).unwrap())).collect()
}

async fn import(server: &Server, name: &str, content: Vec<u8>) -> i64 {
    let url = format!("{}/v1/imports?collectionName={name}", server.http);
    let request = reqwest::Client::new().post(url).header("x-api-key", &server.api_key).body(content);
    let answer = server.send(request).await.unwrap().expect(200).json();
    let job = server.wait_for_job(answer["jobId"].as_str().unwrap()).await;
    assert_eq!((&job["state"], &job["refusedItems"]), (&json!("SUCCEEDED"), &json!(0)), "{name}: {job}");
    job["collectionId"].as_i64().unwrap()
}

/// The document of a collection, all pages of it.
async fn export(server: &Server, id: i64) -> Vec<Value> {
    let mut pages = Vec::new();
    let mut asked = json!({"apiCollectionId": id});
    loop {
        let page = server.post("/api/generateOpenApiFile", asked.clone()).await.expect(200).json();
        pages.push(serde_json::from_str(page["openAPIString"].as_str().unwrap()).unwrap());
        if page["lastFetchedUrl"].is_null() {
            return pages;
        }
        asked["lastFetchedUrl"] = page["lastFetchedUrl"].clone();
        asked["lastFetchedMethod"] = page["lastFetchedMethod"].clone();
    }
}

/// What generators and validators ask of a document beyond its schema.
fn check(document: &Value, name: &str) {
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        assert!(path.starts_with('/'), "{name}: {path}");
        let additional = item.get("additionalOperations").and_then(Value::as_object).into_iter().flatten();
        let own = item.as_object().unwrap().iter().filter(|(member, _)| *member != "additionalOperations");
        for (method, operation) in own.chain(additional) {
            let id = operation["operationId"].as_str().unwrap();
            let is_name = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            assert!(is_name && ids.insert(id.to_owned()), "{name}: {method} {path} has the id {id}");
            assert!(!operation["responses"].as_object().unwrap().is_empty(), "{name}: {path}");
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let declared: BTreeSet<_> = parameters
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
                .collect();
            let path = path.split('#').next().unwrap();
            let named: BTreeSet<_> =
                path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap().to_owned()).collect();
            assert_eq!(declared, named, "{name}: {method} {path}");
            for alternative in operation["security"].as_array().into_iter().flatten() {
                for scheme in alternative.as_object().unwrap().keys() {
                    let known = &document["components"]["securitySchemes"][scheme];
                    assert!(known.is_object(), "{name}: {path} needs {scheme}");
                }
            }
        }
    }
}

pub async fn documents_come_back_as_the_same_endpoints(test: TestDb) {
    let server = Server::start(&test).await;
    for (index, (name, content)) in files().into_iter().enumerate() {
        let id = import(&server, &format!("original-{index}"), content).await;
        let endpoints = server.endpoints(id).await;
        let pages = export(&server, id).await;
        let mut back = 0;
        for page in pages {
            check(&page, &name);
            back = import(&server, &format!("again-{index}"), page.to_string().into_bytes()).await;
        }
        assert_eq!(server.endpoints(back).await, endpoints, "{name}");
    }

    let document = json!({
        "openapi": "3.0.3", "info": {"title": "Jobs of the yard", "version": "2031.4"},
        "servers": [{"url": "https://yard.example.org/v2"}],
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "paths": {"/jobs/{jobId}:cancel": {"post": {"summary": "Cancels a job", "security": [{"token": []}],
            "responses": {"204": {"description": "done"}}}}},
    });
    let id = import(&server, "yard", document.to_string().into_bytes()).await;
    assert_eq!(server.endpoints(id).await, ["POST https://yard.example.org/v2/jobs/STRING:cancel"]);
    let page = export(&server, id).await.remove(0);
    let operation = &page["paths"]["/v2/jobs/{jobId}:cancel"]["post"];
    assert_eq!(operation["parameters"][0]["name"], "jobId", "{page}");
    assert_eq!(operation["security"], json!([{"bearer": []}]));
    assert!(operation["responses"]["204"].is_object());
    let infos = server.post("/api/fetchApiInfosForCollection", json!({"apiCollectionId": id})).await.expect(200).json();
    let info = &infos["apiInfoList"][0];
    assert_eq!(info["urlTemplate"], "https://yard.example.org/v2/jobs/{jobId}:cancel");
    assert_eq!((&info["kind"], &info["lastTested"]), (&json!("api"), &json!(0)));
    let stored = server.post("/api/fetchOpenApiSchema", json!({"apiCollectionId": id})).await.expect(200).json();
    let schema = &stored["openApiSchema"];
    let schema: Value = schema.as_str().map_or_else(|| schema.clone(), |text| serde_json::from_str(text).unwrap());
    assert_eq!(schema["info"]["title"], "Jobs of the yard");
    assert_eq!(schema["info"]["version"], "2031.4");
    assert_eq!(schema["paths"]["/v2/jobs/{jobId}:cancel"]["post"]["summary"], "Cancels a job");

    let issue = |name: &str, severity: &str| {
        json!({"id": name, "apiCollectionId": id, "url": info["id"]["url"], "method": "POST", "severity": severity,
            "status": "OPEN", "testedAt": 1_790_000_000})
    };
    let found = json!({"issues": [issue("a", "HIGH"), issue("b", "LOW")]});
    let answer = server.post("/v1/issues:batchIngest", found).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let infos = server.post("/api/fetchApiInfosForCollection", json!({"apiCollectionId": id})).await.expect(200).json();
    let info = &infos["apiInfoList"][0];
    assert_eq!((&info["severityScore"], &info["lastTested"]), (&json!(101.0), &json!(1_790_000_000)), "{info}");
}

pub async fn the_command_shows_apis_first_and_sends_folders(test: TestDb) {
    let server = Server::start(&test).await;
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("paths")).unwrap();
    let files = [
        (
            "openapi.yaml",
            "openapi: 3.0.0\ninfo: {title: Fleet, version: '1'}\nservers: [{url: 'https://fleet.example.org'}]\n\
            paths: {'/trucks/{truckId}': {$ref: 'paths/truck.yaml'}}\n"
                .to_owned(),
        ),
        ("paths/truck.yaml", "get: {responses: {'200': {description: ok}}}\n".to_owned()),
        (
            "page.har",
            har(&[
                ("GET", "https://fleet.example.org/app.js", "", 200, "x"),
                ("GET", "https://fleet.example.org/logo.png", "", 200, "x"),
                ("GET", "https://fleet.example.org/v1/routes", "", 200, "{}"),
            ])
            .replace("application/json", ""),
        ),
    ];
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_portolan"));
    command.args(["import", "--url", &server.http, "--api-key", &server.api_key, "--collection", "Fleet"]);
    let output = command.arg(folder.path()).output().await.unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    for shown in ["https://fleet.example.org/trucks/{truckId}", "https://fleet.example.org/v1/routes"] {
        assert!(printed.contains(shown), "{shown} is not in {printed}");
    }
    assert!(printed.contains("left out: 2 assets") && !printed.contains("logo.png"), "{printed}");
}
