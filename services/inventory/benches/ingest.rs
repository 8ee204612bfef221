//! Ingest from a log into the tables, against parsing the same records with serde_json. Prints rows of a Markdown table.
//!
//! Through the embedded log into SQLite always; through a broker into Postgres where `PORTOLAN_TEST_POSTGRES` and
//! `PORTOLAN_TEST_KAFKA` name servers. `PORTOLAN_BENCH_RECORDS` sets the number of records; they are calls to 1,000
//! endpoints, about 1 KB each. The log is filled before, and its clock is not running.

mod common;

use std::time::{Duration, Instant};

use portolan_authz::ServiceAuth;
use portolan_inventory::{Deps, SERVICE, start};
use portolan_log::{Log, Message, Positions};
use portolan_record::{Record, Source};
use portolan_runtime::{Config, Peers, Tasks};
use portolan_store::{Store, args};
use portolan_testkit::{POSTGRES_VARIABLE, PostgresDatabase, TestDb, runtime};
use serde_json::{Value, json};

const ENDPOINTS: usize = 1_000;
/// Endpoints are spread over so many collections, and these over the partitions.
const COLLECTIONS: usize = 20;
const APPENDED_AT_ONCE: usize = 2_000;
const BROKER_VARIABLE: &str = "PORTOLAN_TEST_KAFKA";
const PATIENCE: Duration = Duration::from_secs(1_800);

/// Rows written since the database was made, whichever table. The log's own tables are not there with a broker.
const ROWS_WRITTEN: &str =
    "SELECT cast(sum(n_tup_ins + n_tup_upd + n_tup_del) AS BIGINT) AS written FROM pg_stat_user_tables";
const ROWS_KEPT: &str = "SELECT cast(sum(n_live_tup) AS BIGINT) AS kept FROM pg_stat_user_tables";
/// Postgres shows the counts of a session at most a second after its transaction.
const STATISTICS_DELAY: Duration = Duration::from_secs(3);

