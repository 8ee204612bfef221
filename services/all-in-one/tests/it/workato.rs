use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::server::{Answer, Server};

const PROFILES: &str = "/api/managed_users/EA2300%2Fx/api_access_profiles";
const DEPRECATION: &str = "@1764547200";

/// A customer workspace of the installation's account, with one collection; answers the collection's id.
async fn workspace(server: &Server, test: &TestDb) -> i64 {
    let identity = test.store.service("identity").await.unwrap();
    let sql = "INSERT INTO accounts (account_id, organization_id, name, created_at, vendor_account_id, external_id)
        SELECT 2000000, organization_id, 'Customer', 1, account_id, 'A2300/x' FROM accounts WHERE account_id = 1000000";
    identity.execute(sql, Vec::new()).await.unwrap();
    let inventory = test.store.service("inventory").await.unwrap();
    let sql = "UPDATE collections SET account_id = 2000000 WHERE collection_id = ";
    let id = server.create_collection("customer").await;
    inventory.execute(portolan_store::Sql::assembled(format!("{sql}{id}")), Vec::new()).await.unwrap();
    id
}

async fn put(server: &Server, path: &str, body: Value) -> Answer {
    server.call("PUT", path, &server.api_key, body).await
}

async fn post(server: &Server, path: &str, body: Value) -> Answer {
    server.call("POST", path, &server.api_key, body).await
}

async fn get(server: &Server, path: &str) -> Answer {
    server.call("GET", path, &server.api_key, Value::Null).await
}

#[track_caller]
fn check_failed(answer: Answer, errors: Value) {
    assert_eq!((answer.status, answer.json()), (400, json!({"message": "Validation failed", "errors": errors})));
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
}

#[track_caller]
fn hex64(value: &Value) -> String {
    let text = value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned();
    assert!(text.len() == 64 && text.bytes().all(|byte| b"0123456789abcdef".contains(&byte)), "{text}");
    text
}

/// A secret as lists show it.
fn masked(secret: &str) -> String {
    format!("****{}", &secret[60..])
}

