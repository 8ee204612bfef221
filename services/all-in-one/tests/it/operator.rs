//! What an operator meets at the machine: commands that look and make nothing, a directory with one owner, lost keys and
//! passwords, a configuration with mistakes.

use std::{
    collections::BTreeSet,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use portolan_store::Store;
use portolan_testkit::TestDb;
use serde_json::json;

use crate::server::Server;

pub fn portolan(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
    command.args(arguments).current_dir(directory).envs(variables.iter().copied()).stdin(std::process::Stdio::null());
    command.output().unwrap()
}

pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A database of the test's own below a directory, or the test's Postgres.
fn own(test: &TestDb, data_dir: &Path) -> TestDb {
    if test.url.starts_with("sqlite") { test.at(format!("sqlite:{}", data_dir.display())) } else { test.clone() }
}

async fn schemas(test: &TestDb) -> BTreeSet<String> {
    if test.url.starts_with("sqlite") {
        return BTreeSet::new();
    }
    let rows = test.db.fetch_all("SELECT nspname::text AS name FROM pg_namespace", Vec::new()).await.unwrap();
    rows.iter().map(|row| row.get("name").unwrap()).collect()
}

/// The commands that have none below them, as their help names them.
fn leaves(directory: &Path, above: &[String]) -> Vec<String> {
    let arguments: Vec<&str> = above.iter().map(String::as_str).chain(["--help"]).collect();
    let help = text(&portolan(directory, &arguments, &[]));
    let Some((_, rest)) = help.split_once("\nCommands:\n") else { return vec![above.join(" ")] };
    let list = rest.split("\n\n").next().unwrap_or_default().lines();
    let names = list.filter(|line| line.starts_with("  ") && !line.starts_with("   ")).filter_map(|line| {
        let name = line.split_whitespace().next()?;
        (name != "help").then(|| [above, &[name.to_owned()]].concat())
    });
    names.flat_map(|below| leaves(directory, &below)).collect()
}

/// In a place where nothing is, every command but `up` and `migrate` fails, says what it looked for, and makes nothing.
pub async fn commands_make_nothing(test: TestDb) {
    let place = tempfile::tempdir().unwrap();
    let url = if test.url.starts_with("sqlite") { "" } else { &test.url };
    let variables = [("PORTOLAN__STORE__URL", url)];
    let before = schemas(&test).await;
    let cases = [
        (&["doctor"][..], "secret-key"),
        (&["backup", "copy"], if url.is_empty() { "portolan.db" } else { "own tools" }),
        (&["edge-token"], "secret-key"),
        (&["organizations", "list"], "data"),
        (&["organizations", "suspend", "org_none"], "data"),
        (&["audit", "verify"], "data"),
        (&["ingest", "skip", "0", "0"], "data"),
        (&["keys", "create"], "data"),
        (&["users", "create", "a@example.org"], "data"),
        (&["users", "reset-password", "a@example.org"], "data"),
        (&["admin", "reset-password", "a@example.org"], "data"),
        (&["organizations", "activate", "org_none"], "data"),
        (&["audit", "heads"], "data"),
        (&["audit", "export", "--before", "2026-01", "--dir", "months"], "data"),
        (&["audit", "verify", "none.jsonl"], "data"),
        (&["ingest", "rejected"], "data"),
        (&["ingest", "replay", "0", "0"], "data"),
        (&["keys", "rotate"], "data"),
        (&["keys", "rotate", "--offline", "--derived", "keys"], "data"),
        (&["keys", "derive", "imports"], "secret-key"),
        (&["keys", "derive", "imports", "--to", "imports.key"], "secret-key"),
        (&["keys", "scan", "none"], "none"),
        (&["diff", "old.yaml", "new.yaml"], "old.yaml"),
        (&["diff", "--collection", "1"], "admin-api-key"),
        (&["usage"], "admin-api-key"),
        (&["import", "none.har"], "admin-api-key"),
        (&["restore", "copy"], if url.is_empty() { "copy" } else { "own tools" }),
    ];
    // Every command is tried, but those that make an installation, and those that need none.
    let tried: BTreeSet<&str> = cases.iter().flat_map(|(arguments, _)| arguments.iter().copied().take(2)).collect();
    for command in leaves(place.path(), &[]) {
        let is_apart = ["up", "migrate", "check-config", "config-schema", "openapi", "version", "help"];
        let words: Vec<_> = command.split(' ').collect();
        let is_tried = words.iter().all(|word| tried.contains(word)) || is_apart.contains(&words[0]);
        assert!(is_tried, "nobody tries `portolan {command}`");
    }
    for (arguments, sought) in cases {
        let output = portolan(place.path(), arguments, &variables);
        let text = text(&output);
        assert!(!output.status.success(), "{arguments:?}: {text}");
        assert!(text.contains(sought), "{arguments:?} says nothing of {sought}: {text}");
        let made: Vec<_> = std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(made.is_empty(), "{arguments:?} made {made:?}");
        assert_eq!(schemas(&test).await, before, "{arguments:?} made a schema");
    }
}

/// Commands that ask a running installation name its address and what keeps them from it, and no password.
pub async fn commands_name_server_and_cause(test: TestDb) {
    if !test.url.starts_with("sqlite") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("shop.har"), crate::server::har(&[])).unwrap();
    let nobody = format!("127.0.0.1:{}", portolan_testkit::free_port());
    for (url, sought) in [
        (format!("http://user:secret@{nobody}"), [nobody.as_str(), "refused"]),
        ("http://nowhere.invalid:8080".to_owned(), ["nowhere.invalid:8080", "dns error"]),
    ] {
        for arguments in [&["import", "shop.har"][..], &["usage"], &["diff", "--collection", "1"]] {
            let variables = [("PORTOLAN_URL", url.as_str()), ("PORTOLAN_API_KEY", "secret-key")];
            let output = portolan(place.path(), arguments, &variables);
            let text = text(&output);
            assert!(!output.status.success() && sought.iter().all(|part| text.contains(part)), "{arguments:?}: {text}");
            assert!(!text.contains("secret"), "{arguments:?}: {text}");
        }
    }
    std::fs::write(place.path().join("file"), "").unwrap();
    let output =
        portolan(place.path(), &["up", "--data-dir", "file", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"], &[]);
    assert!(!output.status.success() && text(&output).contains("file is a file"), "{}", text(&output));
}

/// What a running installation, its raw files, its backup and its rotated keys leave on disk is for their owner alone, also
/// where a directory and files were open before.
pub async fn files_are_for_their_owner_alone(test: TestDb) {
    let data_dir = tempfile::tempdir().unwrap().keep();
    let own = own(&test, &data_dir);
    std::fs::set_permissions(&data_dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir(data_dir.join("uploads")).unwrap();
    std::fs::write(data_dir.join("uploads/left"), "a raw file").unwrap();
    std::fs::set_permissions(data_dir.join("uploads/left"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let server = Server::start_in(&own, data_dir.clone()).await;
    let capture = crate::server::har(&[("GET", "http://api.test/me", "", 200, "{}")]);
    let request = reqwest::Client::new().post(format!("{}/v1/imports?collectionName=Shop", server.http));
    let answer = server.send(request.header("x-api-key", &server.api_key).body(capture)).await.unwrap().expect(200);
    let mut found = BTreeSet::new();
    let mut walk = |folder: &Path| {
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            assert_eq!(mode(&folder), 0o700, "{}", folder.display());
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                match std::fs::symlink_metadata(&path) {
                    Ok(data) if data.is_dir() => folders.push(path),
                    // The configuration of the edge is the test's.
                    Ok(_) if path.extension().is_some_and(|extension| extension == "yaml") => {}
                    Ok(data) => {
                        assert_eq!(data.permissions().mode() & 0o777, 0o600, "{}", path.display());
                        found.insert(path.file_name().unwrap().to_string_lossy().into_owned());
                    }
                    // A raw file of a job that has ended.
                    Err(_) => {}
                }
            }
        }
    };
    walk(&data_dir);
    server.wait_for_job(answer.json()["jobId"].as_str().unwrap()).await;
    let data = data_dir.to_str().unwrap();
    let url = [("PORTOLAN__STORE__URL", own.url.as_str())];
    let key = data_dir.join("imports.key");
    let derived =
        portolan(&data_dir, &["keys", "derive", "imports", "--data-dir", data, "--to", key.to_str().unwrap()], &url);
    assert!(derived.status.success(), "{}", text(&derived));
    let rotated =
        portolan(&data_dir, &["keys", "rotate", "--data-dir", data, "--derived", data, "--keep-former"], &url);
    assert!(rotated.status.success(), "{}", text(&rotated));
    walk(&data_dir);
    if own.url.starts_with("sqlite") {
        let place = tempfile::tempdir().unwrap();
        let copy = place.path().join("copy");
        let backup = portolan(&data_dir, &["backup", "--data-dir", data, copy.to_str().unwrap()], &url);
        assert!(backup.status.success(), "{}", text(&backup));
        walk(&copy);
        assert!(found.contains("portolan.db") && found.contains("portolan.db-wal"), "{found:?}");
    }
    assert!(found.contains("secret-key") && found.contains("imports.key"), "{found:?}");
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A second process on an embedded database is refused, and what lies in its directory is for its owner alone.
pub async fn an_embedded_database_has_one_process(test: TestDb) {
    if !test.url.starts_with("sqlite") {
        return;
    }
    let data_dir = tempfile::tempdir().unwrap().keep();
    std::fs::set_permissions(&data_dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    let own = own(&test, &data_dir);
    let server = Server::start_in(&own, data_dir.clone()).await;
    let pid = server.pids()[0].to_string();
    let again = ["up", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--data-dir", data_dir.to_str().unwrap()];
    let output = portolan(&data_dir, &again, &[]);
    assert!(!output.status.success() && text(&output).contains(&pid), "{}", text(&output));
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(data_dir.clone()), 0o700);
    for file in ["portolan.db", "secret-key", "admin-api-key"] {
        assert_eq!(mode(data_dir.join(file)), 0o600, "{file}");
    }
    let data_dir = server.kill().await;
    Server::start_in(&own, data_dir).await.create_collection("Served again").await;
}

/// Without the key that a database belongs to, or with another one, nothing starts and no key is made.
pub async fn a_lost_key_is_told_at_the_start(test: TestDb) {
    let data_dir = tempfile::tempdir().unwrap().keep();
    let own = own(&test, &data_dir);
    let server = Server::start_in(&own, data_dir).await;
    let data_dir = server.kill().await;
    let file = data_dir.join("secret-key");
    let key = std::fs::read(&file).unwrap();
    let variables = [("PORTOLAN__STORE__URL", own.url.as_str())];
    let directory = data_dir.to_str().unwrap();
    let up = ["up", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--data-dir", directory];

    std::fs::remove_file(&file).unwrap();
    let output = portolan(&data_dir, &up, &variables);
    assert!(!output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("the key that opens this database is missing"), "{}", text(&output));
    assert!(!file.exists(), "no key takes the place of the lost one");

    std::fs::write(&file, "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=").unwrap();
    for arguments in
        [&up[..], &["doctor", "--data-dir", directory], &["organizations", "list", "--data-dir", directory]]
    {
        let output = portolan(&data_dir, arguments, &variables);
        assert!(!output.status.success(), "{}", text(&output));
        assert!(text(&output).contains("is not the key that opens this database"), "{arguments:?}: {}", text(&output));
    }
    std::fs::write(&file, key).unwrap();
    Server::start_in(&own, data_dir).await.create_collection("Served again").await;
}

/// Who has lost key and password gets both at the machine, beside the running process.
pub async fn an_operator_finds_a_way_in(test: TestDb) {
    let data_dir = tempfile::tempdir().unwrap().keep();
    let own = own(&test, &data_dir);
    let server = Server::start_in(&own, data_dir.clone()).await;
    let variables = [("PORTOLAN__STORE__URL", own.url.as_str())];
    let run = |arguments: &[&str]| {
        let arguments = [arguments, &["--data-dir", data_dir.to_str().unwrap()]].concat();
        let output = portolan(&data_dir, &arguments, &variables);
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let login = async |login: &str, password: &str| {
        let body = json!({ "username": login, "password": password }).to_string();
        server.send(server.request("/auth/login").body(body)).await.unwrap().status
    };
    let password_of = |line: &str| line.split("password ").nth(1).unwrap().split(' ').next().unwrap().to_owned();

    let made = password_of(&run(&["users", "create", "second@example.org"]));
    assert_eq!(login("second@example.org", &made).await, 200);
    for _ in 0..11 {
        login("second@example.org", "guess").await;
    }
    assert_eq!(login("second@example.org", &made).await, 429);
    let reset = password_of(&run(&["admin", "reset-password", "Second@example.org"]));
    assert_ne!(reset, made);
    assert_eq!(login("second@example.org", &reset).await, 200, "the login is open again");
    assert_ne!(login("second@example.org", &made).await, 200);

    std::fs::remove_file(data_dir.join("admin-api-key")).unwrap();
    let key = run(&["keys", "create"]);
    assert_eq!(std::fs::read_to_string(data_dir.join("admin-api-key")).unwrap(), key);
    let request = server.request("/api/createCollection").header("x-api-key", &key);
    let body = json!({ "collectionName": "By the new key" }).to_string();
    server.send(request.body(body)).await.unwrap().expect(200);
    let other = run(&["keys", "create", "--user", "second@example.org"]);
    assert_ne!(other, key);
    let request = server.request("/api/getAllCollections").header("x-api-key", &other).body("{}");
    server.send(request).await.unwrap().expect(200);
    let unknown = portolan(&data_dir, &["users", "reset-password", "nobody@example.org"], &variables);
    assert!(!unknown.status.success());
    run(&["audit", "verify"]);
}

/// Heads that an operator keeps show what the database alone cannot: that it was set back.
pub async fn kept_heads_show_what_was_set_back(test: TestDb) {
    let data_dir = tempfile::tempdir().unwrap().keep();
    let own = own(&test, &data_dir);
    let server = Server::start_in(&own, data_dir.clone()).await;
    let variables = [("PORTOLAN__STORE__URL", own.url.as_str())];
    let verify = |arguments: &[&str]| {
        let arguments = [&["audit", "verify", "--data-dir", data_dir.to_str().unwrap()], arguments].concat();
        portolan(&data_dir, &arguments, &variables)
    };
    let heads = || {
        let output = portolan(&data_dir, &["audit", "heads", "--data-dir", data_dir.to_str().unwrap()], &variables);
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    // A sign-in is in the audit when it is answered.
    let body = json!({ "username": "admin@localhost", "password": "correct horse battery staple" }).to_string();
    server.send(server.request("/auth/login").body(body)).await.unwrap().expect(200);
    let kept = heads();
    let head = kept.lines().find(|line| line.contains(":1000000:")).unwrap();
    std::fs::write(data_dir.join("kept"), format!("a log\n{{\"head\":\"{head}\"}}\n")).unwrap();
    let file = data_dir.join("kept").display().to_string();
    for arguments in [&[][..], &["--expect", head], &["--expect-file", &file, "--expect", head]] {
        let output = verify(arguments);
        assert!(output.status.success() && text(&output).contains("account 1000000: "), "{}", text(&output));
    }
    std::fs::write(data_dir.join("empty"), "nothing").unwrap();
    for (arguments, sought) in [
        (["--expect", "nonsense"], "no signed head"),
        (["--expect", &head[..50]], "no signed head"),
        (["--expect-file", "none"], "none"),
        (["--expect-file", data_dir.join("empty").to_str().unwrap()], "no signed head"),
    ] {
        let output = verify(&arguments);
        assert!(!output.status.success() && text(&output).contains(sought), "{arguments:?}: {}", text(&output));
    }
    // Everything gone, as after a first start: whole in itself.
    let db = Store::connect(&own.url).await.unwrap().service("identity").await.unwrap();
    for statement in ["DELETE FROM audit_events", "DELETE FROM audit_heads"] {
        db.execute(statement, Vec::new()).await.unwrap();
    }
    let output = verify(&[]);
    assert!(!output.status.success() && text(&output).contains("registry of chains: broken"), "{}", text(&output));
    // A command that writes into the audit begins it where there is none.
    let third = ["users", "create", "third@example.org", "--data-dir", data_dir.to_str().unwrap()];
    let output = portolan(&data_dir, &third, &variables);
    assert!(output.status.success(), "{}", text(&output));
    assert!(verify(&[]).status.success(), "as after a first start");
    let output = verify(&["--expect-file", &file]);
    assert!(!output.status.success() && text(&output).contains("account 1000000: broken"), "{}", text(&output));
}

/// Every mistake of a configuration is told at once, with the name of its key.
pub async fn every_mistake_is_told_at_once(test: TestDb) {
    if !test.url.starts_with("sqlite") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("key"), "not a key").unwrap();
    let mistakes = [
        ("store.url", "postgres://host:99999/db"),
        ("store.connections", "1"),
        ("store.cert", "alone.crt"),
        ("cache.url", "redis://host:99999"),
        ("cache.ca", "none.ca"),
        ("log.url", "kafka://broker"),
        ("log.tls", "yes"),
        ("log.ca", "none.ca"),
        ("log.sasl", "GSSAPI"),
        ("http.addr", "127.0.0.1:99999"),
        ("grpc.addr", "somewhere"),
        ("metrics.addr", "9090"),
        ("http.trusted_proxies", "10.0.0.0/99"),
        ("http.trusted_proxy_hops", "17"),
        ("http.client_address_header", "not a header"),
        ("http.sunset", "tomorrow"),
        ("admin.email", "nobody"),
        ("secrets.key_file", "key"),
        ("telemetry.log", "xml"),
        ("telemetry.access_log", "some"),
        ("telemetry.access_log_every", "0"),
        ("telemetry.otlp_endpoint", "collector"),
        ("drain.delay_ms", "9000"),
        ("tls.cert", "none.crt"),
        ("tls.key", "none.key"),
        ("tls.ca", "none.ca"),
        ("peers.identity", "identity:50051"),
        ("peers.billing", "http://billing"),
        ("inventory.call_stats_days", "0"),
        ("inventory.closed_issues_days", "40000"),
        ("inventory.samples_days", "some"),
        ("inventory.urls_bytes_max", "0"),
        ("retention.rejected_records_days", "40000"),
        ("retention.refused_events_days", "-1"),
        ("billing.usage_hours_days", "40000"),
        ("billing.usage_days_days", "40000"),
        ("billing.agents_days", "40000"),
        ("identity.ended_links_days", "0"),
        ("identity.invite_domains", "someone@example.org"),
        ("tokens.slack_urls", "hooks.slack.com"),
        ("log.topic", "two words"),
        ("stigg.feature_ids", "ACTIVE_ENDPOINTS"),
        ("edge.token", " space before it"),
        ("imports.retention_days", "many"),
        ("postman.url", "api.getpostman.com"),
        ("billing.provider", "other"),
        ("billing.plans_file", "none.toml"),
        ("billing.refresh_s", "often"),
        ("fetch.allow_private", "yes"),
        ("identity.open_signup", "1"),
        ("tokens.organization_rate_limit", "many"),
        ("tokens.management_rate_limit", "-1"),
        ("audit.heads_url", "collector"),
        ("audit.keep_days", "some"),
        ("edge.hosts", "api.example.org nonsense"),
        ("edge.limits", "many"),
        ("edge.policies", "1"),
        ("edge.trusted_proxies", "near"),
        ("edge.trusted_proxy_hops", "99"),
        ("edge.leeway_s", "some"),
        ("edge.poll_ms", "often"),
        ("mail.smtp_url", "mail.example.org"),
        ("mail.public_url", "portolan"),
        ("oidc.issuer", "login"),
        ("oidc.algorithms", "HS256"),
        ("oidc.logout", "maybe"),
    ];
    let variable = |key: &str| format!("PORTOLAN__{}", key.to_uppercase().replacen('.', "__", 1));
    let variables = mistakes.map(|(key, value)| (variable(key), value));
    let variables = variables.each_ref().map(|(name, value)| (name.as_str(), *value));
    let output = portolan(place.path(), &["check-config"], &variables);
    let all = text(&output);
    assert!(!output.status.success(), "{all}");
    let missing: Vec<_> = mistakes.iter().filter(|(key, _)| !all.contains(key)).collect();
    assert!(missing.is_empty(), "{missing:?} are not told in {all}");
    for (name, value) in variables {
        let output = portolan(place.path(), &["check-config"], &[(name, value)]);
        assert!(!output.status.success(), "{name}={value} alone: {}", text(&output));
    }
    told_of_files(place.path());
    let equal = [("PORTOLAN__HTTP__ADDR", "127.0.0.1:8080"), ("PORTOLAN__GRPC__ADDR", "0.0.0.0:8080")];
    let output = portolan(place.path(), &["check-config"], &equal);
    assert!(!output.status.success() && text(&output).contains("same port 8080"), "{}", text(&output));
    let output = portolan(place.path(), &["check-config"], &[]);
    assert!(output.status.success(), "the defaults are usable: {}", text(&output));
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "nothing is made");

    // In a file each stands at its line, with the nearest known name where there is none such.
    let file = "[store]\nconnections = 1\n\n[mail]\npublic_url = \"portolan\"\npublic_ulr = \"x\"\n\n[edge]\npoll_ms = \"often\"\n";
    std::fs::write(place.path().join("portolan.toml"), file).unwrap();
    let output = portolan(place.path(), &["check-config", "--config", "portolan.toml"], &[]);
    let all = text(&output);
    for (key, line) in [("store.connections", 2), ("mail.public_url", 5), ("mail.public_ulr", 6), ("edge.poll_ms", 9)] {
        let is_told = |told: &str| told.contains(key) && told.contains(&format!("(portolan.toml:{line})"));
        assert!(all.replace("\\n", "\n").lines().any(is_told), "{key} at {line}: {all}");
    }
    assert!(all.contains("did you mean mail.public_url?"), "{all}");
}

/// Files that are there and cannot be what they are named as.
fn told_of_files(place: &Path) {
    let files = place.join("files");
    std::fs::create_dir(&files).unwrap();
    portolan_testkit::Certificates::write(&files);
    let write = |name: &str, text: &str| std::fs::write(files.join(name), text).unwrap();
    write("empty", "");
    write("noise", "-----BEGIN CERTIFICATE-----\nnoise\n-----END CERTIFICATE-----\n");
    write("ended", include_str!("ended.crt"));
    let key = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [7; 32]);
    write("open-key", &key);
    std::fs::set_permissions(files.join("open-key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let path = |name: &str| files.join(name).display().to_string();
    let whole = [("TLS__CERT", path("tls.crt")), ("TLS__KEY", path("tls.key")), ("TLS__CA", path("ca.crt"))];
    let check = |changed: &[(&str, String)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
        command.arg("check-config").current_dir(place);
        for (name, value) in whole.iter().chain(changed) {
            command.env(format!("PORTOLAN__{name}"), value);
        }
        let output = command.output().unwrap();
        (output.status.success(), text(&output))
    };
    assert!(check(&[]).0, "{}", check(&[]).1);
    let postgres = ("STORE__URL", "postgres://db.example.org/portolan".to_owned());
    for (changed, sought) in [
        (vec![("TLS__CERT", path("empty"))], ["tls.cert", "no certificate"]),
        (vec![("TLS__CERT", path("noise"))], ["tls.cert", "noise"]),
        (vec![("TLS__CERT", path("tls.key"))], ["tls.cert", "no certificate"]),
        (vec![("TLS__KEY", path("tls.crt"))], ["tls.key", "no private key"]),
        (vec![("TLS__KEY", path("other.key"))], ["tls.key", "No such file"]),
        (vec![("TLS__CA", files.display().to_string())], ["tls.ca", "directory"]),
        (vec![("TLS__CA", path("ended"))], ["tls.ca", "has ended"]),
        (vec![postgres.clone(), ("STORE__CA", path("ended"))], ["store.ca", "has ended"]),
        (vec![postgres, ("STORE__CA", path("tls.key"))], ["store.ca", "no certificate"]),
        (vec![("SECRETS__KEY_FILE", path("open-key"))], ["secrets.key_file", "chmod 600"]),
        (vec![("SECRETS__KEY_FILE", files.display().to_string())], ["secrets.key_file", "directory"]),
        (
            vec![
                ("HTTP__TLS", "true".into()),
                ("TLS__CERT", String::new()),
                ("TLS__KEY", String::new()),
                ("TLS__CA", String::new()),
            ],
            ["http.tls", "needs tls.cert"],
        ),
    ] {
        let (is_usable, text) = check(&changed);
        assert!(!is_usable && sought.iter().all(|part| text.contains(part)), "{changed:?}: {sought:?}: {text}");
    }
    std::fs::remove_dir_all(&files).unwrap();
}

/// A process that is one of several is told what it shares, or does not start.
pub async fn one_of_several_needs_what_they_share(test: TestDb) {
    if test.url.starts_with("sqlite") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let binary = |name: &str| Path::new(env!("CARGO_BIN_EXE_portolan")).with_file_name(format!("portolan-{name}"));
    for name in crate::six::SERVICES.into_iter().chain(["gateway"]) {
        let output = Command::new(binary(name))
            .current_dir(place.path())
            .args(["--http", "127.0.0.1:0"])
            .args(["--grpc", "127.0.0.1:0"])
            .output();
        let output =
            output.unwrap_or_else(|error| panic!("portolan-{name} ({error}): build the whole workspace first"));
        let text = text(&output);
        assert!(!output.status.success(), "{name}: {text}");
        assert!(text.contains("PORTOLAN__STORE__URL") && text.contains("PORTOLAN__PEERS__"), "{name}: {text}");
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0, "{name} made something");
    }
}

/// The schema that stands in the manual is that of this program, and the defaults fit it. `UPDATE_GOLDEN=1` writes it anew.
pub async fn the_schema_of_the_configuration_is_current(test: TestDb) {
    if !test.url.starts_with("sqlite") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let output = portolan(place.path(), &["config-schema"], &[]);
    assert!(output.status.success(), "{}", text(&output));
    let printed = String::from_utf8(output.stdout).unwrap();
    let kept = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/configuration.schema.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&kept, &printed).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&kept).unwrap_or_default(), printed, "run again with UPDATE_GOLDEN=1");
    let schema: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let mut keys = 0;
    for (section, described) in schema["properties"].as_object().unwrap() {
        assert_eq!(described["additionalProperties"], false, "{section}");
        for (key, property) in described["properties"].as_object().unwrap() {
            assert!(
                !property["description"].as_str().unwrap_or_default().is_empty(),
                "{section}.{key} is not described"
            );
            let default = &property["default"];
            let fits = match property["type"].as_str() {
                Some("boolean") => default.is_boolean(),
                Some("integer") => default.is_i64(),
                Some("string") => default.is_string(),
                _ => property["enum"].as_array().or(property["oneOf"].as_array()).is_some(),
            };
            assert!(fits, "{section}.{key}: {property}");
            keys += 1;
        }
    }
    assert!(keys > 80, "{keys} keys");
}
