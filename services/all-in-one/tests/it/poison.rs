//! What is stored and cannot be understood, such as what another version wrote, costs nobody else anything.

use portolan_store::args;
use portolan_testkit::TestDb;
use serde_json::json;

use crate::server::{PATIENCE, Server};

const TOPICS: [&str; 4] = ["audit", "usage", "notice", "revocations"];

/// Larger than what a service takes in one message.
const HOSTILE_BYTES: usize = 6 << 20;

/// Payloads of every topic that no version of today writes.
fn payloads() -> Vec<(&'static str, String)> {
    let hostile = "x".repeat(HOSTILE_BYTES);
    vec![
        ("older form", json!({"account": 1, "what": "created", "when": "yesterday"}).to_string()),
        ("empty", String::new()),
        ("truncated", r#"{"accountId":1000000,"account_id":1000000,"feature":"ACTIVE_END"#.to_owned()),
        ("another type", json!([1, null, "x"]).to_string()),
        (
            "unknown words",
            json!({"accountId": 1_000_000, "account_id": 1_000_000, "feature": "MAGIC", "count": 1,
            "version": 1, "action": "magic.happened", "outcome": "PERHAPS", "title": "t", "lines": [{"kind": "?"}],
            "userId": -1, "endedAt": -1})
            .to_string(),
        ),
        (
            "hostile size",
            json!({"accountId": 1_000_000, "feature": hostile, "count": 1, "version": 1, "userId": 1,
            "endedAt": 1, "title": hostile, "action": hostile})
            .to_string(),
        ),
    ]
}

/// Events of every topic and form that nobody can read lie before good ones: the good ones arrive, the others are put
/// aside with a reason, and `doctor` names topic and reason.
pub async fn no_stored_event_stops_its_topic(test: TestDb) {
    let server = Server::start(&test).await;
    let db = test.store.service("inventory").await.unwrap();
    let insert = "INSERT INTO outbox (topic, event_id, payload, event_key, created_at) VALUES ($1, $2, $3, $4, 1)";
    for topic in TOPICS {
        for (form, payload) in payloads() {
            // Under the key of the account and of nobody.
            for key in ["1000000", ""] {
                db.execute(insert, args![topic, format!("{form}/{key}"), payload.as_str(), key]).await.unwrap();
            }
        }
    }
    let id = server.create_collection("Behind").await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let count = "SELECT count(*) FROM outbox WHERE topic IN ('audit', 'usage', 'notice', 'revocations')";
    loop {
        let left = db.fetch_one(count, args![]).await.unwrap().get::<i64>(0).unwrap();
        let audit = server.get("/v1/auditEvents").await.expect(200).body;
        if left == 0 && audit.contains("collection.create") && audit.contains(&id.to_string()) {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{left} events are left: {audit}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let rows = db.fetch_all("SELECT topic, event_id, reason FROM outbox_rejected", args![]).await.unwrap();
    let rejected: Vec<(String, String, String)> = rows
        .iter()
        .map(|row| (row.get("topic").unwrap(), row.get("event_id").unwrap(), row.get("reason").unwrap()))
        .collect();
    for topic in TOPICS {
        for form in ["empty", "truncated", "another type", "hostile size"] {
            // Of a revocation three numbers are read, whatever stands beside them.
            if (topic, form) == ("revocations", "hostile size") {
                continue;
            }
            let of = rejected
                .iter()
                .filter(|(own, id, reason)| own == topic && id.starts_with(form) && (1..2_000).contains(&reason.len()));
            assert_eq!(of.count(), 2, "{topic}, {form}: {rejected:?}");
        }
    }
    let doctor = tokio::process::Command::new(env!("CARGO_BIN_EXE_portolan"))
        .args(["doctor", "--data-dir"])
        .arg(&server.data_dir)
        .env("PORTOLAN__STORE__URL", &test.url)
        .output();
    let printed = String::from_utf8_lossy(&doctor.await.unwrap().stdout).into_owned();
    let line = printed.lines().find(|line| line.contains("outbox: ")).unwrap();
    for topic in TOPICS {
        assert!(line.contains(&format!(" of {topic} were refused for good, the last: ")), "{line}");
    }
}
