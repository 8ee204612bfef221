use std::{
    path::Path,
    process::{Command, Stdio},
};

use portolan_store::Sql;
use portolan_testkit::TestDb;
use serde_json::json;

use crate::server::{Server, har};

/// Runs `portolan` on a data directory and returns whether it succeeded, with what it printed.
fn portolan(test: &TestDb, server: Option<&Server>, data_dir: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
    command.args(arguments).arg("--data-dir").arg(data_dir);
    if test.url.starts_with("postgres") {
        command.env("PORTOLAN__STORE__URL", &test.url);
    }
    if let Some(server) = server {
        command.env("PORTOLAN__HTTP__ADDR", server.http.trim_start_matches("http://"));
        command.env("PORTOLAN__GRPC__ADDR", &server.grpc);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

/// A copy made under way has everything answered before it, and starts in another place.
pub async fn a_backup_is_restored(test: TestDb) {
    let data_dir = tempfile::tempdir().unwrap().keep();
    if test.url.starts_with("postgres") {
        let (done, text) = portolan(&test, None, &data_dir, &["backup", "/nonexistent/backup"]);
        assert!(!done, "Postgres has tools of its own: {text}");
        return;
    }
    let own = test.at(format!("sqlite:{}", data_dir.display()));
    let server = Server::start_in(&own, data_dir.clone()).await;
    let id = server.create_collection("Before").await;
    let place = tempfile::tempdir().unwrap().keep();
    let copy = place.join("copy");
    let (done, text) = portolan(&own, None, &data_dir, &["backup", copy.to_str().unwrap()]);
    assert!(done, "{text}");
    server.create_collection("After").await;
    let (again, text) = portolan(&own, None, &data_dir, &["backup", copy.to_str().unwrap()]);
    assert!(!again && text.contains("exists"), "a backup takes the place of none: {text}");
    server.kill().await;

    let (over, text) = portolan(&own, None, &data_dir, &["restore", copy.to_str().unwrap()]);
    assert!(!over && text.contains("move it away"), "a restore takes the place of no database: {text}");
    let other = place.join("restored");
    let (done, text) = portolan(&own, None, &other, &["restore", copy.to_str().unwrap()]);
    assert!(done, "{text}");
    let moved = own.at(format!("sqlite:{}", other.display()));
    let server = Server::start_in(&moved, other).await;
    let answer = server.post("/api/getAllCollections", serde_json::json!({})).await.expect(200).json();
    let names: Vec<_> = answer["apiCollections"].as_array().unwrap().iter().map(|c| c["displayName"].clone()).collect();
    assert!(names.contains(&"Before".into()) && !names.contains(&"After".into()), "{names:?}");
    assert!(answer["apiCollections"].as_array().unwrap().iter().any(|c| c["id"] == id));
}

/// A running installation is well; one that is gone is named.
pub async fn the_doctor_names_what_is_wrong(test: TestDb) {
    let server = Server::start(&test).await;
    let data_dir = server.data_dir.clone();
    if test.url.starts_with("sqlite") {
        return;
    }
    let (well, text) = portolan(&test, Some(&server), &data_dir, &["doctor"]);
    assert!(well, "{text}");
    for part in ["store", "log", "gateway", "identity", "tokens", "inventory", "imports", "billing"] {
        assert!(text.lines().any(|line| line.starts_with("ok") && line.contains(part)), "{part}: {text}");
    }
    let (http, grpc) = (server.http.clone(), server.grpc.clone());
    server.kill().await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
    command.args(["doctor", "--data-dir"]).arg(&data_dir).env("PORTOLAN__STORE__URL", &test.url);
    command.env("PORTOLAN__HTTP__ADDR", http.trim_start_matches("http://")).env("PORTOLAN__GRPC__ADDR", grpc);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && text.contains("FAIL  gateway"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("ok    store")), "{text}");
}

/// While processes are replaced, and when a change is taken back, the program of before runs on the tables of the one
/// that follows it: here this program on tables that got a step it does not know, or, where
/// `PORTOLAN_TEST_PREVIOUS_BINARY` names one, an older program on the tables of this one.
pub async fn the_program_of_before_serves_newer_tables(test: TestDb) {
    let server = Server::start(&test).await;
    let id = server.create_collection("Kept").await;
    let data_dir = server.kill().await;
    let before = std::env::var("PORTOLAN_TEST_PREVIOUS_BINARY").unwrap_or_default();
    let before = if before.is_empty() { env!("CARGO_BIN_EXE_portolan") } else { &before };
    if before == env!("CARGO_BIN_EXE_portolan") {
        let inventory = test.store.service("inventory").await.unwrap();
        inventory.execute("ALTER TABLE collections ADD COLUMN later TEXT", Vec::new()).await.unwrap();
        let step = "INSERT INTO store_migrations (service, version, name, checksum, applied_at) \
                    VALUES ('inventory', 9999, 'later', 'unknown', 0)";
        inventory.execute(step, Vec::new()).await.unwrap();
    }
    let server = Server::start_program(before, &test, data_dir, &[], Stdio::inherit()).await;
    let answer = server.post("/api/getAllCollections", json!({})).await.expect(200).json();
    assert!(answer["apiCollections"].as_array().unwrap().iter().any(|c| c["id"] == id), "{answer}");
    let capture = har(&[("GET", "http://api.test/orders", "", 200, "{}")]);
    let upload = json!({"harString": capture, "apiCollectionId": id, "skipKafka": "true"});
    server.post("/api/uploadHar", upload).await.expect(200);
    assert_eq!(server.endpoints(id).await, ["GET http://api.test/orders"]);
    server.create_collection("Made by the program of before").await;
}

/// `portolan migrate` needs the store alone, and leaves nothing for the start of a service to migrate.
pub async fn migrate_leaves_nothing_to_a_start(test: TestDb) {
    let data_dir = tempfile::tempdir().unwrap().keep();
    let migrate = |variables: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
        command.args(["migrate", "--data-dir"]).arg(data_dir.join("none")).env("PORTOLAN__STORE__URL", &test.url);
        let output = command.envs(variables.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    // What only the services have: a log server, certificates, peers, the file of the key.
    migrate(&[
        ("PORTOLAN__LOG__URL", "kafka://127.0.0.1:1"),
        ("PORTOLAN__TLS__CERT", "/nonexistent/tls.crt"),
        ("PORTOLAN__TLS__KEY", "/nonexistent/tls.key"),
        ("PORTOLAN__TLS__CA", "/nonexistent/ca.crt"),
        ("PORTOLAN__PEERS__IDENTITY", "https://identity:50051"),
        ("PORTOLAN__SECRETS__KEY_FILE", "/nonexistent/secret-key"),
    ]);
    assert!(!data_dir.join("none").exists(), "nothing lies in the data directory");
    migrate(&[]);
    let before = steps(&test).await;
    let server =
        Server::start_program(env!("CARGO_BIN_EXE_portolan"), &test, data_dir.join("started"), &[], Stdio::inherit())
            .await;
    assert_eq!(steps(&test).await, before, "the start had nothing to migrate");
    server.create_collection("Served").await;
}

/// One user makes the tables, another one serves with the right to read and write rows alone.
pub async fn a_user_without_the_right_to_make_serves(test: TestDb) {
    let rest = test.url.strip_prefix("postgres://").expect("the case is for Postgres");
    let (at, database) = (rest.rsplit('@').next().unwrap(), rest.rsplit('/').next().unwrap());
    let users = ["migrate", "serve"].map(|user| format!("{database}_{user}"));
    let [migrate, serve] = &users;
    let script = include_str!("../../../../deploy/kubernetes/database-users.sql");
    let db = test.store.service("admin").await.unwrap();
    let lines = script.lines().filter(|line| !line.starts_with("--")).map(|line| {
        // What psql puts in.
        let line = line.replace("portolan_migrate", migrate).replace("portolan_serve", serve);
        let line = line.replace(":'migrate_password'", "'one'").replace(":'serve_password'", "'two'");
        match line.strip_suffix(" \\gexec") {
            Some(made) => {
                made.replace("SELECT format('", "").replace("', current_database())", "").replace("%I", database)
            }
            None => line,
        }
    });
    for line in lines.filter(|line| !line.is_empty()) {
        db.execute(portolan_store::Sql::assembled(line.clone()), Vec::new())
            .await
            .unwrap_or_else(|e| panic!("{line}: {e}"));
    }
    let data_dir = tempfile::tempdir().unwrap().keep();
    let as_user = |user: &str, password: &str| test.at(format!("postgres://{user}:{password}@{at}"));
    let (done, text) = portolan(&as_user(migrate, "one"), None, &data_dir, &["migrate"]);
    assert!(done, "{text}");
    let program = env!("CARGO_BIN_EXE_portolan");
    let server = Server::start_program(program, &as_user(serve, "two"), data_dir, &[], Stdio::inherit()).await;
    let id = server.create_collection("Served").await;
    let capture = har(&[("GET", "http://api.test/orders", "", 200, "{}")]);
    let upload = json!({"harString": capture, "apiCollectionId": id, "skipKafka": "true"});
    server.post("/api/uploadHar", upload).await.expect(200);
    assert_eq!(server.endpoints(id).await, ["GET http://api.test/orders"]);
    server.kill().await;
    for user in users {
        for statement in [format!("DROP OWNED BY {user} CASCADE"), format!("DROP ROLE {user}")] {
            db.execute(portolan_store::Sql::assembled(statement), Vec::new()).await.unwrap();
        }
    }
}

/// What was migrated, by service.
async fn steps(test: &TestDb) -> Vec<(String, String, i64)> {
    let mut steps = Vec::new();
    for service in ["identity", "tokens", "inventory", "imports", "billing", "gateway", "log"] {
        let db = test.store.service(service).await.unwrap();
        let rows = db.fetch_all("SELECT service, version FROM store_migrations ORDER BY 1, 2", Vec::new()).await;
        for row in rows.unwrap_or_default() {
            steps.push((service.to_owned(), row.get("service").unwrap(), row.get("version").unwrap()));
        }
    }
    steps
}

/// Each fault is one line that names what was looked at, what keeps it from answering, and what to do.
pub async fn the_doctor_names_place_and_cause(test: TestDb) {
    if !test.url.starts_with("postgres") {
        return;
    }
    let server = Server::start(&test).await;
    let nobody = format!("127.0.0.1:{}", portolan_testkit::free_port());
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("ended"), include_str!("ended.crt")).unwrap();
    let ended = place.path().join("ended").display().to_string();
    let doctor = |variables: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
        command.args(["doctor", "--data-dir"]).arg(&server.data_dir).env("PORTOLAN__STORE__URL", &test.url);
        command.env("PORTOLAN__HTTP__ADDR", server.http.trim_start_matches("http://"));
        command.env("PORTOLAN__GRPC__ADDR", &server.grpc);
        let variables = variables.iter().map(|(name, value)| (format!("PORTOLAN__{name}"), *value));
        let output = command.envs(variables).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let id = server.create_collection("Full").await;
    let full = format!("UPDATE collections SET dropped_records = 7 WHERE collection_id = {id}");
    test.store.service("inventory").await.unwrap().execute(Sql::assembled(full), Vec::new()).await.unwrap();
    let (well, text) = doctor(&[]);
    assert!(well && text.lines().all(|line| line.starts_with("ok    ")), "{text}");
    let told = format!("7 had no place in a collection that is full or deactivated (7 of them in collection {id} of");
    assert!(text.contains(&told), "{text}");
    let expect = |text: &str, part: &str, sought: &[&str]| {
        let line = text.lines().find(|line| line.starts_with(&format!("FAIL  {part}")));
        let line = line.unwrap_or_else(|| panic!("no failure of {part}: {text}"));
        assert!(sought.iter().all(|sought| line.contains(sought)), "{sought:?}: {line}");
    };
    let mode = |mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&server.data_dir, mode).unwrap();
    };
    mode(0o755);
    let (well, text) = doctor(&[
        ("CACHE__URL", &format!("redis://user:secret@{nobody}")),
        ("LOG__TOPIC", "another"),
        ("HTTP__ADDR", &server.grpc),
        ("PEERS__TOKENS", "http://nowhere.invalid:50052"),
        ("PEERS__BILLING", &format!("http://{nobody}")),
        ("PEERS__IMPORTS", &server.http),
        ("MAIL__SMTP_URL", &format!("smtp://user:secret@{nobody}")),
        ("MAIL__FROM", "portolan@example.org"),
        ("MAIL__PUBLIC_URL", "https://portolan.example.org"),
        ("TELEMETRY__OTLP_ENDPOINT", "http://collector.invalid:4317"),
        ("STORE__CA", &ended),
    ]);
    mode(0o700);
    assert!(!well && !text.contains("secret@"), "{text}");
    expect(&text, "data directory", &["chmod"]);
    expect(&text, "certificates", &["store.ca", &ended, "ended"]);
    expect(&text, "cache", &[&nobody, "refused"]);
    expect(&text, "gateway", &[&server.grpc]);
    expect(&text, "tokens at http://nowhere.invalid", &["nowhere.invalid:50052 is not found", "is tokens started?"]);
    expect(&text, "billing", &[&nobody, "refused", "is billing started?"]);
    expect(&text, "imports", &[]);
    expect(&text, "other servers", &["mail.smtp_url", &nobody, "telemetry.otlp_endpoint", "collector.invalid:4317"]);

    for (url, sought) in [
        ("postgres://portolan:secret@nowhere.invalid/portolan".to_owned(), "nowhere.invalid"),
        (format!("postgres://portolan:secret@{nobody}/portolan"), nobody.as_str()),
        (test.url.rsplit_once('/').unwrap().0.to_owned() + "/none_of_this_name", "none_of_this_name"),
    ] {
        let (well, text) = doctor(&[("STORE__URL", &url)]);
        assert!(!well && !text.contains("secret@"), "{text}");
        for part in ["store", "secret key", "outbox", "log"] {
            expect(&text, part, &[sought]);
        }
    }
    let (_, text) = doctor(&[("LOG__TOPIC", "another")]);
    expect(&text, "log", &["the topic another does not exist", "log.topic"]);
    let (_, text) = doctor(&[("LOG__URL", &format!("kafka://{nobody}"))]);
    expect(&text, "log", &[&nobody]);
}

