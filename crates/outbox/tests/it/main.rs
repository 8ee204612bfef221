//! Events through the outbox, on both databases.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};
use std::time::Duration;

use portolan_api::Reason;
use portolan_authz::{BoxFuture, FailedAuthentication, Shown};
use portolan_outbox::{AuditEvent, Event, Failure, FailureLog, Relay, Sink, open, put};
use portolan_testkit::TestDb;

portolan_testkit::suite! {
    committed_events_arrive_in_order,
    rolled_back_events_never_arrive,
    failures_repeat_until_taken,
    refused_for_good_is_put_aside,
    refused_long_ago_is_forgotten,
    a_waiting_key_holds_back_no_other,
    a_slow_receiver_of_one_key_holds_back_no_other,
    two_relays_share_one_outbox,
    an_attack_costs_a_bounded_number_of_events,
}

/// Takes events, after a number of failures, except those whose payload is `bad`.
#[derive(Clone, Default)]
struct Receiver {
    taken: Arc<Mutex<Vec<String>>>,
    failures_left: Arc<AtomicUsize>,
}

impl Receiver {
    fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }

    async fn wait_for(&self, count: usize) -> Vec<String> {
        for _ in 0..200 {
            if self.taken().len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.taken()
    }
}

impl Sink for Receiver {
    fn deliver<'a>(&'a self, events: &'a [Event]) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let failing =
                self.failures_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            if failing.is_ok() {
                return Err(Failure::Later("not now".to_owned()));
            }
            if events.iter().any(|event| event.payload == "later") {
                return Err(Failure::Later("not this one".to_owned()));
            }
            assert!(events.iter().all(|event| event.payload != "panic"), "this event makes the receiver panic");
            if events.iter().any(|event| event.payload == "bad") {
                return Err(Failure::Never("unreadable".to_owned()));
            }
            self.taken.lock().unwrap().extend(events.iter().map(|event| event.id.clone()));
            Ok(())
        })
    }
}

async fn put_all(test: &TestDb, ids: impl IntoIterator<Item = String>, payload: &str) {
    put_keyed(test, "", ids, payload).await;
}

