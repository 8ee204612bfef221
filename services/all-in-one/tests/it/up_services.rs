//! `portolan up --services`: some services in one process, the others in another.

use std::{path::Path, process::Command};

use portolan_testkit::TestDb;
use serde_json::json;

use crate::server::{Server, har};

/// Two processes are an installation: what needs several services works across them, and each ends well.
pub async fn two_processes_are_an_installation(test: TestDb) {
    let server = Server::start_two(&test, tempfile::tempdir().unwrap().keep()).await;
    let id = server.create_collection("Shared").await;
    let capture = har(&[("GET", "http://api.test/orders/17?token=a", "", 200, "{\"id\":17}")]);
    let upload = json!({"harString": capture, "apiCollectionId": id, "skipKafka": "true"});
    server.post("/api/uploadHar", upload).await.expect(200);
    assert_eq!(server.endpoints(id).await.len(), 1);
    // A key is made by tokens for a user of identity, and opens what inventory has, through the gateway of the other process.
    let made = server.post("/api/addApiToken", json!({ "tokenUtility": "EXTERNAL_API" })).await.expect(200).json();
    let key = made["apiTokenList"][0]["key"].as_str().unwrap().to_owned();
    let read = server.request("/api/getAllCollections").header("x-api-key", &key).body("{}");
    assert!(server.send(read).await.unwrap().expect(200).body.contains("Shared"));
    // Jobs of three services in one list, and usage, which billing counts from events of the others.
    server.get("/v1/jobs").await.expect(200);
    server.get("/v1/usage").await.expect(200);
    assert_eq!(server.get("/readyz").await.status, 200);
    for (name, ended) in server.terminate().await {
        assert!(ended.success(), "{name} ends well: {ended}");
    }
}

/// What is not known, and what is not configured, is named before anything is made.
pub async fn what_cannot_be_started_is_named(test: TestDb) {
    let data_dir = tempfile::tempdir().unwrap().keep().join("none");
    let up = |services: &str, variables: &[(&str, &str)]| refused(&data_dir, services, variables);
    let text = up("identity,tokenz", &[]);
    assert!(text.contains("invalid value 'tokenz'") && text.contains("'tokens'"), "{text}");
    assert!(text.contains("identity, tokens, inventory, imports, billing, gateway"), "{text}");
    let text = up("", &[]);
    assert!(text.contains("--services"), "{text}");
    let text = up("tokens,billing", &[("PORTOLAN__PEERS__IDENTITY", "http://127.0.0.1:1")]);
    let missing = "not set: PORTOLAN__STORE__URL, PORTOLAN__PEERS__INVENTORY, PORTOLAN__PEERS__IMPORTS";
    assert!(text.contains(missing) && !text.contains("PEERS__BILLING"), "{text}");
    let text = up("gateway", &[("PORTOLAN__STORE__URL", &test.url)]);
    assert!(text.contains("not set: PORTOLAN__PEERS__IDENTITY"), "{text}");
    assert!(!data_dir.exists(), "nothing was made");
}

fn refused(data_dir: &Path, services: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
    command.args(["up", "--services", services, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--data-dir"]);
    let output = command.arg(data_dir).envs(variables.iter().copied()).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}
