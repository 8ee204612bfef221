use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use p256::{SecretKey, elliptic_curve::sec1::ToEncodedPoint as _, pkcs8::EncodePrivateKey as _};
use portolan_api::{
    Feature,
    common::v1::{Notice, NoticeLine},
};
use portolan_testkit::TestDb;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};

use crate::{
    identity_team::{Person, join},
    sealing,
    server::{Answer, PATIENCE, Server},
};

const PUBLIC_URL: &str = "https://portolan.test";

fn data_dir() -> std::path::PathBuf {
    tempfile::tempdir().unwrap().keep()
}

async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "it did not happen in time");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Takes letters as a mail server does; answers its address and what it took.
async fn mail_server() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let letters = Arc::new(Mutex::new(Vec::new()));
    let taken = letters.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(take_letters(stream, taken.clone()));
        }
    });
    (address, letters)
}

async fn take_letters(stream: tokio::net::TcpStream, taken: Arc<Mutex<Vec<String>>>) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 test\r\n").await.unwrap();
    while let Ok(Some(line)) = lines.next_line().await {
        let answer = match line.get(..4).unwrap_or_default() {
            "EHLO" => "250 test\r\n",
            "DATA" => {
                write.write_all(b"354 go on\r\n").await.unwrap();
                let mut letter = String::new();
                while let Some(line) = lines.next_line().await.unwrap().filter(|line| line != ".") {
                    letter.push_str(&line);
                    letter.push('\n');
                }
                taken.lock().unwrap().push(letter);
                "250 taken\r\n"
            }
            "QUIT" => "221 bye\r\n",
            _ => "250 fine\r\n",
        };
        write.write_all(answer.as_bytes()).await.unwrap();
    }
}

/// Invitations and forgotten passwords reach their people by mail, and strangers learn nothing from the answer.
pub async fn letters_go_out(test: TestDb) {
    let (address, letters) = mail_server().await;
    let smtp = format!("smtp://{address}");
    let variables = [
        ("PORTOLAN__MAIL__SMTP_URL", smtp.as_str()),
        ("PORTOLAN__MAIL__FROM", "Portolan <portolan@example.org>"),
        ("PORTOLAN__MAIL__PUBLIC_URL", PUBLIC_URL),
    ];
    let server = Server::start_with(&test, data_dir(), &variables).await;
    let person = join(&server, "ann@example.org", "MEMBER").await;
    let letter = until(|| letters.lock().unwrap().first().cloned()).await;
    assert!(letter.contains("To: ann@example.org") && letter.contains("Subject: You are invited"), "{letter}");

    let forgot = |email: &str| {
        let body = json!({ "forgotPasswordEmail": email }).to_string();
        server.send(server.request("/auth/sendPasswordResetLink").body(body))
    };
    let (known, unknown) = (forgot("Ann@example.org").await.unwrap(), forgot("nobody@example.org").await.unwrap());
    assert_eq!((known.status, &known.body, unknown.status), (200, &unknown.body, 200));
    let letter = until(|| letters.lock().unwrap().get(1).cloned()).await;
    // Quoted-printable writes `=` as `=3D` and breaks long lines.
    let letter = letter.replace("=\n", "").replace("=3D", "=");
    let token = letter.split_once("/login?token=").expect(&letter).1.split_whitespace().next().unwrap().to_owned();
    assert!(letter.contains(PUBLIC_URL), "{letter}");
    let body = json!({"resetPasswordToken": token, "newPassword": "a quite new password"}).to_string();
    server.send(server.request("/auth/resetPassword").body(body)).await.unwrap().expect(200);
    person.post("/api/me", json!({})).await.expect(401);
    Person::log_in(&server, "ann@example.org", "a quite new password").await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(letters.lock().unwrap().len(), 2, "nobody else got a letter");

    // Keys go on working, and are named, unless they are to end with the password.
    let minted = server.post("/api/addApiToken", json!({"tokenUtility": "CICD"})).await.expect(200).json();
    let key = minted["apiTokenList"][0]["key"].as_str().unwrap().to_owned();
    let alive = async || {
        let body = json!({"harString": "{}"}).to_string();
        let request = server.request("/api/uploadHar").header("x-api-key", &key).body(body);
        server.send(request).await.unwrap().status != 401
    };
    for (turn, (revokes, is_alive)) in [(false, true), (true, false)].into_iter().enumerate() {
        forgot("admin@localhost").await.unwrap().expect(200);
        let plain = |letter: &String| letter.replace("=\n", "").replace("=3D", "=");
        let of_admin = |letter: &String| letter.contains("To: admin@localhost") && letter.contains("/login?token");
        let mailed = || letters.lock().unwrap().iter().filter(|letter| of_admin(letter)).map(plain).nth(turn);
        let letter = until(mailed).await;
        let token = letter.split_once("/login?token=").unwrap().1.split_whitespace().next().unwrap().to_owned();
        let body = json!({"resetPasswordToken": token, "newPassword": "correct horse battery staple",
            "revokeApiKeys": revokes});
        let answer = server.send(server.request("/auth/resetPassword").body(body.to_string())).await.unwrap();
        let answer = answer.expect(200).json();
        if revokes {
            assert_eq!(answer, json!({"code": null}));
        } else {
            let masked = format!("{}*********{}", &key[..3], &key[key.len() - 4..]);
            let named = answer["apiKeysLeft"]["apiKeys"].as_array().unwrap();
            assert!(named.contains(&json!(masked)), "{answer} names {masked}");
            let is_it = |letter: &&String| letter.contains("was changed") && letter.contains(&masked[..12]);
            until(|| letters.lock().unwrap().iter().find(is_it).cloned()).await;
        }
        assert_eq!(alive().await, is_alive, "revokeApiKeys: {revokes}");
    }
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
}

