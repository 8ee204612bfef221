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
    isolation::{other_tenant_is_served, tenant},
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

/// Jobs of these kinds, by service.
const JOBS: [(&str, &[&str]); 2] = [
    (
        "inventory",
        &[
            "delete-collection",
            "redact-collection",
            "compute-groups",
            "apply-access-types",
            "reset-collection-access-types",
            "apply-template-rules",
        ],
    ),
    ("imports", &["import", "import-url", "export-postman", "import-postman-workspace", "delete-upload", "approve"]),
];

/// Arguments, cursor and collection of jobs that no version of today writes.
fn hostile_jobs() -> [(&'static str, String, &'static str, i64); 6] {
    let plain = || "{}".to_owned();
    [
        ("an older form", r#"{"collection":1}"#.to_owned(), "null", 0),
        ("truncated", r#"{"collection_id":"#.to_owned(), "null", 0),
        ("a hostile size", format!(r#"{{"collection_id":0,"x":"{}"}}"#, "x".repeat(5 << 20)), "[", 0),
        ("deep", "[".repeat(100_000), "null", 0),
        ("an unknown cursor", plain(), r#"{"somewhere":1}"#, 0),
        ("an id beyond its type", plain(), "null", 1 << 40),
    ]
}

/// Stored jobs of every kind that nobody can read end, each with a reason, and keep nobody's work waiting, also after a
/// kill in the middle.
pub async fn no_stored_job_stops_another(test: TestDb) {
    let server = Server::start(&test).await;
    let other = tenant(&server, &test).await;
    let insert = "INSERT INTO jobs (service, account_id, job_id, kind, arguments, subject, collection_id, state, \
                  active_name, cursor, created_at, updated_at) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, 'PENDING', $3, $8, 1, 1)";
    for (service, kinds) in JOBS {
        let db = test.store.service(service).await.unwrap();
        for kind in kinds.iter().chain(&["fax"]) {
            for (form, arguments, cursor, collection_id) in hostile_jobs() {
                let job_id = uuid::Uuid::now_v7().to_string();
                let arguments = arguments.replacen('{', &format!(r#"{{"kind":"{kind}","#), 1).replace(",}", "}");
                let row = args![service, ACCOUNT, job_id, kind.to_string(), arguments, form, collection_id, cursor];
                db.execute(insert, row).await.unwrap();
            }
        }
    }
    let work = async |person: &Person<'_>, round: usize| {
        let conditions = json!([{"type": "METHOD", "operator": "AND", "data": {"method": "GET"}}]);
        let group = json!({"collectionName": format!("Group {round}"), "conditions": conditions});
        person.post("/api/createCustomCollection", group).await.expect(200);
        other_tenant_is_served(person.server, person, round).await;
    };
    work(&other, 0).await;
    let data_dir = server.kill().await;
    let server = Server::start_in(&test, data_dir).await;
    let other = Person::log_in(&server, "other@example.org", PASSWORD).await;
    work(&other, 1).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let mut waiting = 0;
        for (service, _) in JOBS {
            let db = test.store.service(service).await.unwrap();
            // One that the killed process worked on waits for the end of its lease.
            let count = "SELECT CAST(COUNT(*) AS BIGINT) AS waiting FROM jobs WHERE service = $1 AND account_id = $2 \
                         AND active_name IS NOT NULL AND lease_owner = ''";
            let row = db.fetch_one(count, args![service, ACCOUNT]).await.unwrap();
            waiting += row.get::<i64>("waiting").unwrap();
        }
        if waiting == 0 {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{waiting} hostile jobs wait");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for (service, _) in JOBS {
        let db = test.store.service(service).await.unwrap();
        let rows = "SELECT kind, subject, state, error FROM jobs WHERE service = $1 AND account_id = $2 \
                    AND active_name IS NULL";
        for row in db.fetch_all(rows, args![service, ACCOUNT]).await.unwrap() {
            let text = |name| row.get::<Option<String>>(name).unwrap().unwrap_or_default();
            let (state, reason) = (text("state"), text("error"));
            // What has more members than are known today may be read.
            let is_read = state == "SUCCEEDED" && text("subject") == "an older form";
            let is_told = state == "FAILED" && reason.starts_with("The job cannot be read: ");
            assert!(is_read || is_told, "{service} {} {}: {state} {reason}", text("kind"), text("subject"));
        }
    }
    work(&other, 2).await;
}
