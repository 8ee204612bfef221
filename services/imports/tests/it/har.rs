use portolan_api::Reason;
use portolan_api::imports::v1::{ImportHarRequest, ImportHarResponse};
use portolan_authz::CredentialKind;
use portolan_store::args;
use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::inventory::{DEACTIVATED, GROUP, HOST, PLAIN};
use crate::world::{World, reason};

pub const CAPTURE: &str = r#"{"log":{"entries":[
    {"request":{"method":"GET","url":"https://shop.example.com/a"},"response":{"status":200}},
    {"request":{"method":"GET"},"response":{"status":200}},
    {"request":{"method":"POST","url":"https://shop.example.com/b"},"response":{"status":404}}]}}"#;

fn capture(text: &str, collection_id: i32) -> ImportHarRequest {
    ImportHarRequest { har_string: Some(text.to_owned()), api_collection_id: collection_id, ..Default::default() }
}

/// A repetition under the same write id appends nothing; another write does.
pub async fn a_repeated_write_imports_once(test: TestDb) {
    let world = World::new(test).await;
    for (write_id, records) in [("w", 2), ("w", 2), ("v", 4)] {
        let answer = world.client.clone().import_har(world.request(write_id, capture(CAPTURE, PLAIN))).await;
        let expected = ImportHarResponse {
            api_collection_id: PLAIN,
            har_errors: vec!["Error in entry 2: the member `request.url` is missing".to_owned()],
            skip_kafka: false,
            imported_records: 2,
            skipped_records: 1,
        };
        let mut answer = answer.unwrap().into_inner();
        assert!(answer.har_errors[0].starts_with("Error in entry 2: "), "{:?}", answer.har_errors);
        answer.har_errors.clone_from(&expected.har_errors);
        assert_eq!(answer, expected);
        assert_eq!(world.records().await.len(), records);
    }
    assert!(world.records().await.iter().all(|seen| seen.collection_id == i64::from(PLAIN) && seen.source == "HAR"));
}

async fn refused(world: &World, request: ImportHarRequest, expected: Reason, text: &str) {
    let found = reason(world.client.clone().import_har(world.request("w", request)).await);
    assert_eq!(found.0, expected);
    assert!(found.1.starts_with(text), "{}", found.1);
}

/// What cannot be imported leaves neither records nor a collection.
pub async fn a_refused_capture_changes_nothing(test: TestDb) {
    let world = World::new(test).await;
    let names = world.inventory.names();
    let named = |text: &str| ImportHarRequest { api_collection_name: Some("new".to_owned()), ..capture(text, 0) };
    refused(&world, capture("{}", 404), Reason::CollectionNotFound, "No such collection exists").await;
    refused(&world, capture("{}", HOST), Reason::UploadToHostCollection, "Traffic").await;
    refused(&world, capture("{}", DEACTIVATED), Reason::UploadToDeactivated, "Deactivated").await;
    refused(&world, capture("{}", GROUP), Reason::UploadToGroup, "API groups").await;
    refused(&world, capture(" \n", PLAIN), Reason::HarEmpty, "Empty content").await;
    refused(&world, ImportHarRequest { api_collection_id: PLAIN, ..Default::default() }, Reason::HarEmpty, "Empty")
        .await;
    refused(&world, capture("[]", PLAIN), Reason::HarInvalid, "Not a HAR file: ").await;
    let quoted = ImportHarRequest { content: serde_json::to_string(CAPTURE).ok(), ..Default::default() };
    refused(&world, quoted, Reason::MemberType, "content: must be an object").await;
    refused(&world, named(""), Reason::HarEmpty, "Empty content").await;
    refused(&world, named(r#"{"log":{"entries":[{"#), Reason::HarInvalid, "Not a HAR file: line 1").await;
    assert_eq!(world.inventory.names(), names);
    assert_eq!(world.records().await, []);
}

/// The first of the three members that is there is the capture; a name makes its collection.
pub async fn every_form_of_the_capture_is_read(test: TestDb) {
    let world = World::new(test).await;
    let requests = [
        ImportHarRequest { hs_file: Some(CAPTURE.to_owned()), content: Some("{}".to_owned()), ..Default::default() },
        ImportHarRequest { content: Some(CAPTURE.to_owned()), ..Default::default() },
        ImportHarRequest {
            content: Some(CAPTURE.to_owned()),
            skip_kafka: Some("true".to_owned()),
            ..Default::default()
        },
    ];
    for (index, mut request) in requests.into_iter().enumerate() {
        request.api_collection_name = Some("made".to_owned());
        let waits = request.skip_kafka.is_some();
        let answer = world.client.clone().import_har(world.request(&index.to_string(), request)).await.unwrap();
        assert_eq!((answer.get_ref().imported_records, answer.get_ref().skip_kafka), (2, waits));
    }
    assert_eq!(world.inventory.names().iter().filter(|name| *name == "made").count(), 1);
    assert_eq!(world.records().await.len(), 6);
}

/// A capture is told with the number of its records; one that is refused, or cannot be appended, is not.
pub async fn a_capture_is_audited(test: TestDb) {
    let world = World::new(test).await;
    let told = async || {
        let db = world.test.store.service("imports").await.unwrap();
        let rows = db.fetch_all("SELECT payload FROM outbox", args![]).await.unwrap();
        rows.iter().map(|row| row.get::<String>("payload").unwrap()).collect::<Vec<_>>()
    };
    refused(&world, capture("[]", PLAIN), Reason::HarInvalid, "Not a HAR file: ").await;
    world.test.store.faults().at("store.commit").times(1_000).fail();
    assert!(world.client.clone().import_har(world.request("w", capture(CAPTURE, PLAIN))).await.is_err());
    world.test.store.faults().clear();
    assert_eq!((told().await, world.records().await), (vec![], vec![]));
    world.client.clone().import_har(world.request("w", capture(CAPTURE, PLAIN))).await.unwrap();
    let told: Vec<Value> = told().await.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let told = &told[0];
    assert_eq!((&told["resource"], &told["resource_id"]), (&json!("collection"), &json!(PLAIN.to_string())), "{told}");
    assert_eq!(told["after"], r#"{"imported_records":2}"#);
}

/// Records sent with a Burp key say so.
pub async fn a_burp_key_names_its_source(test: TestDb) {
    let world = World::new(test).await;
    let mut caller = world.caller.clone();
    caller.credential = CredentialKind::BurpKey;
    world.client.clone().import_har(world.request_of(caller, "w", capture(CAPTURE, PLAIN))).await.unwrap();
    assert!(world.records().await.iter().all(|seen| seen.source == "BURP"));
}
