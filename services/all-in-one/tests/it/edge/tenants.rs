//! Tenants that end, and hosts that several of them name.

use portolan_testkit::TestDb;
use serde_json::{Value, json};

use super::{
    access_token,
    gate::{Gate, HOST, Made},
    hs256, now,
};
use crate::{
    identity_team::Person,
    server::{PATIENCE, Server},
};

const SECRET: &str = "a shared secret of thirty-two bytes";
const CUSTOMER_HOST: &str = "customer.localhost";

/// A customer workspace whose inventory names a host.
struct Workspace {
    id: i64,
    collection_id: i64,
}

impl Workspace {
    async fn make(gate: &Gate, host: &str) -> Self {
        let server = &gate.server;
        let body = json!({"name": "Customer"});
        let made = server.call("POST", "/api/managed_users", &server.api_key, body).await.expect(200).json();
        let id = made["result"]["id"].as_i64().unwrap();
        let admin = Person::log_in(server, "admin@localhost", "correct horse battery staple").await;
        let inside = admin.post("/api/goToAccount", json!({"newAccountId": id})).await.expect(200);
        let inside = Person::of(server, inside);
        let made = inside.post("/api/createCollection", json!({"collectionName": "customer"})).await.expect(200).json();
        let collection_id = made["apiCollections"][0]["id"].as_i64().unwrap();
        let document = json!({
            "openapi": "3.0.3", "info": {"title": "c", "version": "1"}, "servers": [{"url": format!("http://{host}")}],
            "paths": {"/items": {"get": {"responses": {"200": {"description": "good"}}}}},
        });
        let body = json!({"openAPIString": document.to_string(), "apiCollectionId": collection_id});
        inside.post("/api/importDataFromOpenApiSpec", body).await.expect(200);
        Self { id, collection_id }
    }

    async fn profile(&self, server: &Server, settings: Value) -> Made {
        let mut body = json!({"name": "caller", "api_collection_ids": [self.collection_id]});
        body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let path = format!("/api/managed_users/{}/api_access_profiles", self.id);
        let answer = server.call("POST", &path, &server.api_key, body).await.expect(200).json();
        let secret = answer["secret"].as_str().unwrap_or_default().to_owned();
        Made { id: answer["id"].as_i64().unwrap(), secret, answer }
    }
}

