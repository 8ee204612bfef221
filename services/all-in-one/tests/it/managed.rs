//! Servers that somebody else keeps: over TLS, with certificates, users and passwords.

use std::{
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use portolan_testkit::{Certificates, PostgresServer, RedisServer, TestDb};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use crate::{
    proxy::{Proxy, Road},
    server::{PATIENCE, Server},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portolan");

async fn run(arguments: &[&str], data_dir: &Path, variables: &[(&str, &str)]) -> (Output, String) {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).arg("--data-dir").arg(data_dir).envs(variables.iter().copied()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends").unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output, text)
}

/// The process serves on a Postgres and a Redis that want its certificate and its password; what does not fit is told with
/// the server and the cause.
pub async fn servers_are_spoken_to_over_tls(test: TestDb) {
    let place = tempfile::tempdir().unwrap();
    let ours = Certificates::write(&place.path().join("ours"));
    let foreign = Certificates::write(&place.path().join("foreign"));
    let postgres = PostgresServer::start_secured(&ours).await;
    let redis = RedisServer::start_secured(&ours);
    let (url, cache_url) = (postgres.url(), redis.url());
    let (ca, cert, key) = (ours.ca(), ours.cert(), ours.key());
    let mut variables = vec![("PORTOLAN__CACHE__URL", cache_url.as_str())];
    for (name, value) in [
        ("PORTOLAN__STORE__CA", &ca),
        ("PORTOLAN__STORE__CERT", &cert),
        ("PORTOLAN__STORE__KEY", &key),
        ("PORTOLAN__CACHE__CA", &ca),
        ("PORTOLAN__CACHE__CERT", &cert),
        ("PORTOLAN__CACHE__KEY", &key),
    ] {
        variables.push((name, value));
    }
    let own = test.at(url.clone());
    let data_dir = tempfile::tempdir().unwrap().keep();
    let server = Server::start_program(PROGRAM, &own, data_dir.clone(), &variables, Stdio::inherit()).await;
    server.create_collection("Over TLS").await;
    let ready = server.get("/readyz?verbose").await.expect(200);
    assert!(ready.body.contains("Redis at 127.0.0.1"), "{}", ready.body);

    let with = |name: &'static str, value: &str| {
        let mut changed: Vec<_> = variables.iter().filter(|(known, _)| *known != name).copied().collect();
        changed.push(("PORTOLAN__STORE__URL", url.as_str()));
        let value: &'static str = value.to_owned().leak();
        changed.push((name, value));
        changed
    };
    let server_name = format!("Postgres at 127.0.0.1:{}", postgres.port());
    let (_, text) = run(&["doctor"], &data_dir, &with("PORTOLAN__STORE__CONNECTIONS", "10")).await;
    for line in [
        "ok    store:",
        "ok    cache:",
        "ok    connections: 7 pools of 10 and 1 listening are 71 connections, and the server takes 97",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    for (variables, named) in [
        (with("PORTOLAN__STORE__CA", &foreign.ca()), [server_name.as_str(), "certificate"]),
        (with("PORTOLAN__STORE__URL", &url.replace("p%40ss", "guess")), [server_name.as_str(), "password"]),
    ] {
        let (output, text) = run(&["organizations", "list"], &data_dir, &variables).await;
        assert!(!output.status.success() && named.iter().all(|part| text.contains(part)), "{named:?}: {text}");
        assert!(!text.contains("guess"), "{text}");
    }
    let (_, text) = run(&["doctor"], &data_dir, &with("PORTOLAN__CACHE__CA", &foreign.ca())).await;
    assert!(
        text.lines().any(|line| line.starts_with("FAIL  cache: Redis at") && line.contains("certificate")),
        "{text}"
    );
    let many = with("PORTOLAN__STORE__CONNECTIONS", "20");
    let (output, text) = run(&["up", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"], &data_dir, &many).await;
    assert!(
        !output.status.success() && text.contains("141 connections, and Postgres takes 97: pools of at most 13 fit"),
        "{text}"
    );
}

/// A process that starts before its store says for what it waits, and serves when it is there.
pub async fn a_store_that_comes_later_is_waited_for(test: TestDb) {
    let rest = test.url.strip_prefix("postgres://").expect("the case is for Postgres");
    let (server_part, database) = rest.split_once('/').unwrap();
    let (user, address) = server_part.split_once('@').unwrap();
    let postgres = Proxy::start(address).await;
    postgres.set(Road::Cut);
    let url = format!("postgres://{user}@127.0.0.1:{}/{database}", postgres.port);
    let data_dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(PROGRAM)
        .args(["up", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--data-dir"])
        .arg(data_dir.path())
        .env("PORTOLAN__STORE__URL", url)
        .env("RUST_LOG", "info")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let named = format!("Postgres at 127.0.0.1:{}", postgres.port);
    let told = async {
        loop {
            let line = log.next_line().await.unwrap().expect("the process waits");
            if line.contains("waits for the store") && line.contains(&named) {
                assert!(!line.contains('\u{1b}'), "no colors outside of a terminal: {line:?}");
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("it says for what it waits");
    postgres.set(Road::Open);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let drain = async { while let Ok(Some(_)) = log.next_line().await {} };
    let ready = async { lines.next_line().await.unwrap().expect("it starts") };
    tokio::select! {
        line = ready => assert!(line.starts_with("portolan ready"), "{line}"),
        () = drain => panic!("the process ended"),
        () = tokio::time::sleep(Duration::from_secs(60)) => panic!("it does not start"),
    }
}
