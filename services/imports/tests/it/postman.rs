use std::time::Duration;

use portolan_api::Reason;
use portolan_api::imports::v1::postman_service_client::PostmanServiceClient;
use portolan_api::imports::v1::uploads_service_client::UploadsServiceClient;
use portolan_api::imports::v1::*;
use portolan_ids::AccountId;
use portolan_runtime::Channel;
use portolan_store::args;
use portolan_testkit::TestDb;

use crate::inventory::PLAIN;
use crate::jobs::{ended, get, wait_for};
use crate::postman_server::{EMPTY_WORKSPACE, KEY, WORKSPACE};
use crate::world::{ACCOUNT, World, reason};

const FILE: &str = r#"{"info": {"_postman_id": "p-1", "name": "Shop: all"}, "auth": {"type": "basic", "basic": []}, "item": [
    {"name": "list", "request": {"method": "GET", "url": "https://shop.example.com/books"}, "response": [
        {"code": 200, "body": "[]"}, {"code": 500, "body": "no"}]},
    {"name": "odd", "request": {"method": "GET", "url": "https://shop.example.com/odd", "auth": {"type": "future"}}},
    {"name": "broken", "request": {"method": "GET"}}]}"#;

fn client(world: &World) -> PostmanServiceClient<Channel> {
    PostmanServiceClient::new(world.channel.clone())
}

async fn import_file(world: &World, write_id: &str, file: &str) -> Result<ImportPostmanFileResponse, tonic::Status> {
    let request = ImportPostmanFileRequest { postman_collection_file: Some(file.to_owned()), ..Default::default() };
    let answer = client(world).import_postman_file(world.request(write_id, request)).await?;
    Ok(answer.into_inner())
}

async fn log(world: &World, upload_id: &str) -> GetPostmanImportLogResponse {
    let request = GetPostmanImportLogRequest { upload_id: Some(upload_id.to_owned()) };
    client(world).get_postman_import_log(world.request("", request)).await.unwrap().into_inner()
}

async fn approve(world: &World, write_id: &str, upload_id: &str, import_type: &str) -> Result<String, tonic::Status> {
    let request = ApprovePostmanImportRequest {
        upload_id: Some(upload_id.to_owned()),
        import_type: Some(import_type.to_owned()),
    };
    let answer = client(world).approve_postman_import(world.request(write_id, request)).await?;
    Ok(answer.into_inner().job_id)
}

async fn save_key(world: &World) {
    let request =
        SavePostmanCredentialRequest { api_key: Some(KEY.to_owned()), workspace_id: Some(WORKSPACE.to_owned()) };
    client(world).save_postman_credential(world.request("key", request)).await.unwrap();
}

/// Each request of a file has one row, and the rows are ingested once, whichever calls ask for them.
pub async fn a_file_is_reviewed_and_ingested_once(test: TestDb) {
    let world = World::new(test).await;
    let created = import_file(&world, "w", FILE).await.unwrap();
    assert_eq!(import_file(&world, "w", FILE).await.unwrap(), created);
    assert_eq!(created.upload_id.len(), 24);
    let job = get(&world, &created.job_id).await;
    assert_eq!(
        (job.kind.as_str(), job.state.as_str(), job.format.as_str()),
        ("import.postman_file", "SUCCEEDED", "POSTMAN")
    );
    assert_eq!((job.total_items, job.imported_items, job.refused_items), (3, 2, 1));
    assert_eq!(world.records().await, []);

    let answer = log(&world, &created.upload_id).await;
    let details = answer.upload_details.unwrap();
    assert_eq!((answer.upload_status.as_str(), details.upload_status.as_str()), ("SUCCEEDED", "SUCCEEDED"));
    let counts = (
        details.total_count,
        details.correctly_parsed_apis,
        details.apis_with_errors_and_parsed,
        details.apis_with_errors_and_cannot_be_imported,
        details.error_count,
    );
    assert_eq!(counts, (3, 1, 1, 1, 2));
    let rows: Vec<_> = details.logs.iter().map(|row| (row.term.as_str(), row.description.as_str())).collect();
    assert_eq!(
        rows,
        [
            ("Url", "Errors"),
            ("https://shop.example.com/odd (GET)", "Error while getting auth map for odd : future is not known"),
            ("broken", "No url field exists"),
        ]
    );
    assert_eq!(details.collection_errors[1].term, "Shop: all");
    assert_eq!(answer.postman_upload_logs.len(), 3);
    assert_eq!(answer.postman_upload_logs[0].akto_format.as_deref().unwrap().lines().count(), 2);
    assert_eq!(answer.postman_upload_logs[2].akto_format, None);

    approve(&world, "a", &created.upload_id, "ONLY_SUCCESSFUL_APIS").await.unwrap();
    assert_eq!(world.records().await.len(), 2);
    let job_id = approve(&world, "b", &created.upload_id, "ALL_APIS").await.unwrap();
    assert_eq!(approve(&world, "c", &created.upload_id, "ALL_APIS").await.unwrap(), job_id);
    let records = world.records().await;
    assert_eq!(records.len(), 3);
    assert!(records.iter().all(|record| record.source == "POSTMAN"));
    assert!(world.inventory.names().contains(&"Shop- all".to_owned()), "{:?}", world.inventory.names());
    assert_eq!(get(&world, &job_id).await.imported_items, 2);
}