/// The whole life of an access profile in a customer workspace, with the headers that announce its successor.
pub async fn access_profiles_live_and_change(test: TestDb) {
    let server = Server::start(&test).await;
    let collection = workspace(&server, &test).await;

    let body = json!({"name": "Automation Inc.", "api_collection_ids": [collection], "auth_type": "token"});
    let answer = post(&server, PROFILES, body).await.expect(200);
    let made = answer.json();
    let (id, client) = (made["id"].as_i64().unwrap(), made["api_client_id"].as_i64().unwrap());
    let secret = hex64(&made["secret"]);
    let successor = format!("/api/v2/managed_users/EA2300%2Fx/api_clients/{client}/api_keys/{id}");
    let link = format!("<{successor}>; rel=\"successor-version\", </docs>; rel=\"deprecation\"; type=\"text/html\"");
    assert_eq!((answer.header("deprecation"), answer.header("link")), (DEPRECATION, link.as_str()));
    assert_eq!(
        (answer.header("sunset"), answer.header("access-control-expose-headers")),
        ("", "Deprecation, Link, Sunset")
    );
    let mut expected = json!({
        "id": id, "name": "Automation Inc.", "api_client_id": client, "api_collection_ids": [collection],
        "active": true, "auth_type": "token", "secret": secret, "required_claims": [], "allowed_issuers": [],
        "ip_allow_list": [], "created_at": made["created_at"], "updated_at": made["updated_at"],
    });
    assert_eq!(made, expected);
    let time = made["created_at"].as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z') && &time[10..11] == "T" && &time[19..20] == ".", "{time}");
    // The successor of a profile is there.
    let keys = get(&server, successor.rsplit_once('/').unwrap().0).await.expect(200).json();
    assert_eq!((&keys["data"][0]["id"], &keys["data"][0]["auth_token"]), (&json!(id), &json!(masked(&secret))));

    let list = get(&server, PROFILES).await.expect(200);
    assert_eq!(list.header("deprecation"), DEPRECATION);
    let item = json!({
        "id": id, "name": "Automation Inc.", "api_client_id": client, "api_collection_ids": [collection],
        "active": true, "auth_type": "token", "created_at": made["created_at"], "updated_at": made["updated_at"],
    });
    assert_eq!(list.json(), json!({"result": [item]}));
    assert_eq!(get(&server, &format!("{PROFILES}?api_client_id=999")).await.expect(200).json(), json!({"result": []}));
    assert_eq!(get(&server, &format!("{PROFILES}?page=2")).await.expect(200).json(), json!({"result": []}));

    // What is left out stays; no secret is shown when none was made.
    let path = format!("{PROFILES}/{id}");
    let updated = put(&server, &path, json!({"ip_allow_list": ["8.8.8.8/24", "2001:db8::1"]})).await.expect(200).json();
    expected.as_object_mut().unwrap().remove("secret");
    expected["ip_allow_list"] = json!(["8.8.8.8/24", "2001:db8::1"]);
    expected["updated_at"] = updated["updated_at"].clone();
    assert_eq!(updated, expected);
    assert!(updated["updated_at"].as_str() >= made["updated_at"].as_str());
    let cleared = put(&server, &path, json!({"ip_allow_list": null})).await.expect(200).json();
    assert_eq!(cleared["ip_allow_list"], json!([]));

    for (verb, active) in [("disable", false), ("disable", false), ("enable", true)] {
        let answer = put(&server, &format!("{path}/{verb}"), Value::Null).await.expect(200);
        assert_eq!(answer.json(), json!({"result": "success", "success": true}));
        assert!(answer.header("link").starts_with(&format!("<{successor}/{verb}>")), "{}", answer.header("link"));
        assert_eq!(get(&server, PROFILES).await.json()["result"][0]["active"], json!(active));
    }
    let refreshed = put(&server, &format!("{path}/refresh_secret"), Value::Null).await.expect(200).json();
    assert_ne!(hex64(&refreshed["secret"]), secret);

    // Another kind of authentication brings its own secret.
    let oauth = put(&server, &path, json!({"auth_type": "oauth2"})).await.expect(200).json();
    let first = (hex64(&oauth["oauth_client_id"]), hex64(&oauth["oauth_client_secret"]));
    assert!(oauth.get("secret").is_none());
    let again = put(&server, &format!("{path}/refresh_secret"), Value::Null).await.expect(200).json();
    assert!(hex64(&again["oauth_client_id"]) != first.0 && hex64(&again["oauth_client_secret"]) != first.1);
    let jwt =
        json!({"auth_type": "jwt", "jwt_method": "hmac", "jwt_secret": "a secret of the caller, 32 bytes or more"});
    let jwt = put(&server, &path, jwt).await.expect(200).json();
    assert_eq!(
        (&jwt["jwt_method"], &jwt["jwt_secret"]),
        (&json!("hmac"), &json!("a secret of the caller, 32 bytes or more"))
    );
    assert!(jwt.get("secret").is_none() && jwt.get("oauth_client_secret").is_none());
    let refused = put(&server, &format!("{path}/refresh_secret"), Value::Null).await.expect(400);
    assert_eq!(refused.header("x-portolan-error"), "REFRESH_NOT_POSSIBLE");
    assert!(refused.json()["message"].is_string());

    // Clients: a profile names one as a number or as its text.
    let client =
        post(&server, "/api/managed_users/2000000/api_clients", json!({"name": "Acme", "project_id": "7"})).await;
    let client = client.expect(200).json()["result"].clone();
    assert_eq!((&client["name"], &client["project_id"]), (&json!("Acme"), &json!(7)));
    let body = json!({
        "name": "p", "api_collection_ids": [collection], "auth_type": "jwt", "jwt_method": "hmac", "jwt_secret": "a secret of 32 bytes, or a longer one",
        "api_client_id": client["id"].to_string(),
    });
    let made = post(&server, PROFILES, body).await.expect(200).json();
    assert_eq!(made["api_client_id"], client["id"]);
    hex64(&made["secret"]);
    let clients = get(&server, "/api/managed_users/EA2300%2Fx/api_clients").await.expect(200);
    assert_eq!(clients.header("deprecation"), DEPRECATION);
    let names: Vec<_> = clients.json()["result"].as_array().unwrap().iter().map(|c| c["name"].clone()).collect();
    assert_eq!(names, ["Default", "Acme"]);
}

