use portolan_api::Reason;
use portolan_api::imports::v1::{
    ApproveOpenApiImportRequest, GetOpenApiImportLogRequest, ImportOpenApiRequest, UploadDetails,
};
use portolan_ids::AccountId;
use portolan_testkit::TestDb;

use crate::inventory::{GROUP, HOST, PLAIN};
use crate::world::{ACCOUNT, World, reason};

/// One operation is clean, one has a reference that leads nowhere.
const DOCUMENT: &str = "
openapi: 3.0.0
info: {title: 'Pets: 1', version: '1'}
servers: [{url: 'https://pets.example.com/v1'}]
paths:
  /pets:
    get: {responses: {'200': {description: ok}}}
    post:
      requestBody: {$ref: '#/components/requestBodies/Missing'}
      responses: {'201': {description: made}}
";

fn document(text: &str, collection_id: Option<i32>) -> ImportOpenApiRequest {
    ImportOpenApiRequest {
        open_api_string: Some(text.to_owned()),
        api_collection_id: collection_id,
        ..Default::default()
    }
}

async fn import(world: &World, write_id: &str, request: ImportOpenApiRequest) -> String {
    world.client.clone().import_open_api(world.request(write_id, request)).await.unwrap().into_inner().upload_id
}

async fn details(world: &World, upload_id: &str) -> UploadDetails {
    let request = GetOpenApiImportLogRequest { upload_id: Some(upload_id.to_owned()) };
    let answer = world.client.clone().get_open_api_import_log(world.request("", request)).await.unwrap();
    answer.into_inner().upload_details.unwrap()
}

async fn approve(world: &World, upload_id: &str, import_type: &str) {
    let request = ApproveOpenApiImportRequest {
        upload_id: Some(upload_id.to_owned()),
        import_type: Some(import_type.to_owned()),
    };
    world.client.clone().approve_open_api_import(world.request("", request)).await.unwrap();
}

/// A document without a target waits; each approval adds only what is missing.
pub async fn a_reviewed_upload_is_ingested_once(test: TestDb) {
    let world = World::new(test).await;
    let upload_id = import(&world, "w", document(DOCUMENT, Some(0))).await;
    assert_eq!(upload_id.len(), 24);
    assert_eq!(import(&world, "w", document(DOCUMENT, Some(0))).await, upload_id);
    assert_eq!(world.records().await, []);

    let log = details(&world, &upload_id).await;
    assert_eq!(log.upload_status, "SUCCEEDED");
    let counts =
        (log.correctly_parsed_apis, log.apis_with_errors_and_parsed, log.apis_with_errors_and_cannot_be_imported);
    assert_eq!((counts, log.total_count), ((1, 1, 0), 2));
    let terms: Vec<_> = log.logs.iter().map(|row| row.term.as_str()).collect();
    assert_eq!(terms, ["Url", "https://pets.example.com/v1/pets (POST)"]);

    for (import_type, records) in [
        ("ONLY_SUCCESSFUL_APIS", 1),
        ("ONLY_SUCCESSFUL_APIS", 1),
        ("ALL_APIS", 2),
        ("ALL_APIS", 2),
        ("ONLY_SUCCESSFUL_APIS", 2),
    ] {
        approve(&world, &upload_id, import_type).await;
        assert_eq!(world.records().await.len(), records, "{import_type}");
    }
    assert_eq!(world.inventory.names().last().unwrap(), "OpenAPI Pets- 1");
    let records = world.records().await;
    assert!(records.iter().all(|seen| seen.collection_id > 10 && seen.source == "OPEN_API"));
}

/// An existing collection is filled before the answer; a repetition and an approval add nothing.
pub async fn a_target_is_filled_at_once(test: TestDb) {
    let world = World::new(test).await;
    let upload_id = import(&world, "w", document(DOCUMENT, Some(PLAIN))).await;
    for _ in 0..2 {
        let records = world.records().await;
        assert_eq!(records.len(), 2);
        assert!(records.iter().all(|seen| seen.collection_id == i64::from(PLAIN)));
        assert_eq!(details(&world, &upload_id).await.total_count, 2);
        assert_eq!(import(&world, "w", document(DOCUMENT, Some(PLAIN))).await, upload_id);
        approve(&world, &upload_id, "ALL_APIS").await;
    }
    import(&world, "v", document(DOCUMENT, Some(HOST))).await;
    let records = world.records().await;
    let paths: Vec<_> =
        records.iter().filter(|seen| seen.collection_id == i64::from(HOST)).map(|seen| seen.path.as_str()).collect();
    assert_eq!(paths, ["/v1/pets", "/v1/pets"]);
}

