//! Single sign-on, against a provider of the test's own.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use p256::{SecretKey, elliptic_curve::sec1::ToEncodedPoint as _, pkcs8::EncodePrivateKey as _};
use portolan_testkit::TestDb;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

use crate::{
    identity_team::Person,
    sealing,
    server::{Answer, Server},
};

const PUBLIC_URL: &str = "https://portolan.test";
const FAILED: &str = "The single sign-on did not succeed";

fn data_dir() -> std::path::PathBuf {
    tempfile::tempdir().unwrap().keep()
}

/// What differs between providers.
#[derive(Clone, Default)]
struct Shape {
    /// The ways in which it says that it takes a client; `None` says nothing of it.
    published: Option<Vec<&'static str>>,
    /// Takes the client's secret in the form alone.
    wants_post: bool,
    has_user_info: bool,
    /// Signs what UserInfo says.
    signs_user_info: bool,
    /// What its metadata says otherwise than it is.
    metadata: Value,
}

type Forge = fn(&Provider, &Value) -> String;

/// A provider with one person.
#[derive(Clone)]
struct Provider {
    issuer: String,
    shape: Shape,
    key: SecretKey,
    /// What the next ID token says.
    claims: Arc<Mutex<Value>>,
    /// Makes the next ID token of its claims, in the place of the provider.
    forge: Arc<Mutex<Option<Forge>>>,
    /// What UserInfo says.
    user_info: Arc<Mutex<Value>>,
    /// The `code_challenge` of the login under way.
    challenge: Arc<Mutex<String>>,
}

/// Of an installation that lets people in by a provider.
fn variables_of<'p>(provider: &'p Provider, algorithms: &'p str) -> [(&'static str, &'p str); 5] {
    [
        ("PORTOLAN__OIDC__ISSUER", provider.issuer.as_str()),
        ("PORTOLAN__OIDC__CLIENT_ID", "portolan"),
        ("PORTOLAN__OIDC__CLIENT_SECRET", "a secret of the client"),
        ("PORTOLAN__OIDC__ALGORITHMS", algorithms),
        ("PORTOLAN__MAIL__PUBLIC_URL", PUBLIC_URL),
    ]
}

async fn provider() -> Provider {
    provider_of(Shape::default()).await
}

async fn provider_of(shape: Shape) -> Provider {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let provider = Provider {
        issuer: format!("http://{}", listener.local_addr().unwrap()),
        shape,
        key: SecretKey::from_slice(&[7; 32]).unwrap(),
        claims: Arc::default(),
        forge: Arc::default(),
        user_info: Arc::default(),
        challenge: Arc::default(),
    };
    let router = Router::new()
        .route("/.well-known/openid-configuration", routing::get(discovery))
        .route("/jwks", routing::get(jwks))
        .route("/token", routing::post(token))
        .route("/userinfo", routing::get(user_info))
        .with_state(provider.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    provider
}

async fn discovery(State(me): State<Provider>) -> String {
    let at = |path: &str| format!("{}{path}", me.issuer);
    let mut said = json!({"issuer": me.issuer, "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"), "jwks_uri": at("/jwks"), "end_session_endpoint": at("/logout")});
    if let Some(published) = &me.shape.published {
        said["token_endpoint_auth_methods_supported"] = json!(published);
    }
    if me.shape.has_user_info {
        said["userinfo_endpoint"] = json!(at("/userinfo"));
    }
    for (name, value) in me.shape.metadata.as_object().into_iter().flatten() {
        said[name] = value.clone();
    }
    said.to_string()
}