/// Every rule of the fields, each with its text; nothing is stored when one is broken.
pub async fn faults_are_named_by_field(test: TestDb) {
    let server = Server::start(&test).await;
    let collection = workspace(&server, &test).await;
    let answer = post(&server, PROFILES, json!({})).await;
    assert_eq!(answer.header("deprecation"), DEPRECATION);
    let link = answer.header("link").to_owned();
    assert!(link.starts_with("</api/v2/managed_users/EA2300%2Fx/api_clients>;"), "{link}");
    let blank = json!(["can't be blank"]);
    check_failed(answer, json!({"name": blank, "auth_type": blank, "api_collection_ids": blank}));

    let url = "https://idp.example/.well-known/openid-configuration";
    for (fields, errors) in [
        (json!({"auth_type": "basic"}), json!({"auth_type": ["is not included in the list"]})),
        (json!({"auth_type": "jwt"}), json!({"jwt_method": blank, "jwt_secret": blank})),
        (
            json!({"auth_type": "jwt", "jwt_method": "dsa", "jwt_secret": "s"}),
            json!({"jwt_method": ["is not included in the list"]}),
        ),
        (json!({"auth_type": "jwt", "jwt_method": "hmac", "oidc_issuer": url}), json!({"jwt_secret": blank})),
        (json!({"auth_type": "oidc"}), json!({"oidc_issuer": blank, "oidc_jwks_uri": blank})),
        (
            json!({"auth_type": "oidc", "oidc_issuer": url, "oidc_jwks_uri": url}),
            json!({
                "oidc_issuer": ["can't be used together with oidc_jwks_uri"],
                "oidc_jwks_uri": ["can't be used together with oidc_issuer"],
            }),
        ),
        (
            json!({"ip_allow_list": ["1.2.3.4", "nowhere"]}),
            json!({"ip_allow_list": ["has an entry that is no IP address or range: nowhere"]}),
        ),
        (
            json!({"api_collection_ids": [collection, 999_999]}),
            json!({"api_collection_ids": ["has unknown collections: 999999"]}),
        ),
        (json!({"api_client_id": "12x"}), json!({"api_client_id": ["is invalid"]})),
        (json!({"name": "x".repeat(256)}), json!({"name": ["is too long (maximum is 255 characters)"]})),
    ] {
        let mut body = json!({"name": "n", "auth_type": "token", "api_collection_ids": [collection]});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        check_failed(post(&server, PROFILES, body).await, errors);
    }
    let rsa = json!({"name": "n", "auth_type": "jwt", "jwt_method": "rsa", "jwt_secret": "no key",
        "api_collection_ids": [collection]});
    let refused = post(&server, PROFILES, rsa).await.expect(400).json();
    assert_eq!(refused["errors"]["jwt_secret"].as_array().unwrap().len(), 1);
    let wrong_type = post(&server, PROFILES, json!({"name": 5})).await.expect(400);
    check_failed(wrong_type, json!({"name": ["must be a text"]}));
    let request = server.request(PROFILES).header("authorization", format!("Bearer {}", server.api_key));
    let malformed = server.send(request.body("{")).await.unwrap().expect(400);
    assert_eq!((malformed.json(), malformed.header("deprecation")), (json!({"message": "Bad request"}), DEPRECATION));
    for (query, errors) in [
        ("page=0", json!({"page": ["must be greater than 0"]})),
        ("per_page=101", json!({"per_page": ["must be less than or equal to 100"]})),
    ] {
        check_failed(get(&server, &format!("{PROFILES}?{query}")).await, errors);
    }
    assert_eq!(get(&server, PROFILES).await.expect(200).json(), json!({"result": []}));
}

