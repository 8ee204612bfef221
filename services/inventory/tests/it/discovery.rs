use std::collections::HashMap;

use portolan_api::Reason;
use portolan_authz::{Caller, Role, Scope};
use portolan_ids::CollectionId;
use portolan_inventory::{
    Deps, collections,
    model::{endpoints::EndpointId, issues::Report},
    parameters::{recent, recent::Query},
    retention, samples,
    statistics::{calls, issues, overview},
};
use portolan_record::Source;
use portolan_testkit::TestDb;
use serde_json::json;

use crate::harness::{ACCOUNT, OTHER_ACCOUNT, admin, append, call, caller, create, deps, ingest, ingest_all};

fn id(collection_id: impl Into<CollectionId>, method: &str, url: &str) -> EndpointId {
    EndpointId { collection_id: collection_id.into(), url: url.to_owned(), method: method.to_owned() }
}

/// Two collections: one with a sensitive answer, one that a restricted caller does not see.
async fn seeded(deps: &Deps) -> (CollectionId, CollectionId, Caller) {
    let shown = create(deps, ACCOUNT, "Shown").await.id;
    let hidden = create(deps, ACCOUNT, "Hidden").await.id;
    let mut sensitive = call(shown, "POST", "https://api.example.com/users", 1_000);
    sensitive.request_payload = r#"{"mail":"jane@mail.org"}"#.into();
    sensitive.response_payload = r#"{"ip":"8.8.8.8","id":7}"#.into();
    let later = call(shown, "GET", "https://api.example.com/books?page=1", 2_000);
    let mut secret = call(hidden, "GET", "https://api.example.com/secret", 3_000);
    secret.response_payload = r#"{"mail":"joe@mail.org","card":"4111 1111 1111 1111"}"#.into();
    ingest(deps, "seed", &[sensitive, later, secret]).await;
    (shown, hidden, caller(ACCOUNT, Role::Member, Some(vec![shown]), Scope::Api))
}

/// Counts cover what the caller sees, and nothing of other collections and accounts.
pub async fn counts_are_limited_to_what_is_seen(test: TestDb) {
    let deps = deps(&test).await;
    let (shown, hidden, restricted) = seeded(&deps).await;
    let (all, other) = (admin(ACCOUNT), admin(OTHER_ACCOUNT));

    assert_eq!(overview::count_discovered(&deps, &all, 1_500, 0).await.unwrap(), (3, 1));
    assert_eq!(overview::count_discovered(&deps, &restricted, 1_500, 2_500).await.unwrap(), (2, 1));
    assert_eq!(overview::count_discovered(&deps, &other, 1_500, 0).await.unwrap(), (0, 0));
    assert!(overview::has_endpoints(&deps, &all).await.unwrap());
    assert!(!overview::has_endpoints(&deps, &other).await.unwrap());

    let times = overview::last_seen(&deps, &all).await.unwrap();
    assert_eq!(times.into_iter().collect::<Vec<_>>(), [(shown, 2_000), (hidden, 3_000)]);
    let times = overview::last_seen(&deps, &restricted).await.unwrap();
    assert_eq!(times.into_iter().collect::<Vec<_>>(), [(shown, 2_000)]);

    let (count, types) = overview::sensitive(&deps, &all).await.unwrap();
    assert_eq!(count, 2);
    assert_eq!(types[&shown].iter().collect::<Vec<_>>(), ["EMAIL", "IP_ADDRESS"]);
    assert_eq!(types[&hidden].iter().collect::<Vec<_>>(), ["CREDIT_CARD", "EMAIL"]);
    let (count, types) = overview::sensitive(&deps, &restricted).await.unwrap();
    assert_eq!((count, types.len()), (1, 1));
    let top = overview::most_sensitive(&deps, &restricted).await.unwrap();
    assert_eq!(top.len(), 1);
    assert_eq!((top[0].0.id.url.as_str(), top[0].1.len()), ("https://api.example.com/users", 2));

    let (critical, scores) = overview::risk_scores(&deps, &all).await.unwrap();
    assert_eq!((critical, scores[&shown], scores[&hidden]), (0, 1.0, 1.0));
    assert_eq!(overview::risk_scores(&deps, &restricted).await.unwrap().1.len(), 1);
    assert_eq!(overview::last_calculated(&deps, &other).await.unwrap()["lastIngest"], 0);
    assert!(overview::last_calculated(&deps, &all).await.unwrap()["lastIngest"] > 0);
}

