//! What the edge follows, bad beside good.

use std::time::Duration;

use portolan_store::{Sql, args};
use portolan_testkit::TestDb;
use serde_json::json;

use super::gate::Gate;
use crate::{
    isolation::tenant,
    server::{PATIENCE, har},
};

/// URLs of one account, as many bytes of them as no message takes.
const URLS: usize = 600;

/// Neither an account with many long URLs nor a stored profile or token that cannot be read keeps later changes from the
/// edge: it goes on deciding for everybody, by what is true.
pub async fn nothing_stored_stops_the_feed(test: TestDb) {
    let gate = Gate::start(&test, &[]).await;
    let token = gate.profile(json!({"auth_type": "token"})).await;
    let spoiled = gate.profile(json!({"auth_type": "oauth2"})).await;
    super::access_token(&gate, &spoiled.answer).await;
    let other = tenant(&gate.server, &test).await;
    let db = test.store.service("tokens").await.unwrap();
    let profile = spoiled.id;
    for statement in [
        "UPDATE access_tokens SET token_digest = 'no digest'".to_owned(),
        format!("UPDATE api_profiles SET ip_allow_list = '[1' WHERE profile_id = {profile}"),
        format!("UPDATE api_profiles SET required_claims = '{{}}' WHERE profile_id = {profile}"),
        format!("UPDATE api_profiles SET auth_type = 'magic' WHERE profile_id = {profile}"),
    ] {
        assert!(db.execute(Sql::assembled(statement.clone()), args![]).await.unwrap() > 0, "{statement}");
    }
    let long = "/customers-and-orders-of-the-year".repeat(240);
    let words = ["books", "orders", "shops", "carts", "rooms", "trains", "plants", "films", "songs", "roads"];
    let word = |n: usize| words[n % 10];
    let urls: Vec<String> =
        (0..URLS).map(|n| format!("http://long.test/{}/{}/{}{long}", word(n), word(n / 10), word(n / 100))).collect();
    assert!(urls.iter().map(String::len).sum::<usize>() > 4 << 20);
    for some in urls.chunks(100) {
        let calls: Vec<_> = some.iter().map(|url| ("GET", url.as_str(), "", 200, "{}")).collect();
        let upload = json!({"harString": har(&calls), "apiCollectionName": "Long", "skipKafka": true});
        let answer = other.post("/api/uploadHar", upload).await.expect(200).json();
        assert_eq!(answer["importedRecords"], some.len(), "{}", answer["harErrors"][0]);
    }
    let later = gate.protect("Later", "later.localhost", &["/later"]).await;
    let of_later = gate.profile(json!({"auth_type": "token", "api_collection_ids": [later]})).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let old = gate.get("/orders", &[("api-token", &token.secret)]).await;
        let new = gate.send("GET", "later.localhost", "/later", &[("api-token", &of_later.secret)]).await;
        if old.status == 200 && new.status == 200 {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{old:?} {new:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(gate.get("/orders", &[("api-token", &spoiled.secret)]).await.status, 401);
}
