//! What is stored and cannot be understood, such as what another version wrote, costs nobody else anything.

use std::collections::BTreeSet;

use portolan_store::{Dialect, Setting, Sql, args};
use portolan_testkit::TestDb;
use serde_json::json;

use crate::server::{PATIENCE, Server};

const TOPICS: [&str; 4] = ["audit", "usage", "notice", "revocations"];

/// Larger than what a service takes in one message.
const HOSTILE_BYTES: usize = 6 << 20;

/// Payloads of every topic that no version of today writes.
fn payloads() -> Vec<(&'static str, String)> {
    let hostile = "x".repeat(HOSTILE_BYTES);
    vec![
        ("older form", json!({"account": 1, "what": "created", "when": "yesterday"}).to_string()),
        ("empty", String::new()),
        ("truncated", r#"{"accountId":1000000,"account_id":1000000,"feature":"ACTIVE_END"#.to_owned()),
        ("another type", json!([1, null, "x"]).to_string()),
        (
            "unknown words",
            json!({"accountId": 1_000_000, "account_id": 1_000_000, "feature": "MAGIC", "count": 1,
            "version": 1, "action": "magic.happened", "outcome": "PERHAPS", "title": "t", "lines": [{"kind": "?"}],
            "userId": -1, "endedAt": -1})
            .to_string(),
        ),
        (
            "hostile size",
            json!({"accountId": 1_000_000, "feature": hostile, "count": 1, "version": 1, "userId": 1,
            "endedAt": 1, "title": hostile, "action": hostile})
            .to_string(),
        ),
    ]
}

/// Events of every topic and form that nobody can read lie before good ones: the good ones arrive, the others are put
/// aside with a reason, and `doctor` names topic and reason.
pub async fn no_stored_event_stops_its_topic(test: TestDb) {
    let server = Server::start(&test).await;
    let db = test.store.service("inventory").await.unwrap();
    let insert = "INSERT INTO outbox (topic, event_id, payload, event_key, created_at) VALUES ($1, $2, $3, $4, 1)";
    for topic in TOPICS {
        for (form, payload) in payloads() {
            // Under the key of the account and of nobody.
            for key in ["1000000", ""] {
                db.execute(insert, args![topic, format!("{form}/{key}"), payload.as_str(), key]).await.unwrap();
            }
        }
    }
    let id = server.create_collection("Behind").await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let count = "SELECT count(*) FROM outbox WHERE topic IN ('audit', 'usage', 'notice', 'revocations')";
    loop {
        let left = db.fetch_one(count, args![]).await.unwrap().get::<i64>(0).unwrap();
        let audit = server.get("/v1/auditEvents").await.expect(200).body;
        if left == 0 && audit.contains("collection.create") && audit.contains(&id.to_string()) {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{left} events are left: {audit}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let rows = db.fetch_all("SELECT topic, event_id, reason FROM outbox_rejected", args![]).await.unwrap();
    let rejected: Vec<(String, String, String)> = rows
        .iter()
        .map(|row| (row.get("topic").unwrap(), row.get("event_id").unwrap(), row.get("reason").unwrap()))
        .collect();
    for topic in TOPICS {
        for form in ["empty", "truncated", "another type", "hostile size"] {
            // Of a revocation three numbers are read, whatever stands beside them.
            if (topic, form) == ("revocations", "hostile size") {
                continue;
            }
            let of = rejected
                .iter()
                .filter(|(own, id, reason)| own == topic && id.starts_with(form) && (1..2_000).contains(&reason.len()));
            assert_eq!(of.count(), 2, "{topic}, {form}: {rejected:?}");
        }
    }
    let printed = server.doctor(&test).await;
    let line = printed.lines().find(|line| line.contains("outbox: ")).unwrap();
    for topic in TOPICS {
        assert!(line.contains(&format!(" of {topic} were refused for good, the last: ")), "{line}");
    }
}

/// Text columns that hold JSON and are no settings: what was seen, and what is under way.
const DATA: [(&str, &str); 18] = [
    ("accounts", "name"),
    ("audit_events", "event"),
    ("call_stats", "addresses"),
    ("call_stats", "minutes"),
    ("endpoint_reservations", "positions"),
    ("endpoints", "bodies"),
    ("endpoints", "facts"),
    ("jobs", "arguments"),
    ("jobs", "cursor"),
    ("jobs", "outcome"),
    ("jobs", "subject"),
    ("outbox", "payload"),
    ("outbox_rejected", "payload"),
    ("parameters", "facts"),
    ("samples", "record"),
    ("specifications", "shape"),
    ("upload_operations", "errors"),
    ("uploads", "errors"),
];

/// Those of the inventory, which [`crate::isolation::no_setting_stops_ingest`] spoils.
const INVENTORY: [(&str, &str); 3] =
    [("collections", "conditions"), ("collections", "tags"), ("data_types", "definition")];

fn forms() -> Vec<(&'static str, String)> {
    vec![
        ("older form", json!({"version": 1, "list": "a,b"}).to_string()),
        ("truncated", r#"["a", "b"#.to_owned()),
        ("unknown words", json!({"GALAXY": ["MAGIC", null]}).to_string()),
        ("deep", "[".repeat(200_000)),
        ("hostile size", json!(["x".repeat(HOSTILE_BYTES)]).to_string()),
    ]
}

/// Every setting that services keep, as the services list them.
fn settings() -> Vec<(&'static str, Setting)> {
    let of = |service: &'static str, list: &[Setting]| list.iter().map(move |one| (service, *one)).collect::<Vec<_>>();
    let lists = [
        of("identity", &portolan_identity::STORED),
        of("tokens", &portolan_tokens::STORED),
        of("billing", &portolan_billing::STORED),
    ];
    lists.concat()
}

/// A setting of each kind in the first account.
async fn make_settings(server: &Server, test: &TestDb) {
    let id = server.create_collection("Poisoned").await;
    let role = json!({"roleName": "AUDITORS", "baseRole": "GUEST", "apiCollectionIds": [id]});
    server.post("/api/createCustomRole", role).await.expect(200);
    let deps = crate::roles::identity(test, server).await;
    let user = crate::roles::create(&deps, 1_000_000, "auditor@example.org", "AUDITORS").await;
    let shown = [i32::try_from(id).unwrap().into()];
    portolan_identity::grants::set_collections(&deps, 1_000_000.into(), user.into(), &shown).await.unwrap();
    let invite = json!({"inviteeName": "New", "inviteeEmail": "new@example.org", "scopeRoleMapping": {"API": "GUEST"}});
    server.post("/api/inviteUsers", invite).await.expect(200);
    server.post("/api/updatePrivateCidrIps", json!({"privateCidrList": ["10.0.0.0/8"]})).await.expect(200);
    server.post("/api/updatePartnerIps", json!({"partnerIpList": ["192.0.2.1"]})).await.expect(200);
    let profile = json!({"name": "First", "api_collection_ids": [id], "auth_type": "token"});
    server.post("/api/api_access_profiles", profile).await.expect(200);
    let client = json!({"name": "Second", "api_collection_ids": [id], "auth_type": "token", "cert_bundle_ids": [1]});
    let client = server.post("/api/v2/api_clients", client).await.expect(200).json();
    let client = client["data"]["id"].as_i64().or(client["id"].as_i64()).unwrap_or_else(|| panic!("{client}"));
    server
        .post(&format!("/api/v2/api_clients/{client}/api_keys"), json!({"name": "Key", "active": true}))
        .await
        .expect(200);
    let (organization, _) = crate::katapult::organization(test).await;
    let token = json!({"organization": {"id": organization},
        "properties": {"name": "CI", "scopes": ["api_tokens"], "authorized_ip_addresses": ["127.0.0.0/8"]}});
    let tokens = "/core/v1/organizations/organization/api_tokens";
    server.call("POST", tokens, &server.api_key, token).await.expect(200);
    // Entitlements are kept of a provider that is asked over the network.
    server.get("/v1/usage").await.expect(200);
    let kept = json!({"plan_id": "own", "plan_type": "own", "grace_s": 0, "expired": false, "everything": true, "features": {}});
    let keep = "UPDATE billing_organizations SET entitlements = $1";
    let db = test.store.service("billing").await.unwrap();
    assert!(db.execute(keep, args![kept.to_string()]).await.unwrap() > 0);
}

/// Reads of what the settings of a service are for.
async fn reads(server: &Server, test: &TestDb, service: &str) -> Vec<(String, u16, String)> {
    let (organization, _) = crate::katapult::organization(test).await;
    let tokens = format!("/core/v1/organizations/organization/api_tokens?organization[id]={organization}");
    let (posts, gets): (&[&str], &[&str]) = match service {
        "identity" => (&["/api/getCustomRoles", "/api/getTeamData", "/api/fetchAdminSettings"], &[]),
        "tokens" => (&[], &["/api/api_access_profiles", "/api/api_clients", "/api/v2/api_clients", &tokens]),
        _ => (&["/api/getAllCollections"], &["/v1/usage"]),
    };
    let mut answers = Vec::new();
    for path in posts {
        answers.push((path, server.post(path, json!({})).await));
    }
    for path in gets {
        answers.push((path, server.call("GET", path, &server.api_key, serde_json::Value::Null).await));
    }
    if service == "identity" {
        let login = json!({"username": "auditor@example.org", "password": "a password of its own"}).to_string();
        answers.push((&"/auth/login", server.send(server.request("/auth/login").body(login)).await.unwrap()));
    }
    answers.into_iter().map(|(path, answer)| ((*path).to_owned(), answer.status, answer.body)).collect()
}

async fn expect_sound(server: &Server, test: &TestDb) {
    for service in ["identity", "tokens", "billing"] {
        for (path, status, body) in reads(server, test, service).await {
            assert_eq!(status, 200, "{path}: {body}");
        }
    }
}

/// Every stored setting in each form that no version of today writes is skipped: what it is for is closed, everything else
/// of its account and of others goes on, and `doctor` names table, row and reason. A text column that is neither a setting
/// nor data fails here.
pub async fn no_stored_setting_harms_what_stands_beside_it(test: TestDb) {
    let server = Server::start(&test).await;
    make_settings(&server, &test).await;
    let other = crate::isolation::tenant(&server, &test).await;
    expect_sound(&server, &test).await;
    expect_every_column_is_known(&test).await;
    let admin: i64 = {
        let db = test.store.service("identity").await.unwrap();
        let first = "SELECT min(user_id) AS id FROM memberships WHERE account_id = 1000000";
        db.fetch_one(first, args![]).await.unwrap().get("id").unwrap()
    };
    let mut understood = Vec::new();
    for (service, setting) in settings() {
        let db = test.store.service(service).await.unwrap();
        let Setting { table, owner, key, column, .. } = setting;
        // The administrator stays one, to make the calls.
        let others = if table == "memberships" { format!("{key} <> {admin}") } else { "1 = 1".to_owned() };
        let is_own = format!("cast({owner} AS TEXT) <> '2000000' AND {others}");
        let kept = Sql::assembled(format!("SELECT cast({key} AS TEXT), {column} FROM {table} WHERE {is_own}"));
        let kept = db.fetch_all(kept, args![]).await.unwrap();
        let kept: Vec<(String, Option<String>)> =
            kept.iter().map(|row| (row.get(0).unwrap(), row.get(1).unwrap())).collect();
        let name = format!("{table}.{column}");
        assert!(kept.iter().any(|(_, value)| value.is_some()), "{name}: no row has it, so nothing is spoiled");
        for (form, text) in forms() {
            let spoil = Sql::assembled(format!("UPDATE {table} SET {column} = $1 WHERE {is_own}"));
            assert!(db.execute(spoil, args![&text]).await.unwrap() > 0, "{name}");
            let lines = portolan_store::setting::unreadable(&db, &[setting]).await.unwrap();
            if lines.is_empty() {
                understood.push(format!("{name}, {form}"));
            }
            assert!(lines.iter().all(|line| line.contains(table) && line.len() < 1_000), "{lines:?}");
            for (path, status, body) in reads(&server, &test, service).await {
                assert!(status < 500, "{name}, {form}: {path} {status} {body}");
            }
            other.post("/api/getAllCollections", json!({})).await.expect(200);
        }
        let restore = Sql::assembled(format!("UPDATE {table} SET {column} = $1 WHERE cast({key} AS TEXT) = $2"));
        for (key, value) in kept {
            db.execute(restore.clone(), args![value, key]).await.unwrap();
        }
    }
    assert_eq!(understood, Vec::<String>::new(), "not seen by `doctor`");
    expect_sound(&server, &test).await;
    let db = test.store.service("identity").await.unwrap();
    let spoil = "UPDATE custom_roles SET features = '[\"MAGIC\"]' WHERE account_id = 1000000";
    db.execute(spoil, args![]).await.unwrap();
    let printed = server.doctor(&test).await;
    let line = printed.lines().find(|line| line.contains("stored settings")).unwrap();
    let shown = "account 1000000, custom_roles AUDITORS, features: MAGIC is unknown";
    assert!(line.starts_with("FAIL") && line.contains(shown), "{line}");
}

/// Of a database in which every setting was made.
async fn expect_every_column_is_known(test: &TestDb) {
    let mut known: BTreeSet<(String, String)> =
        DATA.iter().chain(&INVENTORY).map(|(table, column)| (table.to_string(), column.to_string())).collect();
    known.extend(settings().iter().map(|(_, one)| (one.table.to_owned(), one.column.to_owned())));
    let mut unknown = BTreeSet::new();
    for service in ["identity", "tokens", "inventory", "imports", "billing"] {
        let db = test.store.service(service).await.unwrap();
        let columns = match db.dialect() {
            Dialect::Sqlite => {
                "SELECT m.name AS tab, c.name AS col FROM sqlite_master m JOIN pragma_table_info(m.name) c
                WHERE m.type = 'table' AND upper(c.type) = 'TEXT'"
            }
            Dialect::Postgres => {
                "SELECT cast(table_name AS text) AS tab, cast(column_name AS text) AS col
                FROM information_schema.columns WHERE table_schema = current_schema() AND data_type = 'text'"
            }
        };
        for row in db.fetch_all(columns, args![]).await.unwrap() {
            let (table, column): (String, String) = (row.get("tab").unwrap(), row.get("col").unwrap());
            let holds = format!("SELECT count(*) AS n FROM {table} WHERE {column} LIKE '[%' OR {column} LIKE '{{%'");
            let rows = db.fetch_one(Sql::assembled(holds), args![]).await.unwrap().get::<i64>("n").unwrap();
            if rows > 0 && !known.contains(&(table.clone(), column.clone())) {
                unknown.insert((table, column));
            }
        }
    }
    assert!(unknown.is_empty(), "neither settings nor data: {unknown:?}");
}