/// A provider with one person.
#[derive(Clone)]
struct Provider {
    issuer: String,
    shape: Shape,
    key: SecretKey,
    /// What the next ID token says.
    claims: Arc<Mutex<Value>>,
    /// What UserInfo says.
    user_info: Arc<Mutex<Value>>,
    /// The `code_challenge` of the login under way.
    challenge: Arc<Mutex<String>>,
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
        let pkcs8 = self.key.to_pkcs8_der().unwrap();
        let header = Header { kid: Some("k1".into()), ..Header::new(Algorithm::ES256) };
        encode(&header, claims, &EncodingKey::from_ec_der(pkcs8.as_bytes())).unwrap()
    }
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
    let id_token = me.sign(&me.claims.lock().unwrap());
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
    let failed = "The single sign-on did not succeed";
    // Another browser gets nothing from the link, also when it names the cookie in the query, and does not use it up.
    server.send(back("a=b")).await.unwrap().expect_error(401, failed);
    let first = server.send(back(&cookie)).await.unwrap();
    // A link that was followed is dead.
    server.send(back(&cookie)).await.unwrap().expect_error(401, failed);
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
    let variables = [
        ("PORTOLAN__STORE__URL", ""),
        ("PORTOLAN__OIDC__ISSUER", provider.issuer.as_str()),
        ("PORTOLAN__OIDC__CLIENT_ID", "portolan"),
        ("PORTOLAN__OIDC__CLIENT_SECRET", "a secret of the client"),
        ("PORTOLAN__OIDC__ALGORITHMS", "ES256"),
        ("PORTOLAN__OIDC__EMAIL_VERIFIED", policy),
        ("PORTOLAN__MAIL__PUBLIC_URL", PUBLIC_URL),
    ];
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

/// What links of invitations, resets and logouts name is a page that works.
pub async fn links_lead_somewhere(test: TestDb) {
    let server = Server::start(&test).await;
    let invited = server.post("/api/inviteUsers", json!({"inviteeEmail": "ann@example.org", "inviteeRole": "GUEST"}));
    let invited = invited.await.expect(200).json();
    let out = server.post("/api/logout", json!({})).await.expect(200).json();
    for link in
        [invited["finalInviteCode"].as_str().unwrap(), out["logoutUrl"].as_str().unwrap(), "/login?token=x", "/"]
    {
        assert!(link.starts_with('/'), "{link}");
        let page = server.get(link).await.expect(200);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{link}");
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && policy.contains("sha256-"), "{policy}");
        assert!(page.body.contains("<h1>") && page.body.contains("curl"), "{link}");
    }
    assert_eq!(server.call("POST", "/login", "", json!({})).await.header("allow"), "GET, HEAD, OPTIONS");
    server.get("/elsewhere").await.expect(404);
}

