use std::collections::BTreeMap;

use portolan_api::{
    Error, Who, policies,
    prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value, prost::Message as _},
};
use portolan_store::args;
use portolan_testkit::TestDb;
use serde_json::json;
use tonic::transport::Channel;

use crate::{
    guards::{Headers, call, exempt},
    rights::method,
    roles::{Person, create, identity},
    server::{Server, har},
};

/// Stands in data of the account, and never in a request: whoever reads it has read that data.
const SECRET: &str = "quagga";
/// Messages in messages are filled this deep.
const DEPTH_MAX: usize = 3;

/// What requests name: things of the other account, or things that are not there.
#[derive(Clone, Copy)]
struct Names {
    account: i64,
    collection: i64,
    user: i64,
    other: i64,
    word: &'static str,
}

impl Names {
    fn number(&self, field: &str) -> i64 {
        match field {
            _ if field.contains("account") => self.account,
            _ if field.contains("collection") => self.collection,
            _ if field.contains("user") => self.user,
            _ if field.contains("id") => self.other,
            _ if field.contains("size") || field.contains("limit") => 10,
            _ if field.contains("end") || field.contains("until") => 2_000_000_000,
            "sort_order" => 1,
            _ => 0,
        }
    }

    fn text(&self, field: &str) -> String {
        let word = self.word;
        match field {
            "method" | "methods" => "GET".to_owned(),
            "sort_key" => "url".to_owned(),
            _ if field.contains("url") => format!("http://{word}.test/books/INTEGER"),
            _ if field.contains("host") => format!("{word}.test"),
            _ if field.contains("mail") || field.contains("login") => format!("{word}@example.org"),
            _ if field.contains("password") => format!("a password for {word}"),
            _ => word.to_owned(),
        }
    }

    fn fill(&self, message: MessageDescriptor, depth: usize) -> DynamicMessage {
        let mut filled = DynamicMessage::new(message.clone());
        for field in message.fields().filter(|field| !field.is_map()) {
            let Some(value) = self.value(&field, depth) else { continue };
            filled.set_field(&field, if field.is_list() { Value::List(vec![value]) } else { value });
        }
        filled
    }

    fn value(&self, field: &FieldDescriptor, depth: usize) -> Option<Value> {
        let number = self.number(field.name());
        Some(match field.kind() {
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(number),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(number.try_into().unwrap()),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(number.try_into().unwrap()),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(number.try_into().unwrap()),
            Kind::String => Value::String(self.text(field.name())),
            Kind::Enum(_) => Value::EnumNumber(1),
            Kind::Message(message) if depth < DEPTH_MAX => Value::Message(self.fill(message, depth + 1)),
            _ => return None,
        })
    }

    /// A text without the names and numbers, so that answers about different ones can be compared.
    fn blot(&self, text: &str) -> String {
        let text = text.replace(self.word, "_").replace(&self.word.to_uppercase(), "_");
        let parts = text.split(|letter: char| letter.is_ascii_digit()).filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join("_")
    }
}

/// Calls every RPC twice, with names of what is there and of what is not: the answers are the same and hold no secret.
async fn sweep(server: &Server, headers: &Headers, names: [&Names; 2], check: &str) -> usize {
    let channel = Channel::from_shared(format!("http://{}", server.grpc)).unwrap().connect().await.unwrap();
    let exempt = exempt(check);
    let (mut count, mut wrong) = (0, Vec::new());
    let policies: BTreeMap<_, _> = policies().iter().collect();
    for policy in policies.values().filter(|policy| !matches!(policy.who, Who::Public | Who::Internal)) {
        let method = method(&policy.path);
        let mut outcomes = Vec::new();
        for names in names {
            let request = names.fill(method.input(), 0).encode_to_vec();
            outcomes.push(match call(&channel, &policy.path, headers, request).await {
                Ok(answer) => {
                    if String::from_utf8_lossy(&answer).contains(SECRET) {
                        wrong.push(format!("{} tells what is hidden", policy.path));
                    }
                    "OK".to_owned()
                }
                Err(status) => {
                    format!("{:?} {}", Error::from_status(&status).reason(), names.blot(status.message()))
                }
            });
        }
        count += 1;
        if outcomes[0] != outcomes[1] && !exempt.contains(policy.path.as_str()) {
            wrong.push(format!("{}: {} for what is hidden, {} else", policy.path, outcomes[0], outcomes[1]));
        }
    }
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
    count
}