/// Host collections are found by their hosts, whatever the case of letters.
pub async fn hosts_find_their_collections(test: TestDb) {
    let deps = deps(&test).await;
    let mut traffic = call(0, "GET", "/a", 5);
    traffic.source = Source::Mirroring;
    ingest(&deps, "p", &[traffic]).await;
    let names = |hosts: &[&str]| {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        let deps = deps.clone();
        async move {
            let found = collections::collections_of_hosts(&deps, &admin(ACCOUNT), hosts).await.unwrap();
            found.into_iter().map(|known| known.name).collect::<Vec<_>>()
        }
    };
    assert_eq!(names(&["API.example.com", "unknown.example.com"]).await, ["api.example.com"]);
    assert!(names(&[]).await.is_empty());
    let nobody = caller(ACCOUNT, Role::Member, Some(vec![CollectionId(0)]), Scope::Api);
    let hosts = vec!["api.example.com".to_owned()];
    assert!(collections::collections_of_hosts(&deps, &nobody, hosts).await.unwrap().is_empty());
}

/// Changes are selected, sorted and paged as asked, and merged over the raw URLs of an endpoint.
pub async fn changes_are_selected_and_paged(test: TestDb) {
    let deps = deps(&test).await;
    let (shown, hidden, restricted) = seeded(&deps).await;
    let all = admin(ACCOUNT);
    let names = |query: Query, caller: &Caller| {
        let (deps, caller) = (deps.clone(), caller.clone());
        async move {
            let (page, total) = recent::list(&deps, &caller, &query).await.unwrap();
            (page.into_iter().map(|known| known.key.name).collect::<Vec<_>>(), total)
        }
    };
    let sensitive = || Query { sensitive: true, ..Query::default() };
    assert_eq!(names(sensitive(), &all).await.1, 4);
    assert_eq!(names(sensitive(), &restricted).await.1, 2);
    assert_eq!(names(Query { request: Some(true), ..sensitive() }, &all).await, (vec!["mail".into()], 1));
    assert_eq!(names(Query { start: 2_500, ..sensitive() }, &all).await.1, 2);
    assert_eq!(names(Query { start: 2_500, ..sensitive() }, &restricted).await.1, 0);
    assert_eq!(names(Query { end: 1_500, ..sensitive() }, &all).await.1, 2);
    let filter = |name: &str, value: serde_json::Value| HashMap::from([(name.to_owned(), vec![value])]);
    let by_type = Query { filters: filter("subType", json!("CREDIT_CARD")), ..Query::default() };
    assert_eq!(names(by_type.clone(), &all).await, (vec!["card".into()], 1));
    assert_eq!(names(by_type, &restricted).await.1, 0);
    let not = Query {
        filters: filter("apiCollectionId", json!(hidden)),
        operators: HashMap::from([("apiCollectionId".to_owned(), "NOT".to_owned())]),
        ..sensitive()
    };
    assert_eq!(names(not, &all).await.1, 2);
    assert_eq!(names(Query { search: "CARD".into(), ..Query::default() }, &all).await.0, ["card"]);
    let page = Query { sort_key: "param".into(), sort_order: 1, skip: 1, limit: 2, ..sensitive() };
    assert_eq!(names(page, &all).await, (vec!["ip".into(), "mail".into()], 4));

    let recent = recent::recent(&deps, &restricted, 0, 0).await.unwrap();
    assert!(recent.iter().all(|known| known.endpoint.collection_id == shown));
    assert!(recent.windows(2).all(|pair| pair[0].seen.first_seen >= pair[1].seen.first_seen));
    let [requests, responses] = recent::count_types(&deps, &all, 0, 0).await.unwrap();
    assert_eq!((requests["EMAIL"], responses["EMAIL"], responses["IP_ADDRESS"]), (1, 1, 1));

    // A parameter that another raw URL showed before is not new.
    let weak = |at: usize| {
        call(shown, "GET", &format!("https://api.example.com/items/it{at}em{at}x?old=1"), 4_000 + at as i64)
    };
    append(&deps, "weak", 0, &(0..12).map(weak).collect::<Vec<_>>()).await;
    ingest_all(&deps).await;
    let query = Query { start: 4_005, search: "old".into(), ..Query::default() };
    assert_eq!(names(query, &all).await.1, 0);
    let query = Query { start: 4_000, search: "old".into(), ..Query::default() };
    assert_eq!(names(query, &all).await.1, 1);
}

