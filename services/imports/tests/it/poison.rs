//! Jobs of every kind whose stored parts are spoiled, or whose work never goes: each ends as failed, with its reason, and
//! the next of its kind is done.

use std::time::Duration;

use portolan_api::imports::v1::postman_service_client::PostmanServiceClient;
use portolan_api::imports::v1::sources_service_client::SourcesServiceClient;
use portolan_api::imports::v1::*;
use portolan_jobs::PREPARED;
use portolan_store::{Sql, args};
use portolan_testkit::TestDb;

use crate::har::CAPTURE;
use crate::inventory::PLAIN;
use crate::jobs::{attempted, ended, get, send, wait_for};
use crate::postman_server::{KEY, WORKSPACE};
use crate::world::World;

const KINDS: [&str; 5] = ["import", "import.url", "import.postman_workspace", "export.postman", "upload.delete"];

/// A job of each kind, by the name of the round.
async fn one_of_each(world: &World, round: &str) -> Vec<String> {
    let mut postman = PostmanServiceClient::new(world.channel.clone());
    let credential =
        SavePostmanCredentialRequest { api_key: Some(KEY.to_owned()), workspace_id: Some(WORKSPACE.to_owned()) };
    postman.save_postman_credential(world.request(round, credential)).await.unwrap();
    let file = send(world, &format!("{round}/file"), CreateImportRequest::default(), CAPTURE.as_bytes()).await.unwrap();
    let url = ImportUrlRequest {
        url: Some("https://poison.example.com/a".to_owned()),
        custom_response_body: Some("{}".to_owned()),
        custom_response_status_code: Some(200),
        ..Default::default()
    };
    let mut sources = SourcesServiceClient::new(world.channel.clone());
    let url = sources.import_url(world.request(&format!("{round}/url"), url)).await.unwrap().into_inner();
    let workspace = ImportPostmanWorkspaceRequest {
        api_key: Some(KEY.to_owned()),
        workspace_id: Some(WORKSPACE.to_owned()),
        ..Default::default()
    };
    let workspace = world.request(&format!("{round}/workspace"), workspace);
    let workspace = postman.import_postman_workspace(workspace).await.unwrap().into_inner();
    let export = ExportToPostmanRequest { api_collection_id: PLAIN, api_info_key_list: Vec::new() };
    let export = world.request(&format!("{round}/export"), export);
    let export = postman.export_to_postman(export).await.unwrap().into_inner();
    let upload = ImportPostmanFileRequest {
        postman_collection_file: Some(r#"{"info": {"name": "n"}, "item": []}"#.to_owned()),
        ..Default::default()
    };
    let upload = world.request(&format!("{round}/upload"), upload);
    let upload_id = postman.import_postman_file(upload).await.unwrap().into_inner().upload_id;
    let delete = DeletePostmanImportLogRequest { upload_id: Some(upload_id) };
    postman.delete_postman_import_log(world.request(&format!("{round}/delete"), delete)).await.unwrap();
    let list = world.client.clone().list_jobs(world.request("", ListJobsRequest::default())).await.unwrap();
    let delete = list.into_inner().jobs.into_iter().find(|job| job.kind == "upload.delete").unwrap();
    let jobs = vec![file.job_id, url.job_id, workspace.job_id, export.job_id, delete.job_id];
    for (job_id, kind) in jobs.iter().zip(KINDS) {
        assert_eq!(get(world, job_id).await.kind, kind);
    }
    jobs
}

async fn expect_sound(world: &World, jobs: &[String]) {
    for (job_id, kind) in jobs.iter().zip(KINDS) {
        let job = wait_for(world, job_id, ended).await;
        assert_eq!((job.state.as_str(), job.error.as_deref()), ("SUCCEEDED", None), "{kind}");
    }
}

/// Each stored part in an older form, cut off, with an unknown word, and of a hostile size.
pub async fn spoiled_jobs_hold_up_no_other(test: TestDb) {
    let world = World::new(test).await;
    let db = world.test.store.service("imports").await.unwrap();
    let deep = "[".repeat(200_000);
    let large = format!("{{\"name\": {{\"a\": \"{}\"}}}}", "x".repeat(4 << 20));
    let mut spoiled = Vec::new();
    for (column, value) in [
        ("arguments", "{\"version\": 1}"),
        ("arguments", "{\"format\": \"HAR\", \"name\": \"n"),
        ("arguments", "{\"format\": \"FAX\", \"is_archive\": false, \"path_only\": false, \"content_digest\": \"\"}"),
        ("arguments", &deep),
        ("arguments", &large),
        ("cursor", "7"),
        ("cursor", "{\"progress\": {\"total_items\": 1"),
        ("cursor", "{\"progress\": {\"refusals\": \"all\"}}"),
        ("cursor", &deep),
        ("kind", "import.fax"),
    ] {
        let round = format!("{column} {}", &value[..value.len().min(40)]);
        for (job_id, kind) in one_of_each(&world, &round).await.into_iter().zip(KINDS) {
            let spoil = Sql::assembled(format!("UPDATE jobs SET {column} = $2 WHERE job_id = $1"));
            assert_eq!(db.execute(spoil, args![&job_id, value]).await.unwrap(), 1);
            spoiled.push((format!("{kind}: {round}"), job_id));
        }
    }
    let sound = one_of_each(&world, "sound").await;
    let jobs = world.start_jobs().await;
    expect_sound(&world, &sound).await;
    for (what, job_id) in &spoiled {
        let job = wait_for(&world, job_id, ended).await;
        let reason = job.error.unwrap_or_default();
        assert!(job.state == "FAILED" && reason.starts_with("The job cannot be read: "), "{what}: {reason}");
        assert!(reason.len() < 500, "{what}: {reason}");
    }
    jobs.stop().await;
    assert_eq!(world.spooled(), [""; 0]);
}

/// Work of every kind that fails, panics, or hangs at each attempt.
pub async fn work_that_never_goes_holds_up_no_other(test: TestDb) {
    let world = World::new(test).await;
    for (how, reason) in [
        ("fails", "Given up after 10 attempts: "),
        ("panics", "Given up after 10 attempts: Internal error: the work panicked"),
        ("hangs", "Given up after 10 attempts: Internal error: the work did not go on for "),
    ] {
        let lost = one_of_each(&world, how).await;
        for job_id in &lost {
            // All but the last.
            attempted(&world, job_id, 9).await;
        }
        let point = world.test.store.faults().at(PREPARED).times(1_000);
        match how {
            "fails" => point.fail(),
            "panics" => point.panic(),
            _ => point.delay(Duration::from_secs(3_600)),
        }
        let jobs = world.start_jobs_stalling_after(Duration::from_millis(500)).await;
        for (job_id, kind) in lost.iter().zip(KINDS) {
            let job = loop {
                let job = get(&world, job_id).await;
                if ended(&job) {
                    break job;
                }
                // Work that came further before it failed has all its attempts again.
                if job.state == "PENDING" {
                    attempted(&world, job_id, 9).await;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            };
            let error = job.error.unwrap_or_default();
            assert!(job.state == "FAILED" && error.starts_with(reason), "{kind} {how}: {error}");
        }
        world.test.store.faults().clear();
        expect_sound(&world, &one_of_each(&world, &format!("after {how}")).await).await;
        jobs.stop().await;
    }
    assert_eq!(world.spooled(), [""; 0]);
}