async fn user_info(State(me): State<Provider>, headers: HeaderMap) -> Result<(HeaderMap, String), StatusCode> {
    if headers["authorization"] != "Bearer x" {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let said = me.user_info.lock().unwrap().clone();
    let kind = if me.shape.signs_user_info { "application/jwt" } else { "application/json" };
    let headers = HeaderMap::from_iter([("content-type".parse().unwrap(), kind.parse().unwrap())]);
    Ok((headers, if me.shape.signs_user_info { me.sign(&said) } else { said.to_string() }))
}

impl Provider {
    fn sign(&self, claims: &Value) -> String {
        sign_with(&self.key, Header { kid: Some("k1".into()), ..Header::new(Algorithm::ES256) }, claims)
    }
}

fn sign_with(key: &SecretKey, header: Header, claims: &Value) -> String {
    let pkcs8 = key.to_pkcs8_der().unwrap();
    encode(&header, claims, &EncodingKey::from_ec_der(pkcs8.as_bytes())).unwrap()
}

/// A token whose header is written by hand, under a signature that is given.
fn by_hand(header: &Value, claims: &Value, signature: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{signature}", part(header), part(claims))
}

async fn jwks(State(me): State<Provider>) -> String {
    let point = me.key.public_key().to_encoded_point(false);
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k1", "alg": "ES256", "use": "sig",
        "x": part(point.x().unwrap()), "y": part(point.y().unwrap())}]})
    .to_string()
}