/// Fills a collection with what must not be told: in samples, parameters, paths, descriptions, issues and a document.
async fn fill_hidden(server: &Server, test: &TestDb) -> i64 {
    let collection = server.create_collection("zanzibar").await;
    let capture = har(&[
        ("GET", "http://zanzibar.test/books/1", "", 200, &json!({ SECRET: SECRET }).to_string()),
        ("GET", "http://zanzibar.test/quagga/list", "", 200, &json!({"mail": "quagga@mail.org"}).to_string()),
    ]);
    let upload = json!({ "harString": capture, "apiCollectionId": collection, "skipKafka": true });
    server.post("/api/uploadHar", upload).await.expect(200);
    let described = json!({ "apiCollectionId": collection, "description": SECRET });
    server.post("/api/saveCollectionDescription", described).await.expect(200);
    let issue = json!({"id": SECRET, "apiCollectionId": collection, "url": "http://zanzibar.test/quagga/list",
        "method": "GET", "severity": "HIGH"});
    server.post("/v1/issues:batchIngest", json!({ "issues": [issue] })).await.expect(200);
    let document = json!({"openapi": "3.0.3", "info": {"title": SECRET, "version": "1"},
        "servers": [{"url": "http://zanzibar.test"}],
        "paths": {"/quagga/declared": {"get": {"responses": {"200": {"description": "quagga"}}}}}});
    let body = json!({"openAPIString": document.to_string(), "apiCollectionId": collection});
    server.post("/api/importDataFromOpenApiSpec", body).await.expect(200);
    // What was asked for at the edge is in no collection.
    let shadow = "INSERT INTO edge_shadow_endpoints (account_id, host, method, path, calls, first_seen, last_seen)
        VALUES (1000000, 'zanzibar.test', 'GET', '/quagga/shadow', 1, 1, 1)";
    test.store.service("tokens").await.unwrap().execute(shadow, args![]).await.unwrap();
    let told = server.get("/v1/shadowEndpoints").await.expect(200).body;
    assert!(told.contains(SECRET), "{told}");
    collection
}

/// A user of one collection calls every RPC with names of another one's things: answered as if they were missing, nothing of
/// them is read, whether it is named or not, and nothing there changes.
pub async fn no_rpc_shows_a_hidden_collection(test: TestDb) {
    let server = Server::start(&test).await;
    let deps = identity(&test, &server).await;
    let (collection, own) = (fill_hidden(&server, &test).await, server.create_collection("Own").await);
    let user = create(&deps, 1_000_000, "reader@example.org", "MEMBER").await;
    let lists = json!({ "userCollectionMap": { user.to_string(): [own] } });
    server.post("/api/updateUserCollections", lists).await.expect(200);
    let reader = Person::log_in(&server, "reader@example.org").await;
    let made = reader.post("/api/addApiToken", json!({ "tokenUtility": "EXTERNAL_API" })).await.expect(200).json();
    let key = made["apiTokenList"][0]["key"].as_str().unwrap().to_owned();
    let state = async || {
        let mut state = vec![server.endpoints(collection).await.join(" ")];
        for path in ["/api/getCollection", "/api/fetchAllSampleData", "/api/fetchApiInfosForCollection"] {
            state.push(server.post(path, json!({ "apiCollectionId": collection })).await.expect(200).body);
        }
        state
    };
    let before = state().await;
    assert!(before.concat().contains(SECRET));
    let hidden = Names { account: 7_654_321, collection, user: 876_543, other: 765_432, word: "zanzibar" };
    let missing = Names { collection: 987_654, word: "xanxibar", ..hidden };
    // In every scope that a header can name.
    let mut count = 0;
    for scope in ["API", "DAST"] {
        let headers = vec![("x-api-key", key.clone()), ("x-context-source", scope.to_owned())];
        count += sweep(&server, &headers, [&hidden, &missing], "hidden").await;
    }
    assert_eq!(state().await, before);
    println!("{count} RPCs called by a reader of another collection");
}

/// The administrator of one account calls every RPC with names of things of another: answered as if they were missing,
/// nothing of them is read, and nothing there changes.
pub async fn no_rpc_reaches_another_account(test: TestDb) {
    let server = Server::start(&test).await;
    let deps = identity(&test, &server).await;
    let collection = fill_hidden(&server, &test).await;
    let user = create(&deps, 1_000_000, "zanzibar@example.org", "MEMBER").await;
    let made = server.post("/api/addApiToken", json!({ "tokenUtility": "BURP" })).await.expect(200).json();
    let other = made["apiTokenList"][0]["id"].as_i64().unwrap();

    let organization = "INSERT INTO organizations (organization_id, public_id, name, state, created_at)
        VALUES ('other', 'org_other', 'Other', 'ACTIVE', 0)";
    deps.db.execute(organization, args![]).await.unwrap();
    let account = "INSERT INTO accounts (account_id, organization_id, name, created_at)
        VALUES (2000000, 'other', 'Other', 0)";
    deps.db.execute(account, args![]).await.unwrap();
    create(&deps, 2_000_000, "admin@elsewhere.example.org", "ADMIN").await;
    let stranger = Person::log_in(&server, "admin@elsewhere.example.org").await;
    let made = stranger.post("/api/addApiToken", json!({ "tokenUtility": "EXTERNAL_API" })).await.expect(200).json();
    let key = made["apiTokenList"][0]["key"].as_str().unwrap().to_owned();
    let headers = vec![("authorization", format!("Bearer {key}"))];

    let state = async || {
        let mut state = vec![server.endpoints(collection).await.join(" ")];
        for path in ["/api/getAllCollections", "/api/getTeamData", "/api/getCustomRoles"] {
            state.push(server.post(path, json!({})).await.expect(200).body);
        }
        let tokens = server.post("/api/fetchApiTokens", json!({})).await.expect(200).json();
        state.push(tokens["apiTokenList"].as_array().unwrap().len().to_string());
        state
    };
    let before = state().await;
    assert!(before.concat().contains(SECRET));

    let theirs = Names { account: 1_000_000, collection, user, other, word: "zanzibar" };
    let missing = Names { account: 7_654_321, collection: 987_654, user: 876_543, other: 765_432, word: "xanxibar" };
    let count = sweep(&server, &headers, [&theirs, &missing], "tenants").await;
    assert_eq!(state().await, before);
    println!("{count} RPCs called from another account");
}