/// Who is no vendor, and what is not there, get one answer; nobody known gets another.
pub async fn only_the_vendor_acts(test: TestDb) {
    let server = Server::start(&test).await;
    let collection = workspace(&server, &test).await;
    let body = json!({"name": "n", "auth_type": "token", "api_collection_ids": [collection]});
    let id = post(&server, PROFILES, body.clone()).await.expect(200).json()["id"].as_i64().unwrap();
    let not_found = |answer: Answer| {
        assert_eq!((answer.status, answer.json()), (404, json!({"message": "Not found"})));
        assert!(!answer.header("x-portolan-error").is_empty() && !answer.header("x-request-id").is_empty());
    };
    for path in [
        "/api/managed_users/EA9/api_access_profiles".to_owned(),
        "/api/managed_users/999/api_access_profiles".to_owned(),
        "/api/managed_users/A2300/api_access_profiles".to_owned(),
        "/api/managed_users/1000000/api_access_profiles".to_owned(),
        "/api/v2/managed_users/E/api_clients".to_owned(),
        format!("/api/v2/api_clients/{id}"),
    ] {
        not_found(get(&server, &path).await);
    }
    for path in ["0", "999", "x", "-1", "1.0"] {
        not_found(put(&server, &format!("{PROFILES}/{path}"), json!({})).await);
        not_found(put(&server, &format!("{PROFILES}/{path}/enable"), Value::Null).await);
    }
    // The profile of a workspace is out of sight from the account itself.
    not_found(put(&server, &format!("/api/api_access_profiles/{id}"), json!({})).await);

    for bearer in ["", "x", "ptoX"] {
        let answer = server.call("GET", PROFILES, bearer, Value::Null).await.expect(401);
        assert_eq!(answer.json(), json!({"message": "Unauthorized"}));
        assert_eq!((answer.header("deprecation"), answer.header("www-authenticate")), (DEPRECATION, "Bearer"));
    }
    for utility in ["BURP", "CICD"] {
        let key = server.post("/api/addApiToken", json!({"tokenUtility": utility})).await.expect(200).json();
        let key = key["apiTokenList"][0]["key"].as_str().unwrap().to_owned();
        not_found(server.call("GET", PROFILES, &key, Value::Null).await);
    }

    // The direct form: the caller's own account, bare answers.
    let own = server.create_collection("own").await;
    let body = json!({"name": "n", "auth_type": "token", "api_collection_ids": [own]});
    let made = post(&server, "/api/api_access_profiles", body).await.expect(200);
    let client = made.json()["api_client_id"].clone();
    let link = format!("</api/v2/api_clients/{client}/api_keys/{}>;", made.json()["id"]);
    assert!(made.header("link").starts_with(&link), "{}", made.header("link"));
    let list = get(&server, "/api/api_access_profiles").await.expect(200).json();
    assert_eq!(list.as_array().unwrap().len(), 1);
    let clients = get(&server, "/api/api_clients").await.expect(200);
    assert!(clients.header("link").starts_with("</api/v2/api_clients>;"), "{}", clients.header("link"));
    assert_eq!(clients.json()[0]["id"], client);
    let client = post(&server, "/api/api_clients", json!({"name": "bare"})).await.expect(200).json();
    assert_eq!(client["name"], "bare");
}