/// The trade is refused unless everything about it is right.
async fn token(
    State(me): State<Provider>,
    headers: HeaderMap,
    body: String,
) -> Result<String, (StatusCode, &'static str)> {
    let form: HashMap<_, _> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
    let basic = headers.get("authorization").is_some_and(|value| value.to_str().unwrap().starts_with("Basic "));
    let post = form.get("client_secret").is_some_and(|secret| secret == "a secret of the client");
    // One way at a time, and the one that this provider takes.
    if (basic, post) != (!me.shape.wants_post, me.shape.wants_post) {
        return Err((StatusCode::UNAUTHORIZED, r#"{"error":"invalid_client"}"#));
    }
    let is_right = form["redirect_uri"] == format!("{PUBLIC_URL}/auth/oidc/callback")
        && form["grant_type"] == "authorization_code"
        && challenge == *me.challenge.lock().unwrap();
    if !is_right {
        return Err((StatusCode::BAD_REQUEST, r#"{"error":"invalid_grant"}"#));
    }
    let claims = me.claims.lock().unwrap().clone();
    let id_token = match *me.forge.lock().unwrap() {
        Some(forge) => forge(&me, &claims),
        None => me.sign(&claims),
    };
    Ok(json!({"access_token": "x", "token_type": "Bearer", "id_token": id_token}).to_string())
}

/// Begins a login, after which the provider holds what it says next: the client, what it was asked, and the cookie.
async fn begin_login(
    server: &Server,
    provider: &Provider,
    subject: &str,
    query: &str,
    change: impl Fn(&mut Value),
) -> (reqwest::Client, HashMap<String, String>, String) {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let begin = client.get(format!("{}/auth/oidc/login{query}", server.http));
    let begun = server.send(begin).await.unwrap().expect(302);
    let cookie = begun.header("set-cookie").split(';').next().unwrap().to_owned();
    let location = url::Url::parse(begun.header("location")).unwrap();
    let asked: HashMap<_, _> = location.query_pairs().into_owned().collect();
    assert_eq!((asked["code_challenge_method"].as_str(), asked["response_type"].as_str()), ("S256", "code"));
    provider.challenge.lock().unwrap().clone_from(&asked["code_challenge"]);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let mut claims = json!({"iss": provider.issuer, "sub": subject, "aud": "portolan", "iat": now, "exp": now + 60,
        "nonce": asked["nonce"], "email": "ann@example.org", "email_verified": true});
    change(&mut claims);
    *provider.claims.lock().unwrap() = claims;
    (client, asked, cookie)
}

/// The browser's side of a login: begins, "logs in" as the subject, comes back.
async fn sign_on(
    server: &Server,
    provider: &Provider,
    subject: &str,
    query: &str,
    change: impl Fn(&mut Value),
) -> Answer {
    let (client, asked, cookie) = begin_login(server, provider, subject, query, change).await;
    let back = |cookie: &str| {
        let state = &asked["state"];
        client.get(format!("{}/auth/oidc/callback?code=c&state={state}", server.http)).header("cookie", cookie)
    };
    // Another browser gets nothing from the link, also when it names the cookie in the query, and does not use it up.
    server.send(back("a=b")).await.unwrap().expect_error(401, FAILED);
    let first = server.send(back(&cookie)).await.unwrap();
    // A link that was followed is dead.
    server.send(back(&cookie)).await.unwrap().expect_error(401, FAILED);
    first
}

/// The same, without the looks at links that do not work.
async fn sign_on_answered(
    server: &Server,
    provider: &Provider,
    subject: &str,
    query: &str,
    change: impl Fn(&mut Value),
) -> Answer {
    let (client, asked, cookie) = begin_login(server, provider, subject, query, change).await;
    let url = format!("{}/auth/oidc/callback?code=c&state={}", server.http, asked["state"]);
    server.send(client.get(url).header("cookie", cookie)).await.unwrap()
}

/// Invites an address; returns what the browser of the invited begins a login with.
async fn invite(server: &Server, email: &str) -> String {
    let invite = json!({"inviteeEmail": email, "inviteeRole": "MEMBER"});
    let invited = server.post("/api/inviteUsers", invite).await.expect(200).json();
    let link = url::Url::parse(invited["finalInviteCode"].as_str().unwrap()).unwrap();
    let code = link.query_pairs().find(|(name, _)| name == "signupInvitationCode").unwrap().1.into_owned();
    format!("?invitationCode={code}")
}

/// Providers differ in how they take a client, in where they say the address, and in what they say of it. Each ends with
/// somebody who is let in.
pub async fn providers_of_every_shape_let_people_in(test: TestDb) {
    if !test.url.starts_with("sqlite") {
        return;
    }
    const ANN: &str = "ann@example.org";
    let nothing = || (json!({}), Value::Null);
    let told = |verified: Value| (json!({"email": ANN, "email_verified": verified}), Value::Null);
    let info = |subject: &str, email: &str, verified: Value| {
        (json!({}), json!({"sub": subject, "email": email, "email_verified": verified}))
    };
    let both = vec!["client_secret_basic", "client_secret_post"];
    let post = vec!["client_secret_post"];
    let plain = Shape::default();
    let eve = (json!({"email": ANN}), json!({"sub": "s", "email": "eve@example.org", "email_verified": true}));
    let at_user_info = vec![
        ((json!({}), json!({"sub": "s"})), 403),
        (info("s", ANN, Value::Null), 403),
        (info("s", ANN, json!("false")), 403),
        (info("other", ANN, json!(true)), 401),
        (eve, 403),
        (info("s", ANN, json!("True")), 302),
    ];
    let signed = vec![(info("other", ANN, json!(true)), 401), (info("s", ANN, json!(true)), 302)];
    let with_user_info = Shape { has_user_info: true, ..Shape::default() };
    let signing = Shape { signs_user_info: true, ..with_user_info.clone() };
    let by_post = |published| Shape { published: Some(published), wants_post: true, ..Shape::default() };
    tokio::join!(
        let_in(&test, "required", with_user_info, at_user_info),
        let_in(&test, "required", signing, signed),
        let_in(&test, "required", by_post(post), vec![(told(json!("false")), 403), (told(json!("true")), 302)]),
        let_in(&test, "if_present", by_post(both), vec![(told(json!(false)), 403), (told(Value::Null), 302)]),
        let_in(&test, "trusted_provider", plain, vec![(nothing(), 403), (told(json!(false)), 302)]),
    );
}

/// What the ID token and UserInfo say in a login.
type Said = (Value, Value);

async fn let_in(test: &TestDb, policy: &str, shape: Shape, logins: Vec<(Said, u16)>) {
    let provider = provider_of(shape).await;
    let more = [("PORTOLAN__STORE__URL", ""), ("PORTOLAN__OIDC__EMAIL_VERIFIED", policy)];
    let variables = [&variables_of(&provider, "ES256")[..], &more].concat();
    let server = Server::start_with(test, data_dir(), &variables).await;
    let query = invite(&server, "ann@example.org").await;
    for ((claims, mut info), status) in logins {
        if provider.shape.signs_user_info {
            (info["iss"], info["aud"]) = (json!(provider.issuer), json!(["portolan"]));
        }
        *provider.user_info.lock().unwrap() = info.clone();
        let change = |token: &mut Value| {
            for name in ["email", "email_verified"] {
                token.as_object_mut().unwrap().remove(name);
            }
            token.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        };
        let answer = sign_on_answered(&server, &provider, "s", &query, change).await;
        assert_eq!(answer.status, status, "{policy}, {claims}, {info}: {}", answer.body);
    }
    // Known by the subject from then on, whatever is said of the address.
    let nothing = |token: &mut Value| token["email"] = Value::Null;
    sign_on_answered(&server, &provider, "s", "", nothing).await.expect(302);
}

/// By single sign-on come people who are invited; who they are is issuer and subject.
pub async fn a_provider_lets_people_in(test: TestDb) {
    let provider = provider().await;
    let variables = variables_of(&provider, "ES256");
    let server = Server::start_with(&test, data_dir(), &variables).await;
    let plain = |_: &mut Value| {};
    sign_on(&server, &provider, "s1", "", plain).await.expect_error(403, "Ask an admin to invite you");
    let query = format!("{}&redirectUrl=/home", invite(&server, "ann@example.org").await);
    for change in [
        |claims: &mut Value| claims["nonce"] = json!("other"),
        |claims: &mut Value| claims["aud"] = json!("other"),
        |claims: &mut Value| claims["iss"] = json!("https://other.example"),
        |claims: &mut Value| claims["exp"] = json!(1),
        |claims: &mut Value| claims["azp"] = json!("other"),
    ] {
        let answer = sign_on(&server, &provider, "s1", &query, change).await;
        answer.expect_error(401, FAILED);
    }
    let unverified = |claims: &mut Value| claims["email_verified"] = json!(false);
    let refused = sign_on(&server, &provider, "s1", &query, unverified).await;
    refused.expect_error(403, "You are invited, but your identity provider has not verified your email address");
    let nameless = |claims: &mut Value| claims["email"] = json!(null);
    let refused = sign_on(&server, &provider, "s1", &query, nameless).await;
    refused.expect_error(403, "You are invited, but your identity provider tells no email address of yours");
    let bogus = sign_on(&server, &provider, "s1", "?invitationCode=nobody", unverified).await;
    bogus.expect_error(422, "The invitation is not valid");
    let other = invite(&server, "other@example.org").await;
    sign_on(&server, &provider, "s1", &other, plain).await.expect_error(422, "The invitation is not valid");

    let answer = sign_on(&server, &provider, "s1", &query, plain).await.expect(302);
    let token = answer.header("access-token").to_owned();
    assert_eq!(answer.header("location"), format!("/home#access_token={token}"));
    let cookies = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap().to_owned());
    let session = cookies.into_iter().find(|cookie| cookie.starts_with("__Host-portolan-session=")).unwrap();
    let person = Person { server: &server, cookie: session.split(';').next().unwrap().to_owned(), token };
    let me = person.post("/api/me", json!({})).await.expect(200).json();
    assert_eq!((&me["user"]["login"], &me["user"]["role"]), (&json!("ann@example.org"), &json!("MEMBER")));
    // Known now, whatever the address says; and another subject with the address is another person.
    let renamed = |claims: &mut Value| claims["email"] = json!("ann.new@example.org");
    sign_on(&server, &provider, "s1", "", renamed).await.expect(302);
    sign_on(&server, &provider, "s2", "", plain).await.expect(403);
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    for _ in 0..2 {
        let begin = client.get(format!("{}/auth/oidc/login", server.http));
        server.send(begin).await.unwrap().expect(302);
    }
    sealing::expect_bound(&test, &server.data_dir, &sealing::OF_SINGLE_SIGN_ON).await;
    let out = person.post("/api/logout", json!({})).await.expect(200).json();
    let logout = out["logoutUrl"].as_str().unwrap();
    let at_provider = format!("{}/logout?", provider.issuer);
    assert!(logout.starts_with(&at_provider) && logout.contains("id_token_hint="), "{logout}");
    person.post("/api/me", json!({})).await.expect(401);
    // There is no password to guess.
    let login = json!({"username": "ann@example.org", "password": ""}).to_string();
    server.send(server.request("/auth/login").body(login)).await.unwrap().expect(401);

    // The same subject at another provider is another person.
    let other_provider = self::provider().await;
    assert_ne!(other_provider.issuer, provider.issuer);
    let mut variables = variables;
    variables[0].1 = &other_provider.issuer;
    let server = Server::start_with(&test, server.kill().await, &variables).await;
    let stranger = sign_on(&server, &other_provider, "s1", "", plain).await;
    stranger.expect_error(403, "Ask an admin to invite you");
}

/// Whatever of an ID token is not as it has to be, nobody is let in, and the same login goes on to fail.
pub async fn tokens_of_no_login_let_nobody_in(test: TestDb) {
    if !test.url.starts_with("sqlite") {
        return;
    }
    let provider = provider().await;
    let variables = variables_of(&provider, "ES256,RS256");
    let server = Server::start_with(&test, data_dir(), &variables).await;
    let query = invite(&server, "ann@example.org").await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let without = |name: &'static str| move |claims: &mut Value| _ = claims.as_object_mut().unwrap().remove(name);
    type Spoil = Box<dyn Fn(&mut Value) + Send + Sync>;
    let set = |name: &'static str, value: Value| -> Spoil {
        Box::new(move |claims: &mut Value| claims[name] = value.clone())
    };
    let mut spoiled: Vec<(String, Spoil)> = Vec::new();
    for name in ["iss", "sub", "aud", "exp", "iat", "nonce"] {
        spoiled.push((format!("no {name}"), Box::new(without(name))));
        spoiled.push((format!("{name} is null"), set(name, Value::Null)));
        spoiled.push((format!("{name} is an object"), set(name, json!({}))));
    }
    for (name, value) in [
        ("iss", json!("http://other.example")),
        ("iss", json!(format!("{}/", provider.issuer))),
        ("aud", json!("other")),
        ("aud", json!([])),
        ("aud", json!(["other"])),
        ("aud", json!(["portolan", "other"])),
        ("aud", json!("Portolan")),
        ("azp", json!("other")),
        ("exp", json!(now - 60)),
        ("exp", json!("never")),
        ("iat", json!(now + 3600)),
        ("nbf", json!(now + 3600)),
        ("nonce", json!("")),
        ("nonce", json!("of another login")),
        ("sub", json!("")),
        ("sub", json!(7)),
    ] {
        spoiled.push((format!("{name}: {value}"), set(name, value)));
    }
    for (name, spoil) in spoiled {
        let answer = sign_on_answered(&server, &provider, "s", &query, spoil).await;
        assert_eq!(answer.status, 401, "{name}: {}", answer.body);
    }
    let forged: [(&str, Forge); 8] = [
        ("none", |_, claims| by_hand(&json!({"alg": "none"}), claims, "")),
        ("None, with the signature", |me, claims| {
            let signed = me.sign(claims);
            by_hand(&json!({"alg": "None", "kid": "k1"}), claims, signed.rsplit_once('.').unwrap().1)
        }),
        ("HS256 by the public key", |me, claims| {
            let point = me.key.public_key().to_encoded_point(false);
            let header = Header { kid: Some("k1".into()), ..Header::new(Algorithm::HS256) };
            encode(&header, claims, &EncodingKey::from_secret(point.as_bytes())).unwrap()
        }),
        ("another key under the same name", |_, claims| {
            let header = Header { kid: Some("k1".into()), ..Header::new(Algorithm::ES256) };
            sign_with(&SecretKey::from_slice(&[8; 32]).unwrap(), header, claims)
        }),
        ("a key that the token brings", |_, claims| {
            let key = SecretKey::from_slice(&[8; 32]).unwrap();
            let point = key.public_key().to_encoded_point(false);
            let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            let jwk =
                json!({"kty": "EC", "crv": "P-256", "x": part(point.x().unwrap()), "y": part(point.y().unwrap())});
            let header = Header { jwk: serde_json::from_value(jwk).ok(), ..Header::new(Algorithm::ES256) };
            sign_with(&key, header, claims)
        }),
        ("an unknown key", |me, claims| {
            sign_with(&me.key, Header { kid: Some("k2".into()), ..Header::new(Algorithm::ES256) }, claims)
        }),
        ("claims changed after the signature", |me, claims| {
            let (signed, mut claims) = (me.sign(claims), claims.clone());
            claims["email"] = json!("eve@example.org");
            let (head, rest) = signed.split_once('.').unwrap();
            format!("{head}.{}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()), rest.split_once('.').unwrap().1)
        }),
        ("no token at all", |_, _| "nothing".to_owned()),
    ];
    for (name, forge) in forged {
        *provider.forge.lock().unwrap() = Some(forge);
        let answer = sign_on_answered(&server, &provider, "s", &query, |_| {}).await;
        assert_eq!(answer.status, 401, "{name}: {}", answer.body);
    }
    *provider.forge.lock().unwrap() = None;

    // The token of one login does not end another one, whose nonce it does not have.
    let (client, first, first_cookie) = begin_login(&server, &provider, "s", &query, |_| {}).await;
    let token = provider.claims.lock().unwrap().clone();
    let (_, second, second_cookie) = begin_login(&server, &provider, "s", &query, |_| {}).await;
    *provider.claims.lock().unwrap() = token;
    let end = async |asked: &HashMap<String, String>, cookie: &str, code: &str| {
        let url = format!("{}/auth/oidc/callback?code={code}&state={}", server.http, asked["state"]);
        server.send(client.get(url).header("cookie", cookie)).await.unwrap()
    };
    end(&second, &second_cookie, "c").await.expect_error(401, FAILED);
    // Nor does the state of one login go with the cookie of another, or with no code.
    end(&first, &second_cookie, "c").await.expect_error(401, FAILED);
    end(&first, &first_cookie, "").await.expect_error(401, FAILED);
    sign_on_answered(&server, &provider, "s", &query, |_| {}).await.expect(302);
}

/// Metadata that names another issuer, and none that can be read, begin no login.
pub async fn metadata_speak_for_their_own_issuer(test: TestDb) {
    if !test.url.starts_with("sqlite") {
        return;
    }
    let begin = async |metadata: Value| {
        let provider = provider_of(Shape { metadata, ..Shape::default() }).await;
        let variables = [
            ("PORTOLAN__STORE__URL", ""),
            ("PORTOLAN__OIDC__ISSUER", provider.issuer.as_str()),
            ("PORTOLAN__OIDC__CLIENT_ID", "portolan"),
            ("PORTOLAN__MAIL__PUBLIC_URL", PUBLIC_URL),
        ];
        let server = Server::start_with(&test, data_dir(), &variables).await;
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        server.send(client.get(format!("{}/auth/oidc/login", server.http))).await.unwrap().status
    };
    let (own, other, none) = tokio::join!(
        begin(json!({})),
        begin(json!({"issuer": "https://other.example"})),
        begin(json!({"jwks_uri": Value::Null})),
    );
    assert_eq!((own, other, none), (302, 503, 503));
}
