//! The edge as callers meet it: a real Envoy asks Portolan about each request.

mod addresses;
mod audited;
mod gate;
mod matrix;
mod poison;
mod provider;
mod signed;
mod tenants;

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_testkit::TestDb;
use serde_json::{Value, json};

pub use self::{addresses::*, audited::*, matrix::*, poison::*, signed::*, tenants::*};
use self::{
    gate::{Gate, HOST},
    provider::{Pair, Provider, hs256, rs256},
};

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// Each credential opens the endpoint of its profile, and none of them passes as another kind.
pub async fn each_kind_of_credential_opens_its_own(test: TestDb) {
    let gate = Gate::start(&test, &[]).await;
    let provider = Provider::start(&[(Pair::Trusted, "k1")]).await;
    let token = gate.profile(json!({"auth_type": "token"})).await;
    let oauth2 = gate.profile(json!({"auth_type": "oauth2"})).await;
    let secret = "a shared secret of thirty-two bytes";
    let hmac = gate.profile(json!({"auth_type": "jwt", "jwt_method": "hmac", "jwt_secret": secret})).await;
    let pem = Pair::Trusted.public_pem();
    let rsa = gate.profile(json!({"auth_type": "jwt", "jwt_method": "rsa", "jwt_secret": pem})).await;
    let oidc = gate.profile(json!({"auth_type": "oidc", "oidc_issuer": provider.issuer})).await;
    let jwks_url = format!("{}/keys", provider.issuer);
    let jwks = gate.profile(json!({"auth_type": "oidc", "oidc_jwks_uri": jwks_url})).await;

    assert_eq!(gate.get("/orders", &[]).await.status, 401);
    assert_eq!(gate.get("/orders", &[("api-token", &token.secret)]).await.status, 200);
    assert_eq!(gate.get("/orders/17", &[("API-Token", &token.secret)]).await.status, 200);
    let basic = format!("Basic {}", STANDARD.encode(format!("api-token:{}", token.secret)));
    assert_eq!(gate.get("/orders", &[("authorization", &basic)]).await.status, 200);
    assert_eq!(gate.get(&format!("/orders?api_token={}", token.secret), &[]).await.status, 200);
    let both = [("api-token", token.secret.as_str()), ("authorization", "Bearer harmless")];
    assert_eq!(gate.get("/orders", &both).await.status, 200);
    assert_eq!(gate.bearer(&token.secret).await, 401, "a token is no Bearer credential");

    let access_token = access_token(&gate, &oauth2.answer).await;
    assert_eq!(gate.bearer(&access_token).await, 200);
    assert_eq!(gate.get("/orders", &[("api-token", &access_token)]).await.status, 401);
    let client_secret = oauth2.answer["oauth_client_secret"].as_str().unwrap();
    assert_eq!(gate.bearer(client_secret).await, 401, "the secret only buys access tokens");

    let claims = |key: &str| json!({"sub": key, "exp": now() + 60});
    assert_eq!(gate.bearer(&hs256(secret.as_bytes(), json!({"alg": "HS256"}), claims(&hmac.secret))).await, 200);
    assert_eq!(gate.bearer(&rs256(Pair::Trusted, json!({"alg": "RS256"}), claims(&rsa.secret))).await, 200);
    for profile in [&oidc, &jwks] {
        let header = json!({"alg": "RS256", "kid": "k1", "typ": "JWT"});
        assert_eq!(gate.bearer(&rs256(Pair::Trusted, header, claims(&profile.secret))).await, 200);
    }
    for profile in [&hmac, &rsa, &oidc] {
        assert_eq!(gate.get("/orders", &[("api-token", &profile.secret)]).await.status, 401, "a key is no token");
    }
    let unknown = hs256(secret.as_bytes(), json!({"alg": "HS256"}), claims("nobody"));
    assert_eq!(gate.bearer(&unknown).await, 401);
    // A good key under the name of another profile.
    assert_eq!(gate.bearer(&rs256(Pair::Trusted, json!({"alg": "RS256"}), claims(&hmac.secret))).await, 401);
    assert_eq!(gate.bearer(&hs256(secret.as_bytes(), json!({"alg": "HS256"}), claims(&token.secret))).await, 401);
}

