use std::collections::BTreeSet;

use portolan_ids::CollectionId;
use portolan_inventory::{
    Deps, collections, demerge, endpoints, groups,
    model::{
        collections::CollectionName,
        conditions::Written,
        data_types::{Changes, ConditionList, PredicateText},
        endpoints::EndpointId,
        issues::Report,
        markings::ParameterId,
    },
    parameters::{data_types, markings},
    platform, retemplating,
    statistics::issues,
};
use portolan_jobs::{STEPPED, State};
use portolan_record::Record;
use portolan_store::Value;
use portolan_testkit::TestDb;

use crate::{
    durable::run_with_deaths,
    harness::{ACCOUNT, admin, append, call, create, deps, ingest, run_jobs, start_ingest, tables, wait_for_all},
};

/// Codes that are no words, too few and showing too little to be values of a variable.
fn token(number: usize) -> String {
    format!("zq{}7", ["abba", "cedd", "effe", "gohh", "ijki", "klml", "mnon"][number % 7])
}

fn calls(collection_id: CollectionId, numbers: std::ops::Range<usize>) -> Vec<Record<'static>> {
    let record = |n: usize| Record {
        status_code: if n.is_multiple_of(9) { 404 } else { 200 },
        ip: format!("77.1.2.{}", n % 5).into(),
        ..call(collection_id, "GET", &format!("/lots/{}/lines?page={n}", token(n)), 100 + n as i64)
    };
    numbers.map(record).collect()
}

fn lots() -> Changes {
    let predicate = PredicateText { kind: "REGEX".into(), value: "zq[a-z]{4}7".into(), values: Vec::new() };
    let list = ConditionList { operator: String::new(), predicates: vec![predicate] };
    Changes { value_conditions: Some(Some(list)), ..Changes::default() }
}

async fn urls(deps: &Deps, collection_id: CollectionId) -> BTreeSet<String> {
    let (_, list) = endpoints::list(deps, &admin(ACCOUNT), collection_id).await.unwrap();
    let all = collections::list(deps, &admin(ACCOUNT)).await.unwrap();
    let counted = all.iter().find(|known| known.id == collection_id).unwrap().endpoint_count;
    assert_eq!(usize::try_from(counted).unwrap(), list.len());
    list.into_iter().map(|endpoint| endpoint.id.url).collect()
}

/// Everything that is stored of a collection, but for the text of stored calls, which names it.
async fn stored(deps: &Deps, collection_id: CollectionId) -> Vec<String> {
    let prefix = format!("{collection_id} | ");
    let mut rows = Vec::new();
    for (name, list) in tables(deps, ACCOUNT).await {
        let of = list.iter().filter_map(|row| row.strip_prefix(&prefix));
        // A sample is its endpoint, its digest, its time and its text.
        rows.extend(of.map(|row| match name {
            "samples" => {
                row.split(" | ").enumerate().filter(|(at, _)| matches!(at, 0 | 2)).map(|(_, part)| part).collect()
            }
            _ => format!("{name} {row}"),
        }));
    }
    // Addresses leave after a week, and these calls are old.
    let query = "SELECT endpoint_key, hour, minutes FROM call_stats WHERE account_id = $1 \
                 AND collection_id = $2 ORDER BY endpoint_key, hour";
    for row in deps.db.fetch_all(query, vec![Value::from(ACCOUNT), collection_id.into()]).await.unwrap() {
        let text = |column: &str| row.get::<String>(column).unwrap();
        let hour = row.get::<i64>("hour").unwrap();
        rows.push(format!("calls {} {hour} {}", text("endpoint_key"), text("minutes")));
    }
    rows.sort();
    rows
}

async fn ended(deps: &Deps) {
    let all = deps.jobs.list(ACCOUNT, 0, None).await.unwrap();
    assert!(all.iter().all(|job| job.state == State::Succeeded), "{all:?}");
}