/// Clients and keys of the second generation.
pub async fn clients_carry_the_settings_of_their_keys(test: TestDb) {
    let server = Server::start(&test).await;
    let collection = workspace(&server, &test).await;
    const CLIENTS: &str = "/api/v2/managed_users/EA2300%2Fx/api_clients";
    let body = json!({
        "name": "Acme", "api_collection_ids": [collection], "auth_type": "token", "description": "d",
        "api_portal_id": 3, "email": "a@b.example", "api_policy_id": 4, "cert_bundle_ids": [5], "mtls_enabled": true,
        "validation_formula": "OU=Acme",
    });
    let answer = post(&server, CLIENTS, body).await.expect(200);
    assert_eq!((answer.header("deprecation"), answer.header("link")), ("", ""));
    let client = answer.json()["data"].clone();
    let id = client["id"].as_i64().unwrap();
    let expected = json!({
        "id": id, "name": "Acme", "description": "d", "active_api_keys_count": 0, "total_api_keys_count": 0,
        "created_at": client["created_at"], "updated_at": client["updated_at"], "logo": null, "logo_2x": null,
        "is_legacy": false, "email": "a@b.example", "auth_type": "token", "api_token": null, "mtls_enabled": true,
        "validation_formula": "OU=Acme", "cert_bundle_ids": [5], "api_policies": [{"id": 4, "name": "Policy 4"}],
        "api_collections": [{"id": collection, "name": "customer"}],
    });
    assert_eq!(client, expected);
    let blank = json!(["can't be blank"]);
    check_failed(
        post(&server, CLIENTS, json!({})).await,
        json!({"name": blank, "auth_type": blank, "api_collection_ids": blank}),
    );
    let lonely = json!({"name": "n", "auth_type": "token", "api_collection_ids": [collection], "email": "a@b.example"});
    check_failed(post(&server, CLIENTS, lonely).await, json!({"api_portal_id": blank}));

    let keys = format!("{CLIENTS}/{id}/api_keys");
    check_failed(post(&server, &keys, json!({"name": "k"})).await, json!({"active": blank}));
    let body = json!({"name": "k", "active": true, "ip_deny_list": ["192.168.0.0/16"]});
    let key = post(&server, &keys, body).await.expect(200).json()["data"].clone();
    let (key_id, secret) = (key["id"].as_i64().unwrap(), hex64(&key["auth_token"]));
    let expected = json!({
        "id": key_id, "name": "k", "auth_type": "token", "ip_allow_list": [], "ip_deny_list": ["192.168.0.0/16"],
        "active": true, "active_since": key["active_since"], "auth_token": secret,
    });
    assert_eq!(key, expected);
    assert!(key["active_since"].as_str().unwrap().ends_with('Z'));
    let key_path = format!("{keys}/{key_id}");
    let updated = put(&server, &key_path, json!({"name": "k2", "ip_deny_list": null})).await.expect(200).json();
    assert_eq!((&updated["data"]["name"], &updated["data"]["ip_deny_list"]), (&json!("k2"), &json!([])));
    assert_eq!(updated["data"]["auth_token"], masked(&secret));
    for verb in ["disable", "enable"] {
        let answer = put(&server, &format!("{key_path}/{verb}"), Value::Null).await.expect(200).json();
        assert_eq!(answer, json!({"success": true}));
    }
    let refreshed = put(&server, &format!("{key_path}/refresh_secret"), Value::Null).await.expect(200).json();
    assert_ne!(hex64(&refreshed["data"]["auth_token"]), secret);
    let list = get(&server, &keys).await.expect(200).json();
    assert_eq!((&list["count"], &list["page"], &list["per_page"]), (&json!(1), &json!(1), &json!(100)));
    let fresh = refreshed["data"]["auth_token"].as_str().unwrap();
    assert_eq!(list["data"][0]["auth_token"], masked(fresh));

    let listed = get(&server, &format!("{CLIENTS}?cert_bundle_ids[]=5&per_page=1")).await.expect(200).json();
    assert_eq!((&listed["count"], &listed["data"][0]["active_api_keys_count"]), (&json!(1), &json!(1)));
    assert_eq!(get(&server, &format!("{CLIENTS}?cert_bundle_ids[]=6")).await.json()["data"], json!([]));
    let path = format!("{CLIENTS}/{id}");
    check_failed(
        put(&server, &path, json!({"description": null})).await,
        json!({"name": blank, "api_collection_ids": blank}),
    );
    let body = json!({"name": "Acme 2", "api_collection_ids": [collection], "description": null});
    let updated = put(&server, &path, body).await.expect(200).json();
    assert_eq!((&updated["data"]["name"], &updated["data"]["description"]), (&json!("Acme 2"), &Value::Null));
    assert_eq!(get(&server, &path).await.expect(200).json(), updated);
    let deleted = server.call("DELETE", &path, &server.api_key, Value::Null).await.expect(200).json();
    assert_eq!(deleted, json!({"success": true}));
    for path in [&path, &keys] {
        get(&server, path).await.expect(404);
    }
}

