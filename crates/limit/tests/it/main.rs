//! Limits in all three places, the table on both databases.

use std::time::Duration;

use portolan_authz::Redis;
use portolan_limit::{Counter, Decision, Limit, Limits};
use portolan_testkit::TestDb;

portolan_testkit::suite! {
    racing_callers_share_one_maximum,
    a_window_ends,
    several_limits_count_together,
    what_is_given_back_is_free,
    counters_that_are_away_refuse,
    installations_do_not_count_together,
}

/// Every place, each opened twice, as two replicas would.
async fn places(test: &TestDb) -> Vec<[Limits; 2]> {
    let table = Limits::in_table(&test.db).await.unwrap();
    let memory = Limits::memory();
    let mut places = vec![[table.clone(), Limits::in_table(&test.db).await.unwrap()], [memory.clone(), memory]];
    if let Ok(url) = std::env::var("PORTOLAN_TEST_REDIS") {
        let replica = || Limits::Redis(Redis::new(&url, "test").unwrap());
        places.push([replica(), replica()]);
    }
    places
}

fn subject(kind: &str) -> String {
    format!("{kind}/{:016x}", rand::random::<u64>())
}

async fn allowed(limits: &Limits, counters: &[Counter]) -> bool {
    matches!(limits.take(counters).await.unwrap(), Decision::Allowed { .. })
}

/// 60 callers at two replicas race for 25: exactly 25 are allowed.
async fn racing_callers_share_one_maximum(test: TestDb) {
    for replicas in places(&test).await {
        let counter = Counter::new(subject("race"), Limit::per_minute(25));
        let callers = (0..60).map(|i| {
            let (limits, counter) = (replicas[i % 2].clone(), counter.clone());
            tokio::spawn(async move { allowed(&limits, &[counter]).await })
        });
        let mut count = 0;
        for caller in callers.collect::<Vec<_>>() {
            count += usize::from(caller.await.unwrap());
        }
        assert_eq!(count, 25);
        let refused = replicas[0].take(&[counter]).await.unwrap();
        assert!((1..=60).contains(&refused.retry_after_s().unwrap()), "{refused:?}");
    }
}

/// When the window has ended there is room again.
async fn a_window_ends(test: TestDb) {
    for [limits, _] in places(&test).await {
        let counter = Counter::new(subject("window"), Limit { max: 2, window: Duration::from_millis(300) });
        let counters = [counter];
        assert_eq!(limits.take(&counters).await.unwrap(), Decision::Allowed { left: 1 });
        assert_eq!(limits.take(&counters).await.unwrap(), Decision::Allowed { left: 0 });
        let wait = limits.take(&counters).await.unwrap().retry_after().expect("the window is full");
        tokio::time::sleep(wait + Duration::from_millis(30)).await;
        assert_eq!(limits.take(&counters).await.unwrap(), Decision::Allowed { left: 1 });
    }
}

/// What one limit refuses counts under none.
async fn several_limits_count_together(test: TestDb) {
    for [limits, _] in places(&test).await {
        let tight = Counter::new(subject("account"), Limit::per_minute(1));
        let wide = Counter::new(subject("address"), Limit::per_minute(3));
        let both = [tight.clone(), wide.clone()];
        assert!(allowed(&limits, &both).await);
        assert!(!allowed(&limits, &both).await);
        assert_eq!(limits.take(&[wide]).await.unwrap(), Decision::Allowed { left: 1 });
        let never = Counter::new(subject("never"), Limit::per_minute(0));
        assert!(!allowed(&limits, &[never]).await);
    }
}

/// A count that is given back leaves room for another; a subject that is forgotten begins anew.
async fn what_is_given_back_is_free(test: TestDb) {
    for [limits, _] in places(&test).await {
        let counters = [Counter::new(subject("back"), Limit::per_minute(2))];
        assert!(allowed(&limits, &counters).await && allowed(&limits, &counters).await);
        limits.give_back(&counters).await.unwrap();
        assert!(allowed(&limits, &counters).await);
        assert!(!allowed(&limits, &counters).await);
        limits.forget(&counters[0].subject).await.unwrap();
        assert_eq!(limits.take(&counters).await.unwrap(), Decision::Allowed { left: 1 });
    }
}

/// Without an answer from Redis nothing is allowed.
async fn counters_that_are_away_refuse(_: TestDb) {
    let limits = Limits::Redis(Redis::new("redis://127.0.0.1:1", "test").unwrap());
    let error = limits.take(&[Counter::new("x", Limit::per_minute(5))]).await.unwrap_err();
    assert_eq!(error.reason(), portolan_api::Reason::Unavailable);
}

/// Two installations that share a Redis have counters of their own.
async fn installations_do_not_count_together(_: TestDb) {
    let Ok(url) = std::env::var("PORTOLAN_TEST_REDIS") else { return };
    let [one, other] = ["one", "other"].map(|name| Limits::Redis(Redis::new(&url, name).unwrap()));
    let counters = [Counter::new(subject("installation"), Limit::per_minute(1))];
    assert!(allowed(&one, &counters).await && allowed(&other, &counters).await);
    assert!(!allowed(&one, &counters).await && !allowed(&other, &counters).await);
}
