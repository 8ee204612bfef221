use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::server::{PATIENCE, Server, har};

/// A collection with these endpoints, from an import.
async fn filled(server: &Server, name: &str, calls: &[(&str, &str)]) -> i64 {
    let id = server.create_collection(name).await;
    let calls: Vec<_> =
        calls.iter().map(|(method, url)| (*method, *url, "", 200, r#"{"mail":"jane@corp.io","id":5}"#)).collect();
    let upload = json!({"harString": har(&calls), "apiCollectionId": id, "skipKafka": "true"});
    server.post("/api/uploadHar", upload).await.expect(200);
    id
}

async fn collection(server: &Server, id: i64) -> Value {
    server.post("/api/getCollection", json!({"apiCollectionId": id})).await.expect(200).json()[0].clone()
}

/// Groups are made, shown, changed and refused as documented.
pub async fn groups_hold_what_conditions_say(test: TestDb) {
    let server = Server::start(&test).await;
    let id = filled(&server, "Shop", &[("GET", "http://api.test/books/1"), ("POST", "http://api.test/pay")]).await;
    let conditions = json!([{"type": "METHOD", "operator": "AND", "data": {"method": "POST"}}]);
    let body = json!({"collectionName": "Writes", "conditions": conditions});
    let made = server.post("/api/createCustomCollection", body).await.expect(200).json();
    let group = &made["apiCollections"][0];
    let group_id = group["id"].as_i64().unwrap();
    assert_eq!((&group["type"], &group["urlsCount"]), (&json!("API_GROUP"), &json!(1)));
    assert_eq!(group["conditions"], conditions);
    assert_eq!(server.endpoints(group_id).await, ["POST http://api.test/pay"]);
    let infos = server.post("/api/fetchApiInfosForCollection", json!({"apiCollectionId": id})).await.expect(200).json();
    let pay = infos["apiInfoList"].as_array().unwrap().iter().find(|info| info["id"]["method"] == "POST").unwrap();
    assert_eq!(pay["collectionIds"], json!([id, group_id]));

    let update = |conditions: Value| json!({"apiCollectionId": group_id, "conditions": conditions});
    let by_url = json!([{"type": "REGEX", "operator": "OR", "data": {"regex": "books"}}]);
    server.post("/api/updateCustomCollection", update(by_url)).await.expect(200);
    assert_eq!(server.endpoints(group_id).await, ["GET http://api.test/books/INTEGER"]);
    let broken = json!([{"type": "REGEX", "operator": "OR", "data": {"regex": "("}}]);
    let text = "Invalid regex pattern. Please check your filter conditions.";
    server.post("/api/updateCustomCollection", update(broken)).await.expect_error(422, text);
    let unknown = json!([{"type": "MAGIC", "operator": "OR", "data": {}}]);
    let text = "Condition 1 cannot be understood: its type is unknown";
    server.post("/api/updateCustomCollection", update(unknown)).await.expect_error(422, text);
    let nobody = json!({"apiCollectionId": 999_999, "conditions": []});
    server.post("/api/updateCustomCollection", nobody).await.expect_error(422, "No such collection exists");
    let again = json!({"collectionName": "wRITES"});
    server.post("/api/createCustomCollection", again).await.expect_error(422, "Collection names must be unique");
    server.post("/api/createCustomCollection", json!({})).await.expect_error(422, "Invalid collection name");
    let empty = server.post("/api/createCustomCollection", json!({"collectionName": "Empty"})).await.expect(200).json();
    assert_eq!(empty["apiCollections"][0]["urlsCount"], 0);
    let computed = server.post("/api/computeCustomCollections", json!({"collectionName": "Writes"})).await.expect(200);
    assert!(!computed.json()["jobId"].as_str().unwrap().is_empty());
    server
        .post("/api/computeCustomCollections", json!({"collectionName": "Shop"}))
        .await
        .expect_error(422, "Invalid api collection group");
}

/// Single endpoints are added to a group and taken out.
pub async fn single_endpoints_are_added_and_removed(test: TestDb) {
    let server = Server::start(&test).await;
    let id = filled(&server, "Shop", &[("GET", "http://api.test/a"), ("GET", "http://api.test/b")]).await;
    let body = |name: &str, urls: &[&str]| {
        let entry = |url: &&str| json!({"apiCollectionId": id, "url": url, "method": "GET"});
        json!({"collectionName": name, "apiList": urls.iter().map(entry).collect::<Vec<_>>()})
    };
    let (add, remove) = ("/api/addApisToCustomCollection", "/api/removeApisFromCustomCollection");
    let added = server.post(add, body("Picked", &["http://api.test/a", "http://api.test/b"])).await.expect(200).json();
    let list = added["apiCollections"].as_array().unwrap();
    let group = list.iter().find(|known| known["name"] == "Picked").unwrap();
    let group_id = group["id"].as_i64().unwrap();
    assert_eq!((list.len(), &group["urlsCount"]), (3, &json!(2)));
    server.post(remove, body("Picked", &["http://api.test/b"])).await.expect(200);
    assert_eq!(server.endpoints(group_id).await, ["GET http://api.test/a"]);
    server.post(add, json!({"collectionName": "Documented"})).await.expect(200);
    server.post(add, body("Picked", &[])).await.expect_error(422, "No APIs selected");
    server.post(remove, body("Picked", &[])).await.expect_error(422, "No APIs selected");
    server.post(add, body("Shop", &["http://api.test/a"])).await.expect_error(422, "Invalid api collection group.");
    server.post(remove, body("Shop", &["http://api.test/a"])).await.expect_error(422, "Invalid api collection group");
    server.post(remove, body("Nobody", &["http://api.test/a"])).await.expect_error(422, "Invalid api collection group");
    let text = "Collection names can only be alphanumeric and contain '-','.' and '_'";
    server.post(add, body("a/b", &["http://api.test/a"])).await.expect_error(422, text);
}

/// Names, tags and test scope change as documented.
pub async fn collections_are_changed(test: TestDb) {
    let server = Server::start(&test).await;
    let id = server.create_collection("Old").await;
    server.create_collection("Taken").await;
    let rename = |id: i64, name: &str| json!({"apiCollectionId": id, "collectionName": name});
    server.post("/api/editCollectionName", rename(id, "New")).await.expect(200);
    server.post("/api/editCollectionName", rename(id, "nEW")).await.expect(200);
    assert_eq!(collection(&server, id).await["displayName"], "nEW");
    server
        .post("/api/editCollectionName", rename(id, "taken"))
        .await
        .expect_error(422, "Collection names must be unique");
    server.post("/api/editCollectionName", rename(id, "")).await.expect_error(422, "Invalid collection name");
    server.post("/api/editCollectionName", rename(88_888, "X")).await.expect_error(422, "No such collection exists");
    server.create_collection("Old").await;

    let tags = async || {
        let tags = collection(&server, id).await["tagsList"].clone();
        let text = |tag: &Value| format!("{}={} {}", tag["keyName"], tag["value"], tag["source"]).replace('"', "");
        tags.as_array().map(|tags| tags.iter().map(text).collect::<Vec<_>>()).unwrap_or_default()
    };
    let toggle = |tags: Value| json!({"apiCollectionIds": [id, 88_888], "resetEnvTypes": false, "envType": tags});
    let staging = json!([{"keyName": "envType", "value": "STAGING"}, {"keyName": "team", "value": "x"}]);
    server.post("/api/updateEnvType", toggle(staging)).await.expect(200);
    assert_eq!(tags().await, ["envType=STAGING USER", "team=x USER"]);
    server.post("/api/updateEnvType", toggle(json!([{"keyName": "envType", "value": "QA"}]))).await.expect(200);
    server.post("/api/updateEnvType", toggle(json!([{"keyName": "team", "value": "x"}]))).await.expect(200);
    assert_eq!(tags().await, ["envType=QA USER"]);
    server.post("/api/updateEnvType", json!({"apiCollectionIds": [id], "resetEnvTypes": false})).await.expect(200);
    assert_eq!(tags().await.len(), 1);
    server.post("/api/updateEnvType", toggle(json!([]))).await.expect_error(422, "Please enter a valid ENV type.");
    server.post("/api/updateEnvType", json!({"apiCollectionIds": [id], "resetEnvTypes": true})).await.expect(200);
    assert!(tags().await.is_empty());

    let scope = "/api/toggleCollectionsOutOfTestScope";
    let answer = server.post(scope, json!({"apiCollectionIds": [id], "currentIsOutOfTestingScopeVal": false})).await;
    assert_eq!(answer.expect(200).json(), json!({"success": true}));
    assert_eq!(collection(&server, id).await["isOutOfTestingScope"], true);
    server.post(scope, json!({"apiCollectionIds": []})).await.expect_error(422, "No collections provided");
    let foreign = json!({"apiCollectionIds": [88_888]});
    server.post(scope, foreign).await.expect_error(422, "No accessible collections provided");
}

/// A deactivated collection keeps its data, hides them, and takes nothing in.
pub async fn activation_bounds_what_is_read(test: TestDb) {
    let server = Server::start(&test).await;
    let id = filled(&server, "Shop", &[("GET", "http://api.test/a")]).await;
    let named = json!({"apiCollections": [{"id": id}, {"id": 88_888}]});
    let changed = server.post("/api/deactivateCollections", named.clone()).await.expect(200).json();
    assert_eq!(changed["apiCollections"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&changed["apiCollections"][0]["deactivated"], &changed["apiCollections"][0]["urlsCount"]),
        (&json!(true), &json!(1))
    );
    let text = "This API is not available for deactivated collections";
    server.post("/api/fetchApiInfosForCollection", json!({"apiCollectionId": id})).await.expect_error(403, text);
    let again = server.post("/api/deactivateCollections", named.clone()).await.expect(200).json();
    assert_eq!(again["apiCollections"], json!([]));
    server.post("/api/deactivateCollections", json!({})).await.expect(200);
    server.post("/api/activateCollections", json!({"apiCollectionIds": [id]})).await.expect(200);
    assert_eq!(server.endpoints(id).await, ["GET http://api.test/a"]);
}

/// Endpoints and templates: deleted, taken apart, put together.
pub async fn endpoints_are_deleted_and_demerged(test: TestDb) {
    let server = Server::start(&test).await;
    let calls = [("GET", "http://api.test/a"), ("GET", "http://api.test/o/1"), ("GET", "http://api.test/o/2")];
    let id = filled(&server, "Shop", &calls).await;
    let key = |url: &str| json!({"apiCollectionId": id, "url": url, "method": "GET"});
    let template = "http://api.test/o/INTEGER";
    server.post("/api/deMergeApi", key(template)).await.expect(200);
    let apart = ["GET http://api.test/a", "GET http://api.test/o/1", "GET http://api.test/o/2"];
    assert_eq!(server.endpoints(id).await, apart);
    let listed = server.post("/api/getDeMergedApis", json!({})).await.expect(200).json();
    assert_eq!(listed, json!([key(template)]));
    server.post("/api/undoDemergedApis", json!({"mergedUrls": [key(template)]})).await.expect(200);
    assert_eq!(server.endpoints(id).await, ["GET http://api.test/a", "GET http://api.test/o/INTEGER"]);
    for (body, text) in [
        (json!({"apiCollectionId": id, "method": "GET"}), "URL can't be null or empty"),
        (json!({"apiCollectionId": id, "url": template}), "Method can't be null or empty"),
        (json!({"apiCollectionId": id, "url": template, "method": "FETCH"}), "Invalid Method"),
        (key("http://api.test/a"), "Only merged URLs can be de-merged"),
    ] {
        server.post("/api/deMergeApi", body).await.expect_error(422, text);
    }
    let bulk = json!({"apiInfoKeyList": [key(template), key("http://api.test/a")]});
    let bulk = server.post("/api/bulkDeMergeApis", bulk).await.expect(200).json();
    assert_eq!((&bulk["demerged"], bulk["failures"].as_array().unwrap().len()), (&json!(1), 1));
    let list = json!({"apiList": [key("http://api.test/a"), key("http://api.test/o/1"), key("http://api.test/x")]});
    server.post("/api/deleteApis", list).await.expect(200);
    assert_eq!(server.endpoints(id).await, ["GET http://api.test/o/2"]);
    server.post("/api/deleteApis", json!({"apiList": []})).await.expect_error(422, "No APIs selected");
    server.post("/api/deleteApis", json!({})).await.expect_error(422, "No APIs selected");
}

/// No answer shows a value of a redacted collection.
pub async fn redaction_hides_every_value(test: TestDb) {
    let server = Server::start(&test).await;
    let id = filled(&server, "Secret", &[("GET", "http://api.test/u/7?token=tok123")]).await;
    let (url, body) = ("http://api.test/u/INTEGER", json!({"apiCollectionId": id, "redacted": true}));
    let sample = json!({"apiCollectionId": id, "url": url, "method": "GET"});
    let before = server.post("/api/fetchSampleData", sample.clone()).await.expect(200).body;
    assert!(before.contains("tok123") && before.contains("jane@corp.io"));
    let answer = server.post("/api/redactCollection", body).await.expect(200).json();
    assert!(answer["jobId"].is_string());
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while collection(&server, id).await["sampleCollectionsDropped"] != true {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let calls = [("GET", "http://api.test/u/8?token=tok456", "", 200, r#"{"mail":"joe@corp.io"}"#)];
    let upload = json!({"harString": har(&calls), "apiCollectionId": id, "skipKafka": "true"});
    server.post("/api/uploadHar", upload).await.expect(200);
    let samples = server.post("/api/fetchSampleData", sample.clone()).await.expect(200).body;
    let parameters = server.post("/api/loadParamsOfEndpoint", sample).await.expect(200).body;
    for value in ["tok123", "tok456", "jane@corp.io", "joe@corp.io", "Bearer abc"] {
        assert!(!samples.contains(value) && !parameters.contains(value), "{value}");
    }
    assert!(samples.contains("****"));
    assert_eq!(collection(&server, id).await["redact"], true);
    let off = json!({"apiCollectionId": id, "redacted": false});
    assert_eq!(server.post("/api/redactCollection", off).await.expect(200).json()["jobId"], Value::Null);
    let nobody = json!({"apiCollectionId": 88_888, "redacted": true});
    server.post("/api/redactCollection", nobody).await.expect_error(422, "No such collection exists");
}

/// Access types are answered and asked for in the documented shapes.
pub async fn access_types_are_answered(test: TestDb) {
    let server = Server::start(&test).await;
    let id = filled(&server, "Shop", &[("GET", "http://api.test/a"), ("POST", "http://api.test/a")]).await;
    let found =
        server.post("/api/getAccessTypes", json!({"urls": ["http://api.test/a", "/x"]})).await.expect(200).json();
    let infos = found["response"]["apiInfos"].as_array().unwrap();
    assert_eq!(infos.len(), 2);
    let expected = json!({
        "url": "http://api.test/a", "accessType": null, "apiAccessTypes": [],
        "id": {"apiCollectionId": id, "url": "http://api.test/a", "method": "GET"},
    });
    assert_eq!(infos[0], expected);
    let none = server.post("/api/getAccessTypes", json!({})).await.expect(200).json();
    assert_eq!(none, json!({"response": {"apiInfos": []}}));
    let applied = server.post("/api/applyAccessType", json!({})).await.expect(200).json();
    assert!(applied["jobId"].is_string());
    let reset = server.post("/api/resetCollectionAccessTypes", json!({})).await.expect(200).json();
    assert_eq!(reset["response"]["started"], true);
    assert!(reset["response"]["message"].is_string());
}

/// One deletion, and what is answered for a collection that is not there.
pub async fn one_collection_is_deleted(test: TestDb) {
    let server = Server::start(&test).await;
    let id = filled(&server, "Shop", &[("GET", "http://api.test/a")]).await;
    let answer = server.post("/api/deleteCollection", json!({"apiCollectionId": id})).await.expect(200).json();
    assert!(answer["jobId"].is_string());
    assert_eq!(collection(&server, id).await, Value::Null);
    let again = server.post("/api/deleteCollection", json!({"apiCollectionId": id})).await;
    again.expect_error(422, "No such collection exists");
    let default = server.post("/api/deleteCollection", json!({"apiCollectionId": 0})).await;
    default.expect_error(422, "The default collection cannot be deleted");
}

/// What conditions would show, in the documented shapes.
pub async fn conditions_are_previewed(test: TestDb) {
    let server = Server::start(&test).await;
    let id = filled(&server, "Shop", &[("GET", "http://api.test/books/1"), ("POST", "http://api.test/pay")]).await;
    let posts = json!([{"type": "METHOD", "operator": "AND", "data": {"method": "POST"}}]);
    let list = "/api/getEndpointsListFromConditions";
    let found = server.post(list, json!({"conditions": posts, "skipTagsMismatch": false})).await.expect(200).json();
    let infos = json!({"apiCollectionId": id});
    let infos = server.post("/api/fetchApiInfosForCollection", infos).await.expect(200).json();
    let pay = infos["apiInfoList"].as_array().unwrap().iter().find(|info| info["id"]["method"] == "POST").unwrap();
    let activity = server.post("/api/fetchApiInfosFromSTIs", json!({"apiCollectionId": id})).await.expect(200).json();
    let activity = activity["list"].as_array().unwrap().iter().find(|known| known["_id"] == pay["id"]).unwrap().clone();
    assert_eq!(pay["id"], json!({"apiCollectionId": id, "url": "http://api.test/pay", "method": "POST"}));
    assert_eq!(found, json!({"data": {"endpoints": [activity], "apiInfoList": [pay]}, "apiCount": 1}));

    let count = "/api/getEndpointsFromConditions";
    assert_eq!(server.post(count, json!({"conditions": posts})).await.expect(200).json(), json!({"apiCount": 1}));
    let empty = json!({"data": {"endpoints": [], "apiInfoList": []}, "apiCount": 0});
    assert_eq!(server.post(list, json!({})).await.expect(200).json(), empty);
    assert_eq!(server.post(count, json!({})).await.expect(200).json(), json!({"apiCount": 0}));
    let broken = json!({"conditions": [{"type": "REGEX", "operator": "OR", "data": {"regex": "("}}]});
    let text = "Invalid regex pattern. Please check your filter conditions.";
    server.post(list, broken.clone()).await.expect_error(422, text);
    server.post(count, broken).await.expect_error(422, text);
    let unknown = json!({"conditions": [{"type": "MAGIC", "operator": "OR", "data": {}}]});
    let text = "Condition 1 cannot be understood: its type is unknown";
    server.post(count, unknown).await.expect_error(422, text);
}
