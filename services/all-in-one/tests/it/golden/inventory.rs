//! Collections, endpoints, parameters and imports.

use serde_json::{Value, json};

use super::written::{By, Golden};
use crate::imports_sources::KEY;
use crate::server::{PATIENCE, Server, har};

pub(super) const DOCUMENT: &str = r#"{"openapi":"3.0.3","info":{"title":"Pets","version":"1"},"servers":[{"url":"http://pets.test"}],
"paths":{"/pets/{id}":{"get":{"tags":["pets"],"summary":"Reads a pet","parameters":[{"name":"id","in":"path","required":true,
"schema":{"type":"integer"}}],"responses":{"200":{"description":"ok"}}}}}}"#;
const POSTMAN: &str = r#"{"info":{"_postman_id":"p1","name":"Old","schema":
"https://schema.getpostman.com/json/collection/v2.1.0/collection.json"},"item":[{"name":"One","request":{"method":"GET",
"url":"http://old.test/one"}}]}"#;

/// Returns the id of the collection that later calls are about.
pub async fn calls(golden: &mut Golden<'_>) -> i64 {
    let shop = golden.create("/api/createCollection", "Shop").await;
    let capture = har(&[
        ("POST", "http://api.test/users", r#"{"mail":"jane@mail.org"}"#, 201, r#"{"id":7,"ip":"8.8.8.8"}"#),
        ("GET", "http://api.test/books/1?page=2", "", 200, r#"{"title":"x"}"#),
    ]);
    let upload = json!({"harString": capture, "apiCollectionId": shop, "skipKafka": "true"});
    golden.post("/api/uploadHar", upload).await;
    golden.post("/api/uploadHar", json!({"harString": "no capture", "apiCollectionId": shop})).await;

    let spare = golden.create("/api/createCollection", "Spare").await;
    golden.post("/api/createCollection", json!({"collectionName": "Shop"})).await;
    let group = golden.create("/api/createCustomCollection", "Writes").await;
    let conditions = json!([{"type": "METHOD", "operator": "AND", "data": {"method": "POST"}}]);
    let of_shop = || json!({"apiCollectionId": shop});
    let users = || json!({"apiCollectionId": shop, "url": "http://api.test/users", "method": "POST"});
    let books = || json!({"apiCollectionId": shop, "url": "http://api.test/books/INTEGER", "method": "GET"});
    let with = |mut body: Value, name: &str, value: Value| {
        body[name] = value;
        body
    };

    for (path, body) in [
        ("/api/saveCollectionDescription", with(of_shop(), "description", json!("Sells books"))),
        ("/api/saveCollectionDescription", of_shop()),
        ("/api/saveEndpointDescription", with(users(), "description", json!("Signs up"))),
        ("/api/saveEndpointDescription", users()),
        ("/api/editCollectionName", json!({"apiCollectionId": spare, "collectionName": "Spare part"})),
        (
            "/api/updateEnvType",
            json!({"apiCollectionIds": [spare], "resetEnvTypes": false,
            "envType": [{"keyName": "envType", "value": "STAGING"}]}),
        ),
        (
            "/api/toggleCollectionsOutOfTestScope",
            json!({"apiCollectionIds": [spare], "currentIsOutOfTestingScopeVal": false}),
        ),
        ("/api/updateCustomCollection", json!({"apiCollectionId": group, "conditions": conditions})),
        ("/api/computeCustomCollections", json!({"collectionName": "Writes"})),
        ("/api/getEndpointsFromConditions", json!({"conditions": conditions})),
        ("/api/getEndpointsListFromConditions", json!({"conditions": conditions})),
        (
            "/api/addSensitiveField",
            with(
                with(
                    with(with(books(), "responseCode", json!(200)), "isHeader", json!(false)),
                    "param",
                    json!("title"),
                ),
                "sensitive",
                json!(true),
            ),
        ),
        ("/api/listAllSensitiveFields", json!({})),
        (
            "/api/bulkMarkSensitive",
            json!({"sensitive": false, "items": [{"apiCollectionId": shop, "method": "GET",
            "url": "http://api.test/books/INTEGER", "responseCode": 200, "isHeader": false, "param": "title"}]}),
        ),
        ("/api/getCollection", of_shop()),
        ("/api/getAllCollections", json!({"nameRegex": "^sp"})),
        ("/api/getAllCollectionsBasic", json!({})),
        ("/api/fetchCollectionsBasicForHostNames", json!({"deviceHostNames": ["nobody.test"]})),
        ("/api/fetchApiInfosForCollection", of_shop()),
        ("/api/fetchApiInfosForCollection", json!({"apiCollectionIds": [group]})),
        ("/api/fetchApiInfosFromSTIs", of_shop()),
        ("/api/fetchApiInfosFromSTIs", json!({"apiCollectionId": 999_999_999})),
        ("/api/fetchApiInfoList", of_shop()),
        ("/api/getSingleEndpoint", users()),
        ("/api/getSingleEndpoint", with(users(), "url", json!("/nowhere"))),
        ("/api/fetchCollectionWiseApiEndpoints", with(of_shop(), "skip", json!(0))),
        ("/api/fetchCollectionWiseApiEndpoints", json!({"apiCollectionId": -1})),
        ("/api/loadParamsOfEndpoint", users()),
        ("/api/loadSensitiveParameters", of_shop()),
        ("/api/fetchSensitiveParamsForEndpoints", json!({"urls": ["http://api.test/users"]})),
        ("/api/fetchSampleData", users()),
        ("/api/fetchAllSampleData", with(of_shop(), "limit", json!(1))),
        ("/api/fetchSensitiveSampleData", users()),
        ("/api/fetchApiCallStats", with(users(), "startEpoch", json!(0))),
        ("/api/fetchIpLevelApiCallStats", with(users(), "startWindow", json!(0))),
        ("/api/fetchParamsStatus", json!({})),
        ("/api/getSensitiveInfoForCollections", json!({})),
        ("/api/getCoverageInfoForCollections", json!({})),
        ("/api/getSeverityInfoForCollections", json!({})),
        ("/api/getSeveritiesCountPerCollection", of_shop()),
        ("/api/getRiskScoreInfo", json!({})),
        ("/api/getCustomerEndpoints", json!({})),
        ("/api/fetchEndpointsCount", json!({"startTimestamp": 0, "endTimestamp": 0})),
        ("/api/fetchSubTypeCountMap", json!({"startTimestamp": 0, "endTimestamp": 0})),
        ("/api/fetchChanges", json!({"sortKey": "param", "sortOrder": 1, "limit": 2, "sensitive": true})),
        ("/api/fetchRecentParams", json!({"startTimestamp": 4_000_000_000_i64})),
        ("/api/getAccessTypes", json!({"urls": ["http://api.test/users"]})),
        ("/api/applyAccessType", json!({})),
        ("/api/resetCollectionAccessTypes", json!({})),
        ("/api/generateOpenApiFile", with(of_shop(), "includeHeaders", json!(false))),
        ("/api/fetchOpenApiSchema", of_shop()),
        ("/api/fetchAllUrlsAndMethods", of_shop()),
        ("/api/deMergeApi", books()),
        ("/api/getDeMergedApis", json!({})),
        ("/api/undoDemergedApis", json!({"mergedUrls": [books()]})),
        ("/api/bulkDeMergeApis", json!({"apiInfoKeyList": [users()]})),
        ("/api/removeApisFromCustomCollection", json!({"collectionName": "Shop", "apiList": [users()]})),
        ("/api/addApisToCustomCollection", json!({"collectionName": "Writes", "apiList": []})),
        ("/api/deleteApis", json!({"apiList": []})),
        ("/api/redactCollection", json!({"apiCollectionId": spare, "redacted": false})),
        ("/api/deactivateCollections", json!({"apiCollections": [{"id": spare}]})),
        ("/api/activateCollections", json!({"apiCollections": [{"id": spare}]})),
        ("/api/getPostmanCredential", json!({})),
        ("/api/fetchCollections", json!({})),
        ("/api/addOrUpdatePostmanCred", json!({"api_key": "k"})),
        ("/api/addOrUpdatePostmanCred", json!({"api_key": "PMAK-abcdefgh", "workspace_id": "w1"})),
        ("/api/getPostmanCredential", json!({})),
        ("/api/importPostmanWorkspace", json!({"workspace_id": "w1"})),
        ("/api/fetchPostmanImportLogs", json!({})),
        ("/api/ingestPostman", json!({"uploadId": "x"})),
        ("/api/fetchSwaggerImportLogs", json!({"uploadId": "x"})),
        ("/api/importSwaggerLogs", json!({"uploadId": "x", "importType": "ALL_APIS"})),
        ("/api/importFromUrl", json!({})),
        ("/api/importImpervaSchema", json!({"impervaString": ""})),
    ] {
        golden.post(path, body).await;
    }

    let document = json!({"openAPIString": DOCUMENT, "apiCollectionId": 0});
    let upload = golden.post("/api/importDataFromOpenApiSpec", document).await["uploadId"].clone();
    settled(golden.server, "/api/fetchSwaggerImportLogs", &upload).await;
    golden.post("/api/fetchSwaggerImportLogs", json!({"uploadId": upload})).await;
    golden.post("/api/importSwaggerLogs", json!({"uploadId": upload, "importType": "ALL_APIS"})).await;
    let upload = golden.post("/api/importDataFromPostmanFile", json!({"postmanCollectionFile": POSTMAN})).await;
    let upload = upload["uploadId"].clone();
    settled(golden.server, "/api/fetchPostmanImportLogs", &upload).await;
    golden.post("/api/fetchPostmanImportLogs", json!({"uploadId": upload})).await;
    golden.post("/api/ingestPostman", json!({"uploadId": upload, "importType": "ALL_APIS"})).await;
    golden.post("/api/deletePostmanImportLogs", json!({"uploadId": upload})).await;
    postman(golden, shop).await;
    jobs_and_drift(golden, shop).await;
    data_types_and_issues(golden, shop).await;
    changes_that_succeed(golden, group, shop).await;
    golden.post("/api/deleteMultipleCollections", json!({"apiCollections": [{"id": spare}]})).await;
    golden.post("/api/deleteCollection", json!({"apiCollectionId": group})).await;
    shop
}

/// What is asked of Postman itself.
async fn postman(golden: &mut Golden<'_>, shop: i64) {
    for (path, body) in [
        ("/api/fetchPostmanWorkspaces", json!({"api_key": KEY})),
        ("/api/addOrUpdatePostmanCred", json!({"api_key": KEY, "workspace_id": "w"})),
        ("/api/fetchCollections", json!({})),
        ("/api/savePostmanCollection", json!({"postmanCollectionId": "1-c1", "apiCollectionId": shop})),
        ("/api/createPostmanApi", json!({"apiCollectionId": shop})),
        ("/api/importPostmanWorkspace", json!({"api_key": KEY, "workspace_id": "w"})),
    ] {
        golden.post(path, body).await;
    }
}

/// A file as it is, the jobs of imports, and what a newer specification changed.
async fn jobs_and_drift(golden: &mut Golden<'_>, shop: i64) {
    let capture = har(&[("GET", "http://api.test/authors/1", "", 200, r#"{"name":"x"}"#)]);
    let target = format!("/v1/imports?collectionId={shop}&fileName=authors.har");
    let file = serde_json::from_str(&capture).unwrap();
    let job = golden.call(By::Admin, "POST", "/v1/imports", &target, file).await["jobId"].clone();
    golden.get("/v1/jobs/{job_id}", &format!("/v1/jobs/{}", job.as_str().unwrap())).await;
    golden.get("/v1/jobs", "/v1/jobs?pageSize=1").await;
    golden.server.wait_for_job(job.as_str().unwrap()).await;
    let cancel = format!("/v1/jobs/{}:cancel", job.as_str().unwrap());
    golden.call(By::Admin, "POST", "/v1/jobs/{job_id}:cancel", &cancel, json!({})).await;
    for version in ["1", "2"] {
        let document = DOCUMENT.replace(r#""version":"1""#, &format!(r#""version":"{version}""#));
        let document = if version == "2" { document.replace("/pets/{id}", "/animals/{id}") } else { document };
        let import = json!({"openAPIString": document, "apiCollectionId": shop});
        golden.server.post("/api/importDataFromOpenApiSpec", import).await.expect(200);
    }
    golden.get("/v1/collections/{collection_id}/drift", &format!("/v1/collections/{shop}/drift")).await;
    golden.post("/api/getLastCalculatedInfo", json!({})).await;
}

async fn data_types_and_issues(golden: &mut Golden<'_>, shop: i64) {
    const LIST: &str = "/v1/dataTypes";
    const ONE: &str = "/v1/dataTypes/{name}";
    let by = By::Admin;
    let kind = json!({"name": "loyalty", "valueConditions": {"predicates": [{"type": "REGEX", "value": "L-[0-9]{6}"}]},
        "sensitiveAlways": true});
    golden.call(by, "POST", LIST, LIST, kind).await;
    golden.call(by, "GET", LIST, "/v1/dataTypes?pageSize=2", Value::Null).await;
    golden.call(by, "PATCH", ONE, "/v1/dataTypes/LOYALTY", json!({"active": false})).await;
    golden.call(by, "DELETE", ONE, "/v1/dataTypes/LOYALTY", Value::Null).await;
    let issue = json!({"id": "f-1", "apiCollectionId": shop, "url": "http://api.test/users", "method": "POST",
        "severity": "HIGH"});
    golden.get("/v1/ingest/rejected", "/v1/ingest/rejected").await;
    golden.get("/v1/ingest/rejected", "/v1/ingest/rejected?pageToken=x").await;
    golden.post("/v1/ingest/rejected:replay", json!({ "partition": 0, "offset": 99 })).await;
    golden.post("/v1/groups:share", json!({ "apiCollectionId": 99, "shared": true })).await;
    golden.post("/v1/issues:batchIngest", json!({ "issues": [issue] })).await;
    golden.get("/v1/shadowEndpoints", "/v1/shadowEndpoints?pageSize=10").await;
}

/// Changes that were refused above, with bodies that are taken.
async fn changes_that_succeed(golden: &mut Golden<'_>, group: i64, shop: i64) {
    // The counts of groups are told once their job has its turn, which other jobs of the account may have before it.
    let is_busy = |body: &str| body.contains("\"state\":\"PENDING\"") || body.contains("\"state\":\"RUNNING\"");
    while is_busy(&golden.server.get("/v1/jobs?pageSize=100").await.body) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let author = || json!({"apiCollectionId": shop, "url": "http://api.test/authors/INTEGER", "method": "GET"});
    let services =
        json!({"data": {"hostName": "store.test", "endpoints": [{"path": "/orders", "methods": [{"method": "GET"}]}]}});
    for (path, body) in [
        ("/api/addApisToCustomCollection", json!({"collectionName": "Writes", "apiList": [author()]})),
        ("/api/removeApisFromCustomCollection", json!({"collectionName": "Writes", "apiList": [author()]})),
        ("/api/fetchOpenApiSchema", json!({"apiCollectionId": shop})),
        ("/api/importImpervaSchema", json!({"impervaString": services.to_string()})),
        ("/api/deleteApis", json!({"apiList": [author()]})),
        ("/api/fetchCollectionWiseApiEndpoints", json!({"apiCollectionId": group, "skip": 0})),
    ] {
        golden.post(path, body).await;
    }
}

/// Waits until an upload is no longer in progress.
async fn settled(server: &Server, path: &str, upload: &Value) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let logs = server.post(path, json!({"uploadId": upload})).await.expect(200).json();
        if logs["uploadDetails"]["uploadStatus"] != "IN_PROGRESS" {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{logs}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
