//! A group shows its reader's part.

use std::collections::BTreeMap;

use portolan_identity::grants;
use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::roles::{Person, create, identity};
use crate::server::{Answer, Server, har};

const MAIL: &str = r#"{"mail":"jane@mail.org","ip":"8.8.8.8"}"#;

/// Fills a collection with endpoints of a host, one of which carries sensitive data and has an open issue.
async fn fill(server: &Server, name: &str, host: &str, paths: &[&str]) -> i32 {
    let id = server.create_collection(name).await;
    add(server, id, host, paths).await;
    let issue = json!({"id": host, "apiCollectionId": id, "url": format!("http://{host}{}", paths[0]), "method": "GET",
        "severity": "HIGH"});
    server.post("/v1/issues:batchIngest", json!({"issues": [issue]})).await.expect(200);
    i32::try_from(id).unwrap()
}

async fn add(server: &Server, id: i64, host: &str, paths: &[&str]) {
    let urls: Vec<String> = paths.iter().map(|path| format!("http://{host}{path}")).collect();
    let calls: Vec<_> = urls.iter().map(|url| ("GET", url.as_str(), "", 200, MAIL)).collect();
    let upload = json!({"harString": har(&calls), "apiCollectionId": id, "skipKafka": true});
    server.post("/api/uploadHar", upload).await.expect(200);
}

fn group(name: &str) -> Value {
    let all = json!([{"type": "REGEX", "operator": "AND", "data": {"regex": ".*"}}]);
    json!({"collectionName": name, "conditions": all})
}

fn id_of(made: &Value) -> i32 {
    i32::try_from(made["apiCollections"][0]["id"].as_i64().unwrap()).unwrap()
}

/// Every read that can answer endpoints or counts of them, as asked of a group.
fn reads(group: i32, urls: &[&str]) -> Vec<(&'static str, Value)> {
    let one = json!({ "apiCollectionId": group });
    let of = |url: &str| json!({"apiCollectionId": group, "url": url, "method": "GET"});
    let mut reads = vec![
        ("/api/getCollection", one.clone()),
        ("/api/getAllCollections", json!({})),
        ("/api/fetchApiInfosForCollection", one.clone()),
        ("/api/fetchCollectionWiseApiEndpoints", one.clone()),
        ("/api/loadSensitiveParameters", one.clone()),
        ("/api/loadSensitiveParameters", json!({"apiCollectionId": -1})),
        ("/api/fetchRecentParams", json!({"startTimestamp": 0, "endTimestamp": 4_000_000_000_i64})),
        (
            "/api/fetchChanges",
            json!({"startTimestamp": 0, "endTimestamp": 4_000_000_000_i64, "sortKey": "url",
            "sortOrder": 1, "skip": 0, "limit": 100, "filters": {}, "filterOperators": {}}),
        ),
        ("/api/fetchEndpointsCount", json!({"startTimestamp": 0, "endTimestamp": 4_000_000_000_i64})),
        ("/api/getSensitiveInfoForCollections", json!({})),
        ("/api/getSensitiveInfoForCollections", json!({"type": "topSensitive"})),
        ("/api/getSeverityInfoForCollections", json!({})),
        ("/api/getSeveritiesCountPerCollection", one.clone()),
        ("/api/getCoverageInfoForCollections", json!({})),
        ("/api/getRiskScoreInfo", json!({})),
        ("/api/getAccessTypes", json!({ "urls": urls })),
        ("/api/generateOpenApiFile", one.clone()),
        ("/api/fetchApiInfosFromSTIs", one.clone()),
        ("/api/fetchAllSampleData", json!({"apiCollectionId": group, "skip": 0, "limit": 50})),
        ("/api/fetchSensitiveParamsForEndpoints", json!({ "urls": urls })),
        ("/api/fetchSubTypeCountMap", json!({"startTimestamp": 0, "endTimestamp": 4_000_000_000_i64})),
        (
            "/api/getEndpointsListFromConditions",
            json!({"conditions": [
            {"type": "REGEX", "operator": "AND", "data": {"regex": "."}}]}),
        ),
    ];
    for url in urls {
        for path in [
            "/api/fetchSampleData",
            "/api/loadParamsOfEndpoint",
            "/api/getSingleEndpoint",
            "/api/fetchSensitiveSampleData",
        ] {
            reads.push((path, of(url)));
        }
    }
    reads
}

