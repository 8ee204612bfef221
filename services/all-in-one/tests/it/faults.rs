use std::time::{Duration, Instant};

use portolan_testkit::TestDb;

use crate::{
    distributed::{Installation, Load},
    proxy::{Proxy, Road},
};

/// How long each fault lasts.
const FAULT: Duration = Duration::from_secs(4);

/// Each part is killed, paused, cut off and slowed under load. A client sees the documented error or a late answer,
/// everything works again without a restart of the others, and what was answered with 200 is there.
pub async fn what_a_client_sees_of_each_fault(test: TestDb) {
    // One process writes a SQLite file; this is about Postgres.
    let Some(rest) = test.url.strip_prefix("postgres://") else { return };
    let (server, database) = rest.split_once('/').unwrap();
    let (user, address) = server.split_once('@').unwrap();
    let postgres = Proxy::start(address).await;
    let store_url = format!("postgres://{user}@127.0.0.1:{}/{database}", postgres.port);
    let redis_url = std::env::var("PORTOLAN_TEST_REDIS").expect("faults need PORTOLAN_TEST_REDIS");
    let redis = Proxy::start(redis_url.trim_start_matches("redis://")).await;
    let cache_url = format!("redis://127.0.0.1:{}", redis.port);

    let data_dir = tempfile::tempdir().unwrap().keep();
    let variables = [("PORTOLAN__CACHE__URL", cache_url.as_str())];
    let mut installation = Installation::start_on(&store_url, &data_dir, 1, &variables).await;
    println!("| part | fault | requests | answered 200 | documented errors | works again after |");
    println!("|---|---|---|---|---|---|");

    for (name, proxy) in [("Postgres", &postgres), ("Redis", &redis)] {
        for road in [Road::Cut, Road::Silent, Road::Slow(Duration::from_millis(50))] {
            let load = Load::start(&installation, 4);
            tokio::time::sleep(Duration::from_millis(300)).await;
            proxy.set(road);
            tokio::time::sleep(FAULT).await;
            proxy.set(Road::Open);
            report(&installation, name, &format!("{road:?}"), load).await;
        }
    }
    for name in crate::six::SERVICES.into_iter().chain(["gateway"]) {
        let index = installation.six.processes.iter().position(|process| process.name == name).unwrap();
        let pid = installation.six.processes[index].child.id().unwrap().to_string();
        let signal =
            |signal: &str| assert!(std::process::Command::new("kill").args([signal, &pid]).status().unwrap().success());

        let load = Load::start(&installation, 4);
        tokio::time::sleep(Duration::from_millis(300)).await;
        signal("-STOP");
        tokio::time::sleep(FAULT).await;
        signal("-CONT");
        report(&installation, name, "paused", load).await;

        let load = Load::start(&installation, 4);
        tokio::time::sleep(Duration::from_millis(300)).await;
        signal("-KILL");
        tokio::time::sleep(Duration::from_secs(1)).await;
        installation.six.restart(index);
        report(&installation, name, "killed", load).await;
    }
}

/// Waits until everything works, ends the load, and checks what it saw.
async fn report(installation: &Installation, part: &str, fault: &str, load: Load) {
    let healed = Instant::now();
    installation.wait().await;
    let after = healed.elapsed();
    let (requests, failed) = load.stop().await;
    // 503 by the gateway with its reason, or by the edge when no gateway takes the request.
    let is_documented =
        |error: &&String| error.contains("503") || error.contains("504") && error.contains("upstream request timeout");
    let undocumented: Vec<_> = failed.iter().filter(|error| !is_documented(error)).collect();
    println!(
        "| {part} | {fault} | {requests} | {} | {} | {:.1} s |",
        requests - failed.len() as u64,
        failed.len() - undocumented.len(),
        after.as_secs_f64()
    );
    assert!(undocumented.is_empty(), "{part} {fault}: {:?}", &undocumented[..undocumented.len().min(3)]);
}