/// A crash between the append and its mark is made good by the repetition, without a second append.
pub async fn an_interrupted_import_is_completed_by_its_repetition(test: TestDb) {
    let world = World::new(test).await;
    world.test.db.faults().at("imports.appended").fail();
    let request = world.request("w", document(DOCUMENT, Some(PLAIN)));
    assert_eq!(reason(world.client.clone().import_open_api(request).await).0, Reason::Unavailable);
    assert_eq!(world.records().await.len(), 2);
    let upload_id = import(&world, "w", document(DOCUMENT, Some(PLAIN))).await;
    assert_eq!(world.records().await.len(), 2);
    assert_eq!(details(&world, &upload_id).await.upload_status, "SUCCEEDED");
}

async fn refused(world: &World, request: ImportOpenApiRequest, expected: Reason, text: &str) {
    let found = reason(world.client.clone().import_open_api(world.request("w", request)).await);
    assert_eq!(found.0, expected);
    assert!(found.1.starts_with(text), "{}", found.1);
}

/// A text that is no document is refused with its line, and nothing is kept of it.
pub async fn a_refused_document_changes_nothing(test: TestDb) {
    let world = World::new(test).await;
    refused(&world, document(DOCUMENT, Some(GROUP)), Reason::OpenapiToGroup, "Can't upload").await;
    refused(
        &world,
        document("openapi: 3.0.0\npaths: [\n", None),
        Reason::OpenapiInvalid,
        "Not an OpenAPI document: line ",
    )
    .await;
    refused(&world, document("", None), Reason::OpenapiInvalid, "Not an OpenAPI document: ").await;
    refused(&world, ImportOpenApiRequest::default(), Reason::OpenapiInvalid, "Not an OpenAPI document: ").await;
    let row = world.test.store.service("imports").await.unwrap();
    let count = row.fetch_one("SELECT count(*) AS n FROM uploads", Vec::new()).await.unwrap();
    assert_eq!(count.get::<i64>("n").unwrap(), 0);
}

/// Ids of other accounts answer as unknown ones do.
pub async fn uploads_belong_to_their_account(test: TestDb) {
    let world = World::new(test).await;
    let upload_id = import(&world, "w", document(DOCUMENT, None)).await;
    let mut stranger = world.caller.clone();
    stranger.account_id = AccountId(ACCOUNT + 1);
    for id in [Some(upload_id.clone()), None, Some("x\0".to_owned()), Some(String::new())] {
        let request = GetOpenApiImportLogRequest { upload_id: id };
        let answer =
            world.client.clone().get_open_api_import_log(world.request_of(stranger.clone(), "", request)).await;
        assert_eq!(reason(answer), (Reason::UploadIdInvalid, "Invalid uploadId ".to_owned()));
    }
    let approval = |id: Option<&str>, import_type: Option<&str>| ApproveOpenApiImportRequest {
        upload_id: id.map(str::to_owned),
        import_type: import_type.map(str::to_owned),
    };
    for (request, expected) in [
        (approval(Some(&upload_id), Some("ALL_APIS")), Reason::UploadNotFound),
        (approval(Some(&upload_id), Some("ALL")), Reason::ImportTypeInvalid),
        (approval(Some(&upload_id), None), Reason::ImportTypeInvalid),
        (approval(None, Some("ALL_APIS")), Reason::ImportTypeInvalid),
    ] {
        let answer =
            world.client.clone().approve_open_api_import(world.request_of(stranger.clone(), "", request)).await;
        assert_eq!(reason(answer).0, expected);
    }
    assert_eq!(world.records().await, []);
}