/// What cannot be read is refused with the documented texts and stores nothing.
pub async fn a_refused_file_changes_nothing(test: TestDb) {
    let world = World::new(test).await;
    for (file, expected) in [
        ("", Reason::PostmanFileWithoutInfo),
        ("{", Reason::PostmanFileInvalid),
        ("{}", Reason::PostmanFileWithoutInfo),
        (r#"{"item": []}"#, Reason::PostmanFileWithoutInfo),
        (r#"{"openapi": "3.0.0"}"#, Reason::PostmanFileWithoutInfo),
    ] {
        assert_eq!(reason(import_file(&world, "w", file).await).0, expected, "{file}");
    }
    for (upload_id, expected) in [(None, Reason::UploadIdRequired), (Some("x"), Reason::UploadNotFound)] {
        let upload_id = upload_id.map(str::to_owned);
        let request = GetPostmanImportLogRequest { upload_id: upload_id.clone() };
        let answer = client(&world).get_postman_import_log(world.request("", request)).await;
        assert_eq!(reason(answer).0, expected);
        let request = DeletePostmanImportLogRequest { upload_id };
        let answer = client(&world).delete_postman_import_log(world.request("", request)).await;
        assert_eq!(reason(answer).0, expected);
    }
    assert_eq!(reason(approve(&world, "a", "x", "ALL_APIS").await).0, Reason::UploadNotFound);
    assert_eq!(reason(approve(&world, "a", "x", "SOME").await).0, Reason::ImportTypeInvalid);
}

/// An approval that breaks off between two collections is completed by its repetition, each record once.
pub async fn an_interrupted_approval_is_completed(test: TestDb) {
    let world = World::new(test).await;
    let collection = |id: &str| {
        format!(
            r#"{{"info": {{"_postman_id": "{id}", "name": "{id}"}}, "item": [{{"name": "r", "request": "https://h.example/{id}"}}]}}"#
        )
    };
    let file = format!(r#"{{"collections": [{}, {}]}}"#, collection("one"), collection("two"));
    let created = import_file(&world, "w", &file).await.unwrap();
    world.test.db.faults().at("imports.approved_group").fail();
    assert!(approve(&world, "a", &created.upload_id, "ALL_APIS").await.is_err());
    assert_eq!(world.records().await.len(), 1);
    approve(&world, "a", &created.upload_id, "ALL_APIS").await.unwrap();
    let paths: Vec<_> = world.records().await.into_iter().map(|record| record.path).collect();
    assert_eq!(paths, ["https://h.example/one", "https://h.example/two"]);
}

/// A workspace is fetched collection by collection, through rate limits, failures and a restart; what is gone is named.
pub async fn a_workspace_is_fetched_for_review(test: TestDb) {
    let world = World::new(test).await;
    world.postman.limit_next(2);
    world.test.db.faults().at("imports.postman_group").fail();
    let jobs = world.start_jobs().await;
    let request = ImportPostmanWorkspaceRequest {
        api_key: Some(format!(" {KEY} ")),
        workspace_id: Some(WORKSPACE.to_owned()),
        ..Default::default()
    };
    let created =
        client(&world).import_postman_workspace(world.request("w", request.clone())).await.unwrap().into_inner();
    jobs.stop().await;
    world.postman.break_next(1);
    let jobs = world.start_jobs().await;
    let job = wait_for(&world, &created.job_id, ended).await;
    assert_eq!((job.state.as_str(), job.error.as_deref()), ("SUCCEEDED", None));
    assert_eq!((job.total_items, job.imported_items, job.refused_items), (3, 2, 1));
    assert_eq!(job.refusals[0].reason, "No url field exists");
    let repeated = client(&world).import_postman_workspace(world.request("w", request)).await.unwrap().into_inner();
    assert_eq!(repeated, created);
    let fetched = world.postman.calls().iter().filter(|call| *call == "GET /collections/1-c1").count();
    assert_eq!(fetched, 1, "{:?}", world.postman.calls());

    let details = log(&world, &created.upload_id).await.upload_details.unwrap();
    assert_eq!((details.total_count, details.correctly_parsed_apis), (3, 2));
    let errors: Vec<_> = details.collection_errors.iter().map(|row| row.term.as_str()).collect();
    assert_eq!(errors, ["Collection name", "Books", "Gone"]);
    approve(&world, "a", &created.upload_id, "ALL_APIS").await.unwrap();
    assert_eq!(world.records().await.len(), 2);
    assert!(["Books", "Users"].iter().all(|name| world.inventory.names().contains(&(*name).to_owned())));
    jobs.stop().await;
}

/// A workspace that cannot be read ends as a failed upload with its reason.
pub async fn a_workspace_that_cannot_be_read_fails(test: TestDb) {
    let world = World::new(test).await;
    let jobs = world.start_jobs().await;
    let import = async |key: Option<&str>, workspace: Option<&str>| {
        let request = ImportPostmanWorkspaceRequest {
            api_key: key.map(str::to_owned),
            workspace_id: workspace.map(str::to_owned),
            ..Default::default()
        };
        let write_id = format!("{key:?}{workspace:?}");
        client(&world).import_postman_workspace(world.request(&write_id, request)).await
    };
    assert_eq!(reason(import(None, Some("w")).await).0, Reason::PostmanKeyInvalid);
    assert_eq!(reason(import(Some(" "), Some("w")).await).0, Reason::PostmanKeyInvalid);
    assert_eq!(reason(import(Some(KEY), None).await).0, Reason::PostmanWorkspaceInvalid);
    for (key, workspace, expected) in [
        ("PMAK-wrong", WORKSPACE, "Invalid postman key"),
        (KEY, "missing", "No workspace found"),
        (KEY, EMPTY_WORKSPACE, "No collections found in workspace"),
    ] {
        let created = import(Some(key), Some(workspace)).await.unwrap().into_inner();
        let job = wait_for(&world, &created.job_id, ended).await;
        assert_eq!((job.state.as_str(), job.error.as_deref()), ("FAILED", Some(expected)));
        let answer = log(&world, &created.upload_id).await;
        let details = answer.upload_details.unwrap();
        assert_eq!((answer.upload_status.as_str(), details.fatal_error.as_deref()), ("FAILED", Some(expected)));
    }
    jobs.stop().await;
}

/// Only a credential that Postman takes replaces that of the account, whatever an import fails of.
pub async fn a_failed_import_leaves_the_credential(test: TestDb) {
    let world = World::new(test).await;
    save_key(&world).await;
    let kept = async || {
        let request = world.request("", GetPostmanCredentialRequest {});
        client(&world).get_postman_credential(request).await.unwrap().into_inner().postman_cred
    };
    let before = kept().await;
    assert!(before.is_some());
    let jobs = world.start_jobs().await;
    for (key, workspace, state) in [
        ("PMAK-another-wrong-key", WORKSPACE, "FAILED"),
        (KEY, "missing", "FAILED"),
        (KEY, EMPTY_WORKSPACE, "FAILED"),
        (KEY, WORKSPACE, "SUCCEEDED"),
    ] {
        let request = ImportPostmanWorkspaceRequest {
            api_key: Some(key.to_owned()),
            workspace_id: Some(workspace.to_owned()),
            ..Default::default()
        };
        let write_id = format!("{key}{workspace}");
        let created = client(&world).import_postman_workspace(world.request(&write_id, request)).await.unwrap();
        assert_eq!((kept().await, workspace), (before.clone(), workspace));
        let job = wait_for(&world, &created.get_ref().job_id, ended).await;
        assert_eq!(job.state, state);
    }
    assert_eq!(kept().await.unwrap().workspace_id, WORKSPACE);
    jobs.stop().await;
}

/// Who brings a credential is told with the import that brings it: once, without the key, and not of one that is refused.
pub async fn a_credential_that_an_import_brings_is_audited(test: TestDb) {
    let world = World::new(test).await;
    let told = async || {
        let db = world.test.store.service("imports").await.unwrap();
        let text = "SELECT payload FROM outbox WHERE payload LIKE '%postman_credential%'";
        let rows = db.fetch_all(text, args![]).await.unwrap();
        rows.iter().map(|row| row.get::<String>("payload").unwrap()).collect::<Vec<_>>()
    };
    let import = async |write_id: &str, workspace: Option<&str>| {
        let request = ImportPostmanWorkspaceRequest {
            api_key: Some(KEY.to_owned()),
            workspace_id: workspace.map(str::to_owned),
            ..Default::default()
        };
        client(&world).import_postman_workspace(world.request(write_id, request)).await
    };
    assert_eq!(reason(import("r", None).await).0, Reason::PostmanWorkspaceInvalid);
    assert_eq!(told().await, Vec::<String>::new());
    for _ in 0..2 {
        import("w", Some(WORKSPACE)).await.unwrap();
        let told = told().await;
        assert!(told.len() == 1 && told[0].contains(WORKSPACE) && !told[0].contains(KEY), "{told:?}");
    }
}

/// The key is in no table as it was given, and is answered masked.
pub async fn a_credential_is_sealed_and_masked(test: TestDb) {
    let world = World::new(test).await;
    let read = async || {
        let request = world.request("", GetPostmanCredentialRequest {});
        client(&world).get_postman_credential(request).await.unwrap().into_inner().postman_cred
    };
    assert_eq!(read().await, None);
    let lists = client(&world).list_postman_collections(world.request("", ListPostmanCollectionsRequest {})).await;
    assert_eq!(reason(lists).1, "Please add postman credentials in settings");
    save_key(&world).await;
    let found = read().await.unwrap();
    assert_eq!((found.api_key.as_str(), found.workspace_id.as_str()), ("PMA********0123", WORKSPACE));
    let db = world.test.store.service("imports").await.unwrap();
    let row = db.fetch_one("SELECT api_key FROM postman_credentials WHERE account_id = $1", args![ACCOUNT]).await;
    let stored: String = row.unwrap().get("api_key").unwrap();
    assert!(!stored.contains(KEY) && !stored.contains(&hex::encode(KEY)), "{stored}");
    let partial = SavePostmanCredentialRequest { api_key: Some("x".to_owned()), workspace_id: None };
    let answer = client(&world).save_postman_credential(world.request("k", partial)).await;
    assert_eq!(reason(answer), (Reason::MemberRequired, "workspace_id is required".to_owned()));

    let mut stranger = world.caller.clone();
    stranger.account_id = AccountId(ACCOUNT + 1);
    let request = world.request_of(stranger, "", GetPostmanCredentialRequest {});
    assert_eq!(client(&world).get_postman_credential(request).await.unwrap().into_inner().postman_cred, None);
}

/// Lists are read over all their pages; a short rate limit is waited for, a wrong key is told.
pub async fn lists_are_read_whole(test: TestDb) {
    let world = World::new(test).await;
    save_key(&world).await;
    world.postman.limit_next(1);
    let request = world.request("", ListPostmanCollectionsRequest {});
    let collections = client(&world).list_postman_collections(request).await.unwrap().into_inner().collections;
    assert_eq!(
        (collections.len(), collections[149].uid.as_str(), collections[149].name.as_str()),
        (150, "1-149", "C 149")
    );
    let workspaces = async |key: Option<&str>| {
        let request = ListPostmanWorkspacesRequest { api_key: key.map(str::to_owned) };
        client(&world)
            .list_postman_workspaces(world.request("", request))
            .await
            .map(|answer| answer.into_inner().workspaces)
    };
    assert_eq!(workspaces(Some("")).await.unwrap(), []);
    let found = workspaces(Some(KEY)).await.unwrap();
    assert_eq!((found.len(), found[0].id.as_str(), found[0].r#type.as_str()), (2, WORKSPACE, "team"));
    assert_eq!(reason(workspaces(Some("PMAK-wrong")).await).0, Reason::PostmanKeyInvalid);
    world.postman.break_next(10);
    assert_eq!(reason(workspaces(Some(KEY)).await).0, Reason::PostmanUnavailable);
}

/// An export that is interrupted after the API was made does not make it again; a second export updates the schema.
pub async fn a_collection_is_exported(test: TestDb) {
    let world = World::new(test).await;
    let request = ExportToPostmanRequest { api_collection_id: PLAIN, api_info_key_list: Vec::new() };
    let answer = client(&world).export_to_postman(world.request("w", request.clone())).await;
    assert_eq!(reason(answer).0, Reason::PostmanCredentialRequired);
    save_key(&world).await;
    world.test.db.faults().at("imports.postman_api").fail();
    let jobs = world.start_jobs().await;
    let export = async |write_id: &str| {
        let answer = client(&world).export_to_postman(world.request(write_id, request.clone())).await;
        answer.unwrap().into_inner().job_id
    };
    let job_id = export("w").await;
    let job = wait_for(&world, &job_id, ended).await;
    assert_eq!((job.state.as_str(), job.kind.as_str(), job.error.as_deref()), ("SUCCEEDED", "export.postman", None));
    assert_eq!(export("w").await, job_id);
    assert_eq!(wait_for(&world, &export("x").await, ended).await.state, "SUCCEEDED");
    let calls = world.postman.calls();
    let count = |call: &str| calls.iter().filter(|made| *made == call).count();
    assert_eq!((count("POST /apis"), count("POST /apis/api-1/schemas")), (1, 1), "{calls:?}");
    assert_eq!(count("PUT /apis/api-1/schemas/s-1/files/index.json"), 1, "{calls:?}");
    let schemas = world.postman.schemas();
    let document: serde_json::Value = serde_json::from_str(&schemas[0].1).unwrap();
    assert_eq!(document["paths"].as_object().unwrap().len(), 2);
    jobs.stop().await;
    assert_eq!(world.spooled(), [""; 0]);
}

/// A collection of Postman is kept as a specification and ingested nowhere.
pub async fn a_specification_is_kept(test: TestDb) {
    let world = World::new(test).await;
    let save = async |id: Option<&str>, collection_id: i32| {
        let request = SavePostmanCollectionRequest {
            postman_collection_id: id.map(str::to_owned),
            api_collection_id: collection_id,
        };
        client(&world).save_postman_collection(world.request("w", request)).await
    };
    assert_eq!(reason(save(Some("1-c1"), PLAIN).await).0, Reason::PostmanCredentialRequired);
    save_key(&world).await;
    assert_eq!(reason(save(None, PLAIN).await).0, Reason::MemberRequired);
    assert_eq!(reason(save(Some("1-c1"), 404).await).0, Reason::CollectionNotFound);
    assert_eq!(reason(save(Some("gone"), PLAIN).await).0, Reason::PostmanCollectionNotFound);
    save(Some("1-c1"), PLAIN).await.unwrap();
    let mut uploads = UploadsServiceClient::new(world.channel.clone());
    let request = GetSpecificationRequest { account_id: ACCOUNT, collection_id: PLAIN };
    let found = uploads.get_specification(request).await.unwrap().into_inner().specification.unwrap();
    let document: serde_json::Value = serde_json::from_str(&found.content).unwrap();
    assert_eq!((found.name.as_str(), document["paths"].as_object().unwrap().len()), ("Books", 1));
    assert_eq!(world.records().await, []);
}

async fn rows(world: &World, upload_id: &str) -> i64 {
    let db = world.test.store.service("imports").await.unwrap();
    let text = "SELECT (SELECT count(*) FROM upload_operations WHERE upload_id = $1) + \
        (SELECT count(*) FROM upload_groups WHERE upload_id = $1) + (SELECT count(*) FROM uploads WHERE upload_id = $1) AS n";
    db.fetch_one(text, args![upload_id]).await.unwrap().get("n").unwrap()
}

/// A deleted upload is out of sight at once, and its rows go, also when the job that removes them is interrupted.
pub async fn a_deleted_upload_goes(test: TestDb) {
    let world = World::new(test).await;
    let created = import_file(&world, "w", FILE).await.unwrap();
    let delete = async || {
        let request = DeletePostmanImportLogRequest { upload_id: Some(created.upload_id.clone()) };
        client(&world).delete_postman_import_log(world.request("d", request)).await
    };
    delete().await.unwrap();
    let request = GetPostmanImportLogRequest { upload_id: Some(created.upload_id.clone()) };
    let answer = client(&world).get_postman_import_log(world.request("", request)).await;
    assert_eq!(reason(answer).1, "Invalid upload id");
    assert_eq!(reason(delete().await).0, Reason::UploadNotFound);
    assert_eq!(rows(&world, &created.upload_id).await, 5);
    world.test.db.faults().at("imports.deleting").fail();
    let jobs = world.start_jobs().await;
    for _ in 0..300 {
        if rows(&world, &created.upload_id).await == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(rows(&world, &created.upload_id).await, 0);
    jobs.stop().await;
}

/// After a redaction no table of this service holds a value of the collection; after a deletion nothing is left of it.
pub async fn values_go_with_their_collection(test: TestDb) {
    let world = World::new(test).await;
    let file = FILE.replace("\"[]\"", "\"{\\\"mail\\\": \\\"ada@lovelace.dev\\\"}\"");
    let created = import_file(&world, "w", &file).await.unwrap();
    approve(&world, "a", &created.upload_id, "ONLY_SUCCESSFUL_APIS").await.unwrap();
    let name = "Shop- all";
    let position = world.inventory.names().iter().position(|known| known == name).unwrap();
    let collection_id = world.inventory.collections.lock().unwrap()[position].api_collection_id;
    let values = async || {
        let db = world.test.store.service("imports").await.unwrap();
        let text = "SELECT count(*) AS n FROM upload_operations WHERE record LIKE '%lovelace%'";
        db.fetch_one(text, args![]).await.unwrap().get::<i64>("n").unwrap()
    };
    assert_eq!(values().await, 1);
    let mut uploads = UploadsServiceClient::new(world.channel.clone());
    let request = RedactUploadsRequest { account_id: ACCOUNT, collection_id };
    assert_eq!(uploads.redact_uploads(request).await.unwrap().into_inner().uploads, 1);
    assert_eq!(values().await, 0);
    assert_eq!(log(&world, &created.upload_id).await.upload_details.unwrap().total_count, 3);
    let request = DeleteUploadsRequest { account_id: ACCOUNT, collection_id };
    assert_eq!(uploads.delete_uploads(request).await.unwrap().into_inner().uploads, 1);
    assert_eq!(uploads.delete_uploads(request).await.unwrap().into_inner().uploads, 0);
    assert_eq!(rows(&world, &created.upload_id).await, 0);
}