/// A collection that an administrator takes from somebody cannot be read any more through a group that they made of it,
/// nor what comes into it later.
pub async fn a_revoked_collection_leaves_the_groups(test: TestDb) {
    let server = Server::start(&test).await;
    let deps = identity(&test, &server).await;
    let kept = fill(&server, "Kept", "kept.test", &["/a", "/b"]).await;
    let taken = fill(&server, "Taken", "taken.test", &["/c", "/d", "/e"]).await;
    let user_id = create(&deps, 1_000_000, "reader@example.org", "MEMBER").await;
    let list = async |ids: &[i32]| {
        let lists = json!({ "userCollectionMap": { user_id.to_string(): ids } });
        server.post("/api/updateUserCollections", lists).await.expect(200);
    };
    list(&[kept, taken]).await;
    let person = Person::log_in(&server, "reader@example.org").await;
    let own = person.post("/api/createCustomCollection", group("Own")).await.expect(200).json();
    let given = server.post("/api/createCustomCollection", group("Given")).await.expect(200).json();
    let (own, given) = (id_of(&own), id_of(&given));
    let urls = ["http://kept.test/a", "http://taken.test/c", "http://taken.test/later"];
    for group in [own, given] {
        list(&[kept, taken, group]).await;
        let shown = person.post("/api/fetchApiInfosForCollection", json!({ "apiCollectionId": group })).await;
        let shown = shown.expect(200).json();
        assert_eq!(shown["apiInfoList"].as_array().unwrap().len(), 5, "{group} of {own} and {given}: {shown}");
    }

    // What groups look at is counted for those alone who see all of it.
    let counts = |jobs: Answer| {
        let jobs = jobs.expect(200).json();
        let is_of_groups = |job: &&Value| job["kind"] == "compute-groups" && job["collectionId"].is_null();
        let jobs: Vec<Value> = jobs["jobs"].as_array().unwrap().iter().filter(is_of_groups).cloned().collect();
        jobs.iter().map(|job| job["totalItems"].as_i64().unwrap_or(0)).collect::<Vec<_>>()
    };
    let (all, own_view) = (counts(server.get("/v1/jobs").await), counts(person.get("/v1/jobs").await));
    assert!(all.iter().any(|count| *count > 0), "{all:?}");
    assert!(own_view.len() == all.len() && own_view.iter().all(|count| *count == 0), "{own_view:?}");

    list(&[kept, own, given]).await;
    add(&server, i64::from(taken), "taken.test", &["/later"]).await;
    for group in [own, given] {
        for (path, body) in reads(group, &urls) {
            // What was asked for is not an answer.
            let asks = body["url"].as_str().is_some_and(|url| url.contains("taken"));
            let answer = person.post(path, body.clone()).await;
            assert!(answer.status < 500, "{path} {body}: {} {}", answer.status, answer.body);
            assert!(asks || !answer.body.contains("taken.test"), "{path} {body}: {}", answer.body);
            assert!(!answer.body.contains("jane@mail.org") || !asks, "{path} {body}: {}", answer.body);
        }
        let shown = person.post("/api/fetchApiInfosForCollection", json!({ "apiCollectionId": group })).await;
        assert_eq!(shown.expect(200).json()["apiInfoList"].as_array().unwrap().len(), 2);
        let told = person.post("/api/getCollection", json!({ "apiCollectionId": group })).await.expect(200).json();
        assert_eq!(told[0]["urlsCount"], 2, "{told}");
        let samples = json!({"apiCollectionId": group, "url": "http://taken.test/c", "method": "GET"});
        let samples = person.post("/api/fetchSampleData", samples).await.expect(200).json();
        assert_eq!(samples["sampleDataList"], json!([]));
    }
    let ids = [kept, own, given].map(|id| id.to_string());
    let severities = person.post("/api/getSeverityInfoForCollections", json!({})).await.expect(200).json();
    let expected: BTreeMap<&str, Value> = ids.iter().map(|id| (id.as_str(), json!({"HIGH": 1}))).collect();
    assert_eq!(severities, json!(expected));
    // The administrator sees all of it as before.
    let shown = server.post("/api/fetchApiInfosForCollection", json!({ "apiCollectionId": own })).await.expect(200);
    assert_eq!(shown.json()["apiInfoList"].as_array().unwrap().len(), 6);
}

