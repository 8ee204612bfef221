use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, http::StatusCode, routing};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::roles::{Person, create, identity};
use crate::server::{PATIENCE, Server, har};

type Posted = Arc<Mutex<Vec<Vec<u8>>>>;

/// Keeps what is posted to it.
fn keeper(posted: &Posted) -> routing::MethodRouter {
    let kept = posted.clone();
    routing::post(move |body: Bytes| async move {
        kept.lock().unwrap().push(body.to_vec());
        StatusCode::CREATED
    })
}

/// A server beside two Slack webhooks, whose addresses end with their number: `{slack_urls}0`.
async fn with_hooks(test: &TestDb) -> (Server, String, [Posted; 2]) {
    let hooks = [Posted::default(), Posted::default()];
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slack_urls = format!("http://{}/slack/", listener.local_addr().unwrap());
    let router = Router::new().route("/slack/0", keeper(&hooks[0])).route("/slack/1", keeper(&hooks[1]));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let variables = [("PORTOLAN__TOKENS__SLACK_URLS", slack_urls.as_str()), ("PORTOLAN__FETCH__ALLOW_PRIVATE", "true")];
    let data_dir = tempfile::tempdir().unwrap().keep();
    let server = Server::start_with(test, data_dir, &variables).await;
    (server, slack_urls, hooks)
}

/// Slack's texts about sensitive data.
fn told(posted: &Posted) -> Vec<String> {
    let text = |body: &Vec<u8>| serde_json::from_slice::<Value>(body).unwrap()["text"].as_str().unwrap().to_owned();
    let mut texts: Vec<String> = posted.lock().unwrap().iter().map(text).collect();
    texts.retain(|text| text.starts_with("New sensitive data"));
    texts
}

async fn upload(server: &Server, id: i64, url: &str, answer: &str) {
    let capture = har(&[("GET", url, "", 200, answer)]);
    let body = json!({"harString": capture, "apiCollectionId": id, "skipKafka": "true"});
    server.post("/api/uploadHar", body).await.expect(200);
}

