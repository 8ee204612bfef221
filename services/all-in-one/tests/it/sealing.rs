//! What is sealed opens in its own row alone.

use std::path::Path;

use portolan_runtime::{
    Keys, Secrets,
    sealed::{Column, SealedRow},
};
use portolan_store::Db;
use portolan_testkit::TestDb;
use serde_json::json;

use crate::server::Server;

/// The columns of a service.
type Columns = (&'static str, &'static [&'static Column]);

/// Every sealed column, by the service that owns it.
pub const SEALED: [Columns; 3] = [
    ("identity", &portolan_identity::SEALED),
    ("tokens", &portolan_tokens::SEALED),
    ("imports", &portolan_imports::SEALED),
];

/// By the test that looks at them.
pub const OF_PROFILES: [&str; 7] = [
    "signing_keys.private_key",
    "installation_keys.private_key",
    "audit_keys.sealed",
    "api_clients.jwt_secret",
    "api_profiles.jwt_secret",
    "slack_webhooks.url",
    "postman_credentials.api_key",
];
pub const OF_SINGLE_SIGN_ON: [&str; 2] = ["oidc_logins.verifier", "sessions.id_token"];
pub const OF_JOBS: [&str; 1] = ["jobs.arguments"];

async fn rows(db: &Db, secrets: &Secrets, column: &Column) -> Vec<SealedRow> {
    column.page(db, &secrets.key_id(), None).await.unwrap()
}

/// Looks at the rows of some columns: each opens, no other row's place opens it, and after two have changed places neither
/// does. The values stand where they stood at the end.
pub async fn expect_bound(test: &TestDb, data_dir: &Path, names: &[&str]) {
    let mut seen = Vec::new();
    for (service, columns) in SEALED {
        let db = test.store.service(service).await.unwrap();
        let keys = Keys::load(&data_dir.join("secret-key")).unwrap();
        let secrets = Secrets::of(&keys, service).unwrap();
        for column in columns {
            let name = format!("{}.{}", column.table, column.name);
            if !names.contains(&name.as_str()) {
                continue;
            }
            let found = rows(&db, &secrets, column).await;
            assert!(!found.is_empty(), "{name} holds nothing");
            for row in &found {
                let opened = secrets.open_row(row).unwrap_or_else(|error| panic!("{name} {:?}: {error}", row.id));
                assert!(!opened.is_empty() && !row.sealed.windows(opened.len()).any(|part| part == opened), "{name}");
                assert!(secrets.open(&column.row("another"), &row.sealed).is_err(), "{name} names no row");
                for (_, others) in SEALED {
                    for other in others.iter().filter(|other| other.table != column.table) {
                        let place = other.row(row.place.to_string().rsplit_once('/').unwrap().1);
                        assert!(secrets.open(&place, &row.sealed).is_err(), "{name} opens as {place}");
                    }
                }
            }
            if let [one, two, ..] = &found[..] {
                assert!(column.replace(&db, one, &two.sealed).await.unwrap());
                assert!(column.replace(&db, two, &one.sealed).await.unwrap());
                let swapped = rows(&db, &secrets, column).await;
                for (row, back) in swapped.iter().zip([one, two]) {
                    assert!(secrets.open_row(row).is_err(), "{name} opens in another row");
                    assert!(column.replace(&db, row, &back.sealed).await.unwrap());
                }
            }
            seen.push(name);
        }
    }
    assert_eq!(seen.len(), names.len(), "{names:?}");
}

/// Values of every kind that a running installation seals.
pub async fn values_open_in_their_own_row_alone(test: TestDb) {
    let every: Vec<_> = SEALED.iter().flat_map(|(_, columns)| columns.iter()).collect();
    let looked_at = OF_PROFILES.iter().chain(&OF_SINGLE_SIGN_ON).chain(&OF_JOBS).count();
    assert_eq!(every.len(), looked_at, "a sealed column is looked at by no test");

    let server = Server::start(&test).await;
    make_values(&server, &["one", "two"]).await;
    expect_bound(&test, &server.data_dir, &OF_PROFILES).await;
}

/// Makes secrets in every table whose values are sealed for long.
pub async fn make_values(server: &Server, names: &[&str]) {
    let collection_id = server.create_collection(&format!("sealed {}", names.join(" and "))).await;
    for name in names {
        let secret = format!("a shared secret of more than thirty-two bytes {name}");
        let settings = json!({"name": name, "api_collection_ids": [collection_id], "auth_type": "jwt", "jwt_method": "hmac",
            "jwt_secret": secret});
        for path in ["/api/api_access_profiles", "/api/v2/api_clients"] {
            server.call("POST", path, &server.api_key, settings.clone()).await.expect(200);
        }
        let url = format!("https://hooks.slack.com/services/T000/B000/{name}");
        server.post("/v1/slackWebhooks", json!({"url": url, "name": name})).await.expect(200);
        let credential = json!({"api_key": format!("PMAK-0123456789-{name}"), "workspace_id": "w"});
        server.post("/api/addOrUpdatePostmanCred", credential).await.expect(200);
    }
}
