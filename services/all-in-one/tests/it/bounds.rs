//! A bounded credential makes, renews and ends only what is bounded as tightly, through whichever door.

use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::server::Server;

/// How each refusal ends.
const REFUSED: &str = "and gives nothing that reaches further";

/// A key with an end makes, renews and ends nothing that lasts longer.
pub async fn bounded_keys_make_bounded_things(test: TestDb) {
    let server = Server::start(&test).await;
    let id = server.create_collection("Books").await;
    let make = async |bearer: &str, ends_at: Option<i64>| {
        let mut body = json!({"tokenUtility": "EXTERNAL_API"});
        if let Some(at) = ends_at {
            body["expiresAt"] = json!(at);
        }
        server.call("POST", "/api/addApiToken", bearer, body).await
    };
    let made = make(&server.api_key, Some(3_000_000_000)).await.expect(200).json();
    let key = made["apiTokenList"][0]["key"].as_str().unwrap().to_owned();
    let text = "The credential of this call ends earlier, and gives nothing that reaches further";
    make(&key, None).await.expect_error(403, text);
    make(&key, Some(3_000_000_001)).await.expect_error(403, text);
    make(&key, Some(3_000_000_000)).await.expect(200);
    let lasting = make(&server.api_key, None).await.expect(200).json()["apiTokenList"][0]["id"].as_i64().unwrap();
    server.call("POST", &format!("/v1/apiKeys/{lasting}:rotate"), &key, json!({})).await.expect(403);
    // The secret before a rotation ends with its grace, and what it gives does too.
    let made = make(&server.api_key, None).await.expect(200).json();
    let (rotated, old) = (&made["apiTokenList"][0]["id"], made["apiTokenList"][0]["key"].as_str().unwrap().to_owned());
    let rotate = format!("/v1/apiKeys/{rotated}:rotate");
    let body = json!({"gracePeriodSeconds": 3600});
    let answer = server.call("POST", &rotate, &server.api_key, body.clone()).await.expect(200).json();
    let (new, until) = (answer["apiKey"]["key"].as_str().unwrap(), answer["previousValidUntil"].as_i64().unwrap());
    make(&old, None).await.expect_error(403, text);
    make(&old, Some(until + 1)).await.expect_error(403, text);
    make(&old, Some(until)).await.expect(200);
    server.call("POST", &rotate, &old, body.clone()).await.expect(403);
    make(new, None).await.expect(200);
    server.call("POST", &rotate, new, body).await.expect(200);
    for (path, body) in [
        ("/api/inviteUsers", json!({"inviteeEmail": "x@x.org", "inviteeRole": "GUEST"})),
        ("/api/createCustomRole", json!({"roleName": "r", "baseRole": "GUEST"})),
        ("/api/managed_users", json!({"name": "Customer"})),
        ("/api/api_access_profiles", json!({"name": "p", "api_collection_ids": [id], "auth_type": "token"})),
        ("/api/createNewAccount", json!({"newAccountName": "Second"})),
        ("/v1/slackWebhooks", json!({"url": "https://hooks.slack.com/services/T/B/x"})),
    ] {
        let answer = server.call("POST", path, &key, body).await;
        assert!(answer.status == 403 && answer.body.contains(REFUSED), "{path}: {}", answer.body);
    }
    server.call("POST", "/api/deleteApiToken", &key, json!({"apiTokenId": lasting})).await.expect_error(403, text);
    let callers = Callers::make(&server, id).await;
    for (verb, path, body) in callers.doors(id, &json!([])) {
        let answer = server.call(verb, &path, &key, body).await;
        assert!(answer.status == 403 && answer.body.contains(REFUSED), "{verb} {path}: {}", answer.body);
    }
}

/// Credentials for callers of the edge, in both generations, that may be used from everywhere.
struct Callers {
    profile: String,
    client: String,
    key: String,
}

