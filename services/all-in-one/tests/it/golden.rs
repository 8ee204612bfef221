//! Exact answers of the documented endpoints, kept where the reference page shows them: `gateway/src/reference/calls.txt`.
//!
//! What differs from run to run is named: `<Shop>` for the id of a collection, `<now>` for a time of the run, `<uuid>` and
//! `<upload>` for other ids. `UPDATE_GOLDEN=1` writes the file anew; read the difference before it is committed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::server::{Server, har};

const DOCUMENT: &str = r#"{"openapi":"3.0.3","info":{"title":"Pets","version":"1"},"servers":[{"url":"http://pets.test"}],
"paths":{"/pets/{id}":{"get":{"tags":["pets"],"summary":"Reads a pet","parameters":[{"name":"id","in":"path","required":true,
"schema":{"type":"integer"}}],"responses":{"200":{"description":"ok"}}}}}}"#;
const POSTMAN: &str = r#"{"info":{"_postman_id":"p1","name":"Old","schema":
"https://schema.getpostman.com/json/collection/v2.1.0/collection.json"},"item":[{"name":"One","request":{"method":"GET",
"url":"http://old.test/one"}}]}"#;

/// Calls and answers so far.
struct Golden<'s> {
    server: &'s Server,
    names: BTreeMap<i64, &'static str>,
    written: String,
    started_at: i64,
}

impl Golden<'_> {
    /// Calls, notes the answer, and waits for the job that it names.
    async fn post(&mut self, path: &str, body: Value) -> Value {
        let answer = self.server.post(path, body.clone()).await;
        let found = if answer.body.is_empty() { Value::Null } else { answer.json() };
        self.note(path, &body, answer.status, &found);
        if let Some(job_id) = found["jobId"].as_str() {
            self.server.wait_for_job(job_id).await;
        }
        found
    }

    /// Makes a collection and notes the answer under its name.
    async fn create(&mut self, path: &str, name: &'static str) -> i64 {
        let body = json!({ "collectionName": name });
        let made = self.server.post(path, body.clone()).await.expect(200).json();
        let id = made["apiCollections"][0]["id"].as_i64().unwrap();
        self.names.insert(id, name);
        self.note(path, &body, 200, &made);
        id
    }

    fn note(&mut self, path: &str, body: &Value, status: u16, answer: &Value) {
        let (body, answer) = (self.steady("", body), self.steady("", answer));
        writeln!(self.written, "{path}\n{body}\n{status} {answer}\n").unwrap();
    }

    /// A value with what differs from run to run named; `key` is the last name above it.
    fn steady(&self, key: &str, value: &Value) -> Value {
        const IDS: [&str; 5] = ["id", "apiCollectionId", "apiCollectionIds", "collectionIds", "akto_vxlan_id"];
        match value {
            Value::Number(number) => {
                let number = number.as_i64().unwrap_or_default();
                match self.names.get(&number).filter(|_| IDS.contains(&key)) {
                    Some(name) => json!(format!("<{name}>")),
                    None if self.is_now(number) => json!("<now>"),
                    None if key == "ts" && self.is_now(number * 60) => json!("<minute>"),
                    None => value.clone(),
                }
            }
            Value::String(text) if IDS.contains(&key) && self.named(text) != *text => json!(self.named(text)),
            Value::String(text) => json!(self.steady_text(text)),
            Value::Array(list) => list.iter().map(|member| self.steady(key, member)).collect(),
            Value::Object(members) => {
                let entry = |(name, member): (&String, &Value)| {
                    (self.named(&self.steady_text(name)), self.steady(name, member))
                };
                members.iter().map(entry).collect()
            }
            _ => value.clone(),
        }
    }

    fn is_now(&self, time: i64) -> bool {
        (self.started_at - 60..self.started_at + 3_600).contains(&time)
    }

    /// The name for the id of a collection.
    fn named(&self, text: &str) -> String {
        let name = text.parse::<i64>().ok().and_then(|id| self.names.get(&id));
        name.map_or_else(|| text.to_owned(), |name| format!("<{name}>"))
    }

    fn steady_text(&self, text: &str) -> String {
        const UPLOAD_CHARS: usize = 24;
        let is_hex = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if text.len() == 36 && text.split('-').all(is_hex) {
            return "<uuid>".to_owned();
        }
        if let Some((upload, rest)) = text.split_at_checked(UPLOAD_CHARS)
            && is_hex(upload)
            && (rest.is_empty() || rest.starts_with('-'))
        {
            return format!("<upload>{rest}");
        }
        if text.parse().is_ok_and(|time| self.is_now(time)) {
            return "<now>".to_owned();
        }
        match serde_json::from_str::<Value>(text) {
            Ok(document) if document.is_object() => self.steady("", &document).to_string(),
            // Texts of errors name ids as words.
            _ if text.contains(' ') => text.split(' ').map(|word| self.named(word)).collect::<Vec<_>>().join(" "),
            _ => text.to_owned(),
        }
    }
}