/// A user of Redis that may ask and not write keeps the cache from being well, for the doctor as for readiness.
pub async fn the_doctor_sees_what_a_user_may_not(test: TestDb) {
    let redis = portolan_testkit::RedisServer::start();
    let client = redis::Client::open(redis.url()).unwrap();
    let deadline = tokio::time::Instant::now() + crate::server::PATIENCE;
    let mut connection = loop {
        // It takes connections a moment after its start.
        match client.get_multiplexed_async_connection().await {
            Ok(connection) => break connection,
            Err(error) => assert!(tokio::time::Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    let rights = ["on", ">narrow", "~portolan:*", "&portolan:*", "+@read", "+@connection", "+info", "+time"];
    let mut command = redis::cmd("ACL");
    command.arg("SETUSER").arg("narrow").arg(&rights);
    command.query_async::<()>(&mut connection).await.unwrap();
    let url = redis.url().replace("redis://", "redis://narrow:narrow@");
    let data_dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
    command.args(["doctor", "--data-dir"]).arg(data_dir.path()).env("PORTOLAN__STORE__URL", &test.url);
    let output = command.env("PORTOLAN__CACHE__URL", &url).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.starts_with("FAIL  cache")).unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains("no permissions") && line.contains("Redis at 127.0.0.1"), "{line}");
    command.env("PORTOLAN__CACHE__URL", redis.url());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.lines().any(|line| line.starts_with("ok    cache")), "{text}");
}
