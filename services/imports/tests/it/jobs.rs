use std::io::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use portolan_api::Reason;
use portolan_api::imports::v1::{
    CancelJobRequest, CreateImportRequest, CreateImportResponse, GetJobRequest, Job, ListJobsRequest,
};
use portolan_authz::Caller;
use portolan_ids::AccountId;
use portolan_store::args;
use portolan_testkit::TestDb;
use tonic::Status;

use crate::har::CAPTURE;
use crate::inventory::{GROUP, HOST};
use crate::world::{ACCOUNT, World, reason};

/// Sends a file in pieces of some bytes.
pub async fn send(
    world: &World,
    write_id: &str,
    first: CreateImportRequest,
    file: &[u8],
) -> Result<CreateImportResponse, Status> {
    let piece = |content: &[u8]| CreateImportRequest { content: content.to_vec().into(), ..Default::default() };
    let messages: Vec<_> = std::iter::once(first).chain(file.chunks(1000).map(piece)).collect();
    let request = world.request(write_id, tokio_stream::iter(messages));
    Ok(world.client.clone().create_import(request).await?.into_inner())
}

pub async fn get(world: &World, job_id: &str) -> Job {
    let request = world.request("", GetJobRequest { job_id: job_id.to_owned() });
    world.client.clone().get_job(request).await.unwrap().into_inner().job.unwrap()
}