async fn access_token(gate: &Gate, profile: &Value) -> String {
    let (id, secret) = (profile["oauth_client_id"].as_str().unwrap(), profile["oauth_client_secret"].as_str().unwrap());
    let body = json!({"grant_type": "client_credentials", "client_id": id, "client_secret": secret});
    let answer = gate.server.call("POST", "/oauth2/token", "", body).await.expect(200).json();
    answer["access_token"].as_str().unwrap().to_owned()
}

/// The upstream learns who calls from us alone, and never sees the credential.
pub async fn the_upstream_learns_who_calls_from_us_alone(test: TestDb) {
    let gate = Gate::start(&test, &[]).await;
    let token = gate.profile(json!({"auth_type": "token"})).await;
    let spoofed = [
        ("api-token", token.secret.as_str()),
        ("Authorization", "Bearer left"),
        ("X-Portolan-Profile-Id", "1"),
        ("x-portolan-client-id", "1"),
        ("x-portolan-claims", "e30"),
        ("x_portolan_claims", "e30"),
        ("X-Portolan_Anything", "1"),
        ("x-http-method-override", "DELETE"),
        ("x-original-url", "/private"),
        ("x-other", "stays"),
    ];
    let target = format!("/orders?a=1&api_token={}&b=2", token.secret);
    let reply = gate.get(&target, &spoofed).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.seen("x-portolan-profile-id"), token.id.to_string());
    assert_eq!(reply.seen("x-portolan-client-id"), token.answer["api_client_id"].as_i64().unwrap().to_string());
    assert_eq!(reply.seen("x-other"), "stays");
    for removed in [
        "x-portolan-claims",
        "x_portolan_claims",
        "x-portolan_anything",
        "api-token",
        "authorization",
        "x-http-method-override",
        "x-original-url",
    ] {
        assert_eq!(reply.seen(removed), Value::Null, "{removed}");
    }
    assert_eq!(reply.json()["target"], "/orders?a=1&b=2");
    assert!(!reply.body.contains(&token.secret), "the upstream saw the credential");

    let secret = "a shared secret of thirty-two bytes";
    let hmac = gate.profile(json!({"auth_type": "jwt", "jwt_method": "hmac", "jwt_secret": secret})).await;
    let claims = json!({"sub": hmac.secret, "scope": "orders"});
    let signed = hs256(secret.as_bytes(), json!({"alg": "HS256"}), claims.clone());
    let headers = [("authorization", format!("Bearer {signed}")), ("x-portolan-claims", "e30".to_owned())];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let reply = gate.get("/orders", &headers).await;
    assert_eq!(reply.seen("x-portolan-claims"), provider::part(&claims));
    assert_eq!(reply.seen("authorization"), Value::Null);
}

/// What proxy and upstream might read differently does not pass, and neither does what is in no inventory.
pub async fn paths_pass_in_one_reading_only(test: TestDb) {
    let gate = Gate::start(&test, &[]).await;
    let token = gate.profile(json!({"auth_type": "token"})).await;
    let status = async |target: &str| gate.get(target, &[("api-token", &token.secret)]).await.status;
    for good in ["/orders", "/orders/", "/%6frders", "/orders/17?x=/../..", "/orders?path=%2e%2e"] {
        assert_eq!(status(good).await, 200, "{good}");
    }
    for ambiguous in [
        "//orders",
        "/orders//",
        "/./orders",
        "/orders/.",
        "/x/../orders",
        "/orders/..",
        "/orders/%2e%2e/admin",
        "/orders%2f17",
        "/orders%2F..%2Fadmin",
        "/orders\\17",
        "/orders%5c17",
        "/orders;a=b",
        "/orders;/17",
        "/orders/..;/admin",
        "/orders/%252e%252e/admin",
        "/orders/%c0%ae%c0%ae/admin",
        "/orders%00",
        "/orders%0a",
        "/orders/%zz",
        "/orders%3b",
        "/orders%3fa",
    ] {
        assert_eq!(status(ambiguous).await, 400, "{ambiguous}");
    }
    for unknown in ["/admin", "/Orders", "/orders/17/x", "/orders/abc", "/"] {
        assert_eq!(status(unknown).await, 404, "{unknown}");
    }
    assert_eq!(gate.send("DELETE", HOST, "/orders", &[("api-token", &token.secret)]).await.status, 404);
    assert_eq!(gate.send("GET", "other.localhost", "/orders", &[("api-token", &token.secret)]).await.status, 404);
    assert_eq!(gate.send("HEAD", HOST, "/orders", &[("api-token", &token.secret)]).await.status, 200);

    let shadows = gate.server.get("/v1/shadowEndpoints?pageSize=2").await.expect(200).json();
    let first = &shadows["shadowEndpoints"][0];
    assert_eq!((&first["method"], &first["path"], &first["calls"]), (&json!("DELETE"), &json!("/orders"), &json!(1)));
    assert_eq!(shadows["shadowEndpoints"].as_array().unwrap().len(), 2);
    let rest = format!("/v1/shadowEndpoints?pageToken={}", shadows["nextPageToken"].as_str().unwrap());
    let rest = gate.server.get(&rest).await.expect(200).json();
    let paths: Vec<_> = rest["shadowEndpoints"].as_array().unwrap().iter().map(|one| one["path"].clone()).collect();
    assert!(paths.contains(&json!("/admin")), "{paths:?}");
}

