use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::server::{Server, har};

/// A server with one collection: an endpoint with sensitive data, one without.
async fn seeded(test: &TestDb) -> (Server, i64) {
    let server = Server::start(test).await;
    let id = server.create_collection("Shop").await;
    let capture = har(&[
        ("POST", "http://api.test/users", r#"{"mail":"jane@mail.org"}"#, 201, r#"{"id":7,"ip":"8.8.8.8"}"#),
        ("GET", "http://api.test/books/1?page=2", "", 200, r#"{"title":"x"}"#),
    ]);
    let upload = json!({"harString": capture, "apiCollectionId": id, "skipKafka": "true"});
    server.post("/api/uploadHar", upload).await.expect(200);
    (server, id)
}

fn names(object: &Value) -> Vec<&str> {
    object.as_object().unwrap_or_else(|| panic!("{object}")).keys().map(String::as_str).collect()
}

/// Every read of the documented page answers its documented shape.
pub async fn reads_answer_their_documented_shapes(test: TestDb) {
    let (server, id) = seeded(&test).await;
    let key = id.to_string();
    let post = async |path: &str, body: Value| server.post(path, body).await.expect(200).json();

    assert_eq!(post("/api/fetchCollectionsBasicForHostNames", json!({})).await, json!({"apiCollections": []}));
    assert_eq!(post("/api/getCoverageInfoForCollections", json!({})).await, json!({}));
    assert_eq!(post("/api/getSeverityInfoForCollections", json!({})).await, json!({}));
    let missing = server.post("/api/getSeveritiesCountPerCollection", json!({"apiCollectionId": -1})).await;
    assert_eq!(missing.expect(422).json(), json!({"actionErrors": []}));
    let issue = json!({"id": "f-1", "apiCollectionId": id, "url": "http://api.test/users", "method": "POST",
        "severity": "HIGH"});
    let reported = post("/v1/issues:batchIngest", json!({"issues": [issue]})).await;
    assert_eq!(reported, json!({"accepted": 1, "rejected": []}));
    let counts = post("/api/getSeveritiesCountPerCollection", json!({"apiCollectionId": id})).await;
    assert_eq!(counts, json!({format!("{id} http://api.test/users POST"): {"HIGH": 1}}));
    assert_eq!(post("/api/getSeverityInfoForCollections", json!({})).await, json!({&key: {"HIGH": 1}}));
    assert_eq!(post("/api/getCoverageInfoForCollections", json!({"apiCollectionIds": [id]})).await, json!({&key: 1}));

    let seen = post("/api/getLastSeenTrafficInfoForCollections", json!({})).await;
    assert_eq!(names(&seen), [&key]);
    assert!(seen[&key].as_i64().unwrap() > 0);
    let sensitive = post("/api/getSensitiveInfoForCollections", json!({})).await;
    assert_eq!(
        sensitive,
        json!({"sensitiveUrlsInResponse": 1, "sensitiveSubtypesInCollection": {&key: ["EMAIL", "IP_ADDRESS"]}})
    );
    let top = post("/api/getSensitiveInfoForCollections", json!({"type": "topSensitive"})).await;
    assert_eq!(names(&top), ["sensitiveSubtypesInUrl"]);
    assert_eq!(top["sensitiveSubtypesInUrl"][0]["subTypes"], json!(["EMAIL", "IP_ADDRESS"]));
    assert_eq!(top["sensitiveSubtypesInUrl"][0]["apiInfo"]["id"]["url"], "http://api.test/users");
    let risk = post("/api/getRiskScoreInfo", json!({})).await;
    assert_eq!(risk["criticalEndpointsCount"], 0);
    assert!(risk["riskScoreOfCollectionsMap"][&key].as_f64().unwrap() >= 1.0);
    let calculated = post("/api/getLastCalculatedInfo", json!({})).await;
    assert!(calculated.as_object().unwrap().values().all(Value::is_number));

    let listed = post("/api/fetchApiInfosFromSTIs", json!({"apiCollectionId": id})).await;
    assert_eq!(names(&listed), ["list"]);
    let first = &listed["list"][0];
    assert_eq!(first["_id"], json!({"apiCollectionId": id, "url": "http://api.test/books/INTEGER", "method": "GET"}));
    assert!(first["startTs"].is_i64() && first["changesCount"].is_i64());
    let lists = post("/api/fetchApiInfosFromSTIs", json!({"apiCollectionIds": [id]})).await;
    assert_eq!(lists["listByCollection"][&key].as_array().unwrap().len(), 2);
    let owned = post("/api/fetchApiInfoList", json!({"apiCollectionId": id})).await;
    assert_eq!(owned["apiInfoList"].as_array().unwrap().len(), 2);
    assert_eq!(post("/api/getCustomerEndpoints", json!({})).await, json!(true));
    assert_eq!(
        post("/api/fetchEndpointsCount", json!({"startTimestamp": 0, "endTimestamp": 0})).await,
        json!({"newCount": 2, "oldCount": 0})
    );

    let changes = json!({"sortKey": "timestamp", "sortOrder": -1, "skip": 0, "limit": 1, "filters": {"subType": ["EMAIL"]},
        "filterOperators": {"subType": "OR"}, "startTimestamp": 0, "endTimestamp": 0, "sensitive": true, "request": true});
    let changes = post("/api/fetchChanges", changes).await;
    assert_eq!((names(&changes), &changes["data"]["total"]), (vec!["data"], &json!(1)));
    assert_eq!(changes["data"]["endpoints"][0]["param"], "mail");
    server.post("/api/fetchChanges", json!({"filters": 5})).await.expect(422);
    let recent = post("/api/fetchRecentParams", json!({"startTimestamp": 0, "endTimestamp": 0})).await;
    assert!(recent["data"]["endpoints"].as_array().unwrap().len() > 4);
    let types = post("/api/fetchSubTypeCountMap", json!({"startTimestamp": 0, "endTimestamp": 0})).await;
    assert_eq!(types["subTypeCountMap"]["REQUEST"]["EMAIL"], 1);
    assert_eq!(types["subTypeCountMap"]["RESPONSE"]["IP_ADDRESS"], 1);

    let all = post("/api/fetchAllSampleData", json!({"apiCollectionId": id, "skip": 1, "limit": 5})).await;
    assert_eq!(all["sampleDataList"].as_array().unwrap().len(), 1);
    let endpoint = json!({"apiCollectionId": id, "url": "http://api.test/users", "method": "POST"});
    let samples = post("/api/fetchSensitiveSampleData", endpoint.clone()).await;
    let (record, parameters) = samples["sensitiveSampleData"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(serde_json::from_str::<Value>(record).unwrap()["method"], "POST");
    let found: Vec<_> = parameters.as_array().unwrap().iter().map(|found| found["param"].as_str().unwrap()).collect();
    assert_eq!(found, ["mail", "ip"]);
    let stats = post("/api/fetchApiCallStats", endpoint.clone()).await;
    assert_eq!(stats["result"]["apiCallStats"][0]["count"], 1);
    assert!(stats["result"]["apiCallStats"][0]["ts"].as_i64().unwrap() > 20_000_000);
    assert_eq!(post("/api/fetchIpLevelApiCallStats", endpoint).await, json!({"bucketStats": []}));
}

/// Marks and kinds of data over REST.
pub async fn sensitive_data_is_marked_and_defined(test: TestDb) {
    let (server, id) = seeded(&test).await;
    let post = async |path: &str, body: Value| server.post(path, body).await.expect(200).json();
    let item = json!({"url": "http://api.test/books/INTEGER", "method": "GET", "responseCode": 200, "isHeader": false,
        "param": "title", "apiCollectionId": id});
    let mut marked = item.clone();
    marked["sensitive"] = json!(true);
    let mut shown = marked.clone();
    shown["sampleDataSaved"] = json!(false);
    shown["collectionIds"] = json!([id]);
    assert_eq!(post("/api/addSensitiveField", marked.clone()).await, json!({"data": shown}));
    assert_eq!(post("/api/listAllSensitiveFields", json!({})).await, json!({"data": [shown]}));
    let listed = post("/api/loadSensitiveParameters", json!({"apiCollectionId": id})).await;
    let last = listed["data"]["endpoints"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&last["param"], &last["sampleDataSaved"], &last["subType"]),
        (&json!("title"), &json!(false), &Value::Null)
    );
    assert_eq!(
        post("/api/bulkMarkSensitive", json!({"sensitive": true, "items": [item]})).await,
        json!({"updates": 1, "inserts": 0})
    );
    marked["sensitive"] = json!(false);
    assert_eq!(post("/api/addSensitiveField", marked).await, json!({"data": null}));
    assert_eq!(post("/api/fetchSensitiveParamsForEndpoints", json!({"urls": []})).await, Value::Null);
    let found = post("/api/fetchSensitiveParamsForEndpoints", json!({"urls": ["http://api.test/users"]})).await;
    assert_eq!(found["data"]["endpoints"].as_array().unwrap().len(), 2);
    assert_eq!(post("/api/fetchParamsStatus", json!({})).await, json!({"privateSingleTypeInfo": []}));

    let kind = json!({"name": "loyalty", "valueConditions": {"predicates": [{"type": "REGEX", "value": "L-[0-9]{6}"}]},
        "sensitiveAlways": true});
    let created = post("/v1/dataTypes", kind.clone()).await;
    assert_eq!(
        (&created["name"], &created["active"], &created["builtIn"]),
        (&json!("LOYALTY"), &json!(true), &json!(false))
    );
    let again = server.post("/v1/dataTypes", kind).await;
    assert_eq!(again.status, 409, "{}", again.body);
    let page = server.get("/v1/dataTypes?pageSize=1").await.expect(200).json();
    let token = page["nextPageToken"].as_str().unwrap();
    assert!(!token.is_empty() && page["dataTypes"].as_array().unwrap().len() == 1);
}

/// Importing a newer specification tells what it changed, over REST and on the command line.
pub async fn drift_is_told(test: TestDb) {
    let (server, id) = seeded(&test).await;
    let document = |version: &str, paths: Value| {
        json!({"openapi": "3.0.1", "info": {"title": "Shop", "version": version},
            "servers": [{"url": "http://api.test"}], "paths": paths})
        .to_string()
    };
    let fine = json!({"responses": {"200": {"description": "fine"}}});
    let old = document("1", json!({"/users": {"post": fine}, "/gone": {"get": fine}}));
    let new = document("2", json!({"/users": {"post": {"deprecated": true, "responses": fine["responses"]}}}));
    for text in [&old, &new] {
        let import = json!({"openAPIString": text, "apiCollectionId": id});
        server.post("/api/importDataFromOpenApiSpec", import).await.expect(200);
    }
    let drift = server.get(&format!("/v1/collections/{id}/drift")).await.expect(200).json();
    let urls = |list: &Value| {
        list.as_array().unwrap().iter().map(|place| place["url"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(urls(&drift["shadow"]), ["http://api.test/books/INTEGER"]);
    assert_eq!(urls(&drift["zombie"]), ["http://api.test/users"]);
    let change = &drift["specifications"][0];
    assert_eq!((&change["version"], &change["previousVersion"]), (&json!("2"), &json!("1")));
    assert_eq!(urls(&change["removed"]), ["http://api.test/gone"]);
    assert_eq!(change["changed"][0]["changes"], json!(["the operation is now deprecated"]));
    server.get("/v1/collections/999999/drift").await.expect(404);

    let schema = server.post("/api/fetchOpenApiSchema", json!({"apiCollectionId": id})).await.expect(200).json();
    assert!(schema["openApiSchema"].as_str().unwrap().contains("/users"));
    let methods = server.post("/api/fetchAllUrlsAndMethods", json!({"apiCollectionId": id})).await.expect(200).json();
    assert_eq!(methods, json!({"data": {"/users": ["POST"]}}));
    let none = server.post("/api/fetchOpenApiSchema", json!({"apiCollectionId": 0})).await;
    none.expect_error(422, "No OpenAPI schema found for collection ID: 0");

    let run = |arguments: Vec<String>| {
        let (url, key) = (server.http.clone(), server.api_key.clone());
        async move {
            let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_portolan"))
                .arg("diff")
                .args(arguments)
                .env("PORTOLAN_URL", url)
                .env("PORTOLAN_API_KEY", key)
                .output()
                .await
                .unwrap();
            (output.status.code(), String::from_utf8(output.stdout).unwrap())
        }
    };
    let (code, text) = run(vec!["--collection".into(), id.to_string()]).await;
    assert_eq!(code, Some(1));
    assert!(text.contains("! GET http://api.test/books/INTEGER: seen but not documented"), "{text}");
    let (old_file, new_file) = (server.data_dir.join("old.json"), server.data_dir.join("new.json"));
    std::fs::write(&old_file, &old).unwrap();
    std::fs::write(&new_file, &new).unwrap();
    let (old_file, new_file) = (old_file.display().to_string(), new_file.display().to_string());
    let (code, text) = run(vec![old_file.clone(), new_file]).await;
    assert_eq!(
        (code, text.as_str()),
        (Some(1), "- GET http://api.test/gone\n~ POST http://api.test/users\n    the operation is now deprecated\n")
    );
    assert_eq!(run(vec![old_file.clone(), old_file]).await.0, Some(0));
}

/// The API platform's collections and endpoints in their direct form; nobody without a vendor's key learns of them.
pub async fn platform_collections_are_served(test: TestDb) {
    let server = Server::start(&test).await;
    let bearer = format!("Bearer {}", server.api_key);
    let get = async |path: &str| {
        let request = reqwest::Client::new().get(format!("{}{path}", server.http)).header("authorization", &bearer);
        server.send(request).await.unwrap()
    };
    let document = json!({"openapi": "3.0.1", "info": {"title": "Orders", "version": "1"},
        "servers": [{"url": "https://orders.example.com/v2/"}],
        "paths": {"/orders": {"get": {"responses": {"200": {"description": "fine"}}}}}});
    let body = json!({"name": "Orders", "project_id": "17", "openapi_spec": {"content": document.to_string(), "format": "json"}});
    let create = server.request("/api/api_collections").header("authorization", &bearer).body(body.to_string());
    let created = server.send(create).await.unwrap().expect(200).json();
    assert_eq!((&created["name"], &created["project_id"]), (&json!("Orders"), &json!("17")));
    assert_eq!(
        created["import_results"],
        json!({"success": true, "total_endpoints": 1, "failed_endpoints": 0, "failed_actions": []})
    );
    assert_eq!((&created["url"], &created["api_spec_url"]), (&json!("https://orders.example.com/v2"), &json!("")));
    assert!(created["created_at"].as_str().unwrap().ends_with(".000Z"));
    let blank = server.request("/api/api_collections").header("authorization", &bearer).body("{}");
    let blank = server.send(blank).await.unwrap().expect(400).json();
    assert_eq!(blank["errors"], json!({"name": ["can't be blank"]}));

    let listed = get("/api/api_collections").await.expect(200).json();
    assert!(listed.as_array().unwrap().iter().any(|known| known["name"] == "Orders" && known.get("message").is_none()));
    let orders = listed.as_array().unwrap().iter().find(|known| known["name"] == "Orders").unwrap();
    assert_eq!((&orders["url"], &orders["api_spec_url"]), (&json!("https://orders.example.com/v2"), &json!("")));
    let unknown = listed.as_array().unwrap().iter().find(|known| known["name"] == "Default").unwrap();
    assert_eq!((&unknown["url"], &unknown["api_spec_url"]), (&json!(""), &json!("")));
    let endpoints = get(&format!("/api/api_endpoints?api_collection_id={}", created["id"])).await.expect(200).json();
    assert_eq!(endpoints.as_array().unwrap().len(), 1);
    let endpoint = &endpoints[0];
    assert_eq!((&endpoint["method"], &endpoint["path"]), (&json!("GET"), &json!("/v2/orders")));
    assert_eq!(endpoint["flow_id"], 0);
    assert_eq!((&endpoint["active"], &endpoint["legacy_url"]), (&json!(true), &Value::Null));
    let switch = async |action: &str| {
        let path = format!("{}/api/api_endpoints/{}/{action}", server.http, endpoint["id"]);
        server.send(reqwest::Client::new().put(path).header("authorization", &bearer)).await.unwrap()
    };
    assert_eq!(switch("disable").await.expect(200).json(), json!({"success": true}));
    let endpoints = get("/api/api_endpoints").await.expect(200).json();
    assert_eq!(endpoints[0]["active"], json!(false));
    assert_eq!(switch("enable").await.expect(200).json(), json!({"success": true}));
    get("/api/managed_users/Enobody/api_collections").await.expect(404);
    let unknown = reqwest::Client::new().put(format!("{}/api/api_endpoints/999999/enable", server.http));
    server.send(unknown.header("authorization", &bearer)).await.unwrap().expect(404);
    let nobody = reqwest::Client::new().get(format!("{}/api/api_collections", server.http));
    server.send(nobody).await.unwrap().expect(401);
}
