//! The converters over real files, whose counts are known. `PORTOLAN_TEST_DATA` names the directory that holds them.

use std::ops::ControlFlow;
use std::path::PathBuf;

use portolan_formats::openapi::Document;
use portolan_formats::{Format, Target, detect, har, postman};
use portolan_record::{Record, Source};

/// The bytes of a file, or `None` with the reason printed when there is none to read.
fn read(name: &str) -> Option<Vec<u8>> {
    let Some(directory) = std::env::var_os("PORTOLAN_TEST_DATA") else {
        println!("skipped {name}: PORTOLAN_TEST_DATA is not set");
        return None;
    };
    Some(std::fs::read(PathBuf::from(directory).join(name)).unwrap_or_else(|error| panic!("{name}: {error}")))
}

fn target(source: Source) -> Target {
    Target { account_id: 1_000_000, collection_id: 7, time: 1_756_885_500, source }
}

/// Every operation is converted without errors, and the first one stands at `first`.
fn check_openapi(name: &str, operations: usize, first: &str) {
    let Some(bytes) = read(name) else { return };
    assert_eq!(detect(&bytes[..bytes.len().min(4096)]), Some(Format::OpenApi), "{name}");
    let document = Document::parse(&bytes).unwrap();
    assert!(document.title().is_some(), "{name}");
    let faults: Vec<_> = document.errors().iter().filter(|error| !error.error.contains(" webhooks and ")).collect();
    assert!(faults.is_empty(), "{name}: {faults:?}");
    assert_eq!(document.operation_count(), operations, "{name}");
    let outcomes: Vec<_> = document.operations(&target(Source::OpenApi)).collect();
    assert_eq!(outcomes.len(), operations, "{name}");
    let line = |outcome: &portolan_formats::openapi::OperationOutcome| format!("{} {}", outcome.method, outcome.url);
    assert_eq!(line(&outcomes[0]), first);
    let mut distinct: Vec<_> = outcomes.iter().map(line).collect();
    distinct.sort();
    distinct.dedup();
    println!("{name}: {operations} operations, {} distinct addresses", distinct.len());
    for outcome in &outcomes {
        let faults: Vec<_> =
            outcome.errors.iter().filter(|error| !error.error.contains("shares the endpoint")).collect();
        assert!(faults.is_empty(), "{name}: {} {faults:?}", line(outcome));
        let record = outcome.record.as_ref().unwrap_or_else(|| panic!("{name}: {} has no record", line(outcome)));
        assert_eq!(&Record::parse(&record.to_json()).unwrap(), record);
        assert!(
            !outcome.url.contains('{') && !outcome.url[8.min(outcome.url.len())..].contains("//"),
            "{}",
            outcome.url
        );
    }
}

#[test]
fn specifications_give_every_operation() {
    check_openapi("openapi/moby-docker-engine.swagger2.yaml", 108, "GET /v1.56/containers/json");
    check_openapi("openapi/slack-web.swagger2.json", 174, "POST https://slack.com/api/admin.apps.approve");
    check_openapi("openapi/github-enterprise.openapi3.yaml", 672, "GET https://github.com/");
    check_openapi("openapi/discord.openapi31.json", 242, "GET https://discord.com/api/v10/applications/@me");
    check_openapi("openapi/crapi.openapi3.json", 44, "POST http://localhost:8888/identity/api/auth/signup");
    check_openapi("openapi/vampi.openapi3.yml", 14, "GET http://localhost:5000/createdb");
    check_openapi("openapi/realworld-conduit.openapi31.yml", 19, "POST https://api.realworld.show/api/users/login");
    check_openapi("openapi/train-travel.openapi31.yaml", 7, "GET https://api.example.com/stations");
    check_openapi(
        "openapi/katapult-core.openapi3.json",
        189,
        "GET https://api.katapult.io/core/v1/organizations/organization/api_tokens",
    );
}