async fn put_keyed(test: &TestDb, key: &str, ids: impl IntoIterator<Item = String>, payload: &str) {
    let mut tx = test.db.begin().await.unwrap();
    for id in ids {
        put(&mut tx, "t", key, &id, payload).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn left(test: &TestDb, table: &'static str) -> i64 {
    let sql = if table == "outbox" { "SELECT count(*) FROM outbox" } else { "SELECT count(*) FROM outbox_rejected" };
    test.db.fetch_one(sql, vec![]).await.unwrap().get(0).unwrap()
}

/// Events of 500 transactions arrive in the order of their commits, and the outbox is empty then.
async fn committed_events_arrive_in_order(test: TestDb) {
    open(&test.db).await.unwrap();
    let ids: Vec<_> = (0..500).map(|i| format!("{i:04}")).collect();
    for id in &ids {
        put_all(&test, [id.clone()], "{}").await;
    }
    let receiver = Receiver::default();
    let relay = Relay::default().sink("t", receiver.clone()).with_db(&test.db).start();
    assert_eq!(receiver.wait_for(500).await, ids);
    relay.stop().await;
    assert_eq!(left(&test, "outbox").await, 0);
}

/// What a rolled back transaction put is gone; an id put twice arrives once.
async fn rolled_back_events_never_arrive(test: TestDb) {
    open(&test.db).await.unwrap();
    let mut tx = test.db.begin().await.unwrap();
    put(&mut tx, "t", "", "lost", "{}").await.unwrap();
    tx.rollback().await.unwrap();
    put_all(&test, ["kept".to_owned(), "kept".to_owned()], "{}").await;
    let receiver = Receiver::default();
    let relay = Relay::default().sink("t", receiver.clone()).with_db(&test.db).start();
    receiver.wait_for(1).await;
    relay.stop().await;
    assert_eq!(receiver.taken(), ["kept"]);
}

/// A receiver that is away three times gets every event at the fourth attempt.
async fn failures_repeat_until_taken(test: TestDb) {
    open(&test.db).await.unwrap();
    put_all(&test, (0..3).map(|i| i.to_string()), "{}").await;
    let receiver = Receiver { failures_left: Arc::new(AtomicUsize::new(3)), ..Receiver::default() };
    let relay = Relay::default().sink("t", receiver.clone()).with_db(&test.db).start();
    assert_eq!(receiver.wait_for(3).await, ["0", "1", "2"]);
    relay.stop().await;
}

/// An event that is never taken, or that makes the delivery panic, does not hold up those behind it, and is kept with
/// the reason.
async fn refused_for_good_is_put_aside(test: TestDb) {
    open(&test.db).await.unwrap();
    put_all(&test, ["a".to_owned()], "{}").await;
    put_all(&test, ["b".to_owned()], "bad").await;
    put_all(&test, ["c".to_owned()], "{}").await;
    put_all(&test, ["d".to_owned()], "panic").await;
    put_all(&test, ["e".to_owned()], "{}").await;
    let receiver = Receiver::default();
    let relay = Relay::default().sink("t", receiver.clone()).with_db(&test.db).start();
    assert_eq!(receiver.wait_for(3).await, ["a", "c", "e"]);
    relay.stop().await;
    assert_eq!((left(&test, "outbox").await, left(&test, "outbox_rejected").await), (0, 2));
    let refused = portolan_outbox::refused(&test.db).await.unwrap();
    assert_eq!((refused.len(), refused[0].topic.as_str(), refused[0].events), (1, "t", 2));
    assert!(!refused[0].reason.is_empty());
}

/// Keys whose events the receiver does not take yet, more of them than are delivered side by side, hold back their own
/// events and those of no other key; what came before in their key arrives.
async fn a_waiting_key_holds_back_no_other(test: TestDb) {
    open(&test.db).await.unwrap();
    put_keyed(&test, "held 0", ["before".to_owned()], "{}").await;
    for n in 0..20 {
        put_keyed(&test, &format!("held {n}"), [format!("held {n}")], "later").await;
    }
    put_keyed(&test, "held 0", ["behind".to_owned()], "{}").await;
    put_keyed(&test, "free", ["a".to_owned(), "b".to_owned()], "{}").await;
    let receiver = Receiver::default();
    let relay = Relay::default().sink("t", receiver.clone()).with_db(&test.db).start();
    assert_eq!(receiver.wait_for(3).await, ["before", "a", "b"]);
    // What is taken leaves the table a moment later.
    for _ in 0..200 {
        if left(&test, "outbox").await <= 21 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(left(&test, "outbox").await, 21);
    let waiting = portolan_outbox::waiting(&test.db).await.unwrap();
    assert_eq!((waiting.len(), waiting[0].events), (1, 21));

    test.db.execute("UPDATE outbox SET payload = '{}'", vec![]).await.unwrap();
    test.db.execute("UPDATE outbox_waits SET due_at = 0", vec![]).await.unwrap();
    let taken = receiver.wait_for(24).await;
    relay.stop().await;
    let place = |id: &str| taken.iter().position(|known| known == id).unwrap();
    assert!(taken.len() == 24 && place("held 0") < place("behind"), "{taken:?}");
    assert_eq!(left(&test, "outbox").await, 0);
}

/// Takes the events of one account after a while each, as a webhook that hangs does.
struct SlowForOne(Receiver);

impl Sink for SlowForOne {
    fn deliver<'a>(&'a self, events: &'a [Event]) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            for event in events.iter().filter(|event| event.key == "slow") {
                let is_again = self.0.taken().contains(&event.id);
                tokio::time::sleep(if is_again { Duration::ZERO } else { Duration::from_millis(200) }).await;
            }
            self.0.deliver(events).await
        })
    }
}

