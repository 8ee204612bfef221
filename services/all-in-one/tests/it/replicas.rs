use portolan_testkit::TestDb;
use serde_json::json;

use crate::{
    roles::{Person, create, identity},
    server::Server,
};

/// Two servers on one database and one Redis. SQLite belongs to one process, so the cases are for Postgres.
async fn replicas(test: &TestDb) -> [Server; 2] {
    let redis = std::env::var("PORTOLAN_TEST_REDIS").expect("the case runs only with a Redis");
    let data_dir = tempfile::tempdir().unwrap().keep();
    let variables = [("PORTOLAN__CACHE__URL", redis.as_str())];
    let one = Server::start_with(test, data_dir.clone(), &variables).await;
    let two = Server::start_with(test, data_dir, &variables).await;
    [one, two]
}

/// What one replica has answered, the next request at the other follows: roles and keys.
pub async fn a_change_at_one_counts_at_the_other(test: TestDb) {
    let [one, two] = replicas(&test).await;
    let deps = identity(&test, &one).await;
    let login = "turns@example.org";
    create(&deps, 1_000_000, login, "MEMBER").await;
    let person = Person::log_in(&two, login).await;
    for _ in 0..5 {
        for (role, status) in [("GUEST", 403), ("MEMBER", 200)] {
            one.post("/api/makeAdmin", json!({ "email": login, "userRole": role })).await.expect(200);
            // The second reads what the first put into the cache.
            person.post("/api/loadSensitiveParameters", json!({})).await.expect(status);
            person.post("/api/loadSensitiveParameters", json!({})).await.expect(status);
        }
    }
    let made = one.post("/api/addApiToken", json!({ "tokenUtility": "EXTERNAL_API" })).await.expect(200).json();
    let token = &made["apiTokenList"][0];
    let me = async || {
        let request = two.request("/api/me").header("x-api-key", token["key"].as_str().unwrap()).body("{}");
        two.send(request).await.unwrap().status
    };
    assert_eq!((me().await, me().await), (200, 200));
    one.post("/api/deleteApiToken", json!({ "apiTokenId": token["id"] })).await.expect(200);
    assert_eq!(me().await, 401);
}

/// Of 40 wrong passwords tried at both at once, 10 are looked at.
pub async fn failures_are_counted_together(test: TestDb) {
    let servers = replicas(&test).await;
    let attempts = (0..40).map(|i| {
        let server = &servers[i % 2];
        let body = json!({ "username": "admin@localhost", "password": format!("wrong {i}") }).to_string();
        server.send(server.request("/auth/login").body(body))
    });
    let answers = futures::future::join_all(attempts).await;
    let throttled = answers.iter().filter(|answer| answer.as_ref().unwrap().status == 429).count();
    assert_eq!(throttled, 30);
}
