use std::time::Duration;

use portolan_identity::audit::{self, Fault, Verdict};
use portolan_store::{Db, args};
use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::server::{PATIENCE, Server, har};

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
    let upload =
        json!({"harString": har(&[("GET", "http://h.test/a", "", 200, "{}")]), "apiCollectionName": "Watched"});
    server.post("/api/uploadHar", upload).await.expect(200);
    let refusal = "portolan.tokens.v1.TokensService/DeleteApiKey";
    let actions = ["collection.create", "apiKey.create", "collection.update", "import.har", refusal];
    let events = wait_for(&db, &actions).await;
    let of = |action: &str| events.iter().filter(|event| event.contains(&format!("\"{action}\""))).collect::<Vec<_>>();
    assert!(of("collection.create")[0].contains("Watched"), "{events:?}");
    assert_eq!(of("collection.create").len(), 1, "an import into a collection that is there makes none: {events:?}");
    assert!(of(refusal)[0].contains("KEY_NOT_ALLOWED") && of(refusal)[0].contains("\"BURP\""), "{events:?}");
    assert_eq!(of(refusal).len(), 1, "equal refusals of a minute are one event: {events:?}");
    assert!(!events.iter().any(|event| event.contains(&key)), "a secret stands in the audit");

    let keys = server.audit_keys(&db).await;
    let whole = audit::verify(&db, &keys, ACCOUNT.into(), &[]).await.unwrap();
    assert_eq!(whole, Verdict::Whole { events: events.len() as i64 });
    let broken = async |sql: &'static str| {
        db.execute(sql, args![ACCOUNT]).await.unwrap();
        audit::verify(&db, &keys, ACCOUNT.into(), &[]).await.unwrap()
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

/// Waits until every one of these kinds of credentials stands in the list of failed authentications, and returns the list.
pub async fn failures(server: &Server, kinds: &[&str]) -> Vec<Value> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let list = server.get("/v1/auditEvents?action=authentication&pageSize=1000").await.expect(200).json();
        let events = list["auditEvents"].as_array().unwrap().clone();
        let missing: Vec<_> =
            kinds.iter().filter(|kind| events.iter().all(|event| event["credential"] != **kind)).collect();
        if missing.is_empty() {
            return events;
        }
        assert!(tokio::time::Instant::now() < deadline, "{missing:?} not among {} events", events.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Every kind of credential that is refused is an event of the operator's account, however often it is shown, and holds
/// nothing of what was shown.
pub async fn failed_authentications_are_recorded(test: TestDb) {
    const TIMES: usize = 8;
    let server = Server::start(&test).await;
    let is_one_process = server.pids().len() == 1;
    let path = "/api/getAllCollections";
    let cookie = format!("{}=sesame-session", portolan_authz::SESSION_COOKIE);
    let post = async |path: &str, headers: &[(&str, &str)], body: Value| {
        let mut request = server.request(path).body(body.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let status = server.send(request).await.unwrap().status;
        assert!((400..500).contains(&status), "{path} {headers:?}: {status}");
    };
    for _ in 0..TIMES {
        for username in ["admin@localhost", "sesame@example.org"] {
            post("/auth/login", &[], json!({ "username": username, "password": "sesame" })).await;
        }
        for headers in [
            &[("x-api-key", "sesame-key")][..],
            &[("authorization", "Bearer sesame-bearer")],
            &[("authorization", "Bearer sesame.sesame.sesame")],
            &[("authorization", "Bearer ptosesamesesamesesamesesamesesamesesame")],
            &[("authorization", "Basic sesame")],
            &[("cookie", &cookie), ("access-token", "sesame")],
            &[("cookie", &cookie)],
        ] {
            post(path, headers, json!({})).await;
        }
        let sign_up =
            json!({ "email": "new@example.org", "password": "Secret-Horse-7-battery", "invitationCode": "sesame" });
        post("/signup-email", &[], sign_up).await;
        let reset = json!({ "resetPasswordToken": "sesame", "newPassword": "Secret-Horse-7-battery" });
        post("/auth/resetPassword", &[], reset).await;
        let client = json!({ "grant_type": "client_credentials", "client_id": "sesame", "client_secret": "sesame" });
        server.call("POST", "/oauth2/token", "", client).await.expect(401);
        for name in [portolan_authz::CALLER_HEADER, portolan_authz::SERVICE_HEADER] {
            // Nothing of it comes through the edge of several processes.
            if is_one_process {
                let channel = tonic::transport::Channel::from_shared(format!("http://{}", server.grpc)).unwrap();
                let mut client = portolan_api::inventory::v1::collection_service_client::CollectionServiceClient::new(
                    channel.connect().await.unwrap(),
                );
                let mut request = tonic::Request::new(portolan_api::inventory::v1::ListCollectionsRequest::default());
                request.metadata_mut().insert(name, "sesame.sesame.sesame".parse().unwrap());
                client.list_collections(request).await.unwrap_err();
            }
        }
    }
    let mut kinds = vec!["PASSWORD", "API_KEY", "CAPABILITIES_TOKEN", "ORGANIZATION_TOKEN", "SESSION", "UNREADABLE"];
    kinds.extend(["INVITATION", "PASSWORD_RESET", "OAUTH_CLIENT"]);
    if is_one_process {
        kinds.extend(["CALLER_TOKEN", "SERVICE_TOKEN"]);
    }
    let events = failures(&server, &kinds).await;
    assert!(!format!("{events:?}").contains("sesame"), "{events:?}");
    for kind in kinds {
        let of_kind: Vec<_> = events.iter().filter(|event| event["credential"] == kind).collect();
        // One that begins in one minute and ends in the next is in two events of each; so is one of two processes.
        assert!(of_kind.len() < TIMES, "{kind}: {of_kind:?}");
        let is_told = |event: &&&Value| {
            event["outcome"] == "REFUSED"
                && event["reason"] != ""
                && event["credentialId"].as_str().unwrap().len() == 16
        };
        assert_eq!(of_kind.iter().filter(is_told).count(), of_kind.len(), "{of_kind:?}");
    }
    // Whose password it was is known where somebody has the login.
    let of_password = events.iter().filter(|event| event["credential"] == "PASSWORD");
    let users: Vec<_> = of_password.map(|event| (&event["resource"], event["clientAddress"] != "")).collect();
    assert!(users.contains(&(&json!("user"), true)) && users.contains(&(&json!(""), true)), "{users:?}");
}
