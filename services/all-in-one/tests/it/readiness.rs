//! Whether readiness is honest: it follows what a process needs, and liveness does not.

use std::time::Duration;

use portolan_testkit::{RedisServer, TestDb};
use serde_json::{Value, json};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::{
    proxy::{Proxy, Road},
    server::{PATIENCE, Server},
};

async fn part(server: &Server, name: &str) -> (u16, Value) {
    let answer = server.get("/readyz?verbose").await;
    let body = answer.json();
    let part = body["parts"].as_array().unwrap().iter().find(|part| part["name"] == name).cloned();
    (answer.status, part.unwrap_or_else(|| panic!("no part {name} in {body}")))
}

/// The part once it makes the process not ready.
async fn failed_part(server: &Server, name: &str) -> Value {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let (status, found) = part(server, name).await;
        if status == 503 && found["status"] == "failed" {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "{found}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn health(server: &Server, service: &str) -> ServingStatus {
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", server.grpc)).unwrap();
    let mut client = HealthClient::new(channel.connect().await.unwrap());
    let answer = client.check(HealthCheckRequest { service: service.to_owned() }).await.unwrap();
    answer.into_inner().status()
}

async fn wait_for_health(server: &Server, service: &str, wanted: ServingStatus) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while health(server, service).await != wanted {
        assert!(tokio::time::Instant::now() < deadline, "{service} never became {wanted:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

const INVENTORY: &str = "portolan.inventory.v1.CollectionService";

/// Postgres is cut off, then Redis dies: `/readyz` and gRPC health say so with the part that is missing, requests fail
/// at once, liveness stays, and all is well again when the server is.
pub async fn a_store_that_is_gone_is_told_within_a_second(test: TestDb) {
    let rest = test.url.strip_prefix("postgres://").expect("the case is for Postgres");
    let (server_part, database) = rest.split_once('/').unwrap();
    let (user, address) = server_part.split_once('@').unwrap();
    let postgres = Proxy::start(address).await;
    let own = test.at(format!("postgres://{user}@127.0.0.1:{}/{database}", postgres.port));
    let mut redis = RedisServer::start();
    let url = redis.url();
    let data_dir = tempfile::tempdir().unwrap().keep();
    let program = env!("CARGO_BIN_EXE_portolan");
    let variables = [("PORTOLAN__CACHE__URL", url.as_str())];
    let server = Server::start_program(program, &own, data_dir, &variables, std::process::Stdio::inherit()).await;
    server.create_collection("Before").await;
    server.get("/readyz").await.expect(200);
    let (_, log) = part(&server, "log").await;
    assert!(log["detail"].as_str().unwrap().contains("record"), "{log}");
    wait_for_health(&server, INVENTORY, ServingStatus::Serving).await;

    postgres.set(Road::Cut);
    let answer = server.post("/api/createCollection", json!({ "collectionName": "Meanwhile" })).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    let store = failed_part(&server, "store").await;
    assert_eq!(store["status"], "failed", "{store}");
    assert!(!store["detail"].as_str().unwrap().is_empty() && store["ageMs"].is_u64(), "{store}");
    server.get("/readyz").await.expect(503);
    server.get("/healthz").await.expect(200);
    server.get("/livez").await.expect(200);
    wait_for_health(&server, INVENTORY, ServingStatus::NotServing).await;
    assert_eq!(health(&server, "live").await, ServingStatus::Serving);
    postgres.set(Road::Open);
    wait_for_health(&server, INVENTORY, ServingStatus::Serving).await;
    server.get("/readyz").await.expect(200);

    let dead = async {
        let cache = failed_part(&server, "cache").await;
        assert!(cache["detail"].as_str().unwrap().contains("Redis"), "{cache}");
    };
    tokio::join!(redis.restart(Duration::from_secs(3)), dead);
    wait_for_health(&server, "", ServingStatus::Serving).await;
    server.create_collection("After").await;
}
