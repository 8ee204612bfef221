//! Reads of an account with 1,000,000 endpoints against the same reads of one with 1,000. Prints rows of a Markdown
//! table, of SQLite and, where `PORTOLAN_TEST_POSTGRES` names a server, of Postgres. `PORTOLAN_BENCH_ENDPOINTS` sets the
//! larger number.
//!
//! A collection has 1,000 endpoints, one by ingest from records; the others are copies of its rows, which differ in
//! nothing but the collection and the numbers that are unique.

mod common;

use std::time::{Duration, Instant};

use portolan_authz::{Caller, CredentialKind, Grant, RequestInfo, Role, Scope, ServiceAuth};
use portolan_ids::{AccountId, CollectionId, UserId};
use portolan_inventory::{
    Deps, SERVICE, endpoints, model::endpoints::EndpointId, parameters, start, statistics::overview,
};
use portolan_log::{Log, Message};
use portolan_record::{Record, Source};
use portolan_runtime::{Config, Peers, Tasks};
use portolan_store::{Store, args};
use portolan_testkit::{POSTGRES_VARIABLE, PostgresDatabase, TestDb, runtime};

const ACCOUNT: AccountId = AccountId(1_000_000);
/// Endpoints of a collection.
const OF_COLLECTION: i64 = 1_000;
/// Look-ups, of endpoints all over the account.
const LOOK_UPS: i64 = 4_000;
const LISTS: i64 = 300;
const WHOLE_READS: i64 = 5;
const PATIENCE: Duration = Duration::from_secs(300);

/// Copies of every row of the first collection for the collections from $1 to $2.
const COPIES: [&str; 5] = [
    "WITH RECURSIVE n(n) AS (SELECT $1 UNION ALL SELECT n + 1 FROM n WHERE n < $2) \
     INSERT INTO collections (account_id, collection_id, name, name_key, created_at, endpoint_count) \
     SELECT account_id, n, name || cast(n AS TEXT), name_key || cast(n AS TEXT), created_at, endpoint_count \
     FROM collections, n WHERE account_id = 1000000 AND collection_id = 1",
    "WITH RECURSIVE n(n) AS (SELECT $1 UNION ALL SELECT n + 1 FROM n WHERE n < $2) \
     INSERT INTO endpoints (account_id, collection_id, endpoint_key, method, raw_url, url, url_key, proven, first_seen, \
     last_seen, facts, bodies, description, described_at, discovered_at) \
     SELECT account_id, n, endpoint_key, method, raw_url, url, url_key, proven, first_seen, last_seen, facts, bodies, \
     description, described_at, discovered_at FROM n, endpoints WHERE account_id = 1000000 AND collection_id = 1",
    "WITH RECURSIVE n(n) AS (SELECT $1 UNION ALL SELECT n + 1 FROM n WHERE n < $2) \
     INSERT INTO api_endpoints (account_id, collection_id, url_key, endpoint_id, method, url, discovered_at, active, \
     updated_at, version, removed) \
     SELECT account_id, n, url_key, endpoint_id + n * 10000, method, url, discovered_at, active, updated_at, \
     version + n * 10000, removed FROM n, api_endpoints WHERE account_id = 1000000 AND collection_id = 1",
    "WITH RECURSIVE n(n) AS (SELECT $1 UNION ALL SELECT n + 1 FROM n WHERE n < $2) \
     INSERT INTO parameters (account_id, collection_id, endpoint_key, parameter_key, response_code, is_header, \
     is_url_param, is_query_param, name, sub_type, sensitive, facts, first_seen) \
     SELECT account_id, n, endpoint_key, parameter_key, response_code, is_header, is_url_param, is_query_param, name, \
     sub_type, sensitive, facts, first_seen FROM n, parameters WHERE account_id = 1000000 AND collection_id = 1",
    "WITH RECURSIVE n(n) AS (SELECT $1 UNION ALL SELECT n + 1 FROM n WHERE n < $2) \
     INSERT INTO samples (account_id, collection_id, endpoint_key, sample_key, time, record) \
     SELECT account_id, n, endpoint_key, sample_key, time, record \
     FROM n, samples WHERE account_id = 1000000 AND collection_id = 1",
];
/// Collections copied in one transaction.
const COPIED_AT_ONCE: i64 = 50;

fn main() {
    let endpoints =
        std::env::var("PORTOLAN_BENCH_ENDPOINTS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    runtime().block_on(async {
        let test = TestDb::sqlite().await;
        measure("SQLite", &test.store, endpoints).await;
        drop(test);
        let Ok(server) = std::env::var(POSTGRES_VARIABLE) else {
            eprintln!("left out: Postgres needs {POSTGRES_VARIABLE}");
            return;
        };
        let (database, test) = PostgresDatabase::create(&server).await;
        measure("Postgres", &test.store, endpoints).await;
        test.store.close().await;
        database.drop_database().await.expect("the database can be dropped");
    });
}

async fn measure(name: &str, store: &Store, endpoints: i64) {
    let deps = open(store).await;
    let few = reads(&deps, 1).await;
    let collections = endpoints / OF_COLLECTION;
    for first in (2..=collections).step_by(COPIED_AT_ONCE as usize) {
        let last = collections.min(first + COPIED_AT_ONCE - 1);
        let mut tx = deps.db.begin().await.expect("a transaction");
        for copy in COPIES {
            tx.execute(copy, args![first, last]).await.expect("rows can be copied");
        }
        tx.commit().await.expect("the copies are kept");
    }
    // As the database does by itself after so many rows.
    deps.db.execute("ANALYZE", args![]).await.expect("statistics can be made");
    let many = reads(&deps, collections).await;
    for (few, many) in few.iter().zip(&many) {
        let goal = if few.is_bounded { "p99 ≤ 2 ×" } else { "–" };
        println!(
            "| {}, at {endpoints} endpoints, {name} | p99 {:.2} ms, median {:.2} ms | at {OF_COLLECTION} p99 {:.2} ms, \
             median {:.2} ms | {:.2} × | {goal} |",
            few.what,
            many.p99,
            many.median,
            few.p99,
            few.median,
            many.p99 / few.p99
        );
    }
}

