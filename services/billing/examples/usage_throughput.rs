//! Measures the metering of usage events: how many a second are counted, each once, and how long a query takes when
//! few and when many are stored.
//!
//! `cargo run --release -p portolan-billing --example usage_throughput -- [STORE_URL] [EVENTS]`; without a URL on SQLite
//! in a temporary directory, with 1,000,000 events. Use an empty database.

use std::time::{Duration, Instant};

use portolan_authz::{Caller, CredentialKind, Grant, RequestInfo, Role, Scope, ServiceAuth};
use portolan_billing::provider::{Provider, SigningKey};
use portolan_billing::usage::{self, BATCH_MAX, Event, event_key};
use portolan_billing::{Clock, Deps, Plans, Settings, readings};
use portolan_runtime::{Config, Peers};
use portolan_store::{Store, args};

const FEW: usize = 10_000;
const START: i64 = 1_768_478_400;
const QUERIES: usize = 200;
const FEATURES: [&str; 4] = ["TEST_RUNS", "CUSTOM_TESTS", "api.calls", "storage.bytes"];

// One thread for the program: the rate is that of one core, beside what Postgres takes.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = tempfile::tempdir().expect("make a temporary directory");
    let url = arguments.next().unwrap_or_else(|| format!("sqlite:{}", directory.path().display()));
    let events: usize = arguments.next().map_or(1_000_000, |count| count.parse().expect("a number of events"));
    let deps = open(&url).await;

    fill(&deps, 0, FEW).await;
    let few = median_query(&deps).await;
    let taken = fill(&deps, FEW, events).await;
    let many = median_query(&deps).await;

    let rate = (events - FEW) as f64 / taken.as_secs_f64();
    println!("{:?}: {rate:.0} events/s in batches of {BATCH_MAX}", deps.db.dialect());
    let ratio = many.as_secs_f64() / few.as_secs_f64();
    println!("query at {FEW} events {few:?}, at {events} events {many:?}: {ratio:.2} x");
}

async fn open(url: &str) -> Deps {
    let db = Store::connect(url).await.expect("open the store").service("billing").await.expect("open the service");
    let config = Config::load("data".into(), None, []).expect("the defaults are usable");
    let peers = Peers::new(&config, ServiceAuth::new(&[7; 32])).expect("no peers are remote");
    let settings =
        Settings { refresh_s: 60, stale_s: 60, report_s: 60, event_window_s: 90 * 86_400, email_domain_rule: false };
    let provider = Provider::BuiltIn(SigningKey::new("key"));
    let clock = Clock::new(|| START);
    let deps = Deps::new(db, peers, provider, Plans::compiled_in(), clock, settings).await.expect("migrate");
    let known = "INSERT INTO billing_accounts (account_id, organization_id) VALUES (1, 'o')";
    deps.db.execute(known, args![]).await.expect("an empty database");
    deps
}

/// Counts the events with these numbers; they are spread over 90 days.
async fn fill(deps: &Deps, from: usize, to: usize) -> Duration {
    let mut taken = Duration::ZERO;
    for first in (from..to).step_by(BATCH_MAX) {
        let event = |number: usize| Event {
            account_id: 1,
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
        account_id: 1,
        user_id: 1,
        organization_id: "o".to_owned(),
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