/// New sensitive data reaches the browsers and the Slack webhook of the account, each batch once.
pub async fn new_sensitive_data_is_told_once(test: TestDb) {
    let (slack, push) = (Posted::default(), Posted::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/slack/hook", keeper(&slack)).route("/push/1", keeper(&push));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let slack_urls = format!("{origin}/slack/");
    let variables = [("PORTOLAN__TOKENS__SLACK_URLS", slack_urls.as_str()), ("PORTOLAN__FETCH__ALLOW_PRIVATE", "true")];
    let data_dir = tempfile::tempdir().unwrap().keep();
    let server = Server::start_with(&test, data_dir, &variables).await;
    server.post("/v1/slackWebhooks", json!({"url": format!("{slack_urls}hook")})).await.expect(200);
    let browser = p256::SecretKey::from_slice(&[9; 32]).unwrap();
    let p256dh = URL_SAFE_NO_PAD.encode(browser.public_key().to_encoded_point(false).as_bytes());
    let secret = [3u8; 16];
    let keys = json!({"p256dh": p256dh, "auth": URL_SAFE_NO_PAD.encode(secret)});
    let device = json!({"subscription": {"endpoint": format!("{origin}/push/1"), "keys": keys}});
    server.post("/api/saveSubscription", device).await.expect(200);

    let id = server.create_collection("Shop").await;
    let mail = r#"{"mail":"jane@corp.io","plain":"x"}"#;
    upload(&server, id, "http://api.test/users", mail).await;
    // The same again, and what is not sensitive, is no news; the next news comes after all of it.
    upload(&server, id, "http://api.test/users", mail).await;
    upload(&server, id, "http://api.test/plain", r#"{"plain":"x"}"#).await;
    upload(&server, id, "http://api.test/pay", r#"{"card":"4111 1111 1111 1111"}"#).await;
    let first = "EMAIL `mail` in GET http://api.test/users (Shop)";
    let second = "CREDIT_CARD `card` in GET http://api.test/pay (Shop)";
    let read = |body: Vec<u8>| {
        let text = web_push_native::decrypt(body, &browser, &web_push_native::Auth::from(secret)).unwrap();
        serde_json::from_slice::<Value>(&text).unwrap()
    };
    let shown = || {
        let mut messages: Vec<Value> = push.lock().unwrap().clone().into_iter().map(read).collect();
        messages.retain(|message| message["title"] == "New sensitive data");
        messages.sort_by_key(|message| message["body"].as_str().unwrap().to_owned());
        messages
    };
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while told(&slack).len() < 2 || shown().len() < 2 {
        assert!(tokio::time::Instant::now() < deadline, "{:?} {:?}", told(&slack), shown());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(told(&slack), [first, second].map(|body| format!("New sensitive data: {body}")));
    let message = |body: &str| json!({"title": "New sensitive data", "body": body, "url": "/docs"});
    assert_eq!(shown(), [message(second), message(first)]);
}

/// The end of an import is told in the product scope of its collection.
pub async fn imports_are_told_in_the_scope_of_their_collection(test: TestDb) {
    let (server, slack_urls, hooks) = with_hooks(&test).await;
    let deps = identity(&test, &server).await;
    create(&deps, 1_000_000, "scanner@example.org", "MEMBER").await;
    server.post("/v1/slackWebhooks", json!({"url": format!("{slack_urls}0")})).await.expect(200);
    let scanner = Person::log_in(&server, "scanner@example.org").await;
    scanner.post("/v1/slackWebhooks", json!({"url": format!("{slack_urls}1")})).await.expect(200);
    let mapping = json!({"email": "scanner@example.org", "scopeRoleMapping": {"API": "NO_ACCESS", "DAST": "MEMBER"}});
    server.post("/api/updateUserScopeRoleMapping", mapping).await.expect(200);

    let text = |body: &Vec<u8>| String::from_utf8(body.clone()).unwrap();
    let told = |hook: usize| hooks[hook].lock().unwrap().iter().map(text).collect::<Vec<_>>();
    let names = [("API", "Of the API"), ("DAST", "Of a scan")];
    for (scope, name) in names {
        let call = async |path: &str, body: Value| {
            let request = server.request(path).header("x-api-key", &server.api_key).header("x-context-source", scope);
            server.send(request.body(body.to_string())).await.unwrap().expect(200).json()
        };
        let made = call("/api/createCollection", json!({ "collectionName": name })).await;
        let document = json!({"openapi": "3.0.3", "info": {"title": "D", "version": "1"}, "paths": {"/declared": {
            "get": {"responses": {"200": {"description": "good"}}}}}});
        let id = &made["apiCollections"][0]["id"];
        let import = json!({"openAPIString": document.to_string(), "apiCollectionId": id});
        call("/api/importDataFromOpenApiSpec", import).await;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !told(0).iter().any(|text| text.contains(name)) {
            assert!(tokio::time::Instant::now() < deadline, "{name}: {:?}", told(0));
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    // Messages of an account keep their order.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while told(1).is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "nothing is told");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let told = told(1);
    assert!(told.len() == 1 && told[0].contains("Of a scan"), "{told:?}");
}

/// Whoever may not see a collection is not told of it, in no channel; who may is told of theirs alone.
pub async fn readers_are_told_of_what_they_may_read(test: TestDb) {
    let (server, slack_urls, hooks) = with_hooks(&test).await;
    let (shop, other) = (server.create_collection("Shop").await, server.create_collection("Other").await);
    server.post("/v1/slackWebhooks", json!({"url": format!("{slack_urls}0")})).await.expect(200);
    let deps = identity(&test, &server).await;
    let user_id = create(&deps, 1_000_000, "reader@example.org", "MEMBER").await;
    portolan_identity::grants::set_collections(
        &deps,
        1_000_000.into(),
        user_id.into(),
        &[i32::try_from(other).unwrap().into()],
    )
    .await
    .unwrap();
    let reader = Person::log_in(&server, "reader@example.org").await;
    let hook = json!({"url": format!("{slack_urls}1")});
    reader.post("/v1/slackWebhooks", hook).await.expect(200);

    let mail = r#"{"mail":"jane@corp.io"}"#;
    upload(&server, shop, "http://shop.test/users", mail).await;
    upload(&server, other, "http://other.test/users", mail).await;
    let all = |posted: &Posted| {
        let text = |body: &Vec<u8>| String::from_utf8(body.clone()).unwrap();
        posted.lock().unwrap().iter().map(text).collect::<Vec<_>>()
    };
    let deadline = tokio::time::Instant::now() + PATIENCE;
    // Events of an account keep their order.
    while all(&hooks[0]).len() < 2 || all(&hooks[1]).is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "{:?} {:?}", all(&hooks[0]), all(&hooks[1]));
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(told(&hooks[1]), ["New sensitive data: EMAIL `mail` in GET http://other.test/users (Other)"]);
    assert!(!all(&hooks[1]).iter().any(|text| text.contains("Shop")), "{:?}", all(&hooks[1]));
}
