//! The root key is put in the place of another one while everything runs.

use std::{
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use portolan_runtime::{Keys, Secrets, Stage, reseal};
use portolan_store::args;
use portolan_testkit::TestDb;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    sealing::{self, SEALED},
    server::Server,
};

/// Values that are sealed beside those of the test, so that a kill finds work under way.
const MANY: i32 = 400;

/// Runs the command to its end, or stops it after its first line that holds a text.
async fn rotate(test: &TestDb, data_dir: &Path, arguments: &[&str], until: Option<&str>) -> String {
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
    command.args(["keys", "rotate", "--data-dir"]).arg(data_dir).arg("--derived").arg(data_dir).args(arguments);
    command.env("PORTOLAN__STORE__URL", &test.url).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut text = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        text += &(line + "\n");
        if until.is_some_and(|until| text.contains(until)) {
            child.kill().await.unwrap();
            return text;
        }
    }
    assert!(child.wait().await.unwrap().success(), "{text}");
    text
}

fn keys(data_dir: &Path) -> Arc<Keys> {
    Keys::load(&data_dir.join("secret-key")).unwrap()
}

/// How many values there are, each of which opens: under the current key, and under others.
async fn values(test: &TestDb, keys: &Arc<Keys>) -> (usize, usize) {
    let mut counts = (0, 0);
    for (service, columns) in SEALED {
        let db = test.store.service(service).await.unwrap();
        let secrets = Secrets::of(keys, service).unwrap();
        for column in columns {
            for (key_id, count) in std::iter::once((secrets.key_id(), &mut counts.0))
                .chain(secrets.former_key_ids().first().map(|id| (*id, &mut counts.1)))
            {
                let mut after = None;
                loop {
                    let rows = column.page(&db, &key_id, after.as_ref()).await.unwrap();
                    let Some(last) = rows.last() else { break };
                    after = Some(last.id.clone());
                    for row in &rows {
                        secrets.open_row(row).unwrap_or_else(|error| panic!("{}: {error}", row.place));
                        *count += 1;
                    }
                }
            }
        }
    }
    counts
}

/// Clients whose secrets are sealed by the root key of the installation, as the service seals them.
async fn make_many(test: &TestDb, keys: &Arc<Keys>) {
    let db = test.store.service("tokens").await.unwrap();
    let secrets = Secrets::of(keys, "tokens").unwrap();
    let column = portolan_tokens::SEALED.iter().find(|column| column.table == "slack_webhooks").unwrap();
    let statement = "INSERT INTO slack_webhooks
        (account_id, webhook_id, user_id, username, name, url, url_digest, url_shown, created_at)
        VALUES (2000000, $1, 1, 'u', 'n', $2, $3, 's', 0)";
    for id in 1_000_000..1_000_000 + MANY {
        let sealed = secrets.seal(&column.row(id), b"https://hooks.slack.com/services/x");
        db.execute(statement, args![id, sealed, id.to_string()]).await.unwrap();
    }
}