/// Every entry is converted, alike from memory and from a stream.
fn check_har(name: &str, entries: u64) {
    let Some(bytes) = read(name) else { return };
    assert_eq!(detect(&bytes[..bytes.len().min(4096)]), Some(Format::Har), "{name}");
    assert_eq!(har::validate_slice(&bytes).unwrap(), entries, "{name}");
    assert_eq!(har::validate_reader(&bytes[..]).unwrap(), entries, "{name}");
    let (mut texts, mut refusals) = (Vec::new(), Vec::new());
    let mut collect = |item: har::Item<'_>| {
        match item {
            har::Item::Record(record) => texts.push(record.to_json()),
            har::Item::Refused { index, reason } => refusals.push((index, reason)),
        }
        ControlFlow::Continue(())
    };
    let target = target(Source::Har);
    let summary = har::convert_slice(&bytes, &target, &mut collect).unwrap();
    assert_eq!(har::convert_reader(&bytes[..], &target, &mut collect).unwrap(), summary);
    assert_eq!(refusals, [], "{name}");
    assert_eq!(summary, har::Summary { records: entries, refused: 0 }, "{name}");
    let (from_memory, from_stream) = texts.split_at(texts.len() / 2);
    assert_eq!(from_memory, from_stream);
    for text in from_memory {
        let record = Record::parse(text).unwrap();
        let headers: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&record.request_headers).unwrap();
        assert!(headers.keys().all(|name| !name.contains([' ', ':']) && *name == name.to_lowercase()));
    }
}

#[test]
fn captures_give_every_entry() {
    check_har("har/akto-restapi_81.har", 81);
    check_har("har/cnn-chrome.har", 292);
    check_har("har/petstore.swagger.io.har", 9);
    check_har("har/request-generator-all-status-and-method.har", 665);
    check_har("har/reqres.in.har", 2);
    check_har("har/ie11.fiddler.har", 11);
}

/// Every request of a collection is accounted for, and its saved responses are among the records.
fn check_postman(name: &str, requests: usize, responses: usize, refused: usize, endpoints: usize, first: &str) {
    let Some(bytes) = read(name) else { return };
    assert_eq!(detect(&bytes[..bytes.len().min(256 * 1024)]), Some(Format::Postman), "{name}");
    let document = postman::Document::parse(&bytes).unwrap();
    let mut outcomes = Vec::new();
    for collection in document.collections() {
        assert!(collection.name().is_some() && collection.id().is_some(), "{name}");
        let errors = collection.convert(&target(Source::Postman), &mut |outcome| {
            outcomes.push(outcome);
            ControlFlow::Continue(())
        });
        assert_eq!(errors, [], "{name}");
    }
    let imported: Vec<_> = outcomes.iter().filter(|outcome| !outcome.records.is_empty()).collect();
    let answers = imported.iter().flat_map(|outcome| &outcome.records).filter(|record| record.status_code > 0).count();
    assert_eq!(format!("{} {}", imported[0].method, imported[0].url), first);
    // A saved response may have been asked of another address than its request.
    let records = imported.iter().flat_map(|outcome| &outcome.records);
    let address = |record: &Record<'_>| record.path.split('?').next().unwrap_or_default().to_owned();
    let mut lines: Vec<_> = records.map(|record| format!("{} {}", record.method, address(record))).collect();
    lines.sort();
    lines.dedup();
    let counts = (outcomes.len(), imported.len(), outcomes.len() - imported.len(), answers, lines.len());
    println!(
        "{name}: {} requests = {} imported + {} refused; {} saved responses; {} addresses",
        counts.0, counts.1, counts.2, counts.3, counts.4
    );
    assert_eq!(counts, (requests, requests - refused, refused, responses, endpoints), "{name}: {lines:#?}");
    for outcome in &outcomes {
        assert_eq!(outcome.errors, [], "{name}: {}", outcome.name);
        for record in &outcome.records {
            assert_eq!(&Record::parse(&record.to_json()).unwrap(), record);
        }
    }
}

#[test]
fn postman_collections() {
    check_postman(
        "postman/crapi.postman_collection.json",
        49,
        0,
        0,
        37,
        "POST http://{{url}}/identity/api/auth/signup",
    );
    check_postman("postman/vapi.postman_collection.json", 26, 0, 0, 26, "POST http://{{host}}/vapi/api1/user");
    check_postman("postman/echo-v2.postman_collection.json", 22, 10, 0, 21, "GET https://postman-echo.com/digest-auth");
    check_postman(
        "postman/multi-level-folders-v1.postman_collection.json",
        6,
        0,
        0,
        1,
        "GET https://postman-echo.com/get",
    );
    check_postman(
        "postman/midtrans.postman_collection.json",
        61,
        0,
        0,
        10,
        "POST https://app.sandbox.midtrans.com/snap/v1/transactions",
    );
    check_postman(
        "postman/twitter-api-v2.postman_collection.json",
        56,
        75,
        0,
        56,
        "GET https://api.twitter.com/2/tweets/INTEGER",
    );
    check_postman(
        "postman/stripe.postman_collection.json",
        457,
        0,
        0,
        456,
        "POST https://api.stripe.com/v1/account_sessions",
    );
}
