use std::sync::atomic::Ordering;

use portolan_billing::forget;
use portolan_billing::refresh::{self, Difference};
use portolan_billing::usage::{self, Event};
use portolan_jobs::{KEPT_S, LEASE_S, State};
use portolan_store::args;
use portolan_testkit::TestDb;

use crate::world::{ACCOUNT, ORGANIZATION, SIBLING, START, World};

/// Requests before a run share it; a run interrupted by a service that is down stays due; differences are named and
/// repaired, and the next run finds none.
pub async fn requests_share_a_run(test: TestDb) {
    let world = World::built_in(test, "").await;
    world.owners.endpoints.store(5, Ordering::Relaxed);
    for _ in 0..10 {
        refresh::request(&world.deps, ACCOUNT.into()).await.unwrap();
    }
    world.owners.is_down.store(true, Ordering::Relaxed);
    world.run_jobs("first").await;
    let jobs = async || world.deps.jobs.list(ACCOUNT, 0, None).await.unwrap();
    let states = async || jobs().await.iter().map(|job| (job.state, job.done_items)).collect::<Vec<_>>();
    assert_eq!(states().await, [(State::Pending, 0)]);
    let state = async || refresh::last(&world.deps, ORGANIZATION).await.unwrap().unwrap();
    assert_eq!(state().await.state, "PENDING");
    world.owners.is_down.store(false, Ordering::Relaxed);
    // It is not due before its pause has passed.
    world.run_jobs("second").await;
    assert_eq!((world.owners.recounts.load(Ordering::Relaxed), state().await.state), (0, "PENDING"));
    world.hand.move_by(LEASE_S);
    world.run_jobs("second").await;
    assert_eq!((world.owners.recounts.load(Ordering::Relaxed), state().await.state), (1, "SUCCEEDED"));
    assert_eq!(world.total(ACCOUNT, "ACTIVE_ENDPOINTS").await.0, 5);
    assert_eq!(states().await, [(State::Succeeded, 0)]);

    let spoil = "UPDATE usage_buckets SET value = 8 WHERE account_id = $1 AND grain = 'TOTAL'";
    world.deps.db.execute(spoil, args![ACCOUNT]).await.unwrap();
    refresh::request(&world.deps, ACCOUNT.into()).await.unwrap();
    world.run_jobs("second").await;
    let feature = "ACTIVE_ENDPOINTS".to_owned();
    let difference = Difference { account_id: ACCOUNT.into(), feature, recorded: 8, counted: 5 };
    assert_eq!(state().await.differences, [difference]);
    assert_eq!(world.total(ACCOUNT, "ACTIVE_ENDPOINTS").await.0, 5);
    refresh::request(&world.deps, ACCOUNT.into()).await.unwrap();
    world.run_jobs("second").await;
    assert_eq!(state().await.differences, []);
    let ended = jobs().await;
    let mut found: Vec<_> = ended.iter().map(|job| job.done_items).collect();
    found.sort_unstable();
    assert_eq!(found, [0, 0, 1]);
    for job in &ended {
        assert_eq!(world.deps.jobs.get(ACCOUNT, &job.job_id).await.unwrap().as_ref(), Some(job));
        assert_eq!(world.deps.jobs.get(SIBLING, &job.job_id).await.unwrap(), None);
    }
    // One a page, from where the page before ended.
    let (mut before, mut paged) = (None, Vec::new());
    while let [job] = world.deps.jobs.list(ACCOUNT, 1, before.take()).await.unwrap().as_slice() {
        before = Some((job.created_at, job.job_id.clone()));
        paged.push(job.clone());
    }
    assert_eq!(paged, ended);
    // Another account of the organization that waits for the same run has a job of its own.
    refresh::request(&world.deps, ACCOUNT.into()).await.unwrap();
    refresh::request(&world.deps, SIBLING.into()).await.unwrap();
    let sibling = async || world.deps.jobs.list(SIBLING, 0, None).await.unwrap();
    assert_eq!((sibling().await[0].state, jobs().await.len()), (State::Pending, 4));
    world.run_jobs("second").await;
    assert_eq!(sibling().await[0].state, State::Succeeded);
}

/// What need not be known is forgotten: keys of events that are refused for their age, and jobs that ended long ago.
/// A younger event still counts once.
pub async fn what_is_old_is_forgotten(test: TestDb) {
    let world = World::built_in(test, "").await;
    let window_s = world.deps.settings.event_window_s;
    let event = |id: i64| Event {
        account_id: (ACCOUNT + id % 3).into(),
        key: usage::event_key("test", &id.to_string()),
        feature: "TEST_RUNS".to_owned(),
        value: 1,
        // Of two, one is a window older than the other.
        time: START - id % 2 * window_s,
    };
    // More than one page of keys.
    let events: Vec<_> = (0..forget::KEYS + 1_500).map(event).collect();
    for batch in events.chunks(1_000) {
        usage::record(&world.deps, batch).await.unwrap();
    }
    refresh::request(&world.deps, ACCOUNT.into()).await.unwrap();
    world.run_jobs("runner").await;
    let kept = async || {
        let row = world.deps.db.fetch_one("SELECT count(*) AS n FROM usage_events", args![]).await.unwrap();
        let jobs = world.deps.jobs.list(ACCOUNT, 0, None).await.unwrap().len();
        (row.get::<i64>("n").unwrap(), jobs)
    };
    let all = events.len() as i64;
    forget::run(&world.deps, "first").await.unwrap();
    assert_eq!(kept().await, (all, 1));
    world.hand.move_by(1);
    // Another process leaves it to the one that has just done it.
    forget::run(&world.deps, "second").await.unwrap();
    assert_eq!(kept().await, (all, 1));
    forget::run(&world.deps, "first").await.unwrap();
    assert_eq!(kept().await, (all / 2, 1));
    let counted = usage::record(&world.deps, &events[..1]).await.unwrap();
    assert_eq!(counted, [false]);
    let total = world.total(ACCOUNT, "TEST_RUNS").await;
    assert_eq!(total.1, (all + 2) / 3);
    world.hand.move_by(KEPT_S.max(window_s));
    forget::run(&world.deps, "second").await.unwrap();
    assert_eq!(kept().await, (0, 0));
}