/// The activity of a collection counts each endpoint's parameters.
pub async fn activity_lists_every_endpoint(test: TestDb) {
    let deps = deps(&test).await;
    let (shown, hidden, restricted) = seeded(&deps).await;
    let list = overview::activity(&deps, &restricted, shown).await.unwrap();
    let found: Vec<_> = list.iter().map(|known| (known.id.url.as_str(), known.started_at)).collect();
    assert_eq!(found, [("https://api.example.com/books", 2_000), ("https://api.example.com/users", 1_000)]);
    assert!(list.iter().all(|known| known.parameters > 2));
    let refused = overview::activity(&deps, &restricted, hidden).await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::CollectionNotFound));
    let lists = overview::activity_of_many(&deps, &restricted, vec![shown, hidden, shown]).await.unwrap();
    assert_eq!(lists.keys().collect::<Vec<_>>(), [&shown]);
}

/// Calls are counted by minute and by address, and adding the same calls in other batches gives the same.
pub async fn calls_are_counted_over_time(test: TestDb) {
    let deps = deps(&test).await;
    let collection = create(&deps, ACCOUNT, "A").await;
    // Yesterday: who called is forgotten after a week.
    let day = portolan_runtime::now_s() / 86_400 * 86_400 - 86_400;
    let at = |time: i64, ip: &str| {
        let mut record = call(collection.id, "GET", "https://api.example.com/books/7", day + time);
        record.ip = ip.to_owned().into();
        record
    };
    let mut failed = at(7_000, "10.0.0.9");
    failed.status_code = 500;
    let mut first: Vec<_> = (0..12).map(|n| at(6_000 + n, "10.0.0.1")).collect();
    first.extend([at(6_059, "10.0.0.2"), failed]);
    append(&deps, "p", 0, &first).await;
    ingest_all(&deps).await;
    append(&deps, "p", 1, &[at(6_001, "10.0.0.2"), at(9_999, "null")]).await;
    ingest_all(&deps).await;

    let id = id(collection.id, "get", "https://api.example.com/books/INTEGER");
    let counts = calls::calls(&deps, &admin(ACCOUNT), &id, 0, 0).await.unwrap();
    assert_eq!(
        counts.into_iter().collect::<Vec<_>>(),
        [(100, 14), (116, 1), (166, 1)].map(|(minute, count)| (day / 60 + minute, count))
    );
    let counts = calls::calls(&deps, &admin(ACCOUNT), &id, day + 6_900, day + 7_100).await.unwrap();
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(day / 60 + 116, 1)]);
    let classes = calls::classes(&deps, &admin(ACCOUNT), &id, 0, 0).await.unwrap();
    assert_eq!((classes[0].label.as_str(), classes[0].addresses.as_slice()), ("1-10", &[1, 1][..]));
    assert_eq!((classes[1].label.as_str(), classes[1].addresses.as_slice()), ("11-50", &[0, 1][..]));
    assert!(classes[2].distribution().is_none());

    let restricted = caller(ACCOUNT, Role::Member, Some(vec![CollectionId(0)]), Scope::Api);
    assert!(calls::calls(&deps, &restricted, &id, 0, 0).await.unwrap().is_empty());
    assert!(calls::classes(&deps, &restricted, &id, 0, 0).await.unwrap().is_empty());
}