/// Asks for what stands sealed, and for what passes between services, until told to end. Every answer is 200.
fn load(server: &Server) -> (Arc<AtomicBool>, Arc<AtomicUsize>, tokio::task::JoinHandle<()>) {
    let (ends, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (client, http, key) = (reqwest::Client::new(), server.http.clone(), server.api_key.clone());
    let (told, counted) = (ends.clone(), asked.clone());
    let running = tokio::spawn(async move {
        let ask = async |path: &str, body: Value| {
            let request = client.post(format!("{http}{path}")).header("content-type", "application/json");
            let answer = request.header("x-api-key", &key).body(body.to_string()).send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        };
        while !told.load(Ordering::SeqCst) {
            let (status, text) = ask("/api/getPostmanCredential", json!({})).await;
            assert_eq!(status, 200, "{text}");
            assert!(text.contains("PMA********"), "{text}");
            for path in ["/api/getAllCollections", "/api/me"] {
                let (status, text) = ask(path, json!({})).await;
                assert_eq!(status, 200, "{path}: {text}");
            }
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    (ends, asked, running)
}

/// Requests are answered throughout; a kill in the middle loses nothing; in the end nothing opens under the former key.
pub async fn a_rotation_keeps_everything_open(test: TestDb) {
    let server = Server::start(&test).await;
    sealing::make_values(&server, &["one", "two"]).await;
    let before = keys(&server.data_dir);
    make_many(&test, &before).await;
    let (all, _) = values(&test, &before).await;
    assert!(all > MANY as usize + 8, "{all}");

    let (ends, asked, running) = load(&server);
    rotate(&test, &server.data_dir, &["--keep-former"], Some("the other key is used")).await;
    let during = keys(&server.data_dir);
    assert_eq!((during.stage(), during.has_mark(&before.mark())), (Stage::Changed, true));
    assert_ne!(during.mark(), before.mark());
    ends.store(true, Ordering::SeqCst);
    running.await.unwrap();
    assert!(asked.load(Ordering::SeqCst) > 0);
    // Wherever the processes are with it.
    let data_dir = server.kill().await;
    let (new, old) = values(&test, &during).await;
    assert_eq!(new + old, all, "a value is lost");

    let server = Server::start_in(&test, data_dir).await;
    let (ends, asked, running) = load(&server);
    rotate(&test, &server.data_dir, &[], None).await;
    let after = keys(&server.data_dir);
    assert_eq!((after.stage(), after.mark()), (Stage::Settled, during.mark()));
    assert!(!after.has_mark(&before.mark()), "the former key is there");
    sealing::make_values(&server, &["three"]).await;
    let (new, old) = values(&test, &after).await;
    assert!(new >= all + 3 && old == 0, "{new} of {all}, and {old}");
    ends.store(true, Ordering::SeqCst);
    running.await.unwrap();
    assert!(asked.load(Ordering::SeqCst) > 0);

    // The mark went along: the new key starts, and the old one does not.
    let data_dir = server.kill().await;
    let server = Server::start_in(&test, data_dir).await;
    let database = test.store.service("identity").await.unwrap();
    let refused = portolan_runtime::key_mark::check(&database, &before).await.unwrap_err().to_string();
    assert!(refused.contains("not the key that opens this database"), "{refused}");
    sealing::expect_bound(&test, &server.data_dir, &sealing::OF_PROFILES).await;
}

/// Where no process runs the command does it all, and a former key that is kept opens until it is dropped.
pub async fn a_rotation_needs_no_process(test: TestDb) {
    let server = Server::start(&test).await;
    sealing::make_values(&server, &["one", "two"]).await;
    let data_dir = server.kill().await;
    let before = keys(&data_dir);
    let (all, _) = values(&test, &before).await;
    let text = rotate(&test, &data_dir, &["--offline", "--keep-former"], None).await;
    assert!(text.contains("0 values stand under the former key"), "{text}");
    let kept = keys(&data_dir);
    assert!(kept.stage() == Stage::Changed && kept.has_mark(&before.mark()));
    // A value that was put back is sealed anew; one that nobody can open holds nothing up.
    let tokens = test.store.service("tokens").await.unwrap();
    let column = portolan_tokens::SEALED.iter().find(|column| column.table == "slack_webhooks").unwrap();
    let (old, new) = (Secrets::of(&before, "tokens").unwrap(), Secrets::of(&kept, "tokens").unwrap());
    let rows = column.page(&tokens, &new.key_id(), None).await.unwrap();
    let value = new.open_row(&rows[0]).unwrap();
    assert!(column.replace(&tokens, &rows[0], &old.seal(&rows[0].place, &value)).await.unwrap());
    assert!(column.replace(&tokens, &rows[1], &old.seal(&rows[0].place, &value)).await.unwrap());
    let left = reseal::remaining(&tokens, &new, &portolan_tokens::SEALED).await.unwrap();
    assert_eq!(left, reseal::Remaining { values: 1, damaged: 1 });
    let text = rotate(&test, &data_dir, &["--offline"], None).await;
    assert!(text.contains("1 values name the former key and do not open"), "{text}");
    let after = keys(&data_dir);
    assert_eq!(after.stage(), Stage::Settled);
    assert_eq!(values(&test, &after).await, (all - 1, 0));
}

/// A process that has not read the key file as it is holds the next stage up, and is named; one that is gone does not.
pub async fn a_rotation_waits_for_who_has_not_read_the_key(test: TestDb) {
    let server = Server::start(&test).await;
    let before = keys(&server.data_dir);
    let db = test.store.service("identity").await.unwrap();
    let insert = "INSERT INTO secret_key_readers (reader_id, state, told_at) VALUES ($1, $2, $3)";
    db.execute(insert, args!["gone", "another", 1]).await.unwrap();
    db.execute(insert, args!["slow", "another", 4_000_000_000_i64]).await.unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
    command.args(["keys", "rotate", "--wait", "1", "--data-dir"]).arg(&server.data_dir);
    let output = command.env("PORTOLAN__STORE__URL", &test.url).kill_on_drop(true).output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("1 of identity"), "{text}");
    let during = keys(&server.data_dir);
    assert_eq!((during.stage(), during.mark()), (Stage::Settled, before.mark()));

    // It reads the file.
    db.execute("UPDATE secret_key_readers SET told_at = 1 WHERE reader_id = 'slow'", args![]).await.unwrap();
    rotate(&test, &server.data_dir, &["--wait", "30"], None).await;
    assert_ne!(keys(&server.data_dir).mark(), before.mark());
    // Whoever runs has told what it has read.
    let told = db.fetch_optional("SELECT COUNT(*) AS readers FROM secret_key_readers", args![]).await.unwrap().unwrap();
    assert!(told.get::<i64>("readers").unwrap() > 0);
    server.post("/api/getAllCollections", json!({})).await.expect(200);
}
