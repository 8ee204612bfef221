use portolan_testkit::TestDb;
use serde_json::json;

use crate::server::Server;

/// Of 40 wrong passwords tried at once, 10 are looked at and 30 are not; the right one has to wait too.
pub async fn racing_wrong_passwords_are_counted_exactly(test: TestDb) {
    let server = Server::start(&test).await;
    let attempt = |password: &str| {
        let body = json!({"username": "admin@localhost", "password": password}).to_string();
        server.send(server.request("/auth/login").body(body))
    };
    let attempts: Vec<_> = (0..40).map(|i| attempt(&format!("wrong {i}"))).collect();
    let answers = futures::future::join_all(attempts).await;
    let throttled = answers.iter().filter(|answer| answer.as_ref().unwrap().status == 429).count();
    assert_eq!(throttled, 30, "{:?}", answers.iter().map(|answer| answer.as_ref().unwrap().status).collect::<Vec<_>>());
    let right = attempt("correct horse battery staple").await.unwrap().expect(429);
    assert!(right.header("retry-after").parse::<u64>().unwrap() <= 900);
}

/// A sign-up for an address leaves the failed logins of that address counted.
pub async fn a_sign_up_clears_no_login(test: TestDb) {
    let server = Server::start(&test).await;
    let post = async |path: &str, body: serde_json::Value| {
        server.send(server.request(path).body(body.to_string())).await.unwrap()
    };
    let guess = async || post("/auth/login", json!({"username": "admin@localhost.org", "password": "wrong"})).await;
    for _ in 0..9 {
        guess().await.expect(401);
    }
    let closed =
        post("/signup-email", json!({"email": "admin@localhost.org", "password": "Secret-Horse-7-battery"})).await;
    assert_eq!(closed.status, 422, "{}", closed.body);
    guess().await.expect(401);
    guess().await.expect(429);
}
