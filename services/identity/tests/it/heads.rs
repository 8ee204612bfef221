use std::sync::{Arc, Mutex};

use axum::{Router, extract::State, http::StatusCode, routing::post};
use portolan_authz::Cache;
use portolan_fetch::{Fetch, Policy};
use portolan_identity::{
    audit::{self, HeadReceiver, REGISTRY, SignedHead},
    model::audit::Event,
};
use portolan_outbox::{AUDIT_HEADS, Relay};
use portolan_store::args;
use portolan_testkit::TestDb;
use serde_json::Value;
use tokio::sync::Notify;

use crate::world::{ACCOUNT, identity};

#[derive(Clone, Default)]
struct Received {
    heads: Arc<Mutex<Vec<Value>>>,
    came: Arc<Notify>,
}

/// The first call is refused.
async fn receive(State(received): State<(Received, Arc<Mutex<bool>>)>, body: String) -> StatusCode {
    let body: Value = serde_json::from_str(&body).unwrap();
    let (received, refused) = received;
    if !std::mem::replace(&mut *refused.lock().unwrap(), true) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    received.heads.lock().unwrap().extend(body["heads"].as_array().unwrap().clone());
    received.came.notify_one();
    StatusCode::NO_CONTENT
}

/// A head is signed once for each move of it, by one process, and reaches the receiver; one that others changed never.
pub async fn heads_are_signed_when_they_move(test: TestDb) {
    let deps = identity(&test, Cache::memory()).await;
    let append = async |n: i64| {
        let event = Event { event_id: n.to_string(), account_id: ACCOUNT, time_ms: n, ..Event::default() };
        audit::record(&deps.db, &deps.audit, vec![event]).await.unwrap();
    };
    let sign = async || audit::sign_moved(&deps.db, &deps.audit, true).await.unwrap();
    let places = |heads: &[SignedHead]| heads.iter().map(|head| (head.account_id, head.seq)).collect::<Vec<_>>();
    append(1).await;
    let first = sign().await;
    assert_eq!(places(&first), [(REGISTRY, 1), (ACCOUNT, 1)]);
    assert_eq!(sign().await, []);
    append(2).await;
    append(3).await;
    let (one, other) = tokio::join!(sign(), sign());
    let second = [one, other].concat();
    assert_eq!(places(&second), [(ACCOUNT, 3)]);
    let all = [first, second].concat();
    let verdicts = audit::verify_all(&deps.db, &deps.audit, &all).await.unwrap();
    assert!(verdicts.values().all(|verdict| matches!(verdict, audit::Verdict::Whole { .. })), "{verdicts:?}");

    let received = Received::default();
    let routes = Router::new().route("/heads", post(receive)).with_state((received.clone(), Arc::default()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/heads", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, routes).await });
    let receiver = HeadReceiver::new(Fetch::new(Policy::parse(true, "").unwrap()), &url);
    let relay = Relay::default().sink(AUDIT_HEADS, receiver).with_db(&deps.db).start();
    let texts = || {
        let heads = received.heads.lock().unwrap();
        let mut texts: Vec<_> = heads.iter().map(|head| head["head"].as_str().unwrap().to_owned()).collect();
        texts.sort();
        texts.dedup();
        texts
    };
    while texts().len() < all.len() {
        received.came.notified().await;
    }
    let mut sent: Vec<_> = all.iter().map(ToString::to_string).collect();
    sent.sort();
    assert_eq!(texts(), sent);
    relay.stop().await;
    server.abort();

    append(4).await;
    let change = "UPDATE audit_heads SET signed_seq = signed_seq - 1 WHERE account_id = $1";
    deps.db.execute(change, args![ACCOUNT]).await.unwrap();
    append(5).await;
    assert_eq!(sign().await, []);
}