/// By single sign-on come people who are invited; who they are is issuer and subject.
pub async fn a_provider_lets_people_in(test: TestDb) {
    let provider = provider().await;
    let variables = [
        ("PORTOLAN__OIDC__ISSUER", provider.issuer.as_str()),
        ("PORTOLAN__OIDC__CLIENT_ID", "portolan"),
        ("PORTOLAN__OIDC__CLIENT_SECRET", "a secret of the client"),
        ("PORTOLAN__OIDC__ALGORITHMS", "ES256"),
        ("PORTOLAN__MAIL__PUBLIC_URL", PUBLIC_URL),
    ];
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
        answer.expect_error(401, "The single sign-on did not succeed");
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

type Received = Arc<Mutex<Vec<(HeaderMap, Vec<u8>)>>>;

async fn take_message(State(all): State<Received>, headers: HeaderMap, body: Bytes) -> StatusCode {
    all.lock().unwrap().push((headers, body.to_vec()));
    StatusCode::CREATED
}

/// Several browsers of a person get a message that only they can read; one that is gone is forgotten.
pub async fn browsers_get_messages(test: TestDb) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let received = Received::default();
    let router = Router::new()
        .route("/device/{n}", routing::post(take_message))
        .route("/gone", routing::post(async || StatusCode::GONE))
        .with_state(received.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });

    let server = Server::start_with(&test, data_dir(), &[("PORTOLAN__FETCH__ALLOW_PRIVATE", "true")]).await;
    let browser = SecretKey::from_slice(&[9; 32]).unwrap();
    let p256dh = URL_SAFE_NO_PAD.encode(browser.public_key().to_encoded_point(false).as_bytes());
    let secret = [3u8; 16];
    for path in ["/device/1", "/device/2", "/gone"] {
        let keys = json!({"p256dh": p256dh, "auth": URL_SAFE_NO_PAD.encode(secret)});
        let body = json!({"subscription": {"endpoint": format!("{origin}{path}"), "keys": keys}});
        let saved = server.post("/api/saveSubscription", body).await.expect(200).json();
        assert_eq!(saved, json!({"subscription": {"complete": true}}));
    }
    let deps = crate::roles::identity(&test, &server).await;
    let notice = Notice {
        account_id: 1_000_000,
        title: "Import ended".into(),
        lines: vec![NoticeLine { text: "12 endpoints".into(), ..NoticeLine::default() }],
        url: "/imports/1".into(),
        feature: Feature::ApiCollections.into(),
        user_id: 0,
    };
    let notify = async |id: &str| portolan_identity::push::notify(&deps, &notice, id).await.unwrap();
    assert_eq!(notify("import-1").await, 3);
    let all = until(|| Some(received.lock().unwrap().clone()).filter(|all| all.len() == 2)).await;
    let server_key = server.get("/v1/pushKey").await.expect(200).json()["publicKey"].as_str().unwrap().to_owned();
    for (headers, body) in all {
        let text = web_push_native::decrypt(body, &browser, &web_push_native::Auth::from(secret)).unwrap();
        let text: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(text, json!({"title": "Import ended", "body": "12 endpoints", "url": "/imports/1"}));
        let authorization = headers["authorization"].to_str().unwrap();
        let (token, key) = authorization.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
        assert_eq!(key, server_key);
        let point = URL_SAFE_NO_PAD.decode(key).unwrap();
        let part = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[range]);
        let key = DecodingKey::from_ec_components(&part(1..33), &part(33..65)).unwrap();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&[&origin]);
        decode::<Value>(token, &key, &validation).unwrap();
    }
    // The same message again changes nothing, and the device that is gone is no longer counted.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!((notify("import-1").await, notify("import-2").await), (0, 2));
}
