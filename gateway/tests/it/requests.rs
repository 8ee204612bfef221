use serde_json::json;

use crate::harness::Harness;

#[tokio::test]
async fn a_post_goes_through_and_back() {
    let gateway = Harness::start().await;
    let answer = gateway.post("/api/createCollection", r#"{"collectionName":"a é","noise":[1]}"#).await;
    assert_eq!(answer.status, 200);
    let collection = &answer.json()["apiCollections"][0];
    assert_eq!((&collection["id"], &collection["name"]), (&json!(7), &json!("a é")));
    assert_eq!(
        (&collection["hostName"], &collection["urls"], &collection["tagsList"]),
        (&json!(null), &json!([]), &json!(null))
    );
    for header in ["x-request-id", "cache-control", "x-content-type-options", "content-security-policy"] {
        assert!(answer.headers.contains_key(header), "{header}");
    }
    let metadata = gateway.seen.metadata.lock().unwrap().clone();
    assert_eq!(metadata["authorization"], "Bearer caller");
    assert_eq!(metadata["x-request-id"], answer.headers["x-request-id"]);
    assert!(!metadata.contains_key("x-api-key"));
}

#[tokio::test]
async fn bare_answers_and_parameters() {
    let gateway = Harness::start().await;
    assert_eq!(gateway.post("/api/getCollection", r#"{"apiCollectionId":1}"#).await.body, "[]");
    assert_eq!(gateway.send("GET", "/v1/jobs/a%2Fb", &[], "").await.json()["jobId"], "a/b");
    assert_eq!(gateway.send("GET", "/v1/jobs/none", &[], "").await.body, "null");
    let jobs = gateway.send("GET", "/v1/jobs?pageSize=5&page_token=t", &[], "").await;
    assert_eq!(jobs.json(), json!({"jobs": [], "nextPageToken": "t5"}));
    let head = gateway.send("HEAD", "/v1/jobs", &[], "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(gateway.send("POST", "/api/getCollection", &["content-length: 0"], "").await.status, 200);
}

#[tokio::test]
async fn login_answers_header_and_cookie() {
    let gateway = Harness::start().await;
    let answer = gateway.post("/auth/login", r#"{"username":"a","password":"b"}"#).await;
    assert_eq!(answer.json(), json!({"code": null, "loginResult": {}}));
    assert_eq!(answer.headers["access-token"], "jwt");
    assert_eq!(answer.headers["set-cookie"], "__Host-portolan-session=sid; Path=/; Secure; HttpOnly; SameSite=Lax");
}

#[tokio::test]
async fn failures_in_the_form_of_the_route() {
    let gateway = Harness::start().await;
    let json = ["content-type: application/json"];
    // verb, target, headers, body, status, reason
    let cases = [
        ("POST", "/api/createCollection", &json[..], "{}", 422, "COLLECTION_NAME_INVALID"),
        ("POST", "/api/createCollection", &json[..], "{", 422, "BODY_NOT_JSON"),
        ("POST", "/api/createCollection", &json[..], r#"{"collectionName":1}"#, 422, "MEMBER_TYPE"),
        ("POST", "/api/createCollection", &json[..], r#"{"collectionName":"denied"}"#, 403, "ROLE_HAS_NO_ACCESS"),
        ("POST", "/api/createCollection", &json[..], r#"{"collectionName":"down"}"#, 503, "UNAVAILABLE"),
        ("POST", "/api/createCollection", &json[..], r#"{"collectionName":"panic"}"#, 500, "INTERNAL"),
        ("POST", "/api/createCollection", &["content-type: text/plain"][..], "{}", 415, "CONTENT_TYPE_UNSUPPORTED"),
        ("POST", "/api/createCollection", &[][..], "[]", 415, "CONTENT_TYPE_UNSUPPORTED"),
        ("POST", "/api/createCollection", &[][..], "{}", 422, "COLLECTION_NAME_INVALID"),
        ("GET", "/api/createCollection", &[][..], "", 405, "VERB_NOT_ALLOWED"),
        ("POST", "/api/createCollection/", &json[..], "{}", 404, "PATH_UNKNOWN"),
        ("POST", "//api/createCollection", &json[..], "{}", 404, "PATH_UNKNOWN"),
        ("GET", "/v1/jobs/missing", &[][..], "", 404, "JOB_NOT_FOUND"),
        ("GET", "/v1/jobs/%2e%2e", &[][..], "", 400, "PATH_INVALID"),
        ("GET", "/v1/jobs?pageSize=many", &[][..], "", 400, "MEMBER_TYPE"),
        ("GET", "/v1/usage", &[][..], "", 500, "INTERNAL"),
        ("GET", "/v1/jobs", &["x-http-method-override: POST"][..], "", 200, ""),
        ("POST", "/api_tokens/x", &json[..], "{}", 404, "VERB_NOT_ALLOWED"),
        ("POST", "/api/managed_users/1/nothing", &json[..], "{}", 404, "PATH_UNKNOWN"),
    ];
    for (verb, target, headers, body, status, reason) in cases {
        let answer = gateway.send(verb, target, headers, body).await;
        assert_eq!((answer.status, answer.reason()), (status, reason), "{verb} {target} {body}");
        assert!(answer.headers.contains_key("x-request-id"), "{target}");
        assert!(!answer.body.contains("database"), "{}", answer.body);
        if status >= 400 && target.starts_with("/api/c") {
            assert!(answer.json()["actionErrors"][0].is_string(), "{}", answer.body);
        }
    }
    let wrong = gateway.send("PUT", "/v1/jobs", &[], "").await;
    assert_eq!((wrong.headers["allow"].as_str(), wrong.json()["status"].as_u64()), ("GET, HEAD, OPTIONS", Some(405)));
    assert_eq!(gateway.send("OPTIONS", "/v1/jobs", &[], "").await.status, 204);
    assert_eq!(gateway.send("POST", "/api_tokens/x", &[], "").await.json()["error"]["code"], "route_not_found");
}

/// Forms and bodies without a type are read on every route of the dialect, and from other sites on none that is open.
#[tokio::test]
async fn forms_are_objects_in_one_dialect() {
    let gateway = Harness::start().await;
    let form = "content-type: application/x-www-form-urlencoded";
    let parts = "content-type: multipart/form-data; boundary=b";
    let body = "--b\r\ncontent-disposition: form-data; name=\"collectionName\"\r\n\r\na \u{e9}\r\n--b--\r\n";
    let typed = r#"{"collectionName":"a \u00e9"}"#;
    let bodies = [(vec![form], "collectionName=a+%C3%A9"), (vec![parts], body), (vec![], typed), (vec![form], typed)];
    for (headers, body) in &bodies {
        let answer = gateway.send("POST", "/api/createCollection", headers, body).await;
        assert_eq!(answer.json()["apiCollections"][0]["name"], "a \u{e9}", "{headers:?} {}", answer.body);
        let other = gateway.send("POST", "/v1/profiles", headers, body).await;
        assert!(other.status >= 400, "{headers:?} {}", other.body);
    }
    let answer = gateway.post("/api/getCollection", r#"{"apiCollectionId":"1"}"#).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    for (origin, status) in [("origin: https://evil.test", 403), ("sec-fetch-site: cross-site", 403), ("x: y", 200)] {
        let login = gateway.send("POST", "/auth/login", &[form, origin], "username=a&password=b").await;
        assert_eq!(login.status, status, "{origin} {}", login.body);
    }
    let asked = ["content-type: application/json", "origin: https://evil.test"];
    assert_eq!(gateway.send("POST", "/auth/login", &asked, r#"{"username":"a","password":"b"}"#).await.status, 200);
}

#[tokio::test]
async fn the_credential_is_checked_before_the_body_is_read() {
    let gateway = Harness::start().await;
    // A body that is announced, but never sent: only a gateway that does not wait for it can answer.
    let head = "POST /api/createCollection HTTP/1.1\r\nhost: x\r\nconnection: close\r\nexpect: 100-continue\r\n\
        content-length: 1000\r\nx-api-key: bad\r\n\r\n";
    let answer = gateway.raw(head.as_bytes()).await;
    assert_eq!((answer.status, answer.reason()), (401, "UNAUTHENTICATED"));
    let panicked =
        gateway.raw(b"POST /api/me HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: panic\r\n\r\n").await;
    assert_eq!((panicked.status, panicked.body.as_str()), (500, r#"{"actionErrors":["Internal error"]}"#));
    assert_eq!(gateway.calls(), 0);
}

#[tokio::test]
async fn request_ids_are_kept_or_made() {
    let gateway = Harness::start().await;
    let kept = gateway.send("GET", "/v1/jobs", &["x-request-id: mine-1"], "").await;
    assert_eq!(kept.headers["x-request-id"], "mine-1");
    let write_id = gateway.seen.metadata.lock().unwrap()["x-portolan-write-id"].clone();
    assert_ne!(write_id, "mine-1");
    let made = gateway.send("GET", "/v1/jobs", &["x-request-id: two words"], "").await;
    assert_eq!(made.headers["x-request-id"].len(), 36);
}