/// Samples are paged by endpoint, and those with sensitive data name the parameters.
pub async fn samples_are_paged_and_searched(test: TestDb) {
    let deps = deps(&test).await;
    let (shown, hidden, restricted) = seeded(&deps).await;
    let all = samples::list_all(&deps, &restricted, shown, 0, 0).await.unwrap();
    assert_eq!(
        all.iter().map(|calls| calls.endpoint.url.as_str()).collect::<Vec<_>>(),
        ["https://api.example.com/books", "https://api.example.com/users"]
    );
    let second = samples::list_all(&deps, &restricted, shown, 1, 1).await.unwrap();
    assert_eq!(second, all[1..]);
    let refused = samples::list_all(&deps, &restricted, hidden, 0, 0).await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::CollectionNotFound));

    let found =
        samples::list_sensitive(&deps, &restricted, &id(shown, "POST", "https://api.example.com/users")).await.unwrap();
    assert_eq!(found.len(), 1);
    let (record, keys) = found.into_iter().next().unwrap();
    assert!(record.contains("jane@mail.org"));
    let names: Vec<_> = keys.iter().map(|key| (key.response_code, key.name.as_str())).collect();
    assert_eq!(names, [(-1, "mail"), (200, "ip")]);
    let secret = id(hidden, "GET", "https://api.example.com/secret");
    assert!(samples::list_sensitive(&deps, &restricted, &secret).await.unwrap().is_empty());
}

/// Reports of testers are counted by severity while they are open, where the caller sees the endpoint.
pub async fn reported_issues_are_counted(test: TestDb) {
    let deps = deps(&test).await;
    let (shown, hidden, restricted) = seeded(&deps).await;
    let report = |name: &str, collection: CollectionId, url: &str, severity: &str, status: &str| Report {
        id: name.to_owned(),
        endpoint: id(collection, "GET", &format!("https://api.example.com/{url}")),
        severity: severity.to_owned(),
        status: status.to_owned(),
        tested_at: 0,
    };
    let reports = vec![
        report("1", shown, "books", "HIGH", ""),
        report("2", shown, "books", "LOW", "OPEN"),
        report("2", shown, "books", "HIGH", "OPEN"),
        report("3", shown, "books", "HIGH", "FIXED"),
        report("4", hidden, "secret", "CRITICAL", ""),
        report("5", shown, "unknown", "LOW", ""),
        report("6", shown, "books", "SOME", ""),
    ];
    let rejected = issues::take(&deps, &admin(ACCOUNT), reports.clone()).await.unwrap();
    assert_eq!(rejected.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [5, 6]);
    assert_eq!(issues::take(&deps, &restricted, reports).await.unwrap().len(), 3);

    let counts = issues::by_collection(&deps, &admin(ACCOUNT)).await.unwrap();
    assert_eq!((counts[&shown]["HIGH"], counts[&hidden]["CRITICAL"]), (2, 1));
    assert_eq!(issues::by_collection(&deps, &restricted).await.unwrap().len(), 1);
    let counts = issues::by_endpoint(&deps, &restricted, shown).await.unwrap();
    assert_eq!((counts.len(), counts[0].1["HIGH"]), (1, 2));
    assert!(issues::by_endpoint(&deps, &restricted, hidden).await.unwrap().is_empty());
    let refused = issues::by_endpoint(&deps, &restricted, CollectionId(-1)).await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::CollectionIdMissing));
    let tested = issues::coverage(&deps, &admin(ACCOUNT), &[]).await.unwrap();
    assert_eq!((tested[&shown], tested[&hidden]), (1, 1));
    assert_eq!(issues::coverage(&deps, &restricted, &[]).await.unwrap().len(), 1);
}

