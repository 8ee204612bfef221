//! The metering of usage events: how many a second are counted, each once, and how long a query takes when few and when
//! many are stored. Prints rows of a Markdown table, of SQLite and, where `PORTOLAN_TEST_POSTGRES` names a server, of
//! Postgres. `PORTOLAN_BENCH_EVENTS` sets the number of events.

use std::time::{Duration, Instant};

use portolan_authz::{Caller, CredentialKind, Grant, RequestInfo, Role, Scope, ServiceAuth};
use portolan_billing::provider::{Provider, SigningKey};
use portolan_billing::usage::{self, BATCH_MAX, Event, event_key};
use portolan_billing::{BillingRules, Clock, Deps, Plans, readings};
use portolan_ids::{AccountId, UserId};
use portolan_runtime::{Config, Peers};
use portolan_store::{Store, args};
use portolan_testkit::{POSTGRES_VARIABLE, PostgresDatabase, TestDb};

const FEW: usize = 10_000;
const START: i64 = 1_768_478_400;
const QUERIES: usize = 200;
const FEATURES: [&str; 4] = ["TEST_RUNS", "CUSTOM_TESTS", "api.calls", "storage.bytes"];

// One thread for the program: the rate is that of one core, beside what Postgres takes.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let events = std::env::var("PORTOLAN_BENCH_EVENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let test = TestDb::sqlite().await;
    measure("SQLite", &test.store, events).await;
    let Ok(server) = std::env::var(POSTGRES_VARIABLE) else {
        eprintln!("left out: Postgres needs {POSTGRES_VARIABLE}");
        return;
    };
    let (database, test) = PostgresDatabase::create(&server).await;
    measure("Postgres", &test.store, events).await;
    test.store.close().await;
    database.drop_database().await.expect("the database can be dropped");
}

async fn measure(name: &str, store: &Store, events: usize) {
    let deps = open(store).await;
    fill(&deps, 0, FEW).await;
    let few = median_query(&deps).await.as_secs_f64() * 1e3;
    let taken = fill(&deps, FEW, events).await;
    let many = median_query(&deps).await.as_secs_f64() * 1e3;
    let rate = (events - FEW) as f64 / taken.as_secs_f64();
    println!("| usage events counted once each, one core, {name} | {rate:.0}/s | – | – | ≥ 10,000/s |");
    println!(
        "| query of usage over {events} events, {name} | {many:.2} ms | over {FEW} events {few:.2} ms | {:.2} × | – |",
        many / few
    );
}

async fn open(store: &Store) -> Deps {
    let db = store.service("billing").await.expect("open the service");
    let config = Config::load("data".into(), None, []).expect("the defaults are usable");
    let peers = Peers::new(&config, ServiceAuth::new(&[7; 32])).expect("no peers are remote");
    let rules = BillingRules {
        refresh_s: 60,
        stale_s: 60,
        report_s: 60,
        event_window_s: 90 * 86_400,
        hours_s: 90 * 86_400,
        days_s: 800 * 86_400,
        agents_s: 400 * 86_400,
        email_domain_rule: false,
    };
    let provider = Provider::BuiltIn(SigningKey::new("key"));
    let clock = Clock::new(|| START);
    let deps = Deps::new(db, peers, provider, Plans::compiled_in(), clock, rules).await.expect("migrate");
    let known = "INSERT INTO billing_accounts (account_id, organization_id) VALUES (1, 'o')";
    deps.db.execute(known, args![]).await.expect("an empty database");
    deps
}

/// Counts the events with these numbers; they are spread over 90 days.
async fn fill(deps: &Deps, from: usize, to: usize) -> Duration {
    let mut taken = Duration::ZERO;
    for first in (from..to).step_by(BATCH_MAX) {
        let event = |number: usize| Event {
            account_id: 1.into(),
            key: event_key("bench", &number.to_string()),
            feature: FEATURES[number % 4].to_owned(),
            value: 1,
            time: START - (number as i64 * 7_919) % 7_776_000,
        };
        let batch: Vec<_> = (first..to.min(first + BATCH_MAX)).map(event).collect();
        let started = Instant::now();
        let counted = usage::record(deps, &batch).await.expect("the store takes a batch");
        taken += started.elapsed();
        assert!(counted.iter().all(|is_new| *is_new));
    }
    taken
}

/// The present usage and a month by days, as `GET /v1/usage` reads it.
async fn median_query(deps: &Deps) -> Duration {
    let caller = Caller {
        account_id: AccountId(1),
        user_id: UserId(1),
        organization_id: "o".into(),
        scope: Scope::Api,
        credential: CredentialKind::ExternalApiKey,
        credential_id: String::new(),
        info: RequestInfo::default(),
        grant: Grant::new("ADMIN", Role::Admin, None).into(),
        token: "".into(),
    };
    let wish = readings::Wish { start: Some(START - 2_592_000), ..readings::Wish::default() };
    let mut times = Vec::with_capacity(QUERIES);
    for _ in 0..QUERIES {
        let started = Instant::now();
        let reading = readings::read(deps, &caller, &wish).await.expect("the store answers");
        times.push(started.elapsed());
        assert!(!reading.windows.is_empty());
    }
    times.sort();
    times[QUERIES / 2]
}
