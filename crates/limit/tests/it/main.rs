//! Limits in all three places, the table on both databases.

use std::time::Duration;

use portolan_authz::Redis;
use portolan_limit::{Counter, Decision, Limit, Limits};
use portolan_testkit::TestDb;

portolan_testkit::suite! {
    own::racing_callers_share_one_maximum,
    own::a_window_ends,
    own::several_limits_count_together,
    own::what_is_given_back_is_free,
    counters_that_are_away_refuse;
    PORTOLAN_TEST_REDIS:
    redis::racing_callers_share_one_maximum,
    redis::a_window_ends,
    redis::several_limits_count_together,
    redis::what_is_given_back_is_free,
    installations_do_not_count_together,
}

/// Cases that hold in every place: in a table and in memory, and in Redis.
macro_rules! in_each_place {
    ($($name:ident),+ $(,)?) => {
        mod own {
            $(pub async fn $name(test: super::TestDb) {
                super::$name(super::own_places(&test).await).await;
            })+
        }

        mod redis {
            $(pub async fn $name(_: super::TestDb) {
                super::$name(vec![super::redis_place()]).await;
            })+
        }
    };
}

in_each_place! {
    racing_callers_share_one_maximum,
    a_window_ends,
    several_limits_count_together,
    what_is_given_back_is_free,
}

/// Each opened twice, as two replicas would.
type Replicas = [Limits; 2];

async fn own_places(test: &TestDb) -> Vec<Replicas> {
    let table = Limits::in_table(&test.db).await.unwrap();
    let memory = Limits::memory();
    vec![[table, Limits::in_table(&test.db).await.unwrap()], [memory.clone(), memory]]
}

fn redis_place() -> Replicas {
    let replica = || Limits::Redis(Redis::new(&redis_url(), "test").unwrap());
    [replica(), replica()]
}

fn redis_url() -> String {
    std::env::var("PORTOLAN_TEST_REDIS").expect("the case runs only with a Redis")
}

fn subject(kind: &str) -> String {
    format!("{kind}/{:016x}", rand::random::<u64>())
}

async fn allowed(limits: &Limits, counters: &[Counter]) -> bool {
    matches!(limits.take(counters).await.unwrap(), Decision::Allowed { .. })
}

/// 60 callers at two replicas race for 25: exactly 25 are allowed.
async fn racing_callers_share_one_maximum(places: Vec<Replicas>) {
    for replicas in places {
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
async fn a_window_ends(places: Vec<Replicas>) {
    for [limits, _] in places {
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
async fn several_limits_count_together(places: Vec<Replicas>) {
    for [limits, _] in places {
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
async fn what_is_given_back_is_free(places: Vec<Replicas>) {
    for [limits, _] in places {
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
    let url = redis_url();
    let [one, other] = ["one", "other"].map(|name| Limits::Redis(Redis::new(&url, name).unwrap()));
    let counters = [Counter::new(subject("installation"), Limit::per_minute(1))];
    assert!(allowed(&one, &counters).await && allowed(&other, &counters).await);
    assert!(!allowed(&one, &counters).await && !allowed(&other, &counters).await);
}
