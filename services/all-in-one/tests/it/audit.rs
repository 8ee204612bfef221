use std::time::Duration;

use portolan_identity::audit::{self, Fault, Verdict};
use portolan_store::{Db, args};
use portolan_testkit::TestDb;
use serde_json::json;

use crate::server::{PATIENCE, Server};

const ACCOUNT: i64 = 1_000_000;
const ACTIONS: &str = "SELECT action, event FROM audit_events WHERE account_id = $1 ORDER BY seq";

/// Waits until these actions stand in the chain, and answers their events.
async fn wait_for(db: &Db, actions: &[&str]) -> Vec<String> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let rows = db.fetch_all(ACTIONS, args![ACCOUNT]).await.unwrap();
        let found: Vec<String> = rows.iter().map(|row| row.get("action").unwrap()).collect();
        if actions.iter().all(|action| found.iter().any(|name| name == action)) {
            return rows.iter().map(|row| row.get("event").unwrap()).collect();
        }
        assert!(tokio::time::Instant::now() < deadline, "{actions:?} not in {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Writes and refusals reach the chain with what they changed; equal refusals are counted; a changed, removed or cut
/// chain is noticed.
pub async fn every_write_and_refusal_is_recorded(test: TestDb) {
    let server = Server::start(&test).await;
    let db = test.store.service("identity").await.unwrap();
    let id = server.create_collection("Watched").await;
    let key = server.post("/api/addApiToken", json!({"tokenUtility": "BURP"})).await.expect(200).json();
    let key = key["apiTokenList"][0]["key"].as_str().unwrap().to_owned();
    // No handler of this RPC needs to know of the audit for it to be recorded.
    let describe = json!({"apiCollectionId": id, "description": "x"});
    server.post("/api/saveCollectionDescription", describe).await.expect(200);
    for _ in 0..5 {
        let refused = server.request("/api/deleteApiToken").header("x-api-key", &key).body("{\"apiTokenId\":1}");
        server.send(refused).await.unwrap().expect(403);
    }
    let refusal = "portolan.tokens.v1.TokensService/DeleteApiKey";
    let events = wait_for(&db, &["collection.create", "apiKey.create", "collection.update", refusal]).await;
    let of = |action: &str| events.iter().filter(|event| event.contains(&format!("\"{action}\""))).collect::<Vec<_>>();
    assert!(of("collection.create")[0].contains("Watched"), "{events:?}");
    assert!(of(refusal)[0].contains("KEY_NOT_ALLOWED") && of(refusal)[0].contains("\"BURP\""), "{events:?}");
    assert_eq!(of(refusal).len(), 1, "equal refusals of a minute are one event: {events:?}");
    assert!(!events.iter().any(|event| event.contains(&key)), "a secret stands in the audit");

    let keys = server.audit_keys(&db).await;
    let whole = audit::verify(&db, &keys, ACCOUNT, &[]).await.unwrap();
    assert_eq!(whole, Verdict::Whole { events: events.len() as i64 });
    let broken = async |sql: &'static str| {
        db.execute(sql, args![ACCOUNT]).await.unwrap();
        audit::verify(&db, &keys, ACCOUNT, &[]).await.unwrap()
    };
    let edit = "UPDATE audit_events SET event = replace(event, 'Watched', 'Another') WHERE account_id = $1";
    assert!(matches!(broken(edit).await, Verdict::Broken { fault: Fault::Changed, .. }));
    let undo = "UPDATE audit_events SET event = replace(event, 'Another', 'Watched') WHERE account_id = $1";
    assert_eq!(broken(undo).await, whole);
    let cut = "DELETE FROM audit_events WHERE account_id = $1 AND seq = (SELECT max(seq) FROM audit_events)";
    let last = events.len() as i64;
    assert_eq!(broken(cut).await, Verdict::Broken { seq: last, fault: Fault::Cut });
    let remove = "DELETE FROM audit_events WHERE account_id = $1 AND seq = 1";
    assert_eq!(broken(remove).await, Verdict::Broken { seq: 1, fault: Fault::Missing });
}
