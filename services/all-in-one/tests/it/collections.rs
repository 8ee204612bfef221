use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::server::{Server, har};

/// A new collection is answered in its documented shape and listed everywhere.
pub async fn create_then_list(test: TestDb) {
    let server = Server::start(&test).await;
    let created = server.post("/api/createCollection", json!({"collectionName": "Payments"})).await.expect(200).json();
    let collection = &created["apiCollections"][0];
    let id = collection["id"].as_i64().unwrap();
    assert!(id > 0, "{id}");
    for (name, expected) in [
        ("name", json!("Payments")),
        ("displayName", json!("Payments")),
        ("description", Value::Null),
        ("urls", json!([])),
        ("urlsCount", json!(0)),
        ("hostName", Value::Null),
        ("vxlanId", json!(0)),
        ("type", Value::Null),
        ("conditions", Value::Null),
        ("tagsList", Value::Null),
        ("envType", Value::Null),
        ("redact", json!(false)),
        ("sampleCollectionsDropped", json!(true)),
        ("deactivated", json!(false)),
        ("isOutOfTestingScope", json!(false)),
        ("automated", json!(false)),
    ] {
        assert_eq!(collection.get(name), Some(&expected), "{name}");
    }
    for path in ["/api/getAllCollections", "/api/getAllCollectionsBasic"] {
        let list = server.post(path, json!({})).await.expect(200).json();
        let names: Vec<_> = list["apiCollections"].as_array().unwrap().iter().map(|c| c["name"].clone()).collect();
        assert!(names.contains(&json!("Payments")), "{path}: {names:?}");
    }
    let one = server.post("/api/getCollection", json!({"apiCollectionId": id})).await.expect(200).json();
    assert_eq!(one.as_array().map(Vec::len), Some(1));
    let none = server.post("/api/getCollection", json!({"apiCollectionId": id + 1})).await.expect(200).json();
    assert_eq!(none, json!([]));
    let described = json!({"apiCollectionId": id, "description": "Card payments"});
    server.post("/api/saveCollectionDescription", described).await.expect(200);
    let one = server.post("/api/getCollection", json!({"apiCollectionId": id})).await.expect(200).json();
    assert_eq!(one[0]["description"], "Card payments");
}

/// Each rule of names has its text, in the documented order.
pub async fn names_follow_the_rule(test: TestDb) {
    let server = Server::start(&test).await;
    server.create_collection("Taken").await;
    for (name, text) in [
        (json!(""), "Invalid collection name"),
        (Value::Null, "Invalid collection name"),
        (json!("a".repeat(61)), "Custom collections max length: 60"),
        (json!("a/b"), "Collection names can only be alphanumeric and contain '-','.' and '_'"),
        (json!("tAKEN"), "Collection names must be unique"),
    ] {
        server.post("/api/createCollection", json!({ "collectionName": name })).await.expect_error(422, text);
    }
    let wrong_type = server.post("/api/createCollection", json!({"collectionName": 5})).await.expect(422);
    assert!(wrong_type.json()["actionErrors"][0].as_str().unwrap().contains("collectionName"));
    let racing = (0..16).map(|_| server.post("/api/createCollection", json!({"collectionName": "Raced"})));
    let statuses: Vec<_> = futures::future::join_all(racing).await.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
}

/// A deleted collection is gone with its endpoints; the default one stays.
pub async fn deletion_is_complete(test: TestDb) {
    let server = Server::start(&test).await;
    let id = server.create_collection("Doomed").await;
    let capture = har(&[("GET", "http://api.test/books/1", "", 200, r#"{"title":"x"}"#)]);
    let upload = json!({"harString": capture, "apiCollectionId": id, "skipKafka": "true"});
    server.post("/api/uploadHar", upload).await.expect(200);
    assert_eq!(server.endpoints(id).await, ["GET http://api.test/books/INTEGER"]);
    let refused = server.post("/api/deleteMultipleCollections", json!({"apiCollectionIds": [id, 0]})).await;
    refused.expect_error(422, "The default collection cannot be deleted");
    let named = json!({"apiCollections": [{ "id": id }]});
    let deleted = server.post("/api/deleteMultipleCollections", named).await.expect(200).json();
    assert_eq!(deleted["jobIds"], json!([deleted["jobId"]]));
    assert_eq!(server.wait_for_job(deleted["jobId"].as_str().unwrap()).await["state"], "SUCCEEDED");
    let list = server.post("/api/getAllCollections", json!({})).await.expect(200).json();
    assert!(list["apiCollections"].as_array().unwrap().iter().all(|collection| collection["id"] != id));
    let gone = server.post("/api/fetchCollectionWiseApiEndpoints", json!({ "apiCollectionId": id })).await;
    gone.expect_error(422, "No such collection exists");
    let nothing = server.post("/api/deleteMultipleCollections", json!({})).await.expect(200).json();
    assert_eq!(nothing, json!({"jobIds": [], "jobId": null}));
    assert_ne!(server.create_collection("Doomed").await, id);
}

/// A request under the same Idempotency-Key is answered again and done once.
pub async fn a_repeated_key_repeats_the_answer(test: TestDb) {
    let server = Server::start(&test).await;
    let send = async |path: &str, key: &str, body: Value| {
        let request = server.request(path).header("x-api-key", &server.api_key).header("idempotency-key", key);
        server.send(request.body(body.to_string())).await.unwrap()
    };
    let first = send("/api/createCollection", "k1", json!({"collectionName": "Once"})).await.expect(200);
    let again = send("/api/createCollection", "k1", json!({"collectionName": "Once"})).await.expect(200);
    assert_eq!(first.body, again.body);
    send("/api/createCollection", "k1", json!({"collectionName": "Other"})).await.expect(409);
    send("/api/createCollection", &"k".repeat(256), json!({"collectionName": "Long"})).await.expect(422);

    let key = json!({"tokenUtility": "BURP"});
    let first = send("/api/addApiToken", "k2", key.clone()).await.expect(200).json();
    let again = send("/api/addApiToken", "k2", key).await.expect(200);
    let secret = first["apiTokenList"][0]["key"].as_str().unwrap();
    assert!(!again.body.contains(secret), "a secret was stored for replay: {}", again.body);
    assert_eq!(again.json()["apiTokenList"][0]["id"], first["apiTokenList"][0]["id"]);
}