impl Callers {
    async fn make(server: &Server, collection: i64) -> Self {
        let post = async |path: &str, body: Value| server.call("POST", path, &server.api_key, body).await.expect(200);
        let settings = json!({"name": "p", "api_collection_ids": [collection], "auth_type": "token"});
        let profile = post("/api/api_access_profiles", settings.clone()).await.json()["id"].to_string();
        let client = post("/api/v2/api_clients", settings).await.json()["data"]["id"].to_string();
        let client = format!("/api/v2/api_clients/{client}");
        let key = post(&format!("{client}/api_keys"), json!({"name": "k", "active": true})).await.json();
        let key = format!("{client}/api_keys/{}", key["data"]["id"]);
        Self { profile: format!("/api/api_access_profiles/{profile}"), client, key }
    }

    /// Every call that gives a caller of the edge something, or changes what it has.
    fn doors(&self, collection: i64, networks: &Value) -> Vec<(&'static str, String, Value)> {
        let made =
            json!({"name": "x", "api_collection_ids": [collection], "auth_type": "token", "ip_allow_list": networks});
        let mut doors = vec![
            ("POST", "/api/api_access_profiles".to_owned(), made.clone()),
            (
                "POST",
                format!("{}/api_keys", self.client),
                json!({"name": "x", "active": true, "ip_allow_list": networks}),
            ),
            ("PUT", self.client.clone(), json!({"name": "x", "api_collection_ids": [collection]})),
        ];
        for path in [&self.profile, &self.key] {
            doors.push(("PUT", path.clone(), json!({"name": "x", "ip_allow_list": networks})));
            doors.push(("PUT", format!("{path}/refresh_secret"), json!({})));
            doors.push(("PUT", format!("{path}/enable"), json!({})));
        }
        doors
    }
}

/// A token that is bounded to addresses gives callers of the edge what is bounded to them too, and nothing else.
pub async fn tokens_of_addresses_make_what_is_of_them(test: TestDb) {
    let server = Server::start(&test).await;
    let id = server.create_collection("Books").await;
    let organization = server.get("/v1/organization").await.expect(200).json();
    let tokens = format!("/core/v1/organizations/{}/api_tokens", organization["publicId"].as_str().unwrap());
    let new = json!({"properties": {"name": "t", "scopes": ["access_profiles", "inventory", "identity"],
        "authorized_ip_addresses": ["127.0.0.0/8", "::1"]}});
    let made = server.call("POST", &tokens, &server.api_key, new).await.expect(200).json();
    let token = made["api_token"]["secret"].as_str().unwrap();
    let callers = Callers::make(&server, id).await;
    for networks in [json!([]), json!(["0.0.0.0/0"]), json!(["127.0.0.1", "10.0.0.1"])] {
        for (verb, path, body) in callers.doors(id, &networks) {
            let answer = server.call(verb, &path, token, body).await;
            assert!(answer.status == 403 && answer.body.contains(REFUSED), "{verb} {path} {networks}: {}", answer.body);
        }
    }
    for (path, body) in [
        ("/v1/organizationAdministrators", json!({"email": "a@x.org"})),
        ("/v1/groups:share", json!({"apiCollectionId": id, "shared": true})),
    ] {
        let answer = server.call("POST", path, token, body).await;
        assert!(answer.status == 403 && answer.body.contains(REFUSED), "{path}: {}", answer.body);
    }
    // What is of its addresses is within its reach, but for the client, whose other keys are not.
    let within = json!(["127.0.0.9", "127.1.0.0/16"]);
    for path in [&callers.profile, &callers.key] {
        server.call("PUT", path, &server.api_key, json!({"name": "k", "ip_allow_list": within})).await.expect(200);
    }
    for (verb, path, body) in callers.doors(id, &within) {
        let expected = if path == callers.client { 403 } else { 200 };
        let answer = server.call(verb, &path, token, body).await;
        assert_eq!(answer.status, expected, "{verb} {path}: {}", answer.body);
    }
}
