use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::roles::{Person, create, identity};
use crate::server::{Answer, Server, har};

const DOCUMENT: &str = r#"
openapi: 3.0.3
info: {title: Book shop, version: "1"}
servers: [{url: "https://shop.example.org/v1"}]
components:
  securitySchemes: {token: {type: http, scheme: bearer}}
security: [{token: []}]
paths:
  /books:
    get:
      parameters: [{name: page, in: query, schema: {type: integer}}]
      responses:
        "200":
          description: books
          content: {application/json: {schema: {type: array, items: {type: object, properties: {title: {type: string}}}}}}
    post:
      requestBody:
        content: {application/json: {schema: {type: object, properties: {title: {type: string}, author: {type: object, properties: {email: {type: string, format: email}}}}}}}
      responses: {"201": {description: made}}
  /books/{id}:
    get:
      parameters: [{name: id, in: path, required: true, schema: {type: integer}}]
      responses: {"200": {description: one}}
"#;

/// Entries of a capture become templates with typed parameters; refused entries are listed.
pub async fn a_capture_becomes_endpoints(test: TestDb) {
    let server = Server::start(&test).await;
    let id = server.create_collection("Shop").await;
    let mut capture: Value = serde_json::from_str(&har(&[
        ("GET", "http://api.test/books/1?page=2", "", 200, r#"{"title":"x","isbn":123}"#),
        ("GET", "http://api.test/books/2?page=3", "", 200, r#"{"title":"y","isbn":456}"#),
        ("POST", "http://api.test/signup", r#"{"email":"ada@lovelace.dev"}"#, 201, "{}"),
        ("GET", "http://api.test/nothing", "", 404, "{}"),
        ("GET", "http://api.test/books/3", "", 500, "{}"),
    ]))
    .unwrap();
    capture["log"]["entries"].as_array_mut().unwrap().push(json!({"request": {"method": "GET"}}));
    let upload = json!({"content": capture, "apiCollectionId": id, "skipKafka": true});
    let answer = server.post("/api/uploadHar", upload).await.expect(200).json();
    assert_eq!(
        (&answer["apiCollectionId"], &answer["importedRecords"], &answer["skippedRecords"]),
        (&json!(id), &json!(5), &json!(1))
    );
    assert!(answer["harErrors"][0].as_str().unwrap().starts_with("Error in entry 6: "), "{answer}");

    assert_eq!(server.endpoints(id).await, ["GET http://api.test/books/INTEGER", "POST http://api.test/signup"]);
    let info = json!({"apiCollectionId": id, "url": "http://api.test/books/INTEGER", "method": "GET"});
    let info = server.post("/api/getSingleEndpoint", info).await.expect(200).json();
    assert_eq!(info["allAuthTypesFound"], json!([["BEARER"]]));
    assert_eq!(info["responseCodes"], json!([200, 500]));
    assert_eq!(info["sources"].as_object().unwrap().keys().collect::<Vec<_>>(), ["HAR"]);
    let unknown = json!({"apiCollectionId": id, "url": "http://api.test/none", "method": "GET"});
    assert_eq!(server.post("/api/getSingleEndpoint", unknown).await.expect(200).json(), Value::Null);

    let parameters = server.parameters(id, "GET", "http://api.test/books/INTEGER").await;
    let find = |name: &str, code: i64| {
        let found = parameters.iter().find(|p| p["param"] == name && p["responseCode"] == code);
        found.unwrap_or_else(|| panic!("{name} is missing: {parameters:#?}"))
    };
    let page = find("page", -1);
    assert_eq!(
        (&page["isQueryParam"], &page["count"], &page["subTypeString"]),
        (&json!(true), &json!(2), &json!("INTEGER_32"))
    );
    assert_eq!((&find("1", -1)["isUrlParam"], &find("1", -1)["count"]), (&json!(true), &json!(2)));
    let isbn = find("isbn", 200);
    assert_eq!((&isbn["minValue"], &isbn["maxValue"], &isbn["domain"]), (&json!(123), &json!(456), &json!("ENUM")));

    let sensitive =
        server.post("/api/loadSensitiveParameters", json!({"apiCollectionId": id})).await.expect(200).json();
    let found = sensitive["data"]["endpoints"].as_array().unwrap().clone();
    assert_eq!(
        found.iter().map(|p| (&p["param"], &p["subTypeString"])).collect::<Vec<_>>(),
        [(&json!("email"), &json!("EMAIL"))]
    );
    assert!(found[0].get("values").is_none(), "{}", found[0]);

    let samples = json!({"apiCollectionId": id, "url": "http://api.test/signup", "method": "POST"});
    let samples = server.post("/api/fetchSampleData", samples).await.expect(200).json();
    let sample = samples["sampleDataList"][0]["samples"][0].as_str().unwrap();
    assert!(sample.contains("ada@lovelace.dev") && sample.contains("\"source\":\"HAR\""), "{sample}");
}

/// A document fills an existing collection at once: every operation, with its declared parameters.
pub async fn a_document_becomes_endpoints(test: TestDb) {
    let server = Server::start(&test).await;
    let id = server.create_collection("Books").await;
    let body = json!({"openAPIString": DOCUMENT, "apiCollectionId": id});
    let upload = server.post("/api/importDataFromOpenApiSpec", body).await.expect(200).json();
    let upload_id = upload["uploadId"].as_str().unwrap().to_owned();
    assert!(upload_id.len() == 24 && upload_id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{upload_id}");
    let urls = [
        "GET https://shop.example.org/v1/books",
        "GET https://shop.example.org/v1/books/INTEGER",
        "POST https://shop.example.org/v1/books",
    ];
    assert_eq!(server.endpoints(id).await, urls);
    let parameters = server.parameters(id, "POST", "https://shop.example.org/v1/books").await;
    let email = parameters.iter().find(|p| p["param"] == "author#email").expect("author#email");
    assert_eq!((&email["subTypeString"], &email["values"]["elements"]), (&json!("EMAIL"), &json!([])));

    let log = server.post("/api/fetchSwaggerImportLogs", json!({"uploadId": upload_id})).await.expect(200).json();
    let details = &log["uploadDetails"];
    assert_eq!(
        (&details["uploadStatus"], &details["totalCount"], &details["correctlyParsedApis"]),
        (&json!("SUCCEEDED"), &json!(3), &json!(3))
    );
    server.post("/api/fetchSwaggerImportLogs", json!({"uploadId": "x"})).await.expect_error(422, "Invalid uploadId ");

    let generated = server.post("/api/generateOpenApiFile", json!({"apiCollectionId": id})).await.expect(200).json();
    let document: Value = serde_json::from_str(generated["openAPIString"].as_str().unwrap()).unwrap();
    assert_eq!(document["openapi"], "3.0.1");
    let operations: usize = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .map(|item| item.as_object().unwrap().keys().filter(|key| ["get", "post"].contains(&key.as_str())).count())
        .sum();
    assert_eq!(operations, 3, "{document:#}");
}

/// To whoever sees only some collections, another's upload and the job that tells of it are as good as missing, and stay
/// as they are; their own they read.
pub async fn an_upload_has_an_owner(test: TestDb) {
    let server = Server::start(&test).await;
    let deps = identity(&test, &server).await;
    let shown = server.create_collection("Shown").await;
    let user_id = create(&deps, 1_000_000, "restricted@example.org", "MEMBER").await;
    let list = [i32::try_from(shown).unwrap()];
    portolan_identity::grants::set_collections(&deps, 1_000_000.into(), user_id.into(), &list.map(Into::into))
        .await
        .unwrap();
    let person = Person::log_in(&server, "restricted@example.org").await;
    let document = json!({ "openAPIString": DOCUMENT });
    let spec = async |answer: Answer| answer.expect(200).json();
    let foreign = spec(server.post("/api/importDataFromOpenApiSpec", document.clone()).await).await;
    let own = spec(person.post("/api/importDataFromOpenApiSpec", document).await).await;
    let ask = |upload: &Value| json!({ "uploadId": upload["uploadId"] });
    let approve = |upload: &Value| json!({ "uploadId": upload["uploadId"], "importType": "ALL_APIS" });
    let missing = json!({ "uploadId": "0".repeat(24), "importType": "ALL_APIS" });
    for (path, body) in [("/api/fetchSwaggerImportLogs", ask(&foreign)), ("/api/importSwaggerLogs", approve(&foreign))]
    {
        let answer = person.post(path, body).await;
        let unknown = person.post(path, missing.clone()).await;
        assert_eq!((answer.status, &answer.body), (unknown.status, &unknown.body), "{path}");
        assert_eq!(answer.status, 422, "{path}");
    }
    person.post("/api/fetchSwaggerImportLogs", ask(&own)).await.expect(200);
    server.post("/api/fetchSwaggerImportLogs", ask(&own)).await.expect(200);
    let key = person.post("/api/addApiToken", json!({"tokenUtility": "EXTERNAL_API"})).await.expect(200).json();
    let key = key["apiTokenList"][0]["key"].as_str().unwrap().to_owned();
    let job = async |upload: &Value| {
        let path = format!("/v1/jobs/{}", upload["jobId"].as_str().unwrap());
        server.call("GET", &path, &key, Value::Null).await.status
    };
    assert_eq!((job(&foreign).await, job(&own).await), (404, 200));
    let jobs = server.call("GET", "/v1/jobs", &key, Value::Null).await.expect(200).body;
    assert!(!jobs.contains(foreign["jobId"].as_str().unwrap()), "{jobs}");
}

/// Without a target a document waits for approval; approving it twice ingests it once.
pub async fn a_reviewed_document_is_ingested_once(test: TestDb) {
    let server = Server::start(&test).await;
    let upload =
        server.post("/api/importDataFromOpenApiSpec", json!({"openAPIString": DOCUMENT})).await.expect(200).json();
    let find = async || {
        let list = server.post("/api/getAllCollections", json!({})).await.expect(200).json();
        let found =
            list["apiCollections"].as_array().unwrap().iter().find(|c| c["name"] == "OpenAPI Book shop").cloned();
        found.map(|collection| collection["id"].as_i64().unwrap())
    };
    assert_eq!(find().await, None);
    let approve = |kind: &str| json!({"uploadId": upload["uploadId"], "importType": kind});
    server.post("/api/importSwaggerLogs", approve("SOME")).await.expect_error(422, "Invalid import type or upload id");
    for _ in 0..2 {
        server.post("/api/importSwaggerLogs", approve("ALL_APIS")).await.expect(200);
    }
    let id = find().await.expect("the collection of the title");
    assert_eq!(server.endpoints(id).await.len(), 3);
    let parameters = server.parameters(id, "GET", "https://shop.example.org/v1/books").await;
    let page = parameters.iter().find(|p| p["param"] == "page").unwrap();
    assert_eq!(page["count"], 1, "{page}");
}

/// A raw body becomes a job that ends with its counts.
pub async fn a_streamed_file_becomes_a_job(test: TestDb) {
    let server = Server::start(&test).await;
    let capture =
        har(&[("GET", "http://api.test/books/1", "", 200, "{}"), ("GET", "http://api.test/me", "", 200, "{}")]);
    let request = reqwest::Client::new()
        .post(format!("{}/v1/imports?collectionName=Streamed", server.http))
        .header("x-api-key", &server.api_key)
        .body(capture);
    let answer = server.send(request).await.unwrap().expect(200).json();
    let job = server.wait_for_job(answer["jobId"].as_str().unwrap()).await;
    assert_eq!(
        (&job["state"], &job["totalItems"], &job["importedItems"], &job["format"]),
        (&json!("SUCCEEDED"), &json!(2), &json!(2), &json!("HAR"))
    );
    let id = job["collectionId"].as_i64().unwrap();
    assert_eq!(server.endpoints(id).await, ["GET http://api.test/books/INTEGER", "GET http://api.test/me"]);
    let missing = server.get("/v1/jobs/00000000-0000-0000-0000-000000000000").await.expect(404);
    assert_eq!(missing.header("content-type"), "application/problem+json");
}

/// `portolan import` uploads a file, waits, prints what was found, and says by its exit code whether all was imported.
pub async fn the_command_imports_a_file(test: TestDb) {
    let server = Server::start(&test).await;
    let directory = tempfile::tempdir().unwrap();
    let run = async |name: &str, content: &str| {
        let file = directory.path().join(name);
        std::fs::write(&file, content).unwrap();
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_portolan"))
            .arg("import")
            .arg(file)
            .args(["--url", &server.http, "--api-key", &server.api_key])
            .output();
        output.await.unwrap()
    };
    let output = run("books.yaml", DOCUMENT).await;
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("https://shop.example.org/v1/books/{id}") && printed.contains("EMAIL"), "{printed}");
    let mut capture: Value = serde_json::from_str(&har(&[("GET", "http://api.test/me", "", 200, "{}")])).unwrap();
    capture["log"]["entries"].as_array_mut().unwrap().push(json!({}));
    let output = run("partial.har", &capture.to_string()).await;
    assert!(!output.status.success(), "a refused entry must not end in success");
    let output = run("nothing.txt", "plain text").await;
    assert!(!output.status.success());
}
