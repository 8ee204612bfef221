use portolan_api::Reason;
use portolan_api::imports::v1::sources_service_client::SourcesServiceClient;
use portolan_api::imports::v1::uploads_service_client::UploadsServiceClient;
use portolan_api::imports::v1::*;
use portolan_runtime::Channel;
use portolan_testkit::TestDb;

use crate::har::CAPTURE;
use crate::jobs::{ended, get, send, wait_for};
use crate::world::{ACCOUNT, World, reason};

const SCHEMA: &str = r#"{"services": [
    {"hostname": "a.example:8443", "traffic": [{"method": "GET", "resource": "/x"}, {"method": "POST", "resource": "/y",
        "request": {"contentTypeToRequestBody": {"application/json": [{"name": "n", "dataTypes": ["String", "Number"]}]}}}]},
    {"hostname": "b.example", "traffic": [{"method": "GET"}, {"method": "DELETE", "resource": "/z/{id}"}]}]}"#;

fn client(world: &World) -> SourcesServiceClient<Channel> {
    SourcesServiceClient::new(world.channel.clone())
}

async fn imperva(
    world: &World,
    write_id: &str,
    text: &str,
    multiple: bool,
) -> Result<ImportImpervaResponse, tonic::Status> {
    let request = ImportImpervaRequest { imperva_string: Some(text.to_owned()), generate_multiple_samples: multiple };
    Ok(client(world).import_imperva(world.request(write_id, request)).await?.into_inner())
}

/// Each host gets its collection; the counts add up; a repetition appends nothing.
pub async fn a_schema_fills_a_collection_a_host(test: TestDb) {
    let world = World::new(test).await;
    let answer = imperva(&world, "w", SCHEMA, false).await.unwrap();
    assert_eq!(answer.message, "Imperva schema imported successfully. Collection: a.example:8443");
    let names: Vec<_> = answer.collections.iter().map(|collection| collection.name.as_str()).collect();
    assert_eq!(names, ["a.example-8443", "b.example"]);
    assert_eq!((answer.imported_records, answer.skipped_records), (3, 1));
    assert_eq!(imperva(&world, "w", SCHEMA, false).await.unwrap(), answer);
    let records = world.records().await;
    let paths: Vec<_> = records.iter().map(|record| record.path.as_str()).collect();
    assert_eq!(paths, ["https://a.example:8443/x", "https://a.example:8443/y", "https://b.example/z/STRING"]);
    assert!(records.iter().all(|record| record.source == "IMPERVA"));
    assert_ne!(records[0].collection_id, records[2].collection_id);
    let job = get(&world, &answer.job_id).await;
    assert_eq!((job.kind.as_str(), job.total_items, job.refused_items), ("import.imperva", 4, 1));
    assert_eq!(job.refusals[0].reason, "Missing required fields: method or resource");
    imperva(&world, "x", SCHEMA, true).await.unwrap();
    assert_eq!(world.records().await.len(), 3 + 4);
}

