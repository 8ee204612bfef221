//! Logins a second, and what 100 people who log in at the same time do to the other calls. Prints a Markdown table.

#[path = "../tests/common/world.rs"]
mod world;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use portolan_authz::{Audience, Cache, Credential, Scope};
use portolan_identity::{Deps, authentication, grants, sessions};
use portolan_ids::UserId;
use portolan_testkit::TestDb;
use world::{ACCOUNT, PASSWORD};

const AUDIENCE: Audience<'_> = Audience { service: "identity", speaker: "gateway" };
const PARALLEL: usize = 100;
const TIME: Duration = Duration::from_secs(8);
/// The other calls come at this pace, as those of people do, instead of taking every core they get.
const PAUSE: Duration = Duration::from_millis(1);

#[tokio::main]
async fn main() {
    let test = TestDb::sqlite().await;
    let deps = world::identity(&test, Cache::Off).await;
    for person in 0..PARALLEL {
        world::member(&deps, &login(person)).await;
    }
    let user = world::member(&deps, "other@example.org").await;
    let opened = sessions::open(&deps, "other@example.org", PASSWORD, "192.0.2.1").await.unwrap();
    let session = Credential::Session { session: opened.session, access_token: opened.access_token };

    let alone = other_calls(&deps, &session, user).await;
    let (done, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let people: Vec<_> = (0..PARALLEL)
        .map(|person| {
            let (deps, done, count) = (deps.clone(), done.clone(), count.clone());
            tokio::spawn(async move {
                let address = format!("198.51.100.{person}");
                while !done.load(Ordering::Relaxed) {
                    sessions::open(&deps, &login(person), PASSWORD, &address).await.unwrap();
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let began = Instant::now();
    let beside = other_calls(&deps, &session, user).await;
    let rate = count.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
    done.store(true, Ordering::Relaxed);
    for person in people {
        person.await.unwrap();
    }
    println!("| logins of {PARALLEL} people at once | {rate:.1} a second | | | |");
    let ratio = beside / alone;
    println!(
        "| median of another call beside {PARALLEL} logins, against none | {beside:.0} µs | {alone:.0} µs | {ratio:.2} × | ≤ 2 × |"
    );
}

fn login(person: usize) -> String {
    format!("person-{person}@example.org")
}

/// The median, in microseconds, of what every request of a session asks identity: who it is, and what they may do.
async fn other_calls(deps: &Deps, session: &Credential, user: UserId) -> f64 {
    let mut samples = Vec::new();
    let until = Instant::now() + TIME;
    while Instant::now() < until {
        let began = Instant::now();
        authentication::authenticate(deps, session, Scope::Api, "192.0.2.1", AUDIENCE).await.unwrap();
        grants::read(deps, ACCOUNT, user, Scope::Api).await.unwrap();
        samples.push(began.elapsed().as_nanos() as f64 / 1_000.0);
        tokio::time::sleep(PAUSE).await;
    }
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