/// Times of one kind of read, in milliseconds.
struct Times {
    what: &'static str,
    /// Whether the answer has one size however large the account is.
    is_bounded: bool,
    p99: f64,
    median: f64,
}

async fn reads(deps: &Deps, collections: i64) -> Vec<Times> {
    let caller = caller();
    let collection = |n: i64| CollectionId(i32::try_from(1 + n * 7_919 % collections).expect("a small number"));
    let endpoint = |n: i64| EndpointId {
        collection_id: collection(n),
        url: path(n * 104_729 % OF_COLLECTION),
        method: "GET".to_owned(),
    };
    // What is read a second time is what is measured: the first of them fills the memory of the database.
    let warm_up = LOOK_UPS / 4;
    let list = times("list of a collection's endpoints", true, LISTS, async |n| {
        let (_, found) = endpoints::list(deps, &caller, collection(n)).await.expect("the store answers");
        assert_eq!(found.len() as i64, OF_COLLECTION);
    });
    let list = list.await;
    let keys = times("list of a collection's URLs", true, LISTS, async |n| {
        let found = endpoints::list_keys(deps, &caller, collection(n), 0).await.expect("the store answers");
        assert_eq!(found.len() as i64, OF_COLLECTION);
    });
    let keys = keys.await;
    for n in 0..warm_up {
        endpoints::get(deps, &caller, &endpoint(n)).await.expect("the store answers");
    }
    let look_up = times("look-up of an endpoint", true, LOOK_UPS, async |n| {
        assert!(endpoints::get(deps, &caller, &endpoint(n)).await.expect("the store answers").is_some());
    });
    let look_up = look_up.await;
    let of_endpoint = times("parameters of an endpoint", true, LOOK_UPS, async |n| {
        assert!(!parameters::list(deps, &caller, &endpoint(n)).await.expect("the store answers").is_empty());
    });
    let of_endpoint = of_endpoint.await;
    let last_seen = times("newest record of each collection", false, WHOLE_READS, async |_| {
        let found = overview::last_seen(deps, &caller).await.expect("the store answers");
        assert_eq!(found.len() as i64, collections);
    });
    let last_seen = last_seen.await;
    let counts = times("endpoints discovered in a period", false, WHOLE_READS, async |_| {
        let (until, _) = overview::count_discovered(deps, &caller, 0, 0).await.expect("the store answers");
        assert_eq!(until, collections * OF_COLLECTION);
    });
    vec![look_up, of_endpoint, list, keys, last_seen, counts.await]
}

async fn times(what: &'static str, is_bounded: bool, count: i64, read: impl AsyncFn(i64)) -> Times {
    let mut taken = Vec::new();
    for n in 0..count {
        let started = Instant::now();
        read(n).await;
        taken.push(started.elapsed().as_secs_f64() * 1e3);
    }
    taken.sort_by(f64::total_cmp);
    Times { what, is_bounded, p99: taken[taken.len() * 99 / 100], median: taken[taken.len() / 2] }
}

/// The service with one collection of 1,000 endpoints in it.
async fn open(store: &Store) -> Deps {
    let log = Log::open("embedded:", "bench", store).await.expect("the log can be opened");
    let config = Config::load(".".into(), None, std::iter::empty()).expect("the defaults are usable");
    let peers = Peers::new(&config, ServiceAuth::new(&[7; 32])).expect("no peers are remote");
    let db = store.service(SERVICE).await.expect("the service can be opened");
    let deps = Deps::open(db.clone(), log.clone(), peers).await.expect("the tables can be made");
    let made = "INSERT INTO collections (account_id, collection_id, name, name_key, created_at) \
         VALUES ($1, 1, 'bench', 'bench', 0)";
    db.execute(made, args![ACCOUNT]).await.expect("a collection can be made");
    let message = |number: i64| Message { key: b"bench".to_vec(), value: record(number).to_json().into_bytes() };
    let ends = log.append("bench", 0, (0..OF_COLLECTION).map(message).collect()).await.expect("the log takes records");
    let running = Tasks::default();
    start(&deps, &running);
    tokio::time::timeout(PATIENCE, deps.read_to(&ends)).await.expect("everything is read in time");
    running.stop().await;
    deps
}

fn path(number: i64) -> String {
    let word = common::word(usize::try_from(number).expect("a small number"));
    format!("/{word}area/{word}orders")
}

fn record(number: i64) -> Record<'static> {
    Record {
        account_id: ACCOUNT.into(),
        collection_id: 1,
        source: Source::Har,
        method: "GET".into(),
        path: path(number).into(),
        protocol: "HTTP/1.1".into(),
        request_headers: "{}".into(),
        response_headers: "{}".into(),
        response_payload: r#"{"id":7,"email":"jane@mail.org"}"#.into(),
        status_code: 200,
        status: "OK".into(),
        time: 1_772_366_400 + number,
        ip: "10.0.0.1".into(),
        direction: 1,
        ..Record::default()
    }
}

fn caller() -> Caller {
    Caller {
        account_id: ACCOUNT,
        user_id: UserId(1),
        organization_id: "o".into(),
        scope: Scope::Api,
        credential: CredentialKind::ExternalApiKey,
        credential_id: String::new(),
        info: RequestInfo::default(),
        grant: Grant::new("ADMIN", Role::Admin, None).into(),
        token: "".into(),
    }
}