/// However many events wait for a receiver that is slow for one key, those of others arrive, also those that come later.
async fn a_slow_receiver_of_one_key_holds_back_no_other(test: TestDb) {
    const BACKLOG: usize = 1_000;
    open(&test.db).await.unwrap();
    put_keyed(&test, "slow", (0..BACKLOG).map(|n| format!("slow {n}")), "{}").await;
    put_keyed(&test, "free", ["first".to_owned()], "{}").await;
    let receiver = Receiver::default();
    let (delivery_max, turn_max) = (Duration::from_millis(500), Duration::from_millis(300));
    let relay = Relay::default().sink("t", SlowForOne(receiver.clone())).with_db(&test.db);
    let relay = relay.with_patience(delivery_max, turn_max).start();
    let arrives = async |id: &str| {
        for _ in 0..200 {
            if receiver.taken().iter().any(|taken| taken == id) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{id} does not arrive: {:?}", receiver.taken());
    };
    arrives("first").await;
    put_keyed(&test, "free", ["later".to_owned()], "{}").await;
    arrives("later").await;
    assert!(left(&test, "outbox").await > 900, "the slow ones were not slow");
    relay.stop().await;
    let slow: Vec<String> = receiver.taken().into_iter().filter(|id| id.starts_with("slow")).collect();
    let ordered: Vec<String> = (0..slow.len()).map(|n| format!("slow {n}")).collect();
    assert!(!slow.is_empty() && slow == ordered, "{slow:?}");
}

/// Two processes on one database deliver everything, in order, by turns: the lease of the first ends with it.
async fn two_relays_share_one_outbox(test: TestDb) {
    open(&test.db).await.unwrap();
    let receiver = Receiver::default();
    let first = Relay::default().sink("t", receiver.clone()).with_db(&test.db).start();
    let second = Relay::default().sink("t", receiver.clone()).with_db(&test.db).start();
    let ids: Vec<_> = (0..100).map(|i| format!("{i:04}")).collect();
    put_all(&test, ids[..50].to_vec(), "{}").await;
    receiver.wait_for(50).await;
    first.stop().await;
    put_all(&test, ids[50..].to_vec(), "{}").await;
    assert_eq!(receiver.wait_for(100).await, ids);
    second.stop().await;
}

/// Failed authentications of one kind, subject and address are two events at most, and those that are too many to be told
/// apart are one; none is lost, and nothing that was shown is in them.
async fn an_attack_costs_a_bounded_number_of_events(test: TestDb) {
    const SHOWN: &str = "sesame";
    open(&test.db).await.unwrap();
    let log = FailureLog::new(test.db.clone());
    let (mut told, alone) = (0, 70_000);
    let mut fail = |key: usize, address: &str| {
        told += 1;
        let subject = format!("{SHOWN}-{key}");
        log.note(FailedAuthentication::new(Shown::ApiKey, &subject, address, Reason::Unauthenticated).of(7.into()));
    };
    for n in 0..alone {
        fail(1, "192.0.2.1");
        if n == alone / 2 {
            log.flush().await.unwrap();
        }
    }
    for key in 0..10_000 {
        fail(key, "192.0.2.2");
    }
    let (one, other) = tokio::join!(log.flush(), log.flush());
    one.and(other).unwrap();
    let events = test.db.fetch_all("SELECT payload FROM outbox", vec![]).await.unwrap();
    let texts: Vec<String> = events.iter().map(|row| row.get("payload").unwrap()).collect();
    assert!(texts.iter().all(|text| !text.contains(SHOWN)), "{texts:?}");
    let events: Vec<AuditEvent> = texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    // Two windows: each may have the first of a kind and the rest of it.
    let of_one = |address: &str| events.iter().filter(|event| event.client_address == address).collect::<Vec<_>>();
    assert!(of_one("192.0.2.1").len() <= 4 && of_one("192.0.2.1").iter().all(|event| event.account_id == 7));
    assert!(events.len() <= 4 + 2 * 60 + 1, "{}", events.len());
    assert_eq!(events.iter().map(|event| event.count).sum::<i64>(), told);
    let others: Vec<_> = events.iter().filter(|event| event.credential == "OTHERS").collect();
    assert!(others.len() == 1 && others[0].count > 9_900, "{others:?}");
}

/// Events that were refused longer ago than they are kept go, of the own topic, in several steps; younger ones stay.
async fn refused_long_ago_is_forgotten(test: TestDb) {
    open(&test.db).await.unwrap();
    let now = portolan_store::now_s();
    let insert =
        "INSERT INTO outbox_rejected (topic, event_id, payload, reason, rejected_at) VALUES ($1, $2, '{}', '', $3)";
    let mut tx = test.db.begin().await.unwrap();
    for n in 0..1_200 {
        tx.execute(insert, portolan_store::args!["t", n.to_string(), now - 1_000]).await.unwrap();
    }
    tx.execute(insert, portolan_store::args!["t", "young", now - 10]).await.unwrap();
    tx.execute(insert, portolan_store::args!["other", "old", now - 1_000]).await.unwrap();
    tx.commit().await.unwrap();
    let receiver = Receiver::default();
    let relay = || Relay::default().sink("t", receiver.clone()).with_db(&test.db);
    let all = relay().start();
    put_all(&test, ["for ever".to_owned()], "{}").await;
    receiver.wait_for(1).await;
    all.stop().await;
    assert_eq!(left(&test, "outbox_rejected").await, 1_202, "nothing is said of how long");
    let some = relay().keeping_refused(500).start();
    put_all(&test, ["for a time".to_owned()], "{}").await;
    receiver.wait_for(2).await;
    some.stop().await;
    assert_eq!(left(&test, "outbox_rejected").await, 2);
}
