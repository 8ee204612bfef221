//! What waits for a consumer in the background, bad beside good: whatever one of them does, the others are done, also
//! after a kill in the middle.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use p256::{SecretKey, elliptic_curve::sec1::ToEncodedPoint as _};
use portolan_api::{
    Feature,
    common::v1::{Notice, NoticeLine},
};
use portolan_store::{Db, args};
use portolan_testkit::TestDb;
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    identity_team::Person,
    isolation::tenant,
    server::{PATIENCE, Server},
};

const ACCOUNT: i64 = 1_000_000;
const OTHER: i64 = 2_000_000;
const PASSWORD: &str = "a password of its own";

/// What a receiver does with every message.
const BAD: [&str; 4] = ["fails", "hangs", "answers-without-end", "redirects"];
/// Notices of the account whose receivers are bad, before the other's.
const BACKLOG: usize = 60;

/// How often each path was called.
type Calls = Arc<Mutex<BTreeMap<String, usize>>>;

async fn receive(State(calls): State<Calls>, Path((service, name)): Path<(String, String)>, _: Bytes) -> Response {
    *calls.lock().unwrap().entry(format!("{service}/{name}")).or_default() += 1;
    match name.as_str() {
        "fails" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        "hangs" => std::future::pending().await,
        "answers-without-end" => {
            let piece = || async { Some((Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 64 << 10])), ())) };
            Body::from_stream(futures::stream::unfold((), move |()| piece())).into_response()
        }
        "redirects" => {
            (StatusCode::TEMPORARY_REDIRECT, [("location", format!("/{service}/redirects"))]).into_response()
        }
        _ => StatusCode::CREATED.into_response(),
    }
}

/// Listens until the test ends.
async fn receivers() -> (String, Calls) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let calls = Calls::default();
    let router = Router::new().route("/{service}/{name}", routing::post(receive)).with_state(calls.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (origin, calls)
}

/// A device and a webhook of this name.
async fn subscribe(person: &Person<'_>, origin: &str, name: &str) {
    let browser = SecretKey::from_slice(&[9; 32]).unwrap();
    let p256dh = URL_SAFE_NO_PAD.encode(browser.public_key().to_encoded_point(false).as_bytes());
    let keys = json!({"p256dh": p256dh, "auth": URL_SAFE_NO_PAD.encode([3_u8; 16])});
    let device = json!({"subscription": {"endpoint": format!("{origin}/push/{name}"), "keys": keys}});
    person.post("/api/saveSubscription", device).await.expect(200);
    person.post("/v1/slackWebhooks", json!({"url": format!("{origin}/slack/{name}")})).await.expect(200);
}

async fn notify(db: &Db, account_id: i64, id: &str) {
    let line = NoticeLine { text: "12 endpoints".to_owned(), ..NoticeLine::default() };
    let notice = Notice {
        account_id,
        title: "Told".to_owned(),
        lines: vec![line],
        feature: Feature::ApiCollections.into(),
        ..Notice::default()
    };
    let insert = "INSERT INTO outbox (topic, event_id, payload, event_key, created_at) VALUES ($1, $2, $3, $4, 1)";
    let payload = serde_json::to_string(&notice).unwrap();
    db.execute(insert, args!["notice", id, payload, account_id.to_string()]).await.unwrap();
}

async fn wait_for(calls: &Calls, name: &str, count: usize) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    for path in [format!("push/{name}"), format!("slack/{name}")] {
        while calls.lock().unwrap().get(&path).copied().unwrap_or_default() < count {
            let seen = calls.lock().unwrap().clone();
            assert!(tokio::time::Instant::now() < deadline, "{count} messages to {path} do not arrive: {seen:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Webhooks and browsers of one account that fail, hang, answer without end, lead elsewhere, or cannot be read silence
/// no other of their account, and delay those of another account by a turn.
pub async fn no_receiver_silences_another(test: TestDb) {
    let (origin, calls) = receivers().await;
    let prefix = format!("{origin}/");
    let variables = [("PORTOLAN__FETCH__ALLOW_PRIVATE", "true"), ("PORTOLAN__TOKENS__SLACK_URLS", prefix.as_str())];
    let server = Server::start_with(&test, tempfile::tempdir().unwrap().keep(), &variables).await;
    let other = tenant(&server, &test).await;
    let deps = crate::roles::identity(&test, &server).await;
    crate::roles::create(&deps, ACCOUNT, "hostile@example.org", "ADMIN").await;
    let hostile = Person::log_in(&server, "hostile@example.org", PASSWORD).await;
    for name in BAD.into_iter().chain(["unreadable", "sound"]) {
        subscribe(&hostile, &origin, name).await;
    }
    subscribe(&other, &origin, "other").await;
    let (identity, tokens) =
        (test.store.service("identity").await.unwrap(), test.store.service("tokens").await.unwrap());
    let spoil = "UPDATE push_devices SET p256dh = 'x' WHERE endpoint LIKE '%/unreadable'";
    assert_eq!(identity.execute(spoil, args![]).await.unwrap(), 1);
    let first = "UPDATE slack_webhooks SET url = $1 WHERE webhook_id = (SELECT max(webhook_id) - 1 FROM slack_webhooks \
                 WHERE account_id = 1000000)";
    assert_eq!(tokens.execute(first, args![b"nothing that opens".to_vec()]).await.unwrap(), 1);

    let db = test.store.service("inventory").await.unwrap();
    for n in 0..BACKLOG {
        notify(&db, ACCOUNT, &format!("hostile {n}")).await;
    }
    notify(&db, OTHER, "other 1").await;
    wait_for(&calls, "other", 1).await;
    wait_for(&calls, "sound", 1).await;
    let told = calls.lock().unwrap().get("slack/hangs").copied().unwrap_or_default();
    assert!(told < BACKLOG / 2, "the other account waited for {told} messages of the hostile one");

    let data_dir = server.kill().await;
    let server = Server::start_with(&test, data_dir, &variables).await;
    notify(&db, OTHER, "other 2").await;
    wait_for(&calls, "other", 2).await;
    wait_for(&calls, "sound", 2).await;
    server.post("/api/getAllCollections", json!({})).await.expect(200);
    assert!(!calls.lock().unwrap().contains_key("push/unreadable"));
}