/// Unknown endpoints of a host may be let through; known ones are still protected, whatever the spelling.
pub async fn unknown_endpoints_pass_where_that_is_set(test: TestDb) {
    let gate = Gate::start(&test, &[("PORTOLAN__EDGE__ALLOW_UNKNOWN", "true")]).await;
    let spoofed = [("x-portolan-profile-id", "1")];
    let reply = gate.get("/somewhere", &spoofed).await;
    assert_eq!((reply.status, reply.seen("x-portolan-profile-id")), (200, Value::Null));
    for protected in ["/private", "/PRIVATE", "/private/", "/%50rivate"] {
        assert_eq!(gate.get(protected, &[]).await.status, 401, "{protected}");
    }
    assert_eq!(gate.send("HEAD", HOST, "/private", &[]).await.status, 401);
    assert_eq!(gate.get("/x/../private", &[]).await.status, 400);
    let shadows = gate.server.get("/v1/shadowEndpoints").await.expect(200).json();
    assert_eq!(shadows["shadowEndpoints"][0]["path"], "/somewhere");

    // Methods that a server may read as those that are known.
    for method in ["get", "Get", "pOST"] {
        for target in ["/private", "/somewhere"] {
            assert_eq!(gate.send(method, HOST, target, &[]).await.status, 400, "{method} {target}");
        }
    }
    assert_eq!(gate.send("OPTIONS", HOST, "/private", &[]).await.status, 401);
    assert_eq!(gate.send("PROPFIND", HOST, "/private", &[]).await.status, 404);
    assert_eq!(gate.send("OPTIONS", HOST, "/somewhere", &[]).await.status, 200);
}

/// A preflight request passes without a credential where an active profile says so, and for its collections alone.
pub async fn preflights_pass_where_a_profile_says_so(test: TestDb) {
    let gate = Gate::start(&test, &[]).await;
    gate.protect("Stock", "stock.localhost", &["/items"]).await;
    let preflight = [("origin", "https://app.example"), ("access-control-request-method", "POST")];
    let status = async |host: &str, target: &str, headers: &[(&str, &str)]| {
        gate.send("OPTIONS", host, target, headers).await.status
    };
    let strict = gate.profile(json!({"auth_type": "token"})).await;
    assert_eq!(status(HOST, "/orders", &preflight).await, 404);
    let made = gate.profile(json!({"auth_type": "token", "allow_preflight": true})).await;
    assert_eq!((&made.answer["allow_preflight"], &strict.answer["allow_preflight"]), (&json!(true), &Value::Null));
    assert_eq!(status(HOST, "/orders/17", &preflight).await, 200);
    for (host, target, headers) in [
        (HOST, "/orders", &preflight[..1]),
        (HOST, "/orders", &preflight[1..]),
        (HOST, "/orders", &[preflight[0], ("access-control-request-method", "DELETE")]),
        (HOST, "/unknown", &preflight),
        ("stock.localhost", "/items", &preflight),
    ] {
        assert_eq!(status(host, target, headers).await, 404, "{host}{target} {headers:?}");
    }
    let lower = [preflight[0], ("access-control-request-method", "post")];
    assert_eq!(status(HOST, "/orders", &lower).await, 404);
    assert_eq!(gate.get("/orders", &preflight).await.status, 401, "only OPTIONS is a preflight");
    gate.act(made.id, "disable").await;
    assert_eq!(status(HOST, "/orders", &preflight).await, 404);
    gate.act(made.id, "enable").await;
    assert_eq!(status(HOST, "/orders", &preflight).await, 200);
    let path = format!("/api/api_access_profiles/{}", made.id);
    gate.call("PUT", &path, json!({"allow_preflight": false})).await;
    assert_eq!(status(HOST, "/orders", &preflight).await, 404);
}

