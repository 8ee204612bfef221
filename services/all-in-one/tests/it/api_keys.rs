use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::server::{Answer, PATIENCE, Server, har};

async fn add(server: &Server, body: Value) -> (i64, String) {
    let made = server.post("/api/addApiToken", body).await.expect(200).json();
    let token = &made["apiTokenList"][0];
    (token["id"].as_i64().unwrap(), token["key"].as_str().unwrap().to_owned())
}

async fn me(server: &Server, key: &str) -> u16 {
    server.send(server.request("/api/me").header("x-api-key", key).body("{}")).await.unwrap().status
}

async fn rotate(server: &Server, id: i64, grace_s: i64) -> (String, Value) {
    let body = json!({ "gracePeriodSeconds": grace_s });
    let answer = server.post(&format!("/v1/apiKeys/{id}:rotate"), body).await.expect(200).json();
    (answer["apiKey"]["key"].as_str().unwrap().to_owned(), answer["previousValidUntil"].clone())
}

/// Old and new work during the grace, the old one ends with it; a second rotation within it ends the first secret.
pub async fn a_rotation_may_leave_a_grace(test: TestDb) {
    let server = Server::start(&test).await;
    let (id, first) = add(&server, json!({"tokenUtility": "EXTERNAL_API"})).await;
    assert_eq!(me(&server, &first).await, 200);

    let (second, until) = rotate(&server, id, 0).await;
    assert_eq!((me(&server, &first).await, me(&server, &second).await, until), (401, 200, Value::Null));

    let (third, until) = rotate(&server, id, 3).await;
    let until = until.as_i64().unwrap();
    assert!((2..=4).contains(&(until - now_s())));
    assert_eq!((me(&server, &second).await, me(&server, &third).await), (200, 200));
    while now_s() < until {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((me(&server, &second).await, me(&server, &third).await), (401, 200));

    let (fourth, _) = rotate(&server, id, 3600).await;
    let (fifth, _) = rotate(&server, id, 3600).await;
    let answers = [me(&server, &third).await, me(&server, &fourth).await, me(&server, &fifth).await];
    assert_eq!(answers, [401, 200, 200]);

    for (id, body, status, reason) in [
        (id, json!({"gracePeriodSeconds": -1}), 400, "API_KEY_TIME_INVALID"),
        (id, json!({"gracePeriodSeconds": 604_801}), 400, "API_KEY_TIME_INVALID"),
        (999_999, json!({}), 404, "API_KEY_NOT_FOUND"),
    ] {
        let answer = server.post(&format!("/v1/apiKeys/{id}:rotate"), body).await.expect(status);
        assert_eq!(answer.header("x-portolan-error"), reason);
    }
    // A deletion ends every secret of the key.
    server.post("/api/deleteApiToken", json!({"apiTokenId": id})).await.expect(200);
    assert_eq!((me(&server, &fourth).await, me(&server, &fifth).await), (401, 401));

    let (burp_id, burp) = add(&server, json!({"tokenUtility": "BURP"})).await;
    let request = server.request(&format!("/v1/apiKeys/{burp_id}:rotate")).header("x-api-key", &burp).body("{}");
    server.send(request).await.unwrap().expect(403);
}

/// A key ends with its time, which a rotation does not lengthen; its last use is told.
pub async fn a_key_ends_with_its_time(test: TestDb) {
    let server = Server::start(&test).await;
    let wrong = server.post("/api/addApiToken", json!({"tokenUtility": "CICD", "expiresAt": now_s() - 1})).await;
    wrong.expect_error(422, "expiresAt: must be in the future");
    let at = now_s() + 3;
    let (id, key) = add(&server, json!({"tokenUtility": "EXTERNAL_API", "expiresAt": at})).await;
    assert_eq!(me(&server, &key).await, 200);
    let (newer, until) = rotate(&server, id, 3600).await;
    assert_eq!(until, json!(at), "the old secret ends with its key, and the answer says so");
    let listed = || async {
        let list = server.post("/api/fetchApiTokens", json!({})).await.expect(200).json();
        let list = list["apiTokenList"].as_array().unwrap().clone();
        list.into_iter().find(|token| token["id"] == json!(id)).unwrap()
    };
    assert_eq!(listed().await["expiresAt"], json!(at));
    let deadline = now_s() + 20;
    while listed().await.get("lastUsedAt").is_none() {
        assert!(now_s() < deadline, "the use was not recorded");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    while now_s() < at {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((me(&server, &key).await, me(&server, &newer).await), (401, 401));
    // No secret of an ended key would work, so none is made.
    let answer = server.post(&format!("/v1/apiKeys/{id}:rotate"), json!({})).await.expect(400);
    assert_eq!(answer.header("x-portolan-error"), "API_KEY_TIME_INVALID");
    assert!(answer.body.contains(&at.to_string()), "{}", answer.body);
}

/// Whoever shows a secret ends it, of each kind; a text that is none ends nothing.
pub async fn a_leaked_key_is_revoked_when_shown(test: TestDb) {
    let server = Server::start(&test).await;
    let revoke = async |key: &str| -> Value {
        let request = server.request("/v1/leakedKeys:revoke").body(json!({ "key": key }).to_string());
        server.send(request).await.unwrap().expect(200).json()
    };
    let none = json!({"revoked": false, "kind": null});
    let last = if server.api_key.ends_with('x') { 'y' } else { 'x' };
    for text in ["", "x", &"0".repeat(64), &format!("{}{last}", &server.api_key[..39])] {
        assert_eq!(revoke(text).await, none);
    }
    let (_, key) = add(&server, json!({"tokenUtility": "EXTERNAL_API"})).await;
    assert_eq!(me(&server, &key).await, 200);
    assert_eq!(revoke(&key).await, json!({"revoked": true, "kind": "API_KEY"}));
    assert_eq!((me(&server, &key).await, revoke(&key).await), (401, none.clone()));

    // A secret that a rotation ended ends nothing, at once or after its grace.
    let (id, first) = add(&server, json!({"tokenUtility": "EXTERNAL_API"})).await;
    let (second, _) = rotate(&server, id, 0).await;
    let (third, until) = rotate(&server, id, 1).await;
    while now_s() < until.as_i64().unwrap() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((revoke(&first).await, revoke(&second).await), (none.clone(), none.clone()));
    assert_eq!(me(&server, &third).await, 200);
    // One that still works ends the key.
    let (fourth, _) = rotate(&server, id, 3600).await;
    assert_eq!(revoke(&third).await, json!({"revoked": true, "kind": "API_KEY"}));
    assert_eq!(me(&server, &fourth).await, 401);

    let collection = server.create_collection("c").await;
    let body = json!({"name": "n", "auth_type": "token", "api_collection_ids": [collection]});
    let made = server.call("POST", "/api/api_access_profiles", &server.api_key, body).await.expect(200).json();
    let secret = made["secret"].as_str().unwrap();
    assert_eq!(revoke(secret).await, json!({"revoked": true, "kind": "ACCESS_PROFILE"}));
    let list = server.call("GET", "/api/api_access_profiles", &server.api_key, Value::Null).await.json();
    assert_eq!(list[0]["active"], json!(false));

    // The scanner finds what the endpoint revokes.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.yml"), format!("key: '{}'\n", server.api_key)).unwrap();
    let scan = || {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_portolan")).args(["keys", "scan"]).arg(folder.path()).output()
    };
    let found = scan().await.unwrap();
    let text = String::from_utf8(found.stdout).unwrap();
    assert_eq!((found.status.code(), text.lines().count()), (Some(1), 1), "{text}");
    assert!(text.contains("config.yml:1:7: API key ") && !text.contains(&server.api_key), "{text}");
    std::fs::write(folder.path().join("config.yml"), "nothing").unwrap();
    assert_eq!(scan().await.unwrap().status.code(), Some(0));
}

/// A webhook is listed as a token with its address masked, and goes with it.
pub async fn slack_webhooks_are_listed_as_tokens(test: TestDb) {
    let server = Server::start(&test).await;
    let url = "https://hooks.slack.com/services/T000/B000/abcdefghWXYZ";
    let made = server.post("/v1/slackWebhooks", json!({"url": url, "name": "alerts"})).await.expect(200).json();
    assert_eq!((&made["name"], &made["url"]), (&json!("alerts"), &json!("https://hooks.slack.com/*********WXYZ")));
    let list = server.post("/api/fetchApiTokens", json!({})).await.expect(200);
    assert!(!list.body.contains("abcdefgh"), "{}", list.body);
    let slack = |list: Answer| {
        let list = list.json()["apiTokenList"].as_array().unwrap().clone();
        list.into_iter().filter(|token| token["utility"] == "SLACK").collect::<Vec<_>>()
    };
    let listed = slack(list);
    assert_eq!((listed.len(), &listed[0]["id"], &listed[0]["name"]), (1, &made["id"], &json!("alerts")));
    for (url, status, reason) in [
        (url, 422, "SLACK_WEBHOOK_REFUSED"),
        ("https://evil.example/hooks.slack.com/", 400, "SLACK_WEBHOOK_INVALID"),
        ("http://hooks.slack.com/services/x", 400, "SLACK_WEBHOOK_INVALID"),
        ("https://hooks.slack.com@evil.example/", 400, "SLACK_WEBHOOK_INVALID"),
    ] {
        let answer = server.post("/v1/slackWebhooks", json!({ "url": url })).await.expect(status);
        assert_eq!(answer.header("x-portolan-error"), reason, "{url}");
    }
    let deleted = server.post("/api/deleteApiToken", json!({"apiTokenId": made["id"]})).await.expect(200).json();
    assert_eq!(deleted, json!({"apiTokenDeleted": true}));
    assert!(slack(server.post("/api/fetchApiTokens", json!({})).await).is_empty());
    let path = format!("/v1/slackWebhooks/{}", made["id"]);
    server.call("DELETE", &path, &server.api_key, Value::Null).await.expect(404);
}

/// Messages reach every webhook of the account, and one that does not answer stops none.
pub async fn messages_reach_the_webhooks_of_an_account(test: TestDb) {
    let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
    let kept = seen.clone();
    let take = axum::routing::post(move |body: String| async move {
        kept.lock().unwrap().push(serde_json::from_str(&body).unwrap());
        "ok"
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/hook", take)).await });

    let url = format!("http://{address}/");
    let variables = [("PORTOLAN__TOKENS__SLACK_URLS", url.as_str()), ("PORTOLAN__FETCH__ALLOW_HOSTS", "127.0.0.1")];
    let data_dir = tempfile::tempdir().unwrap().keep();
    let server = Server::start_with(&test, data_dir, &variables).await;
    for path in ["gone", "hook"] {
        server.post("/v1/slackWebhooks", json!({ "url": format!("http://{address}/{path}") })).await.expect(200);
    }
    let keys = portolan_runtime::Keys::load(&server.data_dir.join("secret-key")).unwrap();
    let auth = keys.auth("installation");
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", server.grpc)).unwrap().connect().await;
    let mut client = portolan_api::tokens::v1::api_keys_service_client::ApiKeysServiceClient::new(channel.unwrap());
    let line = portolan_api::common::v1::NoticeLine { text: "12 endpoints".to_owned(), ..Default::default() };
    let notice = portolan_api::common::v1::Notice {
        account_id: 1_000_000,
        title: "An import ended".to_owned(),
        lines: vec![line],
        feature: portolan_api::Feature::ApiCollections.into(),
        ..Default::default()
    };
    let message =
        portolan_api::tokens::v1::NotifyAccountRequest { notice: Some(notice), message_id: "import-1".to_owned() };
    // The second time changes nothing.
    for delivered in [1, 0] {
        let mut request = tonic::Request::new(message.clone());
        request.metadata_mut().insert(portolan_authz::SERVICE_HEADER, auth.token("tokens").unwrap().parse().unwrap());
        let answer = client.notify_account(request).await.unwrap().into_inner();
        assert_eq!(answer.delivered, delivered);
    }
    assert!(seen.lock().unwrap().contains(&json!({"text": "An import ended: 12 endpoints"})));

    // The end of an import is told by itself.
    let capture = har(&[("GET", "http://api.test/me", "", 200, "{}")]);
    let request = reqwest::Client::new().post(format!("{}/v1/imports?collectionName=Shop", server.http));
    let answer = server.send(request.header("x-api-key", &server.api_key).body(capture)).await.unwrap().expect(200);
    server.wait_for_job(answer.json()["jobId"].as_str().unwrap()).await;
    let message = json!({"text": "Import ended: Shop: 1 imported, 0 refused"});
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !seen.lock().unwrap().contains(&message) {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", seen.lock().unwrap());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}
