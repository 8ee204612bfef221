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
}

/// A provider with one person.
#[derive(Clone)]
struct Provider {
    issuer: String,
    key: SecretKey,
    /// What the next ID token says.
    claims: Arc<Mutex<Value>>,
    /// The `code_challenge` of the login under way.
    challenge: Arc<Mutex<String>>,
}

async fn provider() -> Provider {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let provider = Provider {
        issuer: format!("http://{}", listener.local_addr().unwrap()),
        key: SecretKey::from_slice(&[7; 32]).unwrap(),
        claims: Arc::default(),
        challenge: Arc::default(),
    };
    let router = Router::new()
        .route("/.well-known/openid-configuration", routing::get(discovery))
        .route("/jwks", routing::get(jwks))
        .route("/token", routing::post(token))
        .with_state(provider.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    provider
}

async fn discovery(State(me): State<Provider>) -> String {
    let at = |path: &str| format!("{}{path}", me.issuer);
    json!({"issuer": me.issuer, "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"),
        "jwks_uri": at("/jwks"), "end_session_endpoint": at("/logout")})
    .to_string()
}

async fn jwks(State(me): State<Provider>) -> String {
    let point = me.key.public_key().to_encoded_point(false);
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k1", "alg": "ES256", "use": "sig",
        "x": part(point.x().unwrap()), "y": part(point.y().unwrap())}]})
    .to_string()
}

/// The trade is refused unless everything about it is right.
async fn token(State(me): State<Provider>, headers: HeaderMap, body: String) -> Result<String, StatusCode> {
    let form: HashMap<_, _> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
    let is_right = headers["authorization"].to_str().is_ok_and(|value| value.starts_with("Basic "))
        && form["redirect_uri"] == format!("{PUBLIC_URL}/auth/oidc/callback")
        && form["grant_type"] == "authorization_code"
        && challenge == *me.challenge.lock().unwrap();
    if !is_right {
        return Err(StatusCode::BAD_REQUEST);
    }
    let pkcs8 = me.key.to_pkcs8_der().unwrap();
    let header = Header { kid: Some("k1".into()), ..Header::new(Algorithm::ES256) };
    let claims = me.claims.lock().unwrap().clone();
    let id_token = encode(&header, &claims, &EncodingKey::from_ec_der(pkcs8.as_bytes())).unwrap();
    Ok(json!({"access_token": "x", "token_type": "Bearer", "id_token": id_token}).to_string())
}

/// The browser's side of a login: begins, "logs in" as the subject, comes back.
async fn sign_on(
    server: &Server,
    provider: &Provider,
    subject: &str,
    query: &str,
    change: impl Fn(&mut Value),
) -> Answer {
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
    let invite = async |email: &str| {
        let invite = json!({"inviteeEmail": email, "inviteeRole": "MEMBER"});
        let invited = server.post("/api/inviteUsers", invite).await.expect(200).json();
        let link = url::Url::parse(invited["finalInviteCode"].as_str().unwrap()).unwrap();
        let code = link.query_pairs().find(|(name, _)| name == "signupInvitationCode").unwrap().1.into_owned();
        format!("?invitationCode={code}&redirectUrl=/home")
    };
    let query = invite("ann@example.org").await;
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
    sign_on(&server, &provider, "s1", &query, unverified).await.expect(403);
    let other = invite("other@example.org").await;
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