/// Nothing that is read as a credential reaches the upstream, in whatever spelling it was sent, and whether the edge asked
/// for one or not.
pub async fn no_spelling_of_a_credential_reaches_the_upstream(test: TestDb) {
    let gate = Gate::start(&test, &[("PORTOLAN__EDGE__ALLOW_UNKNOWN", "true")]).await;
    let token = gate.profile(json!({"auth_type": "token"})).await;
    let oauth2 = gate.profile(json!({"auth_type": "oauth2"})).await;
    let secret = "a shared secret of thirty-two bytes";
    let hmac = gate.profile(json!({"auth_type": "jwt", "jwt_method": "hmac", "jwt_secret": secret})).await;
    let access = access_token(&gate, &oauth2.answer).await;
    let signed = hs256(secret.as_bytes(), json!({"alg": "HS256"}), json!({"sub": hmac.secret}));
    let basic = format!("basic  {}", STANDARD.encode(format!("API_Token:{}", token.secret)));
    let shown = [
        ("api-token", token.secret.clone()),
        ("Api_Token", token.secret.clone()),
        ("authorization", basic.clone()),
        ("authorization", format!("Bearer {access}")),
        ("authorization", format!("bearer {signed}")),
        ("cookie", format!("a=1; api_token={0}; Api-Token={0}; b=2", token.secret)),
        ("cookie", format!("api%5Ftoken={}", token.secret)),
    ];
    let names = [
        "api_token",
        "api%5Ftoken",
        "%61pi_token",
        "API_TOKEN",
        "api-token",
        "api%255Ftoken",
        "api_token%5B%5D",
        "api.token",
    ];
    let clean = |reply: &gate::Reply, sent: &str| {
        assert_eq!(reply.status, 200, "{sent}: {reply:?}");
        let decoded = STANDARD.encode(format!("API_Token:{}", token.secret));
        for credential in [&token.secret, &access, &signed, &decoded] {
            assert!(!reply.body.contains(credential), "{sent}: {reply:?}");
        }
    };
    for (name, value) in &shown {
        clean(&gate.get("/somewhere", &[(name, value)]).await, name);
    }
    for name in names {
        let target = format!("/somewhere?a=1&{name}={0}&b=2&{name}={0}", token.secret);
        let reply = gate.get(&target, &[]).await;
        clean(&reply, name);
        assert_eq!(reply.json()["target"], "/somewhere?a=1&b=2", "{name}");
        // Beside the credential that opens the endpoint.
        let target = format!("/orders?a=1&{name}={0}&b=2", token.secret);
        let reply = gate.get(&target, &[("api-token", &token.secret)]).await;
        clean(&reply, name);
        assert_eq!(reply.json()["target"], "/orders?a=1&b=2", "{name}");
    }
    for (name, value) in &shown[1..] {
        clean(&gate.get("/orders", &[("api-token", &token.secret), (name, value)]).await, name);
    }
    // What is the upstream's own goes on.
    let own = [("authorization", "Bearer of-the-upstream"), ("cookie", "session=1")];
    let reply = gate.get("/somewhere?token=x", &own).await;
    assert_eq!(reply.seen("authorization"), "Bearer of-the-upstream");
    assert_eq!((reply.seen("cookie"), &reply.json()["target"]), (json!("session=1"), &json!("/somewhere?token=x")));
}

