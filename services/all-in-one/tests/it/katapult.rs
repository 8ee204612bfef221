use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::server::{Answer, Server};

const LIST: &str = "/core/v1/organizations/organization/api_tokens";

/// The lookups of the installation's organization.
pub async fn organization(test: &TestDb) -> (String, String) {
    let identity = test.store.service("identity").await.unwrap();
    let row = identity.fetch_one("SELECT public_id, sub_domain FROM organizations", Vec::new()).await.unwrap();
    (row.get("public_id").unwrap(), row.get("sub_domain").unwrap())
}

/// Makes a token as the administrator; answers its id and secret.
async fn create(server: &Server, test: &TestDb, properties: Value) -> (String, String) {
    let (id, _) = organization(test).await;
    let body = json!({"organization": {"id": id}, "properties": properties});
    let made = server.call("POST", LIST, &server.api_key, body).await.expect(200).json();
    let text = |name: &str| made["api_token"][name].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

/// The body in both documented shapes, its status and the header that marks errors.
#[track_caller]
fn check_error(answer: Answer, status: u16, code: &str, detail: Value) {
    let body = answer.json();
    assert_eq!((answer.status, &body["code"], &body["detail"]), (status, &json!(code), &detail), "{body}");
    assert!(body["description"].as_str().is_some_and(|text| !text.is_empty()));
    for name in ["code", "description", "detail"] {
        assert_eq!(body["error"][name], body[name]);
    }
    assert_eq!((answer.header("x-api-schema"), answer.header("content-type")), ("json-error", "application/json"));
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert!(!answer.header("x-request-id").is_empty() && !answer.header("x-portolan-error").is_empty());
    if status == 429 {
        assert!((1..=60).contains(&answer.header("retry-after").parse::<u32>().unwrap()));
    }
}

/// Create, list, update, regenerate and delete, in both path styles, with and without the prefix.
pub async fn the_five_operations(test: TestDb) {
    let server = Server::start(&test).await;
    let (organization, sub_domain) = organization(&test).await;
    let admin = server.api_key.clone();

    let body = json!({
        "properties": {"name": "CI", "scopes": ["api_tokens", "inventory:read"], "authorized_ip_addresses": ["127.0.0.0/8"]},
        "annotations": [{"key": "team", "value": "edge"}, {"key": "note", "value": null}],
    });
    let path = format!("/organizations/{organization}/api_tokens");
    let made = server.call("POST", &path, &admin, body).await.expect(200);
    assert_eq!((made.header("access-control-allow-origin"), made.header("x-api-schema")), ("*", ""));
    let made = made.json();
    let id = made["api_token"]["id"].as_str().unwrap().to_owned();
    let secret = made["api_token"]["secret"].as_str().unwrap().to_owned();
    assert!(id.len() == 20 && id.starts_with("tok_"), "{id}");
    let mut expected = json!({
        "id": id, "name": "CI", "organization_id": organization, "authorized_ip_addresses": ["127.0.0.0/8"],
        "expires_at": null, "rate_limit": 200, "scopes": ["api_tokens", "inventory:read"], "secret": secret,
    });
    let annotations = json!([{"key": "team", "value": "edge"}, {"key": "note", "value": null}]);
    assert_eq!(made, json!({"api_token": expected, "annotations": annotations}));

    expected["secret"] = Value::Null;
    for query in [
        format!("organization[sub_domain]={sub_domain}&annotations[][key]=team&annotations[][value]=edge"),
        format!("organization[id]={organization}&page=1&per_page=200"),
    ] {
        for path in [LIST, &LIST["/core/v1".len()..]] {
            let listed = server.call("GET", &format!("{path}?{query}"), &secret, Value::Null).await.expect(200).json();
            let pagination = json!({"current_page": 1, "total_pages": 1, "total": 1, "per_page": listed["pagination"]["per_page"], "large_set": false});
            assert_eq!(listed, json!({"pagination": pagination, "api_tokens": [expected]}));
        }
    }
    let none = format!("{LIST}?organization[id]={organization}&annotations[][key]=team&annotations[][value]=x");
    let none = server.call("GET", &none, &secret, Value::Null).await.expect(200).json();
    assert_eq!((&none["api_tokens"], &none["pagination"]["total_pages"]), (&json!([]), &json!(0)));

    // What is left out stays, null clears, lists are replaced. A token lifts no bounds, its own neither.
    let later = now_s() + 3600;
    let body = json!({"api_token": {"id": id}, "properties": {"expires_at": later, "authorized_ip_addresses": []}});
    let updated = server.call("PATCH", "/api_tokens/api_token", &server.api_key, body).await.expect(200).json();
    expected["expires_at"] = json!(later);
    expected["authorized_ip_addresses"] = json!([]);
    assert_eq!(updated, json!({"api_token": expected, "annotations": annotations}));
    let body = json!({"properties": {"expires_at": null, "name": "CI 2"}, "annotations": []});
    let updated =
        server.call("PATCH", &format!("/core/v1/api_tokens/{id}"), &server.api_key, body).await.expect(200).json();
    expected["expires_at"] = Value::Null;
    expected["name"] = json!("CI 2");
    assert_eq!(updated, json!({"api_token": expected, "annotations": []}));

    // The caller's own secret is regenerated: the new one works, the old one is dead, nothing else changed.
    let path = "/core/v1/api_tokens/api_token/regenerate_secret";
    let again = server.call("POST", path, &secret, json!({"api_token": {"id": id}})).await.expect(200).json();
    let fresh = again["api_token"]["secret"].as_str().unwrap().to_owned();
    expected["secret"] = json!(fresh);
    assert_eq!(again, json!({"api_token": expected}));
    assert_ne!(fresh, secret);
    let dead = server.call("POST", path, &secret, json!({})).await;
    check_error(dead, 403, "invalid_api_token", json!({"details": null}));

    let deleted = server.call("DELETE", &format!("/api_tokens/{id}"), &fresh, Value::Null).await.expect(200).json();
    assert_eq!(deleted, json!({"api_token": {"id": id, "name": "CI 2"}}));
    let gone = server.call("DELETE", &format!("/api_tokens/{id}"), &fresh, Value::Null).await;
    check_error(gone, 403, "invalid_api_token", json!({"details": null}));
    let gone = server.call("DELETE", &format!("/api_tokens/{id}"), &admin, Value::Null).await;
    check_error(gone, 404, "api_token_not_found", json!({}));

    // A repeated key repeats the answer without the secret, and makes nothing.
    let body = json!({"organization": {"id": organization}, "properties": {"name": "once"}}).to_string();
    let request = || {
        let request = server.request(LIST).header("authorization", format!("Bearer {admin}"));
        server.send(request.header("idempotency-key", "k1").body(body.clone()))
    };
    let first = request().await.unwrap().expect(200).json();
    let second = request().await.unwrap().expect(200).json();
    assert!(first["api_token"]["secret"].is_string() && second["api_token"]["secret"].is_null());
    assert_eq!(first["api_token"]["id"], second["api_token"]["id"]);
}

/// Every refusal with its status, code and detail, in the documented order of checks.
pub async fn refusals_are_exact(test: TestDb) {
    let server = Server::start(&test).await;
    let (organization, _) = organization(&test).await;
    let (id, secret) = create(&server, &test, json!({"name": "all", "scopes": ["api_tokens"]})).await;
    let (_, reader) = create(&server, &test, json!({"name": "reader", "scopes": ["api_tokens:read"]})).await;
    let (_, none) = create(&server, &test, json!({"name": "none"})).await;
    let token = format!("/core/v1/api_tokens/{id}");

    // The token comes before everything else, the scope before the arguments.
    for path in [token.as_str(), LIST, "/api_tokens/x"] {
        let verb = if path == LIST { "GET" } else { "PATCH" };
        check_error(server.call(verb, path, "", Value::Null).await, 400, "missing_api_token", json!({}));
    }
    let basic = server.request(LIST).header("authorization", "Basic eDp5").body("{");
    check_error(server.send(basic).await.unwrap(), 400, "missing_api_token", json!({}));
    let by_header = server.request(LIST).header("x-api-key", &server.api_key).body("{}");
    check_error(server.send(by_header).await.unwrap(), 400, "missing_api_token", json!({}));
    let mistyped = format!("{}{}", &secret[..39], if secret.ends_with('x') { 'y' } else { 'x' });
    for wrong in ["x", "pto", &mistyped, &secret[..39]] {
        let answer = server.call("PATCH", &token, wrong, json!([])).await;
        check_error(answer, 403, "invalid_api_token", json!({"details": null}));
    }
    check_error(server.call("PATCH", &token, "a.b.c", json!({})).await, 403, "invalid_capabilities_token", json!({}));
    let malformed = server.request(LIST).header("authorization", format!("Bearer {reader}")).body("{");
    check_error(server.send(malformed).await.unwrap(), 403, "scope_not_granted", json!({"scopes": ["api_tokens"]}));
    let list = format!("{LIST}?organization[id]={organization}");
    server.call("GET", &list, &reader, Value::Null).await.expect(200);
    let scopes = json!({"scopes": ["api_tokens", "api_tokens:read"]});
    check_error(server.call("GET", &list, &none, Value::Null).await, 403, "scope_not_granted", scopes);

    // Arguments.
    let malformed = server.request(LIST).header("authorization", format!("Bearer {secret}")).body("{");
    let answer = server.send(malformed).await.unwrap();
    let details = answer.json()["detail"]["details"].clone();
    assert!(details.is_string());
    check_error(answer, 400, "invalid_json_body", json!({"details": details}));
    let answer = server.call("PATCH", &token, &secret, json!({})).await;
    let detail = json!({"path": ["properties"], "argument": {"name": "properties", "description": null}});
    check_error(answer, 400, "missing_required_argument", detail);
    let answer = server.call("PATCH", &token, &secret, json!({"properties": {"expires_at": "1"}})).await;
    let detail = answer.json()["detail"].clone();
    assert_eq!((&detail["issue"], detail["errors"].as_array().unwrap().len()), (&json!("parse_error"), 1));
    check_error(answer, 400, "invalid_argument", detail);
    for (query, name, rule) in [
        ("page=0", "page", "greater_than_zero"),
        ("per_page=0", "per_page", "greater_than_zero"),
        ("per_page=201", "per_page", "less_than_or_equal_to_one_hundred"),
    ] {
        let answer = server.call("GET", &format!("{list}&{query}"), &secret, Value::Null).await;
        let detail = json!({
            "path": [name], "index": null, "issue": "validation_errors", "issue_description": null, "errors": [rule],
            "argument": {"id": format!("ListOrganizationTokensRequest/{name}"), "name": name, "description": null},
        });
        check_error(answer, 400, "invalid_argument", detail);
    }

    // Lookups.
    let properties = json!({"properties": {"name": "n"}});
    for path in ["/api_tokens/api_token", "/core/v1/api_tokens/tok_0000000000000000"] {
        let answer = server.call("PATCH", path, &secret, properties.clone()).await;
        check_error(answer, 404, "api_token_not_found", json!({}));
    }
    for query in ["organization[id]=org_0", "organization[sub_domain]=nobody"] {
        let answer = server.call("GET", &format!("{LIST}?{query}"), &secret, Value::Null).await;
        check_error(answer, 404, "organization_not_found", json!({}));
    }
    check_error(server.call("GET", LIST, &secret, Value::Null).await, 404, "organization_not_found", json!({}));

    // Permission before validation; a scope that the caller lacks is neither granted nor handed out.
    let details =
        |scope: &str| json!({"details": format!("The calling API token does not have the scope {scope} itself")});
    let wider = json!({"properties": {"name": "", "scopes": ["api_tokens", "dns"]}});
    let path = format!("/core/v1/organizations/{organization}/api_tokens");
    check_error(server.call("POST", &path, &secret, wider.clone()).await, 403, "permission_denied", details("dns"));
    check_error(server.call("PATCH", &token, &secret, wider).await, 403, "permission_denied", details("dns"));
    let (other, _) = create(&server, &test, json!({"name": "wider", "scopes": ["dns"]})).await;
    let answer = server.call("POST", &format!("/api_tokens/{other}/regenerate_secret"), &secret, Value::Null).await;
    check_error(answer, 403, "permission_denied", details("dns"));
    let burp = server.post("/api/addApiToken", json!({"tokenUtility": "BURP"})).await.expect(200).json();
    let burp = burp["apiTokenList"][0]["key"].as_str().unwrap().to_owned();
    check_error(
        server.call("GET", &list, &burp, Value::Null).await,
        403,
        "permission_denied",
        json!({"details": null}),
    );

    // Validation lists every fault.
    let past = now_s() - 1;
    let bad = json!({"properties": {
        "name": " ", "scopes": ["nothing"], "authorized_ip_addresses": ["1.2.3.4", "x"], "expires_at": past,
    }});
    let errors = json!({"errors": [
        "Name can't be blank",
        "Authorized ip addresses has an entry that is no address or range: x",
        "Scopes has an unknown scope: nothing",
        "Expires at must be in the future",
    ]});
    check_error(server.call("POST", &path, &server.api_key, bad).await, 422, "validation_error", errors);

    // What no route has, and what browsers ask first.
    for (verb, path) in [("GET", "/core/v1/nothing"), ("GET", "/api_tokens/x"), ("PUT", "/core/v1/api_tokens/x")] {
        check_error(server.call(verb, path, &secret, Value::Null).await, 404, "route_not_found", json!({}));
    }
    let preflight = server.call("OPTIONS", &token, "", Value::Null).await.expect(200);
    assert_eq!((preflight.body.as_str(), preflight.header("access-control-allow-methods")), ("", "*"));
}

/// Arguments come by path, query, `_arguments` and body, the later winning; each wrong one is named with its issue.
pub async fn arguments_are_read_as_documented(test: TestDb) {
    let server = Server::start(&test).await;
    let (organization, sub_domain) = organization(&test).await;
    let (id, secret) = create(&server, &test, json!({"name": "all", "scopes": ["api_tokens"]})).await;
    let token = format!("/core/v1/api_tokens/{id}");
    let name = async |name: &str| {
        let list = server.call("GET", &format!("{LIST}?organization[id]={organization}"), &secret, Value::Null).await;
        assert_eq!(list.expect(200).json()["api_tokens"][0]["name"], name);
    };

    // A lookup wins over the path; the query names it as the body does; the body wins over the query.
    let body = json!({"api_token": {"id": id}, "properties": {"name": "by body"}});
    server.call("PATCH", "/api_tokens/tok_0000000000000000", &secret, body).await.expect(200);
    name("by body").await;
    let query = format!("/api_tokens/api_token?api_token[id]={id}&properties[name]=by+query");
    server.call("PATCH", &query, &secret, Value::Null).await.expect(200);
    name("by query").await;
    let query = "/api_tokens/api_token?api_token[id]=x&properties[name]=y";
    let body = json!({"api_token": {"id": id}, "properties": {"name": "body wins"}});
    server.call("PATCH", query, &secret, body).await.expect(200);
    name("body wins").await;
    let arguments = "_arguments=%7B%22properties%22%3A%7B%22name%22%3A%22as+json%22%7D%7D";
    server.call("PATCH", &format!("{token}?{arguments}"), &secret, Value::Null).await.expect(200);
    name("as json").await;
    // A body that is no JSON, and JSON that is no object, say nothing.
    let request = server.request(&format!("{token}/regenerate_secret?_=1"));
    let admin = format!("Bearer {}", server.api_key);
    server.send(request.header("authorization", &admin).body("[1]")).await.unwrap().expect(200);
    let (id, secret) = create(&server, &test, json!({"name": "again", "scopes": ["api_tokens"]})).await;
    let token = format!("/core/v1/api_tokens/{id}");

    for (verb, path, body, issue, place, index) in [
        (
            "PATCH",
            &*token,
            json!({"api_token": "x", "properties": {}}),
            "object_expected",
            json!(["api_token"]),
            Value::Null,
        ),
        (
            "PATCH",
            &token,
            json!({"api_token": {}, "properties": {}}),
            "missing_lookup_value",
            json!(["api_token"]),
            Value::Null,
        ),
        (
            "PATCH",
            &token,
            json!({"api_token": {"foo": 1}, "properties": {}}),
            "missing_lookup_value",
            json!(["api_token"]),
            Value::Null,
        ),
        (
            "POST",
            LIST,
            json!({"organization": {"id": organization, "sub_domain": sub_domain}, "properties": {}}),
            "ambiguous_lookup_values",
            json!(["organization"]),
            Value::Null,
        ),
        (
            "PATCH",
            &token,
            json!({"properties": {"scopes": "a"}}),
            "array_expected",
            json!(["properties", "scopes"]),
            Value::Null,
        ),
        (
            "PATCH",
            &token,
            json!({"properties": {"scopes": ["dns", 1]}}),
            "invalid_scalar",
            json!(["properties", "scopes"]),
            json!(1),
        ),
        (
            "PATCH",
            &token,
            json!({"properties": {"name": {}}}),
            "invalid_scalar",
            json!(["properties", "name"]),
            Value::Null,
        ),
        (
            "PATCH",
            &token,
            json!({"properties": {"expires_at": 1.5}}),
            "parse_error",
            json!(["properties", "expires_at"]),
            Value::Null,
        ),
    ] {
        let answer = server.call(verb, path, &secret, body.clone()).await;
        let detail = answer.json()["detail"].clone();
        assert_eq!((&detail["issue"], &detail["path"], &detail["index"]), (&json!(issue), &place, &index), "{body}");
        assert_eq!(detail["argument"]["name"], place[place.as_array().unwrap().len() - 1], "{body}");
        check_error(answer, 400, "invalid_argument", detail);
    }
    let list = format!("{LIST}?organization[id]={organization}&page=1&per_page=1");
    let page = server.call("GET", &list, &secret, Value::Null).await.expect(200).json();
    let pagination = json!({"current_page": 1, "total_pages": 2, "total": 2, "per_page": 1, "large_set": false});
    assert_eq!((&page["pagination"], page["api_tokens"].as_array().unwrap().len()), (&pagination, 1));
}

/// Expiry, network, rate limit and the state of the organization are checked at each use.
pub async fn what_is_checked_at_each_use(test: TestDb) {
    let server = Server::start(&test).await;
    let (organization, _) = organization(&test).await;
    let list = format!("{LIST}?organization[id]={organization}");
    let (id, secret) = create(&server, &test, json!({"name": "t", "scopes": ["api_tokens"]})).await;

    let elsewhere = json!({"properties": {"authorized_ip_addresses": ["198.51.100.0/24"]}});
    server.call("PATCH", &format!("/api_tokens/{id}"), &secret, elsewhere).await.expect(200);
    let answer = server.call("GET", &list, &secret, Value::Null).await;
    check_error(answer, 403, "unauthorized_network_for_api_token", json!({"ip_address": "127.0.0.1"}));
    let back = json!({"properties": {"authorized_ip_addresses": ["127.0.0.1"], "expires_at": now_s() + 2}});
    server.call("PATCH", &format!("/api_tokens/{id}"), &server.api_key, back).await.expect(200);
    server.call("GET", &list, &secret, Value::Null).await.expect(200);
    tokio::time::sleep(std::time::Duration::from_millis(2_100)).await;
    let expired = server.call("GET", &list, &secret, Value::Null).await;
    check_error(expired, 403, "invalid_api_token", json!({"details": null}));

    // Regeneration works on an expired token and keeps its expiry.
    let path = format!("/api_tokens/{id}/regenerate_secret");
    let again = server.call("POST", &path, &server.api_key, json!({})).await.expect(200).json();
    assert!(again["api_token"]["expires_at"].as_i64().unwrap() <= now_s());

    // The operator shuts the organization.
    let identity = test.store.service("identity").await.unwrap();
    let (_, other) = create(&server, &test, json!({"name": "other", "scopes": ["api_tokens"]})).await;
    for (state, code) in [("SUSPENDED", "organization_suspended"), ("NOT_ACTIVATED", "organization_not_activated")] {
        let sql = portolan_store::Sql::assembled(format!("UPDATE organizations SET state = '{state}'"));
        identity.execute(sql, Vec::new()).await.unwrap();
        // What is known of shut organizations is half a second old at most.
        let is_told = async || server.call("GET", &list, &other, Value::Null).await.body.contains(code);
        let deadline = tokio::time::Instant::now() + crate::server::PATIENCE;
        while !is_told().await {
            assert!(tokio::time::Instant::now() < deadline, "the organization is not {state}");
        }
        check_error(server.call("GET", &list, &other, Value::Null).await, 403, code, json!({}));
        let body = json!({"organization": {"id": organization}, "properties": {"name": "n"}});
        check_error(server.call("POST", LIST, &other, body).await, 403, code, json!({}));
    }
    identity.execute("UPDATE organizations SET state = 'ACTIVE'", Vec::new()).await.unwrap();
    let deadline = tokio::time::Instant::now() + crate::server::PATIENCE;
    while server.call("GET", &list, &other, Value::Null).await.status != 200 {
        assert!(tokio::time::Instant::now() < deadline, "the organization is not ACTIVE");
    }

    // The window is a minute of the clock: at most one of three rounds begins in a later one.
    let (_, busy) = create(&server, &test, json!({"name": "busy", "scopes": ["api_tokens"]})).await;
    let mut answers = Vec::new();
    for _ in 0..401 {
        answers.push(server.call("GET", &list, &busy, Value::Null).await);
        if answers.last().unwrap().status == 429 {
            break;
        }
    }
    let last = answers.pop().unwrap();
    assert!(answers.len() >= 200, "{} calls were answered", answers.len());
    check_error(last, 429, "rate_limit_reached", json!({"total_permitted": 200}));
}

/// Thirty-two callers regenerate one secret at once. All are answered 200, exactly one of the secrets works then, and a
/// secret that was once refused never works again.
pub async fn one_secret_works_while_callers_race(test: TestDb) {
    let server = Arc::new(Server::start(&test).await);
    let (organization, _) = organization(&test).await;
    let (id, first) = create(&server, &test, json!({"name": "raced", "scopes": ["api_tokens"]})).await;
    let path = format!("/api_tokens/{id}/regenerate_secret");
    let known = Arc::new(Mutex::new(vec![first.clone()]));
    let racing = Arc::new(AtomicBool::new(true));

    // Probes every known secret in a row, again and again: at most the newest works, and what died stays dead.
    let probe = tokio::spawn({
        let (server, known, racing, organization) =
            (server.clone(), known.clone(), racing.clone(), organization.clone());
        async move {
            let mut dead: Vec<String> = Vec::new();
            let mut probes = 0;
            while racing.load(Ordering::SeqCst) {
                let secrets = known.lock().unwrap().clone();
                for secret in secrets {
                    let works = works(&server, &organization, &secret).await;
                    assert!(!(works && dead.contains(&secret)), "a dead secret works again");
                    if !works {
                        dead.push(secret);
                    }
                    probes += 1;
                }
            }
            probes
        }
    });
    let calls = (0..32).map(|_| {
        let (server, path, known) = (server.clone(), path.clone(), known.clone());
        tokio::spawn(async move {
            let admin = server.api_key.clone();
            let answer = server.call("POST", &path, &admin, json!({})).await.expect(200).json();
            let secret = answer["api_token"]["secret"].as_str().unwrap().to_owned();
            known.lock().unwrap().push(secret.clone());
            secret
        })
    });
    let mut secrets = vec![first];
    for call in calls.collect::<Vec<_>>() {
        secrets.push(call.await.unwrap());
    }
    racing.store(false, Ordering::SeqCst);
    assert!(probe.await.unwrap() > 0);
    let mut working = 0;
    for secret in &secrets {
        working += usize::from(works(&server, &organization, secret).await);
    }
    assert_eq!((secrets.len(), working), (33, 1));

    // One after the other: none but the newest works after the 200.
    let mut before = String::new();
    for _ in 0..10 {
        let answer = server.call("POST", &path, &server.api_key, json!({})).await.expect(200).json();
        let secret = answer["api_token"]["secret"].as_str().unwrap().to_owned();
        assert!(works(&server, &organization, &secret).await);
        assert!(before.is_empty() || !works(&server, &organization, &before).await);
        before = secret;
    }
}

/// An organization token reaches our own API within its scopes, and the documented APIs of users not at all.
pub async fn scopes_open_our_own_api(test: TestDb) {
    let server = Server::start(&test).await;
    let (_, imports) = create(&server, &test, json!({"name": "imports", "scopes": ["imports"]})).await;
    let (_, reader) = create(&server, &test, json!({"name": "reader", "scopes": ["inventory:read"]})).await;
    server.call("GET", "/v1/jobs", &imports, Value::Null).await.expect(200);
    let refused = server.call("GET", "/v1/jobs", &reader, Value::Null).await.expect(403).json();
    assert_eq!((&refused["reason"], &refused["status"]), (&json!("SCOPE_NOT_GRANTED"), &json!(403)));
    for path in ["/api/getAllCollections", "/api/addApiToken", "/api/me"] {
        server.call("POST", path, &imports, json!({})).await.expect(403);
    }
    let unknown = server.call("GET", "/v1/jobs", "pto", Value::Null).await.expect(401);
    assert_eq!(unknown.header("x-portolan-error"), "INVALID_API_TOKEN");
}

/// Beyond the token's own rate a live secret answers 429, a dead one 403 still.
async fn works(server: &Server, organization: &str, secret: &str) -> bool {
    let list = format!("{LIST}?organization[id]={organization}");
    let answer = server.call("GET", &list, secret, Value::Null).await;
    match answer.status {
        200 | 429 => true,
        403 => false,
        status => panic!("{status} {}", answer.body),
    }
}

fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// The scopes of access profiles open the routes of profiles and clients, reading ones by either, and no others.
pub async fn scopes_open_the_routes_of_profiles(test: TestDb) {
    let server = Server::start(&test).await;
    let collection = server.create_collection("c").await;
    let (_, writes) = create(&server, &test, json!({"name": "w", "scopes": ["access_profiles"]})).await;
    let (_, reads) = create(&server, &test, json!({"name": "r", "scopes": ["access_profiles:read"]})).await;
    let (_, other) = create(&server, &test, json!({"name": "o", "scopes": ["inventory"]})).await;
    let status = async |token: &str, verb: &str, path: &str, body: &Value| {
        server.call(verb, path, token, body.clone()).await.status
    };
    let profile = json!({"name": "n", "auth_type": "token", "api_collection_ids": [collection]});
    let made = server.call("POST", "/api/api_access_profiles", &writes, profile.clone()).await.expect(200).json();
    let client = json!({"name": "n", "auth_type": "token", "api_collection_ids": [collection]});
    let client = server.call("POST", "/api/v2/api_clients", &writes, client).await.expect(200).json();
    let client = format!("/api/v2/api_clients/{}", client["data"]["id"].as_i64().unwrap());
    let keys = format!("{client}/api_keys");
    for path in ["/api/api_access_profiles", "/api/api_clients", "/api/v2/api_clients", &client, &keys] {
        for (token, expected) in [(&writes, 200), (&reads, 200), (&other, 404)] {
            assert_eq!(status(token, "GET", path, &Value::Null).await, expected, "{path}");
        }
    }
    let refresh = format!("/api/api_access_profiles/{}/refresh_secret", made["id"]);
    for (verb, path, body) in [
        ("POST", "/api/api_access_profiles", &profile),
        ("PUT", refresh.as_str(), &Value::Null),
        ("POST", keys.as_str(), &json!({"name": "k", "active": true})),
    ] {
        for (token, expected) in [(&reads, 404), (&other, 404), (&writes, 200)] {
            assert_eq!(status(token, verb, path, body).await, expected, "{verb} {path}");
        }
    }
    assert_eq!(status(&writes, "GET", "/api/managed_users", &Value::Null).await, 404);
}

/// An organization token with the scope `imports` imports, into a collection that it names or that it makes.
pub async fn the_scope_imports_imports(test: TestDb) {
    let server = Server::start(&test).await;
    let (_, imports) = create(&server, &test, json!({"name": "i", "scopes": ["imports"]})).await;
    let (_, other) = create(&server, &test, json!({"name": "o", "scopes": ["inventory:read"]})).await;
    let capture = crate::server::har(&[("GET", "http://imports.test/books", "", 200, "{}")]);
    let send = async |token: &str, query: &str| {
        let request = reqwest::Client::new().post(format!("{}/v1/imports?{query}", server.http));
        let request = request.header("authorization", format!("Bearer {token}"));
        let request = request.header("content-type", "application/json").body(capture.clone());
        server.send(request).await.unwrap()
    };
    let kept = server.create_collection("kept").await;
    for query in ["collectionName=Made".to_owned(), format!("collectionId={kept}")] {
        let answer = send(&imports, &query).await;
        assert!(answer.status == 200 || answer.status == 202, "{query}: {}", answer.body);
        let job = answer.json()["jobId"].as_str().unwrap().to_owned();
        assert_eq!(server.wait_for_job(&job).await["state"], "SUCCEEDED");
        send(&other, &query).await.expect(403);
    }
    let endpoints = server.endpoints(kept).await;
    assert_eq!(endpoints.len(), 1, "{endpoints:?}");
}
