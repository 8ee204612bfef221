//! One bad input or setting costs its owner an error, and nobody else anything.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use portolan_log::{Log, Message};
use portolan_record::{Record, SEGMENTS_MAX, URL_BYTES_MAX};
use portolan_store::args;
use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::{
    identity_team::Person,
    server::{PATIENCE, Server, har},
};

const PASSWORD: &str = "a password of its own";
/// Address space of a server under test, in KiB. An allocator that reserves a GiB at once would leave nothing of it.
const MEMORY_KIB_MAX: u64 = 1 << 20;

/// The one process under a limit of its address space; without a limit where the form is another one.
async fn start_bounded(test: &TestDb, data_dir: PathBuf) -> Server {
    if std::env::var(crate::six::FORM).is_ok() {
        return Server::start_in(test, data_dir).await;
    }
    let script = data_dir.join("bounded");
    let program = env!("CARGO_BIN_EXE_portolan");
    std::fs::write(&script, format!("#!/bin/sh\nulimit -v {MEMORY_KIB_MAX}\nexec {program} \"$@\"\n")).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let variables = [("MIMALLOC_ARENA_RESERVE", "64MiB")];
    Server::start_program(script.to_str().unwrap(), test, data_dir, &variables, Stdio::inherit()).await
}

pub fn capture(url: &str) -> String {
    har(&[("GET", url, "", 200, r#"{"a":1}"#)])
}

/// URLs beyond each bound, with a word of the refusal that names the bound.
pub fn hostile_urls() -> [(String, String); 3] {
    let segments = format!("at most {SEGMENTS_MAX} are taken");
    let bytes = format!("at most {URL_BYTES_MAX} are taken");
    [
        (format!("http://victim.test{}", "/a".repeat(100_000)), segments.clone()),
        (format!("http://victim.test{}", "/a".repeat(SEGMENTS_MAX + 1)), segments),
        (format!("http://victim.test/?{}", "a=b&".repeat(100_000)), bytes),
    ]
}

/// Uploads by another tenant arrive.
pub async fn other_tenant_is_served(server: &Server, other: &Person<'_>, round: usize) {
    let body = json!({"harString": capture(&format!("http://other.test/books/round{round}/x")), "skipKafka": true,
        "apiCollectionName": "Other"});
    let answer = other.post("/api/uploadHar", body).await.expect(200).json();
    let id = answer["apiCollectionId"].as_i64().unwrap_or_else(|| panic!("{answer}"));
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let found = other.post("/api/fetchApiInfosForCollection", json!({ "apiCollectionId": id })).await.expect(200);
        if found.body.contains(&format!("round{round}")) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "the other tenant's upload does not arrive: {}", server.http);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// A session in a second account of the installation.
pub async fn tenant<'a>(server: &'a Server, test: &TestDb) -> Person<'a> {
    let account = "INSERT INTO accounts (account_id, organization_id, name, created_at)
        SELECT 2000000, organization_id, 'Other', 0 FROM accounts WHERE account_id = 1000000 ON CONFLICT DO NOTHING";
    let deps = crate::roles::identity(test, server).await;
    deps.db.execute(account, args![]).await.unwrap();
    crate::roles::create(&deps, 2_000_000, "other@example.org", "ADMIN").await;
    Person::log_in(server, "other@example.org", PASSWORD).await
}

/// URLs of any length and depth are refused at every door by the name of the bound, those that are in the log already
/// are set aside, and a server of little memory serves other tenants through kills and restarts.
pub async fn no_input_keeps_an_installation_down(test: TestDb) {
    let server = start_bounded(&test, tempfile::tempdir().unwrap().keep()).await;
    let id = server.create_collection("Target").await;
    let other = tenant(&server, &test).await;
    for (url, bound) in hostile_urls() {
        let upload = json!({"harString": capture(&url), "apiCollectionId": id, "skipKafka": true});
        let answer = server.post("/api/uploadHar", upload).await.expect(200).json();
        assert!(answer["harErrors"][0].as_str().unwrap().contains(&bound), "{answer}");
        assert_eq!((&answer["importedRecords"], &answer["skippedRecords"]), (&json!(0), &json!(1)));
        for (file, text) in documents(&url) {
            // A described endpoint has its query beside its path.
            if file == "Imperva" && url.contains('?') {
                continue;
            }
            let request = server.request(&format!("/v1/imports?collectionId={id}"));
            let request =
                request.header("x-api-key", &server.api_key).header("content-type", "application/octet-stream");
            let answer = server.send(request.body(text)).await.unwrap().expect(200).json();
            let job = server.wait_for_job(answer["jobId"].as_str().unwrap()).await;
            assert!(
                job.to_string().contains(&bound),
                "{file}: {}",
                job.to_string().chars().take(600).collect::<String>()
            );
        }
        let fetched = json!({"url": url, "apiCollectionName": "Fetched"});
        let refused = server.post("/api/importFromUrl", fetched).await;
        assert_eq!(refused.status, 422, "{}", refused.body);
    }
    // A producer of the topic checks nothing.
    let log = Log::open("embedded:", "akto.api.logs", &test.store).await.unwrap();
    let hostile = hostile_urls().map(|(url, _)| {
        let record = Record {
            account_id: 1_000_000,
            collection_id: id,
            method: "GET".into(),
            path: url.into(),
            status_code: 200,
            time: 1_756_885_500,
            ..Record::default()
        };
        Message { key: b"1000000:victim.test".to_vec(), value: record.to_json().into_bytes() }
    });
    log.append("topic", 0, hostile.to_vec()).await.unwrap();
    other_tenant_is_served(&server, &other, 0).await;
    let mut data_dir = server.kill().await;
    for round in 1..=3 {
        let server = start_bounded(&test, data_dir).await;
        let other = Person::log_in(&server, "other@example.org", PASSWORD).await;
        other_tenant_is_served(&server, &other, round).await;
        assert_eq!(server.endpoints(id).await, Vec::<String>::new());
        data_dir = server.kill().await;
    }
    assert!(log.rejected_count().await.unwrap() >= 3);
}

/// What was set aside is listed to those whose it is, and is read when it is replayed after its cause is gone.
pub async fn what_is_set_aside_is_seen_and_replayed(test: TestDb) {
    let server = Server::start(&test).await;
    let id = server.create_collection("Target").await;
    let deps = crate::roles::identity(&test, &server).await;
    let log = Log::open("embedded:", "akto.api.logs", &test.store).await.unwrap();
    let record = |account_id: i64, path: &str| {
        let record = Record {
            account_id,
            collection_id: id,
            method: "GET".into(),
            path: path.to_owned().into(),
            status_code: 200,
            time: 1_756_885_500,
            ..Record::default()
        };
        record.to_json().into_bytes()
    };
    let message = |value: Vec<u8>| Message { key: b"key".to_vec(), value };
    let bad = [record(1_000_000, ""), record(424_242, "/a"), b"no record".to_vec()].map(message);
    let positions = log.append("topic", 0, bad.to_vec()).await.unwrap();
    let (&partition, _) = positions.first_key_value().unwrap();
    let list = async || server.get("/v1/ingest/rejected").await.expect(200).json();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let listed = loop {
        let listed = list().await;
        if listed["records"].as_array().unwrap().len() == 3 {
            break listed;
        }
        assert!(tokio::time::Instant::now() < deadline, "{listed}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    let of = |offset: i64| {
        let found = listed["records"].as_array().unwrap().iter().find(|record| record["offset"] == offset);
        found.unwrap_or_else(|| panic!("{listed}")).clone()
    };
    assert_eq!((&of(0)["accountId"], &of(1)["accountId"]), (&json!(1_000_000), &Value::Null));
    assert!(of(1)["reason"].as_str().unwrap().contains("names no account: 424242"), "{listed}");
    assert_eq!(
        server.get("/v1/ingest/rejected?pageSize=2").await.expect(200).json()["records"][1],
        listed["records"][1]
    );

    // An administrator of another account sees nothing of it, and repeats nothing.
    let made = json!({"name": "Customer", "external_id": "c1"});
    let made = server.call("POST", "/api/managed_users", &server.api_key, made).await.expect(200).json();
    crate::roles::create(&deps, made["result"]["id"].as_i64().unwrap(), "other@example.org", "ADMIN").await;
    let other = crate::roles::Person::log_in(&server, "other@example.org").await;
    let key = other.post("/api/addApiToken", json!({"tokenUtility": "EXTERNAL_API"})).await.expect(200).json();
    let key = key["apiTokenList"][0]["key"].as_str().unwrap().to_owned();
    let seen = server.call("GET", "/v1/ingest/rejected", &key, Value::Null).await.expect(200).json();
    assert_eq!(seen["records"], json!([]));
    let place = json!({ "partition": partition, "offset": 0 });
    let refused = server.call("POST", "/v1/ingest/rejected:replay", &key, place.clone()).await;
    assert_eq!(refused.status, 404, "{}", refused.body);

    // As bad as before, it is set aside anew; with its cause gone it is read.
    let again = server.post("/v1/ingest/rejected:replay", place).await.expect(200).json();
    assert_eq!(again["offset"], 3);
    let good = portolan_log::Rejected {
        partition,
        offset: 1_000,
        account_id: Some(1_000_000.into()),
        reason: "skipped by an operator".to_owned(),
        key: b"key".to_vec(),
        value: record(1_000_000, "/good"),
        created_at: 1,
    };
    log.reject(&[good]).await.unwrap();
    let place = json!({ "partition": partition, "offset": 1_000 });
    server.post("/v1/ingest/rejected:replay", place.clone()).await.expect(200);
    while server.endpoints(id).await != ["GET /good"] {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", server.endpoints(id).await);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(server.post("/v1/ingest/rejected:replay", place).await.status, 404);
}

/// The URL in a file of each other format.
pub fn documents(url: &str) -> [(&'static str, String); 4] {
    let postman = json!({"info": {"name": "P", "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"},
        "item": [{"name": "long", "request": {"method": "GET", "url": url}}]});
    let path = url.strip_prefix("http://victim.test").unwrap();
    let imperva = json!({"data": {"hostName": "victim.test", "method": "get", "resource": path}});
    let openapi = json!({"openapi": "3.0.0", "info": {"title": "O", "version": "1"},
        "servers": [{"url": "http://victim.test"}],
        "paths": {path: {"get": {"responses": {"200": {"description": ""}}}}}});
    [
        ("HAR", capture(url)),
        ("Postman", postman.to_string()),
        ("Imperva", imperva.to_string()),
        ("OpenAPI", openapi.to_string()),
    ]
}

/// A setting that ingest would not understand is refused, by the reader's own parser. One that is stored all the same, by
/// an older program or by hand, is skipped, shows in `doctor`, and stops neither its account nor another one.
pub async fn no_setting_stops_ingest(test: TestDb) {
    let server = Server::start(&test).await;
    let id = server.create_collection("Target").await;
    let entry = |url: Value, method: Value| json!({"apiCollectionId": id, "url": url, "method": method});
    for (bad, named) in [
        (entry(json!("/x"), json!("FETCH")), "method"),
        (entry(json!("/x"), json!(" GET")), "method"),
        (entry(json!("/x"), json!("GET ")), "method"),
        (entry(json!("/x"), json!("")), "method"),
        (json!({"apiCollectionId": id, "url": "/x"}), "method"),
        (entry(json!(""), json!("GET")), "url"),
        (json!({"apiCollectionId": id, "method": "GET"}), "url"),
        (entry(json!("/a".repeat(URL_BYTES_MAX)), json!("GET")), "url"),
    ] {
        for path in ["/api/addApisToCustomCollection", "/api/removeApisFromCustomCollection"] {
            let good = entry(json!("/y"), json!("GET"));
            let body = json!({"collectionName": "Group", "apiList": [good, bad]});
            let refused = server.post(path, body).await.expect(422).json();
            let text = refused["actionErrors"][0].as_str().unwrap();
            assert!(text.starts_with(&format!("apiList[1]: {named}")), "{bad}: {text}");
        }
        let conditions = json!([{"type": "CUSTOM", "operator": "AND", "data": {"apiList": [bad]}}]);
        server
            .post("/api/createCustomCollection", json!({"collectionName": "Group", "conditions": conditions}))
            .await
            .expect(422);
    }
    let list = server.post("/api/getAllCollections", json!({})).await.expect(200).body;
    assert!(!list.contains("\"Group\""), "a refused request made the group: {list}");

    let good = json!({"collectionName": "Group", "apiList": [entry(json!("http://a.test/books"), json!("GET"))]});
    server.post("/api/addApisToCustomCollection", good.clone()).await.expect(200);
    let kind = json!({"name": "TICKET", "keyConditions": {"operator": "OR", "predicates": [{"type": "EQUALS_TO", "value": "t"}]}});
    server.call("POST", "/v1/dataTypes", &server.api_key, kind).await.expect(200);
    let db = test.store.service("inventory").await.unwrap();
    let many = format!("[{}]", vec![r#"{"type":"METHOD","operator":"OR","data":{"method":"GET"}}"#; 5_000].join(","));
    let stored = [
        ("conditions", r#"[{"type":"METHOD","operator":"AND","data":{"method":"FETCH"}}]"#),
        ("conditions", r#"[{"kind":"METHOD","method":"GET"}]"#),
        ("conditions", r#"[{"type":"CUSTOM","operator":"AND","data":{"apiList":[{"apiCollectionId":1,"url":"#),
        ("conditions", many.as_str()),
        ("tags", r#"{"envType":"STAGING"}"#),
        ("tags", r#"[{"keyName":"envTy"#),
        ("definition", r#"{"key_conditions":{"operator":"XOR","predicates":[{"kind":"MAGIC"}]}}"#),
        ("definition", r#"{"key_conditions":{"oper"#),
    ];
    for (round, (column, text)) in stored.into_iter().enumerate() {
        let statement = match column {
            "conditions" => "UPDATE collections SET conditions = $1 WHERE kind = 'API_GROUP'",
            "tags" => "UPDATE collections SET tags = $1 WHERE kind IS NULL AND collection_id > 0",
            _ => "UPDATE data_types SET definition = $1 WHERE name = 'TICKET'",
        };
        db.execute(statement, args![text]).await.unwrap();
        db.execute("UPDATE inventory_sequences SET next_id = next_id + 1 WHERE name = 'data_types'", args![])
            .await
            .unwrap();
        let url = format!("http://a.test/books/round{round}/x");
        let upload = json!({"harString": capture(&url), "apiCollectionId": id, "skipKafka": true});
        server.post("/api/uploadHar", upload).await.expect(200);
        let found = server.endpoints(id).await;
        assert!(found.iter().any(|name| name.contains(&format!("round{round}"))), "{column} {text}: {found:?}");
        let printed = server.doctor(&test).await;
        let line = printed.lines().find(|line| line.contains("stored settings")).unwrap();
        assert!(line.starts_with("FAIL") && line.contains("account 1000000"), "{column} {text}: {line}");
    }
    // What is skipped stops no other write either.
    let gone = json!({"apiList": [entry(json!("http://a.test/books/round0/x"), json!("GET"))]});
    server.post("/api/deleteApis", gone).await.expect(200);
    server.post("/api/removeApisFromCustomCollection", good).await.expect(200);
    server.post("/api/deleteMultipleCollections", json!({"apiCollections": [{ "id": id }]})).await.expect(200);
}

/// Two files of one length under one key are two files: the second is refused, and the first one's repetition is not.
pub async fn two_streams_of_one_length_are_told_apart(test: TestDb) {
    let server = Server::start(&test).await;
    let send = async |content: String| {
        let request = server.request("/v1/imports?collectionName=Streamed").header("x-api-key", &server.api_key);
        let request = request.header("content-type", "application/octet-stream").header("idempotency-key", "one");
        server.send(request.body(content)).await.unwrap()
    };
    let (first, second) = (capture("http://a.test/books/one"), capture("http://a.test/books/two"));
    assert_eq!(first.len(), second.len());
    let answer = send(first.clone()).await.expect(200).json();
    let refused = send(second).await.expect(409);
    assert_eq!(refused.header("x-portolan-error"), "IDEMPOTENCY_KEY_REUSED");
    let again = send(first).await.expect(200);
    assert_eq!((again.header("idempotency-replayed"), again.json()), ("true", answer.clone()));
    let job = server.wait_for_job(answer["jobId"].as_str().unwrap()).await;
    let id = job["collectionId"].as_i64().unwrap();
    assert_eq!(server.endpoints(id).await, ["GET http://a.test/books/one"]);
}

/// A file system of so many MiB, gone when it is dropped; `None` where none can be mounted.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(mib: usize) -> Option<Self> {
        let path = tempfile::tempdir().unwrap().keep();
        let size = format!("size={mib}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

async fn wait_for_readiness(server: &Server, status: u16) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while server.get("/readyz").await.status != status {
        assert!(tokio::time::Instant::now() < deadline, "readiness does not become {status}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// A full disk costs writes and nothing else: reads go on, readiness tells, and with room again everything works without
/// a restart.
pub async fn a_full_disk_is_borne(test: TestDb) {
    if test.url.starts_with("postgres") || std::env::var(crate::six::FORM).is_ok() {
        return; // Postgres keeps its own disk.
    }
    let disk = SmallDisk::mount(48).expect("this test mounts a tmpfs and needs to be root");
    let own = test.at(format!("sqlite:{}", disk.0.display()));
    let server = Server::start_in(&own, disk.0.clone()).await;
    let id = server.create_collection("Before").await;
    let filler = disk.0.join("filler");
    for round in 1..=2 {
        let blocks =
            Command::new("dd").arg("if=/dev/zero").arg(format!("of={}", filler.display())).arg("bs=4k").output();
        assert!(!blocks.unwrap().status.success(), "the disk is not full");
        // Until the pages that are there already are used up as well.
        let mut refused = 0;
        for write in 0..400 {
            let body = json!({"apiCollectionId": id, "description": format!("{round}-{write}-{}", "x".repeat(8_000))});
            let answer = server.post("/api/saveCollectionDescription", body).await;
            refused += usize::from(answer.status != 200);
            assert!([200, 503].contains(&answer.status), "{}: {}", answer.status, answer.body);
            if refused >= 5 {
                break;
            }
        }
        assert!(refused >= 5, "the disk was never full for a write");
        wait_for_readiness(&server, 503).await;
        server.post("/api/getAllCollections", json!({})).await.expect(200);
        std::fs::remove_file(&filler).unwrap();
        server.create_collection(&format!("After {round}")).await;
        wait_for_readiness(&server, 200).await;
    }
}

/// A disk without room refuses uploads by the reason, leaves nothing of them, and takes them again with room: no restart.
pub async fn a_full_spool_is_borne(test: TestDb) {
    if std::env::var(crate::six::FORM).is_ok() {
        return; // The spool is of one process.
    }
    let disk = SmallDisk::mount(16).expect("this test mounts a tmpfs and needs to be root");
    let data_dir = tempfile::tempdir().unwrap().keep();
    std::os::unix::fs::symlink(&disk.0, data_dir.join("uploads")).unwrap();
    let server = Server::start_in(&test, data_dir).await;
    let send = async |content: Vec<u8>| {
        let request = reqwest::Client::new().post(format!("{}/v1/imports?collectionName=Spool", server.http));
        server.send(request.header("x-api-key", &server.api_key).body(content)).await.unwrap()
    };
    let small = har(&[("GET", "http://spool.test/a", "", 200, "{}")]);
    let mut large = small.clone().into_bytes();
    large.resize(32 << 20, b' ');
    let spooled = || std::fs::read_dir(&disk.0).unwrap().count();
    let empty = spooled();
    for round in 0..2 {
        let refused = send(large.clone()).await.expect(507);
        assert_eq!(refused.header("x-portolan-error"), "SPOOL_FULL");
        assert_eq!(spooled(), empty, "{round}: a part of the file stays");
        // Somebody else fills it.
        let filler = disk.0.join("filler.part");
        let filled =
            Command::new("dd").arg("if=/dev/zero").arg(format!("of={}", filler.display())).arg("bs=64k").output();
        assert!(!filled.unwrap().status.success(), "the disk is not full");
        send(small.clone().into_bytes()).await.expect(507);
        server.post("/api/getAllCollections", json!({})).await.expect(200);
        std::fs::remove_file(&filler).unwrap();
        let answer = send(small.clone().into_bytes()).await.expect(200).json();
        assert_eq!(server.wait_for_job(answer["jobId"].as_str().unwrap()).await["state"], "SUCCEEDED");
        // The file goes after the end of its job, and would leave room on the full disk.
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while spooled() > empty {
            assert!(tokio::time::Instant::now() < deadline, "{round}: the file of an ended job stays");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
    let jobs = server.get("/v1/jobs").await.expect(200).json();
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 2, "{jobs}");
}

/// Clients without a credential make neither the database nor the memory of a server grow by what they send.
pub async fn strangers_make_nothing_grow(test: TestDb) {
    if test.url.starts_with("postgres") || std::env::var(crate::six::FORM).is_ok() {
        return; // The size of a database is that of its file.
    }
    let data_dir = tempfile::tempdir().unwrap().keep();
    let own = test.at(format!("sqlite:{}", data_dir.display()));
    let server = Server::start_in(&own, data_dir.clone()).await;
    let db = portolan_store::Store::connect(&own.url).await.unwrap().service("identity").await.unwrap();
    // The log holds pages again and again that change; what stays is what it leaves in the file.
    let size = async || -> u64 {
        db.empty_log().await.unwrap();
        std::fs::metadata(data_dir.join("portolan.db")).unwrap().len()
    };
    let before = size().await;
    let name = |bytes: usize, at: usize| format!("{at}{}@example.org", "x".repeat(bytes));
    for at in 0..40 {
        let large = json!({"username": name(3_900_000, at), "password": "x"}).to_string();
        server.send(server.request("/auth/login").body(large)).await.unwrap().expect(413);
        for (path, body, status) in [
            ("/auth/login", json!({"username": name(15_000, at), "password": "x"}), 401),
            (
                "/signup-email",
                json!({"email": name(15_000, at), "password": PASSWORD, "invitationCode": "x".repeat(500)}),
                0,
            ),
            ("/auth/sendPasswordResetLink", json!({"email": name(15_000, at)}), 0),
            ("/auth/resetPassword", json!({"token": "x".repeat(15_000), "password": PASSWORD}), 0),
            ("/v1/leakedKeys:revoke", json!({"key": "x".repeat(15_000)}), 0),
        ] {
            let answer = server.send(server.request(path).body(body.to_string())).await.unwrap();
            assert!(answer.status < 500 && (status == 0 || answer.status == status), "{path}: {}", answer.body);
        }
    }
    // Rows of fixed size are kept of some of it, for the time of their windows.
    let grown = size().await.saturating_sub(before);
    assert!(grown < 1 << 20, "{grown} bytes came from strangers");
}

/// Silent clients, and as many as the process may have descriptors for, keep nobody out.
pub async fn silent_clients_keep_nobody_out(test: TestDb) {
    if std::env::var(crate::six::FORM).is_ok() {
        return; // The edge is Envoy's.
    }
    let data_dir = tempfile::tempdir().unwrap().keep();
    let script = data_dir.join("few-descriptors");
    let program = env!("CARGO_BIN_EXE_portolan");
    std::fs::write(&script, format!("#!/bin/sh\nulimit -n 400\nexec {program} \"$@\"\n")).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let server = Server::start_program(script.to_str().unwrap(), &test, data_dir, &[], Stdio::inherit()).await;
    let mut open = Vec::new();
    for address in [server.http.trim_start_matches("http://"), &server.grpc] {
        for (at, first) in
            [b"".as_slice(), b"PRI * HTTP/2.0\r\n", b"GET / HT"].into_iter().cycle().take(300).enumerate()
        {
            let Ok(mut stream) = tokio::net::TcpStream::connect(address).await else { continue };
            // A refused connection may break at the write already.
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, first).await;
            open.push((at, stream));
        }
    }
    // Half of the places are everybody else's; this client, which has the same address, waits for the silent ones to go.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let client = reqwest::Client::new();
        let health =
            client.get(format!("{}/readyz", server.http)).timeout(std::time::Duration::from_secs(2)).send().await;
        if health.is_ok_and(|answer| answer.status() == 200) {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "silent clients keep health checks out");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}