/// Asks until the answer has this status.
async fn await_status(gate: &Gate, host: &str, target: &str, headers: &[(&str, &str)], status: u16) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let reply = gate.send("GET", host, target, headers).await;
        if reply.status == status {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{host}{target}: {reply:?}, not {status}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn oauth_request(made: &Made) -> Value {
    json!({
        "grant_type": "client_credentials", "client_id": made.answer["oauth_client_id"],
        "client_secret": made.answer["oauth_client_secret"],
    })
}

/// With a workspace end its tokens, access tokens and signed tokens, and no new ones are given out.
pub async fn nothing_passes_for_a_closed_workspace(test: TestDb) {
    let gate = Gate::start(&test, &[]).await;
    let server = &gate.server;
    let workspace = Workspace::make(&gate, CUSTOMER_HOST).await;
    let token = workspace.profile(server, json!({"auth_type": "token"})).await;
    let oauth2 = workspace.profile(server, json!({"auth_type": "oauth2"})).await;
    let settings = json!({"auth_type": "jwt", "jwt_method": "hmac", "jwt_secret": SECRET});
    let hmac = workspace.profile(server, settings).await;
    let access = format!("Bearer {}", access_token(&gate, &oauth2.answer).await);
    let claims = json!({"sub": hmac.secret, "exp": now() + 600});
    let signed = format!("Bearer {}", hs256(SECRET.as_bytes(), json!({"alg": "HS256"}), claims));
    let shown =
        [("api-token", token.secret.as_str()), ("authorization", access.as_str()), ("authorization", signed.as_str())];
    for header in shown {
        await_status(&gate, CUSTOMER_HOST, "/items", &[header], 200).await;
    }

    let own = gate.profile(json!({"auth_type": "oauth2"})).await;
    let path = format!("/api/managed_users/{}", workspace.id);
    server.call("DELETE", &path, &server.api_key, Value::Null).await.expect(200);
    for header in shown {
        let reply = gate.send("GET", CUSTOMER_HOST, "/items", &[header]).await;
        assert_eq!(reply.status, 404, "{header:?}");
    }
    let refused = server.call("POST", "/oauth2/token", "", oauth_request(&oauth2)).await.expect(401).json();
    assert_eq!(refused["error"], "invalid_client");
    // Others go on.
    server.call("POST", "/oauth2/token", "", oauth_request(&own)).await.expect(200);
    let tokens = test.store.service("tokens").await.unwrap();
    let sql = "SELECT (SELECT count(*) FROM api_profiles WHERE account_id = $1 AND deleted = 0)
        + (SELECT count(*) FROM api_clients WHERE account_id = $1 AND deleted = 0)
        + (SELECT count(*) FROM access_tokens WHERE account_id = $1) AS n";
    let left: i64 = tokens.fetch_one(sql, portolan_store::args![workspace.id]).await.unwrap().get("n").unwrap();
    assert_eq!(left, 0);
}

/// While an organization is not active nothing passes in its name; afterwards the same credentials do.
pub async fn nothing_passes_for_an_organization_that_is_not_active(test: TestDb) {
    let gate =
        Gate::start(&test, &[("PORTOLAN__EDGE__HOSTS", "open.localhost unknown=allow as=orders.localhost")]).await;
    let server = &gate.server;
    let token = gate.profile(json!({"auth_type": "token"})).await;
    let oauth2 = gate.profile(json!({"auth_type": "oauth2"})).await;
    let access = format!("Bearer {}", access_token(&gate, &oauth2.answer).await);
    let shown = [("api-token", token.secret.as_str()), ("authorization", access.as_str())];
    let identity = test.store.service("identity").await.unwrap();
    let keys = server.audit_keys(&identity).await;
    let row = identity.fetch_one("SELECT public_id FROM organizations", Vec::new()).await.unwrap();
    let name: String = row.get("public_id").unwrap();
    for state in [
        portolan_identity::model::organizations::State::Suspended,
        portolan_identity::model::organizations::State::NotActivated,
    ] {
        for header in shown {
            await_status(&gate, HOST, "/orders", &[header], 200).await;
        }
        await_status(&gate, "open.localhost", "/anything", &[], 200).await;
        portolan_identity::organizations::set_state(&identity, &keys, &name, state).await.unwrap();
        for header in shown {
            await_status(&gate, HOST, "/orders", &[header], 404).await;
        }
        assert_eq!(
            gate.send("GET", "open.localhost", "/anything", &[]).await.status,
            404,
            "unknown paths pass no more"
        );
        server.call("POST", "/oauth2/token", "", oauth_request(&oauth2)).await.expect(401);
        let active = portolan_identity::model::organizations::State::Active;
        portolan_identity::organizations::set_state(&identity, &keys, &name, active).await.unwrap();
    }
    await_status(&gate, HOST, "/orders", &[shown[1]], 200).await;
    server.call("POST", "/oauth2/token", "", oauth_request(&oauth2)).await.expect(200);
}

/// A deactivated collection, and an endpoint that is switched off, are refused with the answer to the change.
pub async fn what_is_switched_off_is_refused_at_once(test: TestDb) {
    let gate = Gate::start(&test, &[]).await;
    let server = &gate.server;
    let token = gate.profile(json!({"auth_type": "token"})).await;
    let status = async || gate.get("/orders", &[("api-token", &token.secret)]).await.status;
    assert_eq!(status().await, 200);
    let body = json!({"apiCollections": [{"id": gate.collection_id}]});
    for _ in 0..2 {
        server.post("/api/deactivateCollections", body.clone()).await.expect(200);
        assert_eq!(status().await, 404);
        server.post("/api/activateCollections", body.clone()).await.expect(200);
        assert_eq!(status().await, 200);
    }
    let listed = server.call("GET", "/api/api_endpoints?per_page=100", &server.api_key, Value::Null).await.expect(200);
    let listed = listed.json();
    let all = listed.as_array().or_else(|| listed["result"].as_array()).unwrap();
    let is_wanted =
        |one: &&Value| one["method"] == "GET" && one["url"].as_str().is_some_and(|url| url.ends_with("/orders"));
    let id = all.iter().find(is_wanted).unwrap()["id"].as_i64().unwrap();
    for (action, expected) in [("disable", 404), ("enable", 200)] {
        let path = format!("/api/api_endpoints/{id}/{action}");
        server.call("PUT", &path, &server.api_key, Value::Null).await.expect(200);
        assert_eq!(status().await, expected, "{action}");
    }
    server.post("/api/deleteMultipleCollections", body).await.expect(200);
    assert_eq!(status().await, 404);
}

/// A host that two accounts name is refused to both, in whatever order and spelling they name it, until it is bound.
pub async fn a_host_of_two_accounts_is_refused_until_it_is_bound(test: TestDb) {
    let gate =
        Gate::start(&test, &[("PORTOLAN__EDGE__HOSTS", "bound.localhost account=1000000 as=orders.localhost")]).await;
    let server = &gate.server;
    let token = gate.profile(json!({"auth_type": "token"})).await;
    let mine = [("api-token", token.secret.as_str())];
    await_status(&gate, HOST, "/orders", &mine, 200).await;

    let workspace = Workspace::make(&gate, "ORDERS.localhost.:80").await;
    let theirs = workspace.profile(server, json!({"auth_type": "token"})).await;
    let theirs = [("api-token", theirs.secret.as_str())];
    await_status(&gate, HOST, "/orders", &mine, 403).await;
    for (target, header) in [("/orders", mine), ("/items", theirs), ("/items", mine), ("/other", theirs)] {
        let reply = gate.send("GET", HOST, target, &header).await;
        let reason = reply.headers.get("x-portolan-error").map(String::as_str);
        assert_eq!((reply.status, reason), (403, Some("EDGE_HOST_CONTESTED")), "{target}");
    }
    let bound =
        async |target, header: [(&str, &str); 1]| gate.send("GET", "bound.localhost", target, &header).await.status;
    assert_eq!((bound("/orders", mine).await, bound("/items", theirs).await), (200, 404));

    let mut doctor = tokio::process::Command::new(env!("CARGO_BIN_EXE_portolan"));
    doctor.arg("doctor").arg("--data-dir").arg(&server.data_dir).env("PORTOLAN__STORE__URL", &test.url);
    doctor.env("PORTOLAN__GRPC__ADDR", server.grpc.trim_start_matches("http://"));
    let told = String::from_utf8(doctor.output().await.unwrap().stdout).unwrap();
    let line = told.lines().find(|line| line.contains(" edge:")).unwrap_or_else(|| panic!("{told}"));
    let both = format!("{HOST} (accounts 1000000, {})", workspace.id);
    assert!(line.starts_with("FAIL") && line.contains(&both), "{line}");

    // The host is the other's again when one of them is gone.
    let path = format!("/api/managed_users/{}", workspace.id);
    server.call("DELETE", &path, &server.api_key, Value::Null).await.expect(200);
    assert_eq!(gate.send("GET", HOST, "/orders", &mine).await.status, 200);
}
