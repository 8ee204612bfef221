use serde_json::json;

use crate::harness::Harness;

const JSON: &str = "content-type: application/json";

#[tokio::test]
async fn a_repetition_gets_the_first_answer_and_does_nothing() {
    let gateway = Harness::start().await;
    let headers = [JSON, "idempotency-key: k1"];
    let body = r#"{"collectionName":"a"}"#;
    let first = gateway.send("POST", "/api/createCollection", &headers, body).await;
    let write_id = gateway.seen.metadata.lock().unwrap()["x-portolan-write-id"].clone();
    let again = gateway.send("POST", "/api/createCollection", &headers, body).await;
    assert_eq!((first.status, &first.body, gateway.calls()), (again.status, &again.body, 1));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert!(!first.headers.contains_key("idempotency-replayed"));
    assert_eq!(write_id.len(), 64);

    let other = gateway.send("POST", "/api/createCollection", &headers, r#"{"collectionName":"b"}"#).await;
    assert_eq!((other.status, other.reason()), (409, "IDEMPOTENCY_KEY_REUSED"));
    let elsewhere = gateway.send("POST", "/api/editCollectionName", &headers, body).await;
    assert_eq!(elsewhere.status, 409);
}

/// What a read answered is stored nowhere, whatever its HTTP method: it is read again.
#[tokio::test]
async fn reads_are_made_again() {
    let gateway = Harness::start().await;
    let headers = [JSON, "idempotency-key: k1"];
    for calls in 1..=3 {
        let answer = gateway.send("POST", "/api/getCollection", &headers, r#"{"apiCollectionId":1}"#).await;
        assert!(!answer.headers.contains_key("idempotency-replayed"), "{}", answer.body);
        assert_eq!(gateway.calls(), calls);
    }
}

#[tokio::test]
async fn secrets_are_left_out_of_a_repetition() {
    let gateway = Harness::start().await;
    let headers = [JSON, "idempotency-key: k2"];
    let first = gateway.send("POST", "/api/addApiToken", &headers, "{}").await.json();
    let again = gateway.send("POST", "/api/addApiToken", &headers, "{}").await.json();
    assert_eq!(first["apiTokenList"][0]["key"], "very-secret");
    assert_eq!((again["apiTokenList"][0].get("key"), &again["apiTokenList"][0]["id"]), (None, &json!(3)));
}

#[tokio::test]
async fn only_final_refusals_are_kept() {
    let gateway = Harness::start().await;
    for (name, status, calls) in [("", 422, 1), ("denied", 403, 2), ("down", 503, 2), ("panic", 500, 2)] {
        let before = gateway.calls();
        let body = json!({ "collectionName": name }).to_string();
        let key = format!("idempotency-key: key-{name}");
        for _ in 0..2 {
            let answer = gateway.send("POST", "/api/createCollection", &[JSON, &key], &body).await;
            assert_eq!(answer.status, status, "{name}");
        }
        assert_eq!(gateway.calls() - before, calls, "{name}");
    }
}

#[tokio::test]
async fn keys_out_of_bounds_and_keys_that_do_not_count() {
    let gateway = Harness::start().await;
    let long = format!("idempotency-key: {}", "k".repeat(256));
    let refused = gateway.send("POST", "/api/createCollection", &[JSON, &long], "{}").await;
    assert_eq!(refused.reason(), "IDEMPOTENCY_KEY_INVALID");
    for _ in 0..2 {
        let login = gateway.send("POST", "/auth/login", &[JSON, "idempotency-key: k"], "{}").await;
        assert!(login.headers.contains_key("access-token"));
    }
}