pub async fn wait_for(world: &World, job_id: &str, until: impl Fn(&Job) -> bool) -> Job {
    for _ in 0..500 {
        let job = get(world, job_id).await;
        if until(&job) {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the job did not get there: {:?}", get(world, job_id).await);
}

pub fn ended(job: &Job) -> bool {
    !matches!(job.state.as_str(), "PENDING" | "RUNNING")
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// A capture of so many entries, of some hundred bytes each.
fn capture(entries: usize) -> Vec<u8> {
    let entry = |index: usize| {
        format!(
            r#"{{"request":{{"method":"GET","url":"https://big.example.com/items/{index}"}},"response":{{"status":200,"content":{{"text":"{}"}}}}}}"#,
            "x".repeat(500)
        )
    };
    let entries: Vec<_> = (0..entries).map(entry).collect();
    format!(r#"{{"log":{{"entries":[{}]}}}}"#, entries.join(",")).into_bytes()
}

/// A compressed capture becomes records in a collection that its first host names, and its file is removed.
pub async fn a_file_is_imported(test: TestDb) {
    let world = World::new(test).await;
    let jobs = world.start_jobs().await;
    let created = send(&world, "w", CreateImportRequest::default(), &gzip(CAPTURE.as_bytes())).await.unwrap();
    let again = send(&world, "w", CreateImportRequest::default(), &gzip(CAPTURE.as_bytes())).await.unwrap();
    assert_eq!(again, created);
    let mut other = gzip(CAPTURE.as_bytes());
    *other.last_mut().unwrap() ^= 1;
    for other in [other.as_slice(), b""] {
        let refused = send(&world, "w", CreateImportRequest::default(), other).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::AlreadyExists, "{refused}");
    }
    let job = wait_for(&world, &created.job_id, ended).await;
    assert_eq!((job.state.as_str(), job.format.as_str(), job.kind.as_str()), ("SUCCEEDED", "HAR", "import"));
    assert_eq!((job.total_items, job.imported_items, job.refused_items), (3, 2, 1));
    assert_eq!((job.refusals.len(), job.refusals[0].item.as_str()), (1, "2"));
    assert_eq!((job.collection_name.as_deref(), job.bytes_done), (Some("shop.example.com"), job.bytes_total));
    assert_eq!(world.records().await.len(), 2);
    jobs.stop().await;
    assert_eq!(world.spooled(), [""; 0]);
}

/// A specification becomes records and an upload with a log.
pub async fn a_specification_is_imported(test: TestDb) {
    let world = World::new(test).await;
    let jobs = world.start_jobs().await;
    let text = b"openapi: 3.0.0\ninfo:\n  title: Pets\npaths:\n  /pets:\n    get: {responses: {}}\n    purge: {responses: {}}\n";
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file("pets/openapi.yaml", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut archive, text).unwrap();
    let archive = archive.finish().unwrap().into_inner();
    for (id, file, place) in [("w", &text[..], ""), ("archive", &archive, "pets/openapi.yaml: ")] {
        let first = CreateImportRequest { collection_id: Some(HOST), ..Default::default() };
        let created = send(&world, id, first, file).await.unwrap();
        let job = wait_for(&world, &created.job_id, ended).await;
        assert_eq!((job.state.as_str(), job.format.as_str(), job.imported_items), ("SUCCEEDED", "OPENAPI", 1));
        assert_eq!(world.records().await[0].path, "/pets");
        // What is not read is named, and no item is refused for it.
        assert_eq!(job.notes, [format!("{place}path /pets: member `purge` is not understood and left out")]);
        assert_eq!((job.refused_items, job.refusals), (0, Vec::new()));
    }
    jobs.stop().await;
}

/// A job whose work failed after an append, and that was given back later, goes on at the next start, and its chunks
/// are in the log once.
pub async fn a_job_goes_on_after_a_restart(test: TestDb) {
    let world = World::new(test).await;
    world.inventory.held.store(true, Ordering::Relaxed);
    let jobs = world.start_jobs().await;
    world.test.db.faults().at("imports.appended").fail();
    // More than two chunks of 2 MiB.
    let created = send(&world, "w", CreateImportRequest::default(), &capture(6_000)).await.unwrap();
    wait_for(&world, &created.job_id, |job| job.imported_items > 0).await;
    jobs.stop().await;
    assert_eq!(get(&world, &created.job_id).await.state, "PENDING");
    assert_eq!(world.spooled().len(), 1);

    world.inventory.held.store(false, Ordering::Relaxed);
    let jobs = world.start_jobs().await;
    let job = wait_for(&world, &created.job_id, ended).await;
    assert_eq!((job.state.as_str(), job.imported_items, job.total_items), ("SUCCEEDED", 6_000, 6_000));
    let records = world.records().await;
    let mut paths: Vec<_> = records.iter().map(|seen| seen.path.as_str()).collect();
    paths.dedup();
    assert_eq!((records.len(), paths.len()), (6_000, 6_000));
    jobs.stop().await;
}

/// A file that breaks off is refused as a whole, although its first chunks are sound.
pub async fn a_damaged_file_fails_and_appends_nothing(test: TestDb) {
    let world = World::new(test).await;
    let jobs = world.start_jobs().await;
    let mut file = capture(6_000);
    file.truncate(file.len() - 3);
    let created = send(&world, "w", CreateImportRequest::default(), &file).await.unwrap();
    let job = wait_for(&world, &created.job_id, ended).await;
    assert_eq!((job.state.as_str(), job.imported_items), ("FAILED", 0));
    assert!(job.error.is_some_and(|error| error.contains("line 1")));
    assert_eq!(world.records().await, []);
    jobs.stop().await;
    assert_eq!(world.spooled(), [""; 0]);
}

async fn refused(world: &World, first: CreateImportRequest, file: &[u8], expected: Reason) {
    assert_eq!(reason(send(world, "w", first, file).await).0, expected);
}

/// What is refused at once leaves no file, no job and no collection.
pub async fn a_refused_upload_leaves_nothing(test: TestDb) {
    let world = World::new(test).await;
    let names = world.inventory.names();
    let into = |id: i32| CreateImportRequest { collection_id: Some(id), ..Default::default() };
    refused(&world, CreateImportRequest::default(), b"hello", Reason::FormatUnknown).await;
    let named = reason(send(&world, "w", CreateImportRequest::default(), b"#%RAML 1.0\ntitle: A\n").await).1;
    assert!(named.starts_with("The file is of no known format: this is a RAML document; accepted are HAR"), "{named}");
    refused(&world, CreateImportRequest::default(), b"", Reason::FormatUnknown).await;
    refused(&world, into(404), CAPTURE.as_bytes(), Reason::CollectionNotFound).await;
    refused(&world, into(HOST), CAPTURE.as_bytes(), Reason::UploadToHostCollection).await;
    refused(&world, into(GROUP), b"openapi: 3.0.0\n", Reason::OpenapiToGroup).await;
    let brotli = CreateImportRequest { content_encoding: "br".to_owned(), ..Default::default() };
    refused(&world, brotli, CAPTURE.as_bytes(), Reason::UploadUnreadable).await;
    assert_eq!(world.spooled(), [""; 0]);
    assert_eq!(world.inventory.names(), names);
    let list = world.client.clone().list_jobs(world.request("", ListJobsRequest::default())).await.unwrap();
    assert_eq!(list.get_ref().jobs, []);
}

/// A reader of a job who may import ends it: its file goes, and its upload is marked. Ended jobs, removals and jobs of
/// the inventory are left alone.
pub async fn a_job_is_cancelled(test: TestDb) {
    let world = World::new(test).await;
    let cancel = async |caller: &Caller, job_id: &str| {
        let request = world.request_of(caller.clone(), "c", CancelJobRequest { job_id: job_id.to_owned() });
        world.client.clone().cancel_job(request).await.map(|answer| answer.into_inner().job.unwrap())
    };
    let created = send(&world, "w", CreateImportRequest::default(), CAPTURE.as_bytes()).await.unwrap();
    let mut stranger = world.caller.clone();
    stranger.account_id = AccountId(ACCOUNT + 1);
    assert_eq!(reason(cancel(&stranger, &created.job_id).await).0, Reason::JobNotFound);
    assert_eq!(world.spooled().len(), 1);
    let job = cancel(&world.caller, &created.job_id).await.unwrap();
    assert_eq!((job.state.as_str(), job.error.as_deref()), ("CANCELLED", Some("It was cancelled")));
    assert_eq!(world.spooled(), [""; 0]);
    assert_eq!(reason(cancel(&world.caller, &created.job_id).await).0, Reason::JobEnded);
    let theirs = "018f0000-0000-7000-8000-000000000001";
    let job = portolan_api::common::v1::Job {
        job_id: theirs.to_owned(),
        kind: "delete-collection".to_owned(),
        ..Default::default()
    };
    world.inventory.jobs.lock().unwrap().push(job);
    let refused = reason(cancel(&world.caller, theirs).await);
    assert_eq!(refused, (Reason::JobNotCancellable, "A job of kind delete-collection cannot be cancelled".to_owned()));
    let jobs = world.start_jobs().await;
    let again = send(&world, "v", CreateImportRequest::default(), CAPTURE.as_bytes()).await.unwrap();
    assert_eq!(wait_for(&world, &again.job_id, ended).await.state, "SUCCEEDED");
    assert_eq!(world.records().await.len(), 2);
    jobs.stop().await;
}

/// Jobs are listed page by page, the newest first, to their own account.
pub async fn jobs_are_listed_in_pages(test: TestDb) {
    let world = World::new(test).await;
    let mut sent = Vec::new();
    // Older and newer ones of the inventory, of two of which only the ids differ.
    let theirs = [
        "018f0000-0000-7000-8000-000000000001",
        "018f0000-0000-7000-8000-000000000002",
        "ffff0000-0000-7000-8000-000000000003",
    ];
    for (job_id, created_at) in theirs.into_iter().zip([5, 5, i64::MAX]) {
        let job = portolan_api::common::v1::Job { job_id: job_id.to_owned(), created_at, ..Default::default() };
        world.inventory.jobs.lock().unwrap().push(job);
    }
    for index in 0..3 {
        sent.push(send(&world, &index.to_string(), CreateImportRequest::default(), CAPTURE.as_bytes()).await.unwrap());
    }
    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = world.request("", ListJobsRequest { page_size: 2, page_token });
        let page = world.client.clone().list_jobs(request).await.unwrap().into_inner();
        assert!(page.jobs.len() <= 2);
        listed.extend(page.jobs.into_iter().map(|job| job.job_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let own = sent.iter().rev().map(|created| created.job_id.as_str());
    let expected: Vec<_> = [theirs[2]].into_iter().chain(own).chain([theirs[1], theirs[0]]).collect();
    assert_eq!(listed, expected);
    assert_eq!(get(&world, theirs[0]).await.created_at, 5);

    let mut stranger = world.caller.clone();
    stranger.account_id = AccountId(ACCOUNT + 1);
    for job_id in [sent[0].job_id.clone(), "x".to_owned(), String::new()] {
        let request = world.request_of(stranger.clone(), "", GetJobRequest { job_id });
        assert_eq!(reason(world.client.clone().get_job(request).await).0, Reason::JobNotFound);
    }
    let request = world.request("", ListJobsRequest { page_size: 0, page_token: "x".to_owned() });
    assert_eq!(reason(world.client.clone().list_jobs(request).await).0, Reason::PageTokenInvalid);
}

/// Notes attempts of a job that brought it no further, after which it is due.
pub async fn attempted(world: &World, job_id: &str, attempts: i64) {
    let db = world.test.store.service("imports").await.unwrap();
    let spend = "UPDATE jobs SET attempts = $2, due_at = 0 WHERE job_id = $1";
    assert_eq!(db.execute(spend, args![job_id, attempts]).await.unwrap(), 1);
}

/// Each part of a stored job that may be damaged ends that job alone, and hides no other in the lists.
pub async fn a_job_that_cannot_be_read_holds_up_no_other(test: TestDb) {
    let world = World::new(test).await;
    let db = world.test.store.service("imports").await.unwrap();
    let mut damaged = Vec::new();
    for damage in [
        "UPDATE jobs SET kind = 'import.fax' WHERE job_id = $1",
        "UPDATE jobs SET arguments = replace(arguments, 'HAR', 'FAX') WHERE job_id = $1",
        "UPDATE jobs SET cursor = '{' WHERE job_id = $1",
        "UPDATE jobs SET collection_id = 4294967296 WHERE job_id = $1",
    ] {
        let created = send(&world, damage, CreateImportRequest::default(), CAPTURE.as_bytes()).await.unwrap();
        db.execute(damage, args![&created.job_id]).await.unwrap();
        damaged.push(created.job_id);
    }
    let sound = send(&world, "sound", CreateImportRequest::default(), CAPTURE.as_bytes()).await.unwrap();
    let jobs = world.start_jobs().await;
    assert_eq!(wait_for(&world, &sound.job_id, ended).await.state, "SUCCEEDED");
    for job_id in &damaged {
        let job = wait_for(&world, job_id, ended).await;
        let reason = job.error.unwrap();
        assert!(job.state == "FAILED" && reason.starts_with("The job cannot be read"), "{} {reason}", job.state);
    }
    let list = world.client.clone().list_jobs(world.request("", ListJobsRequest::default())).await.unwrap();
    assert_eq!(list.get_ref().jobs.len(), damaged.len() + 1);
    jobs.stop().await;
    assert_eq!((world.spooled(), world.records().await.len()), (vec![], 2));
}

pub async fn what_always_fails_ends_failed(test: TestDb) {
    let world = World::new(test).await;
    let created = send(&world, "w", CreateImportRequest::default(), CAPTURE.as_bytes()).await.unwrap();
    world.test.db.faults().at("imports.appended").times(1_000).fail();
    // All but the last.
    attempted(&world, &created.job_id, 9).await;
    let jobs = world.start_jobs().await;
    let job = wait_for(&world, &created.job_id, ended).await;
    let reason = job.error.unwrap();
    assert!(job.state == "FAILED" && reason.starts_with("Given up after 10 attempts: "), "{} {reason}", job.state);
    jobs.stop().await;
    assert_eq!(world.spooled(), [""; 0]);
}

/// The inventory never reads what was appended.
pub async fn what_hangs_ends_failed(test: TestDb) {
    let world = World::new(test).await;
    world.inventory.held.store(true, Ordering::Relaxed);
    let created = send(&world, "w", CreateImportRequest::default(), CAPTURE.as_bytes()).await.unwrap();
    let jobs = world.start_jobs_stalling_after(Duration::from_millis(100)).await;
    wait_for(&world, &created.job_id, |job| job.imported_items == 2).await;
    jobs.stop().await;
    attempted(&world, &created.job_id, 9).await;
    let jobs = world.start_jobs_stalling_after(Duration::from_millis(100)).await;
    let job = wait_for(&world, &created.job_id, ended).await;
    let reason = job.error.unwrap();
    assert!(job.state == "FAILED" && reason.starts_with("Given up after 10 attempts: "), "{} {reason}", job.state);
    jobs.stop().await;
    assert_eq!(world.spooled(), [""; 0]);
}

pub async fn what_kills_its_process_ends_failed(test: TestDb) {
    let world = World::new(test).await;
    let created = send(&world, "w", CreateImportRequest::default(), CAPTURE.as_bytes()).await.unwrap();
    attempted(&world, &created.job_id, 10).await;
    let jobs = world.start_jobs().await;
    let job = wait_for(&world, &created.job_id, ended).await;
    let reason = job.error.as_deref();
    assert_eq!((job.state.as_str(), reason), ("FAILED", Some("The process died at every attempt")));
    jobs.stop().await;
    assert_eq!((world.spooled(), world.records().await), (vec![], vec![]));
}