/// Kinds of data tell identifiers in URLs: what is there becomes what the same calls make today, in both directions.
pub async fn kinds_of_data_apply_to_what_is_there(test: TestDb) {
    let deps = deps(&test).await;
    let me = admin(ACCOUNT);
    let (old, new) = (create(&deps, ACCOUNT, "A").await.id, create(&deps, ACCOUNT, "B").await.id);
    ingest(&deps, "old", &calls(old, 0..60)).await;
    assert_eq!(urls(&deps, old).await.len(), 7);
    data_types::create(&deps, &me, "LOT", lots()).await.unwrap();
    deps.db.faults().at(STEPPED).times(2).fail();
    run_jobs(&deps).await;
    // Calls that come in the middle are recorded by the rules of today.
    append(&deps, "middle", 0, &calls(old, 60..70)).await;
    deps.db.execute("UPDATE jobs SET due_at = 0", vec![]).await.unwrap();
    let tasks = start_ingest(deps.clone());
    wait_for_all(&deps, &tasks).await;
    tasks.stop().await;
    deps.db.faults().clear();
    deps.db.execute("UPDATE jobs SET due_at = 0", vec![]).await.unwrap();
    run_jobs(&deps).await;
    ended(&deps).await;
    ingest(&deps, "new", &calls(new, 0..70)).await;
    assert_eq!(urls(&deps, old).await, BTreeSet::from(["/lots/STRING/lines".to_owned()]));
    assert_eq!(stored(&deps, old).await, stored(&deps, new).await);

    // Few enough that all calls are stored.
    let (few, again) = (create(&deps, ACCOUNT, "C").await.id, create(&deps, ACCOUNT, "D").await.id);
    ingest(&deps, "few", &calls(few, 1..9)).await;
    assert_eq!(urls(&deps, few).await.len(), 1);
    data_types::delete(&deps, &me, "LOT").await.unwrap();
    run_jobs(&deps).await;
    ended(&deps).await;
    ingest(&deps, "again", &calls(again, 1..9)).await;
    assert_eq!(urls(&deps, few).await.len(), 7);
    assert_eq!(stored(&deps, few).await, stored(&deps, again).await);
    // Calls that are not stored stay counted where they were, and their template takes in the others.
    assert_eq!(urls(&deps, old).await, BTreeSet::from(["/lots/STRING/lines".to_owned()]));
    let rows =
        deps.db.fetch_all("SELECT facts FROM endpoints WHERE collection_id = $1", vec![old.into()]).await.unwrap();
    let total: u64 = rows
        .iter()
        .flat_map(|row| {
            let facts: serde_json::Value = serde_json::from_str(&row.get::<String>("facts").unwrap()).unwrap();
            let counts = facts["status_counts"].as_object().unwrap().clone();
            counts.into_iter().map(|(_, count)| count.as_u64().unwrap()).collect::<Vec<_>>()
        })
        .sum();
    assert_eq!(total, 70);
}

/// An installation of older rules, which merged and kept apart other URLs, becomes one of today's, however often its
/// workers die; what was taken apart by hand stays so.
pub async fn older_rules_give_way(test: TestDb) {
    let deps = deps(&test).await;
    let me = admin(ACCOUNT);
    let (old, new) = (create(&deps, ACCOUNT, "A").await.id, create(&deps, ACCOUNT, "B").await.id);
    let shop = |id: CollectionId| -> Vec<Record<'static>> {
        let names = (0..400_usize).map(|n| {
            let letters: String = (0..5).map(|at| char::from(b'a' + (n / 4_usize.pow(at) % 4) as u8)).collect();
            call(id, "GET", &format!("/shop/zq{letters}x"), 5 + n as i64)
        });
        names
            .chain((0..30).map(|n| call(id, "POST", &format!("/orders/{n}"), 1_000 + n)))
            .chain(calls(id, 0..9))
            .collect()
    };
    for id in [old, new] {
        ingest(&deps, &format!("p{id}"), &shop(id)).await;
        demerge::demerge(&deps, &me, id, Some("/orders/INTEGER"), Some("POST")).await.unwrap();
    }
    assert!(retemplating::ask_all(&deps).await.unwrap().is_empty());
    let expected = stored(&deps, new).await;
    assert_eq!(stored(&deps, old).await, expected);
    // Nothing was merged but what was no template.
    let key = |method: &str, url: &str| portolan_inventory::model::keys::endpoint_key(method, url);
    for row in deps
        .db
        .fetch_all("SELECT endpoint_key, raw_url, method FROM endpoints WHERE collection_id = $1", vec![old.into()])
        .await
        .unwrap()
    {
        let text = |column: &str| row.get::<String>(column).unwrap();
        let (raw_url, method) = (text("raw_url"), text("method"));
        let url = if raw_url.starts_with("/lots") { "/lots/STRING/lines".to_owned() } else { raw_url };
        let change = "UPDATE endpoints SET url = $1, url_key = $2 WHERE collection_id = $3 AND endpoint_key = $4";
        let url_key = key(&method, &url);
        deps.db
            .execute(change, vec![url.into(), url_key.into(), old.into(), text("endpoint_key").into()])
            .await
            .unwrap();
    }
    deps.db
        .execute("UPDATE collections SET rules_version = 0 WHERE collection_id = $1", vec![old.into()])
        .await
        .unwrap();
    assert_eq!(retemplating::ask_all(&deps).await.unwrap(), [ACCOUNT]);
    run_with_deaths(&deps).await;
    assert_eq!(stored(&deps, old).await, expected);
    assert_eq!(urls(&deps, old).await, urls(&deps, new).await);
    assert!(retemplating::ask_all(&deps).await.unwrap().is_empty());
    // The catalog that ingest remembers follows.
    for id in [old, new] {
        ingest(&deps, &format!("after{id}"), &[call(id, "GET", "/shop/zqddddy", 7), call(id, "POST", "/orders/77", 7)])
            .await;
    }
    assert_eq!(stored(&deps, old).await, stored(&deps, new).await);
}