/// Every documented call answers exactly what is written down.
pub async fn documented_calls_answer_exactly(test: TestDb) {
    let server = Server::start(&test).await;
    let started_at = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    let mut golden = Golden { server: &server, names: BTreeMap::new(), written: String::new(), started_at };

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
    settled(&server, "/api/fetchSwaggerImportLogs", &upload).await;
    golden.post("/api/fetchSwaggerImportLogs", json!({"uploadId": upload})).await;
    golden.post("/api/importSwaggerLogs", json!({"uploadId": upload, "importType": "ALL_APIS"})).await;
    let upload = golden.post("/api/importDataFromPostmanFile", json!({"postmanCollectionFile": POSTMAN})).await;
    let upload = upload["uploadId"].clone();
    settled(&server, "/api/fetchPostmanImportLogs", &upload).await;
    golden.post("/api/fetchPostmanImportLogs", json!({"uploadId": upload})).await;
    golden.post("/api/ingestPostman", json!({"uploadId": upload, "importType": "ALL_APIS"})).await;
    golden.post("/api/deletePostmanImportLogs", json!({"uploadId": upload})).await;
    golden.post("/api/deleteMultipleCollections", json!({"apiCollections": [{"id": spare}]})).await;
    golden.post("/api/deleteCollection", json!({"apiCollectionId": group})).await;

    account_calls(&mut golden, shop).await;

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../gateway/src/reference/calls.txt");
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        std::fs::write(&file, &golden.written).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap();
    for (found, expected) in golden.written.split("\n\n").zip(expected.split("\n\n")) {
        assert_eq!(found, expected);
    }
    assert_eq!(golden.written.len(), expected.len());
}

/// What an account asks about itself: people, roles, networks, agents and usage.
async fn account_calls(golden: &mut Golden<'_>, shop: i64) {
    // Ids of users and collections have the same range.
    golden.names.clear();
    let role =
        json!({"roleName": "BOOKS-ONLY", "baseRole": "GUEST", "apiCollectionIds": [shop], "defaultInviteRole": false});
    let query = json!({"id": "q1", "serviceId": "cursor", "deviceId": "laptop", "userName": "ann",
        "queryPayload": "List the orders of this month", "responsePayload": "Done.", "timestamp": 1_750_000_000,
        "inputTokens": 10, "outputTokens": 5});
    let event = json!({"specversion": "1.0", "id": "e1", "source": "/golden", "type": "custom_tests",
        "data": {"value": 2}});
    for (path, body) in [
        ("/api/me", json!({})),
        ("/api/updateUsernameAndOrganization", json!({"username": "Ada", "organization": "Books"})),
        ("/api/fetchAdminSettings", json!({})),
        ("/api/updatePrivateCidrIps", json!({"privateCidrList": ["10.0.0.0/8"]})),
        ("/api/updatePartnerIps", json!({"partnerIpList": ["203.0.113.7"]})),
        ("/api/getTeamData", json!({})),
        ("/api/getAllUsersCollections", json!({})),
        ("/api/createCustomRole", role.clone()),
        ("/api/createCustomRole", role.clone()),
        ("/api/updateCustomRole", role),
        ("/api/getCustomRoles", json!({})),
        ("/api/getRoleHierarchy", json!({"userRole": "ADMIN"})),
        ("/api/deleteCustomRole", json!({"roleName": "BOOKS-ONLY"})),
        ("/api/makeAdmin", json!({"email": "admin@localhost", "userRole": "GUEST"})),
        ("/api/removeUser", json!({"email": "admin@localhost"})),
        ("/api/removeInvitation", json!({"email": "none@example.org"})),
        ("/api/updateUserCollections", json!({"userCollectionMap": {"99": []}})),
        ("/api/getLastSeenTrafficInfoForCollections", json!({})),
        ("/v1/agentQueries:batchIngest", json!({"agentQueries": [query]})),
        ("/api/getUserAnalysis", json!({"agentId": "cursor", "deviceId": "laptop", "username": "ann"})),
        ("/api/listUserAnalysis", json!({})),
        ("/v1/usageEvents:batchIngest", json!({"events": [event]})),
        ("/api/refreshUsageDataForOrg", json!({})),
        ("/v1/slackWebhooks", json!({"url": "https://example.org/hook"})),
        ("/api/goToAccount", json!({"newAccountId": 99})),
    ] {
        golden.post(path, body).await;
    }
}

/// Waits until an upload is no longer in progress.
async fn settled(server: &Server, path: &str, upload: &Value) {
    let deadline = tokio::time::Instant::now() + crate::server::PATIENCE;
    loop {
        let logs = server.post(path, json!({"uploadId": upload})).await.expect(200).json();
        if logs["uploadDetails"]["uploadStatus"] != "IN_PROGRESS" {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{logs}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