fn main() {
    let records = std::env::var("PORTOLAN_BENCH_RECORDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    runtime().block_on(measure(records));
}

async fn measure(records: usize) {
    let parsing = parsing_speed();
    let sqlite = TestDb::sqlite().await;
    // The embedded log is rows of the store, so it is filled in parts that leave the disk alone.
    let speed = ingest(&sqlite.store, "embedded:", records.min(200_000)).await;
    report("embedded log into SQLite", &speed, parsing);

    let (Ok(server), Ok(broker)) = (std::env::var(POSTGRES_VARIABLE), std::env::var(BROKER_VARIABLE)) else {
        eprintln!("left out: a broker and Postgres need {POSTGRES_VARIABLE} and {BROKER_VARIABLE}");
        return;
    };
    let (database, test) = PostgresDatabase::create(&server).await;
    let speed = ingest(&test.store, &format!("kafka://{broker}"), records).await;
    report("broker into Postgres", &speed, parsing);
    tokio::time::sleep(STATISTICS_DELAY).await;
    let written = figure(&test, ROWS_WRITTEN, "written").await - speed.rows_before;
    let kept = figure(&test, ROWS_KEPT, "kept").await;
    let per_million = written as f64 * 1e6 / records as f64;
    println!(
        "| rows written into Postgres for {records} records of {ENDPOINTS} endpoints | {written} ({kept} are kept) | – \
         | {per_million:.0} for 1,000,000 | < 50,000 |"
    );
    test.store.close().await;
    database.drop_database().await.expect("the database can be dropped");
}

async fn figure(test: &TestDb, statement: &'static str, column: &str) -> i64 {
    let row = test.db.fetch_one(statement, args![]).await.expect("statistics can be read");
    row.get::<i64>(column).expect("a number")
}

struct Speed {
    records_per_s: f64,
    megabytes_per_s: f64,
    rows_before: i64,
}

/// Megabytes a second of serde_json, on one thread.
fn parsing_speed() -> f64 {
    let texts: Vec<_> = (0..20_000).map(|number| record(number).to_json()).collect();
    let bytes: usize = texts.iter().map(String::len).sum();
    let round = || {
        let started = Instant::now();
        for text in &texts {
            std::hint::black_box(serde_json::from_str::<Value>(text).expect("a record is JSON"));
        }
        bytes as f64 / 1e6 / started.elapsed().as_secs_f64()
    };
    (0..5).map(|_| round()).fold(0.0, f64::max)
}

fn report(way: &str, speed: &Speed, parsing: f64) {
    println!(
        "| ingest, {way} | {:.0} records/s, {:.0} MB/s | serde_json on one thread {parsing:.0} MB/s | {:.2} × | – |",
        speed.records_per_s,
        speed.megabytes_per_s,
        speed.megabytes_per_s / parsing
    );
}

async fn ingest(store: &Store, log: &str, records: usize) -> Speed {
    let topic = format!("bench.{}", uuid::Uuid::new_v4());
    let log = Log::open(log, &topic, store).await.expect("the log can be opened");
    let config = Config::load(".".into(), None, std::iter::empty()).expect("the defaults are usable");
    let peers = Peers::new(&config, ServiceAuth::new(&[7; 32])).expect("no peers are remote");
    let db = store.service(SERVICE).await.expect("the service can be opened");
    let deps = Deps::open(db.clone(), log.clone(), peers).await.expect("the tables can be made");
    for id in 1..=COLLECTIONS {
        // As the service makes them, without its questions to others.
        let made = "INSERT INTO collections (account_id, collection_id, name, name_key, created_at) VALUES ($1, $2, $3, $3, 0)";
        db.execute(made, args![1_000_000_i64, id as i64, format!("bench {id}")])
            .await
            .expect("a collection can be made");
    }

    let (mut bytes, mut ends) = (0, Positions::new());
    for (sequence, first) in (0..records).step_by(APPENDED_AT_ONCE).enumerate() {
        let message = |number: usize| {
            let record = record(number);
            let key = format!("{}:{}", record.account_id, record.collection_id).into_bytes();
            Message { key, value: record.to_json().into_bytes() }
        };
        let messages: Vec<_> = (first..records.min(first + APPENDED_AT_ONCE)).map(message).collect();
        bytes += messages.iter().map(|message| message.value.len()).sum::<usize>();
        ends.extend(log.append("bench", sequence as i64, messages).await.expect("the log takes records"));
    }

    let rows_before = match store.dialect() {
        portolan_store::Dialect::Postgres => {
            tokio::time::sleep(STATISTICS_DELAY).await;
            db.fetch_one(ROWS_WRITTEN, args![]).await.expect("statistics").get::<i64>("written").expect("a number")
        }
        portolan_store::Dialect::Sqlite => 0,
    };
    let started = Instant::now();
    let running = Tasks::default();
    start(&deps, &running);
    tokio::time::timeout(PATIENCE, deps.read_to(&ends)).await.expect("everything is read in time");
    let seconds = started.elapsed().as_secs_f64();
    running.stop().await;
    Speed { records_per_s: records as f64 / seconds, megabytes_per_s: bytes as f64 / 1e6 / seconds, rows_before }
}

/// One call of about 1 KB, as a traffic connector sees it.
fn record(number: usize) -> Record<'static> {
    let endpoint = number % ENDPOINTS;
    let word = common::word(endpoint);
    let answer = json!({
        "id": number, "status": "shipped", "express": number.is_multiple_of(2),
        "items": [{"sku": format!("SKU-{}", number % 97), "title": "Chart of the northern coast", "quantity": 2}],
        "createdAt": "2026-03-01T12:00:00Z",
    });
    let request_headers = json!({
        "host": "api.shop.net", "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
        "accept": "application/json", "authorization": "Bearer 7f3b2c1d0e",
    });
    let response_headers = json!({"content-type": "application/json; charset=utf-8", "cache-control": "no-store"});
    Record {
        account_id: 1_000_000,
        collection_id: 1 + (endpoint % COLLECTIONS) as i64,
        source: Source::Har,
        method: "GET".into(),
        path: format!("https://api.shop.net/{word}area/{word}orders/{number}?page={}", number % 9).into(),
        protocol: "HTTP/1.1".into(),
        request_headers: request_headers.to_string().into(),
        response_headers: response_headers.to_string().into(),
        response_payload: answer.to_string().into(),
        status_code: 200,
        status: "OK".into(),
        time: 1_772_366_400 + (number / 2_000) as i64,
        ip: "10.0.0.1".into(),
        direction: 1,
        ..Record::default()
    }
}
