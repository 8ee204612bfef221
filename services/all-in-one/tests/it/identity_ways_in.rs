use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use p256::{SecretKey, elliptic_curve::sec1::ToEncodedPoint as _};
use portolan_api::{
    Feature,
    common::v1::{Notice, NoticeLine},
};
use portolan_testkit::TestDb;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};

use crate::{
    identity_team::{Person, join},
    server::{PATIENCE, Server},
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