/// The documented refusals, in their order.
pub async fn a_refused_schema_changes_nothing(test: TestDb) {
    let world = World::new(test).await;
    let refused = async |text: &str| reason(imperva(&world, "w", text, false).await);
    assert_eq!(refused(" ").await, (Reason::ImpervaEmpty, "Empty file uploaded".to_owned()));
    let large = format!("{{\"data\": \"{}\"}}", "x".repeat(10 * 1024 * 1024));
    assert_eq!(refused(&large).await.1, "Upload file should be less than 10 MB");
    assert_eq!(refused("{}").await.0, Reason::ImpervaWithoutData);
    assert!(refused("{\"data\":").await.1.starts_with("Import failed: line 1, column "));
    assert_eq!(refused(r#"{"services": []}"#).await.1, "Failed to parse Imperva JSON file");
    assert_eq!(
        refused(r#"{"data": {"method": "GET", "resource": "/"}}"#).await.1,
        "Hostname not found in Imperva file"
    );
    assert_eq!(world.records().await, []);
}

/// Answers by path, and counts.
async fn site() -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    let calls = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = calls.clone();
    let router = axum::Router::new().fallback(move |request: axum::extract::Request| {
        let counted = counted.clone();
        async move {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let authorized = request.headers().get("x-token").is_some_and(|value| value == "t0p");
            match request.uri().path() {
                "/openapi" => "openapi: 3.0.0\ninfo: {title: t}\npaths:\n  /pets: {get: {responses: {}}}\n  /pets/{id}: {get: {responses: {}}}\n".to_owned(),
                "/har" => CAPTURE.to_owned(),
                "/postman" => r#"{"info": {"name": "n"}, "item": [{"name": "r", "request": "https://h.example/r"}]}"#.to_owned(),
                _ => format!("{{\"method\": \"{}\", \"authorized\": {authorized}}}", request.method()),
            }
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, calls)
}

async fn import_url(
    world: &World,
    write_id: &str,
    request: ImportUrlRequest,
) -> Result<ImportUrlResponse, tonic::Status> {
    Ok(client(world).import_url(world.request(write_id, request)).await?.into_inner())
}

/// The call and its answer become a record in the host's collection; the job survives an interruption.
pub async fn an_address_is_called_and_ingested_once(test: TestDb) {
    let world = World::new(test).await;
    let (url, _) = site().await;
    world.test.db.faults().at("imports.url_appended").fail();
    let jobs = world.start_jobs().await;
    let request = ImportUrlRequest {
        url: Some(format!("{url}/agent?x=1")),
        request_body: Some(r#""{\"q\": 1}""#.to_owned()),
        custom_headers: [("X-Token".to_owned(), "t0p".to_owned())].into(),
        ..Default::default()
    };
    let created = import_url(&world, "w", request.clone()).await.unwrap();
    assert_eq!(created.collection_name, url.trim_start_matches("http://").replace(':', "-"));
    let job = wait_for(&world, &created.job_id, ended).await;
    assert_eq!((job.state.as_str(), job.kind.as_str(), job.imported_items), ("SUCCEEDED", "import.url", 1));
    assert_eq!(import_url(&world, "w", request).await.unwrap(), created);
    let records = world.records().await;
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].method.as_str(), records[0].path.clone()), ("POST", format!("{url}/agent?x=1")));
    assert_eq!(records[0].collection_id, i64::from(created.api_collection_id));
    let tags = world.inventory.tags.lock().unwrap().clone();
    assert!(tags.iter().all(|tag| *tag == ("gen-ai".to_owned(), "Gen AI Import".to_owned())) && !tags.is_empty());

    for (path, items) in [("openapi", 1 + 2), ("har", 1 + 3), ("postman", 1 + 1), ("plain", 1)] {
        let request = ImportUrlRequest { url: Some(format!("{url}/{path}")), ..Default::default() };
        let created = import_url(&world, path, request).await.unwrap();
        let job = wait_for(&world, &created.job_id, ended).await;
        assert_eq!((job.state.as_str(), job.total_items), ("SUCCEEDED", items), "{path}: {job:?}");
        assert_eq!(job.imported_items + job.refused_items, job.total_items);
    }
    jobs.stop().await;
}

/// With an answer of the caller's own no call is made.
pub async fn a_given_answer_is_taken(test: TestDb) {
    let world = World::new(test).await;
    let (url, calls) = site().await;
    let jobs = world.start_jobs().await;
    let request = ImportUrlRequest {
        url: Some(url),
        collection_name: Some(" Agents ".to_owned()),
        custom_response_body: Some(r#"{"a": 1}"#.to_owned()),
        custom_response_status_code: Some(201),
        ..Default::default()
    };
    let created = import_url(&world, "w", request).await.unwrap();
    assert_eq!(created.collection_name, "Agents");
    assert_eq!(wait_for(&world, &created.job_id, ended).await.state, "SUCCEEDED");
    assert_eq!((world.records().await.len(), calls.load(std::sync::atomic::Ordering::Relaxed)), (1, 0));
    jobs.stop().await;
}

/// A refused address is refused at once; a name that leads to one, and a silent host, are failed jobs.
pub async fn refused_addresses_are_not_called(test: TestDb) {
    let world = World::new(test).await;
    let names = world.inventory.names();
    let refused = async |url: Option<&str>| {
        let request = ImportUrlRequest { url: url.map(str::to_owned), ..Default::default() };
        reason(import_url(&world, "w", request).await)
    };
    assert_eq!(refused(None).await, (Reason::UrlRequired, "URL is required".to_owned()));
    assert_eq!(refused(Some(" ")).await.0, Reason::UrlRequired);
    assert_eq!(refused(Some("nowhere")).await.1, "Error importing from URL: Failed to create API collection");
    for url in ["http://169.254.169.254/latest", "file:///etc/passwd", "http://[::ffff:169.254.169.254]/", "ftp://h/"] {
        assert_eq!(refused(Some(url)).await.0, Reason::UrlRefused, "{url}");
    }
    assert_eq!(world.inventory.names(), names);
    let jobs = world.start_jobs().await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let request = ImportUrlRequest { url: Some(format!("http://{closed}/")), ..Default::default() };
    let created = import_url(&world, "c", request).await.unwrap();
    let job = wait_for(&world, &created.job_id, ended).await;
    assert_eq!((job.state.as_str(), job.error.as_deref()), ("FAILED", Some("the host did not answer")));
    assert_eq!(world.records().await, []);
    jobs.stop().await;
}

/// A file of each further format is found by its content, and a deleted collection cancels its jobs and takes their files.
pub async fn files_are_recognized_and_cancelled(test: TestDb) {
    let world = World::new(test).await;
    let cancelled = send(&world, "c", CreateImportRequest::default(), CAPTURE.as_bytes()).await.unwrap();
    let collection_id = get(&world, &cancelled.job_id).await.collection_id.unwrap();
    assert_eq!(world.spooled().len(), 1);
    let request = DeleteUploadsRequest { account_id: ACCOUNT, collection_id };
    UploadsServiceClient::new(world.channel.clone()).delete_uploads(request).await.unwrap();
    assert_eq!(world.spooled(), [""; 0]);
    let jobs = world.start_jobs().await;
    assert_eq!(get(&world, &cancelled.job_id).await.state, "CANCELLED");
    let postman =
        r#"{"info": {"name": "Books"}, "item": [{"name": "r", "request": "https://h.example/r"}, {"name": "x"}]}"#;
    for (file, format, name, counts) in
        [(postman, "POSTMAN", "Books", (2, 1, 1)), (SCHEMA, "IMPERVA", "a.example-8443", (4, 3, 1))]
    {
        let created = send(&world, format, CreateImportRequest::default(), file.as_bytes()).await.unwrap();
        let job = wait_for(&world, &created.job_id, ended).await;
        assert_eq!(
            (job.state.as_str(), job.format.as_str(), job.collection_name.as_deref()),
            ("SUCCEEDED", format, Some(name))
        );
        assert_eq!((job.total_items, job.imported_items, job.refused_items), counts);
    }
    assert_eq!(world.records().await.len(), 4);
    jobs.stop().await;
}
