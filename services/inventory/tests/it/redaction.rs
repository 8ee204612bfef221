use portolan_ids::CollectionId;
use portolan_inventory::{Deps, collections, demerge, endpoints, redaction};
use portolan_jobs::State;
use portolan_record::Record;
use portolan_store::Sql;
use portolan_testkit::TestDb;

use crate::harness::{ACCOUNT, admin, call, create, deps, ingest, run_jobs};

const TABLES: [&str; 10] = [
    "endpoints",
    "parameters",
    "samples",
    "api_endpoints",
    "collections",
    "demerged_urls",
    "jobs",
    "outbox",
    "markings",
    "call_stats",
];

/// Calls whose every value is a word of its own.
fn calls(collection_id: CollectionId, from: i64) -> Vec<Record<'static>> {
    (from..from + 12)
        .map(|n| {
            let letters: String =
                (0..3).map(|at| char::from(b'a' + u8::try_from((n / 3_i64.pow(at)) % 3).unwrap())).collect();
            Record {
                request_headers: format!(r#"{{"host":"h","x-secret":"hdrzz{n}"}}"#).into(),
                request_payload: format!("field=formzz{n}").into(),
                response_payload: format!(r#"{{"mail":"mailzz{n}@corp.io","n":{}}}"#, 7_654_000 + n).into(),
                ip: format!("77.88.99.{n}").into(),
                ..call(collection_id, "GET", &format!("/zzseg{letters}q/books?q=queryzz{n}"), 5 + n)
            }
        })
        .collect()
}

/// The rows of all tables that hold one of the values.
async fn traces(deps: &Deps) -> Vec<String> {
    let mut found = Vec::new();
    for table in TABLES {
        let Ok(rows) = deps.db.fetch_all(Sql::assembled(format!("SELECT * FROM {table}")), vec![]).await else {
            continue;
        };
        for row in rows {
            let columns = (0..row.len()).filter_map(|at| {
                row.get::<Option<String>>(at)
                    .map(Option::unwrap_or_default)
                    .or_else(|_| row.get::<Option<i64>>(at).map(|n| n.unwrap_or_default().to_string()))
                    .ok()
            });
            let text = columns.collect::<Vec<_>>().join(" | ");
            let values = ["hdrzz", "formzz", "mailzz", "76540", "77.88.99", "queryzz", "zzseg"];
            if values.iter().any(|value| text.contains(value)) {
                found.push(format!("{table}: {text}"));
            }
        }
    }
    found
}

/// The values that the files of an SQLite database hold; none on Postgres, whose files are its server's.
fn traces_in_files(test: &TestDb) -> Vec<String> {
    let Some(directory) = test.url.strip_prefix("sqlite:") else { return Vec::new() };
    let mut found = Vec::new();
    for file in std::fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for value in ["hdrzz", "formzz", "mailzz", "77.88.99", "queryzz", "zzseg"] {
            if bytes.windows(value.len()).any(|window| window == value.as_bytes()) {
                found.push(format!("{value} in {}", path.display()));
            }
        }
    }
    found
}

/// Every value goes, from old records and from new ones; the structure stays, and the counts.
pub async fn no_value_is_left(test: TestDb) {
    let deps = deps(&test).await;
    let (id, me) = (create(&deps, ACCOUNT, "Secret").await.id, admin(ACCOUNT));
    ingest(&deps, "old", &calls(id, 0)).await;
    assert!(traces(&deps).await.len() > 20);
    assert!(!test.url.starts_with("sqlite:") || traces_in_files(&test).len() > 5);
    let before = endpoints::list(&deps, &me, id).await.unwrap().1;
    assert_eq!(before.len(), 1);
    assert_eq!(before[0].id.url, "/STRING/books");

    let job_id = redaction::update(&deps, &me, id, true).await.unwrap().unwrap();
    run_jobs(&deps).await;
    assert_eq!(deps.jobs.get(ACCOUNT, &job_id).await.unwrap().unwrap().state, State::Succeeded);
    assert_eq!(traces(&deps).await, Vec::<String>::new());
    assert_eq!(traces_in_files(&test), Vec::<String>::new());
    ingest(&deps, "new", &calls(id, 12)).await;
    assert_eq!(traces(&deps).await, Vec::<String>::new());

    let after = endpoints::list(&deps, &me, id).await.unwrap();
    assert!(after.0 && after.1.len() == 1);
    assert_eq!((&after.1[0].id, &after.1[0].response_codes), (&before[0].id, &before[0].response_codes));
    let parameters = portolan_inventory::parameters::list(&deps, &me, &before[0].id).await.unwrap();
    let mail = parameters.iter().find(|known| known.key.name == "mail").unwrap();
    assert_eq!((mail.seen.count, mail.seen.sensitive), (24, true));
    assert!(parameters.iter().any(|known| known.key.is_url_param && known.seen.count == 24));
    let samples = portolan_inventory::samples::list(&deps, &me, &before[0].id).await.unwrap().remove(0).records;
    assert!(samples.iter().all(|sample| sample.contains("****") && sample.contains("/STRING/books?q=****")));
}

/// Nothing of a deleted collection is left in the files of the database when its job has ended.
pub async fn a_deletion_leaves_no_bytes(test: TestDb) {
    let deps = deps(&test).await;
    let (id, me) = (create(&deps, ACCOUNT, "Secret").await.id, admin(ACCOUNT));
    ingest(&deps, "old", &calls(id, 0)).await;
    collections::delete(&deps, &me, vec![id]).await.unwrap();
    run_jobs(&deps).await;
    assert_eq!(traces(&deps).await, Vec::<String>::new());
    assert_eq!(traces_in_files(&test), Vec::<String>::new());
}

/// A new collection that is redacted from the start never stores a value, also before its URLs become a template.
pub async fn nothing_is_stored_first(test: TestDb) {
    let deps = deps(&test).await;
    let (id, me) = (create(&deps, ACCOUNT, "Secret").await.id, admin(ACCOUNT));
    redaction::update(&deps, &me, id, true).await.unwrap();
    run_jobs(&deps).await;
    for (index, part) in calls(id, 0).chunks(5).enumerate() {
        ingest(&deps, &format!("p{index}"), part).await;
    }
    assert_eq!(traces(&deps).await, Vec::<String>::new());
    let list = endpoints::list(&deps, &me, id).await.unwrap().1;
    assert_eq!(list.len(), 1);
    // What a template gathered is not kept beside it.
    demerge::demerge(&deps, &me, id, Some("/STRING/books"), Some("GET")).await.unwrap();
    assert_eq!(traces(&deps).await, Vec::<String>::new());
}