/// The token endpoint in its three forms, its errors, and what ends a token's profile.
pub async fn the_token_endpoint_takes_three_forms(test: TestDb) {
    let server = Server::start(&test).await;
    let collection = server.create_collection("own").await;
    let body = json!({"name": "n", "auth_type": "oauth2", "api_collection_ids": [collection]});
    let made = post(&server, "/api/api_access_profiles", body).await.expect(200).json();
    let (id, secret) = (hex64(&made["oauth_client_id"]), hex64(&made["oauth_client_secret"]));
    let profile = format!("/api/api_access_profiles/{}", made["id"]);

    let ask = async |content_type: &str, authorization: Option<&str>, body: String| -> Answer {
        let mut request = reqwest::Client::new().post(format!("{}/oauth2/token", server.http)).body(body);
        if !content_type.is_empty() {
            request = request.header("content-type", content_type);
        }
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        server.send(request).await.unwrap()
    };
    const FORM: &str = "application/x-www-form-urlencoded";
    let basic = |id: &str, secret: &str| {
        use base64::Engine as _;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}")))
    };
    let grant = || "grant_type=client_credentials".to_owned();
    let whole = json!({"grant_type": "client_credentials", "client_id": id, "client_secret": secret}).to_string();
    let mut tokens = Vec::new();
    for answer in [
        ask(FORM, Some(&basic(&id, &secret)), grant()).await,
        ask("application/json", None, whole.clone()).await,
        ask(FORM, None, format!("{}&client_id={id}&client_secret={secret}", grant())).await,
    ] {
        let answer = answer.expect(200);
        assert_eq!(answer.header("cache-control"), "no-store");
        let body = answer.json();
        tokens.push(hex64(&body["access_token"]));
        assert_eq!(body, json!({"access_token": tokens.last(), "token_type": "bearer", "expires_in": 3599}));
    }
    tokens.dedup();
    assert_eq!(tokens.len(), 3);

    let check = |answer: Answer, status: u16, error: &str| {
        let body = answer.json();
        assert_eq!((answer.status, &body["error"]), (status, &json!(error)), "{body}");
        assert!(body["error_description"].is_string());
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("www-authenticate").starts_with("Basic"), status == 401);
    };
    check(ask(FORM, Some(&basic(&id, "wrong")), grant()).await, 401, "invalid_client");
    check(ask(FORM, Some(&basic("nobody", &secret)), grant()).await, 401, "invalid_client");
    check(ask(FORM, Some("Bearer x"), grant()).await, 401, "invalid_client");
    check(ask(FORM, None, grant()).await, 401, "invalid_client");
    check(ask(FORM, Some(&basic(&id, &secret)), String::new()).await, 400, "invalid_request");
    check(ask(FORM, Some(&basic(&id, &secret)), "grant_type=password".into()).await, 400, "unsupported_grant_type");
    check(ask(FORM, None, format!("{0}&{0}", grant())).await, 400, "invalid_request");
    check(ask(FORM, None, whole.clone()).await, 400, "invalid_request");
    check(ask("application/json", None, grant()).await, 400, "invalid_request");
    check(ask("text/plain", None, whole.clone()).await, 400, "invalid_request");
    check(ask("", None, whole.clone()).await, 400, "invalid_request");

    // A disabled profile and an old secret get no token, and the tokens before are of another grant.
    let grants = async || -> Vec<bool> {
        let tables = test.store.service("tokens").await.unwrap();
        let sql = "SELECT t.grant_version = p.grant_version AND p.active = 1 AS alive FROM access_tokens t
            JOIN api_profiles p ON p.profile_id = t.profile_id";
        let sql = sql.replace(
            "t.grant_version = p.grant_version AND p.active = 1",
            "CASE WHEN t.grant_version = p.grant_version AND p.active = 1 THEN 1 ELSE 0 END",
        );
        let rows = tables.fetch_all(portolan_store::Sql::assembled(sql), Vec::new()).await.unwrap();
        rows.iter().map(|row| row.get::<i32>("alive").unwrap() == 1).collect()
    };
    assert_eq!(grants().await, [true; 3]);
    put(&server, &format!("{profile}/disable"), Value::Null).await.expect(200);
    check(ask(FORM, Some(&basic(&id, &secret)), grant()).await, 401, "invalid_client");
    assert_eq!(grants().await, [false; 3]);
    put(&server, &format!("{profile}/enable"), Value::Null).await.expect(200);
    assert_eq!(grants().await, [false; 3]);
    ask(FORM, Some(&basic(&id, &secret)), grant()).await.expect(200);
    put(&server, &format!("{profile}/refresh_secret"), Value::Null).await.expect(200);
    check(ask(FORM, Some(&basic(&id, &secret)), grant()).await, 401, "invalid_client");
    assert_eq!(grants().await, [false; 4]);

    // A key of the second generation is a client of the endpoint as well.
    let body = json!({"name": "v2", "auth_type": "oauth2", "api_collection_ids": [collection]});
    let client = post(&server, "/api/v2/api_clients", body).await.expect(200).json()["data"]["id"].clone();
    let keys = format!("/api/v2/api_clients/{client}/api_keys");
    let key = post(&server, &keys, json!({"name": "k", "active": true})).await.expect(200).json()["data"].clone();
    assert_eq!(key["auth_token"], "");
    let credential = basic(&hex64(&key["oauth_client_id"]), &hex64(&key["oauth_client_secret"]));
    ask(FORM, Some(&credential), grant()).await.expect(200);
    server.call("DELETE", &format!("/api/v2/api_clients/{client}"), &server.api_key, Value::Null).await.expect(200);
    check(ask(FORM, Some(&credential), grant()).await, 401, "invalid_client");
}