/// Calls are counted for the configured days, and their addresses for a week of them.
pub async fn old_calls_are_forgotten(test: TestDb) {
    let deps = deps(&test).await;
    let collection = create(&deps, ACCOUNT, "A").await;
    let now = portolan_runtime::now_s();
    let day = 24 * 3_600;
    let at = |days: i64| call(collection.id, "GET", "https://api.example.com/books", now - days * day);
    ingest(&deps, "p", &[at(0), at(2), at(6), at(9)]).await;
    let id = id(collection.id, "GET", "https://api.example.com/books");
    let counted = async |deps: &Deps| calls::calls(deps, &admin(ACCOUNT), &id, 0, 0).await.unwrap().len();
    assert_eq!(counted(&deps).await, 4);
    let called = r#"UPDATE call_stats SET addresses = '{"0":{"192.0.2.1":1}}'"#;
    deps.db.execute(called, Vec::new()).await.unwrap();
    assert_eq!(calls::forget_old(&deps).await.unwrap(), 0);
    let told = "SELECT count(*) AS n FROM call_stats WHERE addresses <> '{}'";
    assert_eq!(deps.db.fetch_one(told, Vec::new()).await.unwrap().get::<i64>("n").unwrap(), 3, "those of a week");
    assert_eq!(counted(&deps).await, 4);
    let days = ("PORTOLAN__INVENTORY__CALL_STATS_DAYS".to_owned(), "5".to_owned());
    let config = portolan_runtime::Config::load(".".into(), None, [days]).unwrap();
    let bounded = deps.clone().configured(&portolan_inventory::Options::read(&config).unwrap());
    assert_eq!(calls::forget_old(&bounded).await.unwrap(), 2);
    assert_eq!(calls::forget_old(&bounded).await.unwrap(), 0);
    assert_eq!(counted(&bounded).await, 2);
}

/// Closed issues, tests without a finding, samples and rejected records go when they are older than they are kept, in more
/// than one step; open issues stay.
pub async fn what_grows_by_the_day_is_forgotten(test: TestDb) {
    let deps = deps(&test).await;
    let collection = create(&deps, ACCOUNT, "A").await;
    let now = portolan_runtime::now_s();
    let day = 24 * 3_600;
    let at = |n: i64, days: i64| {
        call(collection.id, "GET", &format!("https://api.example.com/books{n}/list"), now - days * day)
    };
    ingest(&deps, "p", &[at(1, 0), at(2, 9), at(3, 2), at(4, 9)]).await;
    let mut tx = deps.db.begin().await.unwrap();
    let issue = "INSERT INTO issues (account_id, issue_id, collection_id, url_key, severity, status, updated_at) \
         VALUES ($1, $2, 1, '', $3, $4, $5)";
    let mut insert = async |id: &str, severity: &str, status: &str, days: i64| {
        tx.execute(issue, portolan_store::args![ACCOUNT, id, severity, status, now - days * day]).await.unwrap();
    };
    for n in 0..retention::STEP + 10 {
        insert(&n.to_string(), "HIGH", ["FIXED", "IGNORED"][n as usize % 2], 9).await;
    }
    insert("clean", "", "OPEN", 9).await;
    insert("open", "LOW", "OPEN", 9).await;
    insert("young", "LOW", "FIXED", 2).await;
    tx.commit().await.unwrap();
    let rejected = |offset: i64, days: i64| portolan_log::Rejected {
        offset,
        reason: "unreadable".to_owned(),
        created_at: now - days * day,
        ..portolan_log::Rejected::default()
    };
    deps.log.reject(&[rejected(900, 9), rejected(901, 2)]).await.unwrap();
    let counts = async |deps: &Deps| {
        retention::forget_old(deps).await.unwrap();
        let count = async |sql: &'static str| deps.db.fetch_one(sql, vec![]).await.unwrap().get::<i64>(0).unwrap();
        let issues = count("SELECT count(*) FROM issues").await;
        (issues, count("SELECT count(*) FROM samples").await, deps.log.rejected_count().await.unwrap())
    };
    let all = (retention::STEP + 13, 4, 2);
    assert_eq!(counts(&deps.clone().keeping_rejected(0)).await, all, "0 is for ever");
    let set = |issues: &str, samples: &str| {
        let variable = |key: &str, value: &str| (format!("PORTOLAN__INVENTORY__{key}"), value.to_owned());
        let variables = [variable("CLOSED_ISSUES_DAYS", issues), variable("SAMPLES_DAYS", samples)];
        let config = portolan_runtime::Config::load(".".into(), None, variables).unwrap();
        deps.clone().configured(&portolan_inventory::Options::read(&config).unwrap())
    };
    assert_eq!(counts(&set("10", "10").keeping_rejected(10)).await, all, "all are young enough");
    assert_eq!(counts(&set("5", "5").keeping_rejected(5)).await, (2, 2, 1));
    assert_eq!(counts(&set("1", "1").keeping_rejected(1)).await, (1, 1, 0));
}