/// Collections, addresses and limits bound what a profile may call.
pub async fn a_profile_reaches_no_further_than_it_should(test: TestDb) {
    let variables =
        [("PORTOLAN__EDGE__TRUSTED_PROXIES", "127.0.0.1"), ("PORTOLAN__EDGE__LIMITS", "30/3600+1000/86400")];
    let gate = Gate::start(&test, &variables).await;
    gate.protect("Stock", "stock.localhost", &["/items"]).await;
    let from = |address: &'static str| ("x-forwarded-for", address);
    let get = async |made: &gate::Made, from| gate.get("/orders", &[("api-token", &made.secret), from]).await.status;

    let token = gate.profile(json!({"auth_type": "token"})).await;
    let stock = gate.send("GET", "stock.localhost", "/items", &[("api-token", &token.secret)]).await;
    assert_eq!(stock.status, 403);

    let inside =
        gate.profile(json!({"auth_type": "token", "ip_allow_list": ["203.0.113.7/24", "2001:db8::/32"]})).await;
    assert_eq!(get(&inside, from("203.0.113.200")).await, 200);
    assert_eq!(get(&inside, from("::ffff:203.0.113.9")).await, 200);
    assert_eq!(get(&inside, from("2001:db8::5")).await, 200);
    assert_eq!(get(&inside, from("198.51.100.1")).await, 403);
    assert_eq!(get(&inside, from("203.0.113.9, 198.51.100.1")).await, 403, "the left entry is the caller's word");
    assert_eq!(get(&inside, from("garbage")).await, 403);

    let limited = gate.profile(json!({"auth_type": "token"})).await;
    let mut passed = 0;
    let refused = loop {
        let reply = gate.get("/orders", &[("api-token", &limited.secret)]).await;
        if reply.status != 200 {
            break reply;
        }
        passed += 1;
    };
    assert_eq!((passed, refused.status), (30, 429));
    let wait: u64 = refused.headers["retry-after"].parse().unwrap();
    assert!((1..=3600).contains(&wait), "{wait}");
    assert_eq!(get(&token, from("203.0.113.1")).await, 200, "each profile has its own count");
}

/// Refreshes a secret at one process while another decides by it; the old one passes nothing that begins after the answer.
async fn refresh_under_load(refreshing: &Gate, deciding: &Gate, made: &gate::Made) -> String {
    let hammer = async {
        let (mut last_good, began) = (None, Instant::now());
        while began.elapsed() < Duration::from_millis(1500) {
            let sent = Instant::now();
            match deciding.get("/orders", &[("api-token", &made.secret)]).await.status {
                200 => last_good = Some(sent),
                401 => {}
                other => panic!("status {other}"),
            }
        }
        last_good.expect("the secret never passed")
    };
    let refresh = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        (refreshing.act(made.id, "refresh_secret").await, Instant::now())
    };
    let (last_good, (answer, answered)) = tokio::join!(hammer, refresh);
    assert!(last_good < answered, "the old secret passed {:?} after the answer", last_good - answered);
    answer["secret"].as_str().unwrap().to_owned()
}