/// What users and testers said of endpoints follows them when they become one, and when they fall apart.
pub async fn what_was_said_follows(test: TestDb) {
    let deps = deps(&test).await;
    let me = admin(ACCOUNT);
    let id = create(&deps, ACCOUNT, "A").await.id;
    ingest(&deps, "p", &calls(id, 1..8)).await;
    let of = |n: usize| format!("/lots/{}/lines", token(n));
    let endpoint = |url: &str| EndpointId { collection_id: id, url: url.to_owned(), method: "GET".to_owned() };
    let mark = |url: String| ParameterId {
        collection_id: id,
        url,
        method: "GET".into(),
        response_code: 200,
        is_header: false,
        name: "ok".into(),
    };
    markings::set(&deps, &me, mark(of(1)), true).await.unwrap();
    markings::set_many(&deps, &me, vec![mark(of(2))], false).await.unwrap();
    endpoints::update_description(&deps, &me, &endpoint(&of(3)), Some("Lines of a lot".into())).await.unwrap();
    let name = CollectionName::parse(Some("G".into())).unwrap();
    let listed = Written {
        kind: "CUSTOM".into(),
        operator: "OR".into(),
        data: serde_json::json!({ "apiList": [{ "apiCollectionId": id, "url": of(4), "method": "GET" }] }),
        ..Written::default()
    };
    let (group, _) = groups::create(&deps, &me, name, vec![listed]).await.unwrap();
    let report = Report {
        id: "1".into(),
        endpoint: endpoint(&of(5)),
        severity: "HIGH".into(),
        status: "OPEN".into(),
        tested_at: 900,
    };
    assert!(issues::take(&deps, &me, vec![report]).await.unwrap().is_empty());
    let row = "SELECT endpoint_id FROM api_endpoints WHERE collection_id = $1 AND url = $2";
    let rows = deps.db.fetch_all(row, vec![id.into(), of(6).into()]).await.unwrap();
    let number = rows[0].get::<i64>("endpoint_id").unwrap().to_string();
    platform::switch_endpoint(&deps, &me, &number, false).await.unwrap();
    run_jobs(&deps).await;

    let said = async |deps: &Deps| {
        let mut marks: Vec<_> = markings::list(deps, &me).await.unwrap();
        marks.sort_by(|left, right| left.place.url.cmp(&right.place.url));
        let marks: Vec<_> = marks.into_iter().map(|mark| (mark.place.url, mark.sensitive)).collect();
        let (_, shown) = endpoints::list(deps, &me, group.id).await.unwrap();
        let shown: BTreeSet<_> = shown.into_iter().map(|known| known.id.url).collect();
        let open: i64 = issues::by_collection(deps, &me).await.unwrap()[&id].values().sum();
        let rows = "SELECT url FROM api_endpoints WHERE collection_id = $1 AND active = 0 AND removed = 0 ORDER BY url";
        let rows = deps.db.fetch_all(rows, vec![id.into()]).await.unwrap();
        let inactive: Vec<_> = rows.iter().map(|row| row.get::<String>("url").unwrap()).collect();
        let (_, list) = endpoints::list(deps, &me, id).await.unwrap();
        let described = list.iter().filter(|known| known.description.as_deref() == Some("Lines of a lot")).count();
        (marks, shown, open, inactive, described)
    };
    data_types::create(&deps, &me, "LOT", lots()).await.unwrap();
    run_jobs(&deps).await;
    ended(&deps).await;
    let whole = "/lots/STRING/lines".to_owned();
    let expected = (vec![(whole.clone(), true)], BTreeSet::from([whole.clone()]), 1, vec![whole.clone()], 1);
    assert_eq!(said(&deps).await, expected);

    data_types::delete(&deps, &me, "LOT").await.unwrap();
    run_jobs(&deps).await;
    ended(&deps).await;
    let parts: BTreeSet<_> = (0..7).map(of).collect();
    assert_eq!(urls(&deps, id).await, parts);
    let (marks, shown, open, inactive, described) = said(&deps).await;
    assert_eq!(marks, parts.iter().map(|url| (url.clone(), true)).collect::<Vec<_>>());
    assert_eq!((shown, open, described), (parts.clone(), 1, 7));
    assert_eq!(inactive, parts.into_iter().collect::<Vec<_>>());
}
