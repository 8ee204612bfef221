use std::time::{Duration, Instant};

use portolan_testkit::{KafkaServer, TestDb};
use serde_json::json;

use crate::{
    distributed::{Installation, Load},
    proxy::{Proxy, Road},
    server::{PATIENCE, Server, har},
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

/// The broker is cut off, falls silent, becomes slow, is paused and is killed while captures are uploaded. They are taken
/// or refused by the documented error, and what was taken is in the inventory in the end, without a restart of ours.
pub async fn what_a_client_sees_of_broker_faults(test: TestDb) {
    if test.url.starts_with("sqlite") {
        return;
    }
    let mut broker = KafkaServer::start().await;
    let proxy = Proxy::to_broker(&broker.address()).await;
    let url = format!("kafka://127.0.0.1:{}", proxy.port);
    let topic = format!("faults.{}", uuid::Uuid::new_v4());
    let variables = [("PORTOLAN__LOG__URL", url.as_str()), ("PORTOLAN__LOG__TOPIC", &topic)];
    let server = Server::start_with(&test, tempfile::tempdir().unwrap().keep(), &variables).await;
    let id = server.create_collection("Uploads").await;
    let capture = har(&[("POST", "http://api.test/orders", r#"{"item":"book"}"#, 201, "{}")]);
    let upload = json!({ "harString": capture, "apiCollectionId": id });
    let address = server.http.trim_start_matches("http://").to_owned();
    let counted = async || {
        let parameters = server.parameters(id, "POST", "http://api.test/orders").await;
        let items = parameters.iter().filter(|p| p["param"] == "item" && p["responseCode"] == -1);
        items.map(|p| p["count"].as_u64().unwrap()).sum::<u64>()
    };
    let deadline = || Instant::now() + PATIENCE;

    let mut taken = 0;
    println!("| part | fault | uploads | answered 200 | documented errors | works again after |");
    println!("|---|---|---|---|---|---|");
    let roads =
        [Road::Cut, Road::Silent, Road::Slow(Duration::from_millis(50))].map(|road| (format!("{road:?}"), road));
    // Both are done to the broker itself.
    let broker_faults = ["paused", "killed"].map(|fault| (fault.to_owned(), Road::Open));
    for (fault, road) in roads.into_iter().chain(broker_faults) {
        let upload_of = upload.clone();
        let load = Load::of(&address, &server.api_key, 4, move |_, _| ("/api/uploadHar", upload_of.clone()));
        tokio::time::sleep(Duration::from_millis(300)).await;
        match fault.as_str() {
            "paused" => broker.pause(FAULT).await,
            "killed" => broker.restart(FAULT).await,
            _ => {
                proxy.set(road);
                tokio::time::sleep(FAULT).await;
                proxy.set(Road::Open);
            }
        }
        let (healed, limit) = (Instant::now(), deadline());
        while server.post("/api/uploadHar", upload.clone()).await.status != 200 {
            assert!(Instant::now() < limit, "the broker is back, and uploads are still refused");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        taken += 1 + summarise("broker", &fault, healed.elapsed(), load).await;
        let limit = deadline();
        loop {
            // An upload that was refused may have reached the broker nevertheless.
            let now = counted().await;
            if now >= taken {
                break;
            }
            assert!(Instant::now() < limit, "{fault}: {taken} uploads were taken, {now} are in the inventory");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Waits until everything works, ends the load, and checks what it saw.
async fn report(installation: &Installation, part: &str, fault: &str, load: Load) {
    let healed = Instant::now();
    installation.wait().await;
    summarise(part, fault, healed.elapsed(), load).await;
}

/// Ends the load, prints and checks what it saw, and returns how many requests were answered with 200.
async fn summarise(part: &str, fault: &str, after: Duration, load: Load) -> u64 {
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
    requests - failed.len() as u64
}