/// Beyond the limit a vendor waits, and the headers of a deprecated route stand on that answer too.
pub async fn calls_of_a_vendor_are_counted(test: TestDb) {
    let data_dir = tempfile::tempdir().unwrap().keep();
    let variables = [("PORTOLAN__TOKENS__MANAGEMENT_RATE_LIMIT", "3"), ("PORTOLAN__HTTP__SUNSET", "2026-12-01")];
    let server = Server::start_with(&test, data_dir, &variables).await;
    let mut answers = Vec::new();
    // The window is a minute of the clock, of which at most one begins meanwhile.
    for _ in 0..7 {
        answers.push(get(&server, "/api/api_access_profiles").await);
    }
    assert!(answers.iter().take(3).all(|answer| answer.status == 200));
    let refused = answers.iter().find(|answer| answer.status == 429).expect("no call was refused");
    assert_eq!(refused.json(), json!({"message": "Too many requests"}));
    assert!((1..=60).contains(&refused.header("retry-after").parse::<u32>().unwrap()));
    // Each route of the dialect counts, whichever service has it.
    for path in ["/api/api_collections", "/api/api_endpoints", "/api/managed_users", "/api/managed_users/E0"] {
        let mut others = Vec::new();
        for _ in 0..7 {
            others.push(get(&server, path).await);
        }
        let refused = others.iter().find(|answer| answer.status == 429).unwrap_or_else(|| panic!("{path}"));
        assert_eq!(refused.json(), json!({"message": "Too many requests"}), "{path}");
        assert!((1..=60).contains(&refused.header("retry-after").parse::<u32>().unwrap()), "{path}");
    }
    for answer in &answers {
        assert_eq!(answer.header("deprecation"), DEPRECATION);
        assert_eq!(answer.header("sunset"), "Tue, 01 Dec 2026 00:00:00 GMT");
        assert!(answer.header("link").contains("rel=\"successor-version\""));
    }
}