/// The same where another process decides; and a process that is killed holds up one change, and that not for long.
pub async fn a_secret_ends_at_every_replica(test: TestDb) {
    let gate = Gate::start(&test, &[]).await;
    let mut made = gate.profile(json!({"auth_type": "token"})).await;
    assert_eq!(gate.get("/orders", &[("api-token", &made.secret)]).await.status, 200);
    if test.url.starts_with("sqlite:") {
        // A SQLite database has one process.
        made.secret = refresh_under_load(&gate, &gate, &made).await;
        return;
    }
    let key_file = gate.server.data_dir.join("secret-key").display().to_string();
    let variables =
        [("PORTOLAN__EDGE__TOKEN", "shared with envoy"), ("PORTOLAN__SECRETS__KEY_FILE", key_file.as_str())];
    let data_dir = tempfile::tempdir().unwrap().keep();
    std::fs::copy(gate.server.data_dir.join("admin-api-key"), data_dir.join("admin-api-key")).unwrap();
    let other = crate::server::Server::start_with(&test, data_dir.clone(), &variables).await;
    let other = Gate::before(other, data_dir).await;
    for _ in 0..3 {
        made.secret = refresh_under_load(&gate, &other, &made).await;
        assert_eq!(other.get("/orders", &[("api-token", &made.secret)]).await.status, 200);
    }
    let began = Instant::now();
    other.server.kill().await;
    gate.act(made.id, "refresh_secret").await;
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    let began = Instant::now();
    gate.act(made.id, "refresh_secret").await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

/// No old secret passes a request that begins after the answer to its end.
pub async fn a_secret_ends_with_the_answer(test: TestDb) {
    let gate = Gate::start(&test, &[]).await;
    let mut made = gate.profile(json!({"auth_type": "token"})).await;
    for _ in 0..5 {
        made.secret = refresh_under_load(&gate, &gate, &made).await;
        assert_eq!(gate.get("/orders", &[("api-token", &made.secret)]).await.status, 200, "the new one passes at once");
    }
    gate.act(made.id, "disable").await;
    assert_eq!(gate.get("/orders", &[("api-token", &made.secret)]).await.status, 401);
    gate.act(made.id, "enable").await;
    assert_eq!(gate.get("/orders", &[("api-token", &made.secret)]).await.status, 200);

    let oauth2 = gate.profile(json!({"auth_type": "oauth2"})).await;
    let token = access_token(&gate, &oauth2.answer).await;
    assert_eq!(gate.bearer(&token).await, 200);
    let renewed = gate.act(oauth2.id, "refresh_secret").await;
    assert_eq!(gate.bearer(&token).await, 401, "access tokens end with the secret that bought them");
    let token = access_token(&gate, &renewed).await;
    assert_eq!(gate.bearer(&token).await, 200);
    gate.act(oauth2.id, "disable").await;
    assert_eq!(gate.bearer(&token).await, 401);
}

/// Without confirmed knowledge nothing passes, and it recovers by itself.
pub async fn a_lost_feed_refuses(test: TestDb) {
    let gate = Gate::start(&test, &[("PORTOLAN__EDGE__PROFILES_AGE_MAX_MS", "1000")]).await;
    let token = gate.profile(json!({"auth_type": "token"})).await;
    let status = async || gate.get("/orders", &[("api-token", &token.secret)]).await.status;
    assert_eq!(status().await, 200);
    let db = test.store.service("tokens").await.unwrap();
    let rename = async |from: &str, to: &str| {
        let text = portolan_store::Sql::assembled(format!("ALTER TABLE {from} RENAME TO {to}"));
        db.execute(text, Vec::new()).await.unwrap();
    };
    rename("edge_replicas", "edge_replicas_lost").await;
    tokio::time::sleep(Duration::from_millis(1600)).await;
    assert_eq!(status().await, 503);
    rename("edge_replicas_lost", "edge_replicas").await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(status().await, 200);
}

/// In six processes decisions are asked for by way of the edge.
pub async fn decisions_are_asked_for_by_way_of_the_edge(test: TestDb) {
    let data_dir = tempfile::tempdir().unwrap().keep();
    let variables = [("PORTOLAN__EDGE__TOKEN", "shared with envoy")];
    let server = crate::server::Server::start_six(&test, data_dir.clone(), &variables).await;
    let mut gate = Gate::before_the_edge(server, data_dir).await;
    gate.collection_id = gate.protect("Orders", HOST, &["/orders", "/private"]).await;
    let token = gate.profile(json!({"auth_type": "token"})).await;
    let deadline = tokio::time::Instant::now() + crate::server::PATIENCE;
    loop {
        let reply = gate.get("/orders", &[("api-token", &token.secret)]).await;
        if reply.status == 200 {
            assert_eq!(reply.seen("x-portolan-profile-id"), token.id.to_string());
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{reply:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(gate.get("/orders", &[]).await.status, 401);
    assert_eq!(gate.get("/nowhere", &[("api-token", &token.secret)]).await.status, 404);
}

/// A caller without the secret of the proxies learns nothing.
pub async fn only_proxies_are_answered(test: TestDb) {
    let gate = Gate::start(&test, &[]).await;
    let mut client = tonic::client::Grpc::new(
        tonic::transport::Endpoint::new(format!("http://{}", gate.server.grpc)).unwrap().connect().await.unwrap(),
    );
    client.ready().await.unwrap();
    let path = "/envoy.service.auth.v3.Authorization/Check".parse().unwrap();
    let mut request = tonic::Request::new(());
    request.metadata_mut().insert("x-portolan-edge-token", "guess".parse().unwrap());
    let codec: tonic_prost::ProstCodec<(), ()> = tonic_prost::ProstCodec::default();
    let error = client.unary(request, path, codec).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::Unauthenticated);
}