/// Whoever has a group alone meets its endpoints through every read, and nothing else; somebody else than an
/// administrator cannot add to what it grants.
pub async fn a_group_alone_is_read_everywhere(test: TestDb) {
    let server = Server::start(&test).await;
    let deps = identity(&test, &server).await;
    let (plain, other) = (
        fill(&server, "Plain", "plain.test", &["/a", "/b"]).await,
        fill(&server, "Other", "other.test", &["/c"]).await,
    );
    let only = json!([{"type": "REGEX", "operator": "AND", "data": {"regex": "plain.test/a"}}]);
    let new = json!({"collectionName": "Given", "conditions": only});
    let made = server.post("/api/createCustomCollection", new).await.expect(200).json();
    let group = id_of(&made);
    let user_id = create(&deps, 1_000_000, "reader@example.org", "MEMBER").await;
    grants::set_collections(&deps, 1_000_000.into(), user_id.into(), &[group.into()]).await.unwrap();
    let person = Person::log_in(&server, "reader@example.org").await;
    let read = async |path: &str, body: Value| person.post(path, body).await.expect(200).json();

    let urls = ["http://plain.test/a", "http://plain.test/b", "http://other.test/c"];
    for (path, body) in reads(group, &urls) {
        let asked = body["url"].as_str().is_some_and(|url| url != urls[0]);
        let answer = person.post(path, body.clone()).await;
        for hidden in ["plain.test/b", "other.test"] {
            assert!(asked || !answer.body.contains(hidden), "{path} {body}: {}", answer.body);
        }
        let counts = ["getCollection", "getAllCollections", "Count", "SeverityInfo", "Coverage", "Risk", "Conditions"];
        let names = !counts.iter().any(|name| path.contains(name))
            && (!path.contains("SensitiveInfo") || body["type"] == "topSensitive");
        assert!(asked || !names || answer.body.contains("plain.test/a"), "{path} {body}: {}", answer.body);
    }
    let recent = json!({"startTimestamp": 0, "endTimestamp": 4_000_000_000_i64});
    assert_eq!(read("/api/fetchEndpointsCount", recent.clone()).await["newCount"], 1);
    let key = group.to_string();
    assert_eq!(read("/api/getSeverityInfoForCollections", json!({})).await, json!({&key: {"HIGH": 1}}));
    assert_eq!(read("/api/getCoverageInfoForCollections", json!({})).await, json!({&key: 1}));
    let told = read("/api/getCollection", json!({ "apiCollectionId": group })).await;
    assert_eq!(told[0]["urlsCount"], 1, "{told}");
    // By the id of the collection that owns it, as answers name it.
    let owned = json!({"apiCollectionId": plain, "url": urls[0], "method": "GET"});
    assert_eq!(read("/api/fetchSampleData", owned).await["sampleDataList"].as_array().unwrap().len(), 1);
    let hidden = json!({"apiCollectionId": plain, "url": urls[1], "method": "GET"});
    assert_eq!(read("/api/fetchSampleData", hidden).await["sampleDataList"], json!([]));

    // A collection of one's own takes nothing away.
    person.post("/api/createCollection", json!({"collectionName": "Mine"})).await.expect(200);
    assert_eq!(read("/api/fetchEndpointsCount", recent.clone()).await["newCount"], 1);
    // A member's change of the group grants nothing.
    create(&deps, 1_000_000, "member@example.org", "MEMBER").await;
    let member = Person::log_in(&server, "member@example.org").await;
    let more =
        json!({"collectionName": "Given", "apiList": [{"apiCollectionId": other, "url": urls[2], "method": "GET"}]});
    member.post("/api/addApisToCustomCollection", more).await.expect(200);
    assert_eq!(read("/api/fetchEndpointsCount", recent.clone()).await["newCount"], 0);
    let all = json!([{"type": "REGEX", "operator": "AND", "data": {"regex": ".*"}}]);
    server.post("/api/updateCustomCollection", json!({"apiCollectionId": group, "conditions": all})).await.expect(200);
    assert_eq!(read("/api/fetchEndpointsCount", recent.clone()).await["newCount"], 3);

    // Beside a collection that somebody else made, a group grants only when it is shared.
    let lists = json!({ "userCollectionMap": { user_id.to_string(): [other, group] } });
    server.post("/api/updateUserCollections", lists).await.expect(200);
    let count = async || read("/api/fetchEndpointsCount", recent.clone()).await["newCount"].clone();
    assert_eq!(count().await, 1);
    let share = |shared: bool| json!({"apiCollectionId": group, "shared": shared});
    server.post("/v1/groups:share", share(true)).await.expect(200);
    assert_eq!(count().await, 3);
    assert_eq!(person.post("/v1/groups:share", share(true)).await.status, 403);
    server.post("/v1/groups:share", share(false)).await.expect(200);
    assert_eq!(count().await, 1);
    let plain = json!({"apiCollectionId": other, "shared": true});
    assert_eq!(server.post("/v1/groups:share", plain).await.status, 422);
}