/// No secret that was ever issued stands in the database or in the log at its most talkative, nor does one of a caller.
pub async fn secrets_are_kept_nowhere(test: TestDb) {
    let data_dir = tempfile::tempdir().unwrap().keep();
    let log = data_dir.join("test.log");
    let file = std::fs::File::create(&log).unwrap();
    let server = Server::start_logging(&test, data_dir, &[("RUST_LOG", "trace")], file.into()).await;
    let collection = server.create_collection("own").await;
    let mut secrets = vec![server.api_key.clone()];
    for (auth, names) in [
        (json!({"auth_type": "token"}), vec!["secret"]),
        (json!({"auth_type": "oauth2"}), vec!["oauth_client_secret"]),
        (
            json!({"auth_type": "jwt", "jwt_method": "hmac", "jwt_secret": "hmac-secret-of-a-caller-32-bytes"}),
            vec!["secret", "jwt_secret"],
        ),
    ] {
        let mut body = json!({"name": "n", "api_collection_ids": [collection]});
        body.as_object_mut().unwrap().extend(auth.as_object().unwrap().clone());
        let request =
            server.request("/api/api_access_profiles").header("authorization", format!("Bearer {}", server.api_key));
        let request = request.header("idempotency-key", auth["auth_type"].as_str().unwrap()).body(body.to_string());
        let made = server.send(request).await.unwrap().expect(200).json();
        secrets.extend(names.iter().map(|name| made[name].as_str().unwrap().to_owned()));
    }
    let identity = test.store.service("identity").await.unwrap();
    let row = identity.fetch_one("SELECT public_id FROM organizations", Vec::new()).await.unwrap();
    let organization: String = row.get("public_id").unwrap();
    let path = format!("/core/v1/organizations/{organization}/api_tokens");
    let made = post(&server, &path, json!({"properties": {"name": "t"}})).await.expect(200).json();
    secrets.push(made["api_token"]["secret"].as_str().unwrap().to_owned());
    let path = format!("/api_tokens/{}/regenerate_secret", made["api_token"]["id"].as_str().unwrap());
    let again = post(&server, &path, json!({})).await.expect(200).json();
    secrets.push(again["api_token"]["secret"].as_str().unwrap().to_owned());

    // Each was used, so that every part that could keep it has seen it.
    for secret in &secrets {
        server.call("GET", "/core/v1/organizations/o/api_tokens", secret, Value::Null).await;
    }
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("API key is in"), "the log was not kept: {log}");
    for secret in &secrets {
        assert!(!log.contains(secret.as_str()), "a secret stands in the log");
    }
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02X}")).collect::<String>();
    for service in ["tokens", "gateway", "identity"] {
        let db = test.store.service(service).await.unwrap();
        let texts = dump(&db).await;
        assert!(texts.iter().any(|text| text.contains(&hex("organizationToken.create"))) || service != "identity");
        for secret in secrets.iter().map(|secret| hex(secret)) {
            let found = texts.iter().find(|text| text.contains(&secret));
            assert_eq!(found, None, "a secret stands in the tables of {service}");
        }
    }
}

/// Every value of every table of a service, as the hex of its bytes.
async fn dump(db: &portolan_store::Db) -> Vec<String> {
    let names = match db.dialect() {
        portolan_store::Dialect::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table'",
        portolan_store::Dialect::Postgres => {
            "SELECT cast(table_name AS text) AS name FROM information_schema.tables
                WHERE table_schema = current_schema()"
        }
    };
    let mut texts = Vec::new();
    let tables = db.fetch_all(names, Vec::new()).await.unwrap();
    assert!(!tables.is_empty());
    for table in tables {
        let name: String = table.get("name").unwrap();
        let columns = match db.dialect() {
            portolan_store::Dialect::Sqlite => format!("SELECT name FROM pragma_table_info('{name}')"),
            portolan_store::Dialect::Postgres => format!(
                "SELECT cast(column_name AS text) AS name FROM information_schema.columns
                    WHERE table_schema = current_schema() AND table_name = '{name}'"
            ),
        };
        let columns = db.fetch_all(portolan_store::Sql::assembled(columns), Vec::new()).await.unwrap();
        for column in columns {
            let column: String = column.get("name").unwrap();
            let value = match db.dialect() {
                portolan_store::Dialect::Sqlite => format!("hex(\"{column}\")"),
                portolan_store::Dialect::Postgres => format!(
                    "upper(encode(convert_to(cast(\"{column}\" AS text), 'UTF8'), 'hex') || cast(\"{column}\" AS text))"
                ),
            };
            let sql = format!("SELECT coalesce({value}, '') AS value FROM \"{name}\"");
            let rows = db.fetch_all(portolan_store::Sql::assembled(sql), Vec::new()).await.unwrap();
            texts.extend(rows.iter().map(|row| row.get::<String>("value").unwrap()));
        }
    }
    texts
}
