//! What goes with somebody who leaves an account, and with a collection that is deleted.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portolan_store::args;
use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::{
    identity_team::{Person, join},
    server::{PATIENCE, Server},
};

const PASSWORD: &str = "a password of its own";

async fn make_key(person: &Person<'_>, utility: &str) -> (i64, String) {
    let made = person.post("/api/addApiToken", json!({ "tokenUtility": utility })).await.expect(200).json();
    let token = &made["apiTokenList"][0];
    (token["id"].as_i64().unwrap(), token["key"].as_str().unwrap().to_owned())
}

/// The keys and webhooks of a removed member are gone with the answer, also after the person is invited again; those of
/// others and of the account stay. A departure that tokens did not hear of is told until it has.
pub async fn credentials_go_with_their_member(test: TestDb) {
    let server = Server::start(&test).await;
    let (ann, bob) =
        (join(&server, "ann@example.org", "MEMBER").await, join(&server, "bob@example.org", "MEMBER").await);
    let (_, first) = make_key(&ann, "EXTERNAL_API").await;
    let (rotated, second) = make_key(&ann, "EXTERNAL_API").await;
    let (_, others) = make_key(&bob, "EXTERNAL_API").await;
    let rotation = json!({ "gracePeriodSeconds": 3600 });
    let path = format!("/v1/apiKeys/{rotated}:rotate");
    let third = ann.post(&path, rotation).await.expect(200).json()["apiKey"]["key"].as_str().unwrap().to_owned();
    let hook = json!({ "url": "https://hooks.slack.com/services/T000/B000/abcdefghWXYZ" });
    ann.post("/v1/slackWebhooks", hook).await.expect(200);
    let me = async |key: &str| {
        let request = server.request("/api/me").header("x-api-key", key).body("{}");
        server.send(request).await.unwrap().status
    };
    for key in [&first, &second, &third, &others] {
        assert_eq!(me(key).await, 200);
    }

    server.post("/api/removeUser", json!({ "email": "ann@example.org" })).await.expect(200);
    for key in [&first, &second, &third] {
        assert_eq!(me(key).await, 401, "a key of a removed member is still known");
    }
    assert_eq!((me(&others).await, me(&server.api_key).await), (200, 200));
    let tokens = test.store.service("tokens").await.unwrap();
    let left = async || {
        let keys = "SELECT count(*) AS n FROM api_keys WHERE username = 'ann@example.org'";
        let hooks = "SELECT count(*) AS n FROM slack_webhooks WHERE username = 'ann@example.org'";
        let count = async |sql: &'static str| tokens.fetch_one(sql, args![]).await.unwrap().get::<i64>("n").unwrap();
        (count(keys).await, count(hooks).await)
    };
    assert_eq!(left().await, (0, 0));

    // What identity noted while tokens did not answer is done later, without anybody asking.
    let bob_id = bob.post("/api/me", json!({})).await.expect(200).json()["user"]["id"].as_i64().unwrap();
    let identity = test.store.service("identity").await.unwrap();
    let ended_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let note = json!({ "accountId": 1_000_000, "userId": bob_id, "endedAt": ended_at }).to_string();
    let mut tx = identity.begin().await.unwrap();
    portolan_outbox::put(&mut tx, portolan_outbox::REVOCATIONS, "", "a note of this test", &note).await.unwrap();
    tx.commit().await.unwrap();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while me(&others).await != 401 {
        assert!(tokio::time::Instant::now() < deadline, "the note is not delivered");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bob.post("/api/me", json!({})).await.expect(200);

    // Somebody who comes back has none of them, and what they make then stays.
    let invite = json!({ "inviteeEmail": "ann@example.org", "inviteeRole": "MEMBER" });
    let link = server.post("/api/inviteUsers", invite).await.expect(200).json();
    let code = link["finalInviteCode"].as_str().unwrap().split_once("signupInvitationCode=").unwrap().1;
    let code = code.split('&').next().unwrap();
    // Ends count in whole seconds.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let body = json!({ "email": "ann@example.org", "password": PASSWORD, "invitationCode": code }).to_string();
    let back = server.send(server.request("/signup-email").body(body)).await.unwrap().expect(200);
    let ann = Person::of(&server, back);
    assert_eq!(ann.post("/api/fetchApiTokens", json!({})).await.expect(200).json()["apiTokenList"], json!([]));
    let (_, new) = make_key(&ann, "EXTERNAL_API").await;
    assert_eq!((me(&first).await, me(&new).await), (401, 200));
}

/// With a customer workspace go the keys that were made in it.
pub async fn keys_go_with_their_workspace(test: TestDb) {
    let server = Server::start(&test).await;
    let key = server.api_key.clone();
    let made = server.call("POST", "/api/managed_users", &key, json!({ "name": "Customer" })).await.expect(200).json();
    let id = made["result"]["id"].as_i64().unwrap();
    let admin = Person::log_in(&server, "admin@localhost", "correct horse battery staple").await;
    let inside = admin.post("/api/goToAccount", json!({ "newAccountId": id })).await.expect(200);
    let inside = Person::of(&server, inside);
    let (_, customer_key) = make_key(&inside, "EXTERNAL_API").await;
    let me = async |key: &str| {
        let request = server.request("/api/me").header("x-api-key", key).body("{}");
        server.send(request).await.unwrap().status
    };
    assert_eq!(me(&customer_key).await, 200);
    let path = format!("/api/managed_users/{id}");
    server.call("DELETE", &path, &key, Value::Null).await.expect(200);
    assert_eq!((me(&customer_key).await, me(&key).await), (401, 200));
}

/// A deleted collection leaves the lists of roles and members. Whoever had no other sees nothing then, instead of all.
pub async fn deleted_collections_leave_every_list(test: TestDb) {
    let server = Server::start(&test).await;
    let (gone, kept) = (server.create_collection("Gone").await, server.create_collection("Kept").await);
    for (name, ids) in [("only-gone", json!([gone])), ("both", json!([gone, kept]))] {
        let role = json!({ "roleName": name, "baseRole": "MEMBER", "apiCollectionIds": ids });
        server.post("/api/createCustomRole", role).await.expect(200);
    }
    let (ann, bob) =
        (join(&server, "ann@example.org", "only-gone").await, join(&server, "bob@example.org", "both").await);
    let cat = join(&server, "cat@example.org", "MEMBER").await;
    let id_of = async |person: &Person<'_>| {
        person.post("/api/me", json!({})).await.expect(200).json()["user"]["id"].as_i64().unwrap().to_string()
    };
    let (ann_id, bob_id, cat_id) = (id_of(&ann).await, id_of(&bob).await, id_of(&cat).await);
    let lists = json!({ "userCollectionMap": { cat_id.clone(): [gone] } });
    server.post("/api/updateUserCollections", lists).await.expect(200);
    let names = async |person: &Person<'_>| {
        let list = person.post("/api/getAllCollections", json!({})).await.expect(200).json();
        let names =
            list["apiCollections"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!((names(&ann).await, names(&bob).await, names(&cat).await), {
        let only = || vec!["Gone".to_owned()];
        (only(), vec!["Gone".to_owned(), "Kept".to_owned()], only())
    });

    server.post("/api/deleteMultipleCollections", json!({ "apiCollectionIds": [gone] })).await.expect(200);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let roles = loop {
        let roles = server.post("/api/getCustomRoles", json!({})).await.expect(200).json()["roles"].clone();
        let of = |name: &str| {
            let found = roles.as_array().unwrap().iter().find(|role| role["name"] == name).unwrap();
            found["apiCollectionIds"].clone()
        };
        let found = (of("only-gone"), of("both"));
        if found.1 == json!([kept]) {
            break found;
        }
        assert!(tokio::time::Instant::now() < deadline, "{found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(roles, (json!([]), json!([kept])));
    let none = Vec::<String>::new();
    assert_eq!((names(&ann).await, names(&bob).await), (none.clone(), vec!["Kept".to_owned()]));
    assert_eq!(names(&cat).await, none);
    let all = server.post("/api/getAllUsersCollections", json!({})).await.expect(200).json();
    assert_eq!((&all[&ann_id], &all[&bob_id], &all[&cat_id]), (&json!([-1]), &json!([kept]), &json!([-1])));

    // What a restricted person makes is theirs, and a list that is cleared by hand opens everything again.
    cat.post("/api/createCollection", json!({ "collectionName": "Mine" })).await.expect(200);
    assert_eq!(names(&cat).await, ["Mine"]);
    let renamed = json!({ "roleName": "only-gone", "baseRole": "GUEST" });
    server.post("/api/updateCustomRole", renamed).await.expect(200);
    assert_eq!(names(&ann).await, none);
    let open = json!({ "roleName": "only-gone", "baseRole": "GUEST", "apiCollectionIds": [] });
    server.post("/api/updateCustomRole", open).await.expect(200);
    assert_eq!(names(&ann).await.len(), 3);
}
