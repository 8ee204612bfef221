use std::time::{Duration, Instant};

use portolan_store::{Error, retrying};
use portolan_testkit::TestDb;

use crate::transactions::{add_one, counter, create_counters};

/// The caller hears that the outcome is unknown; nothing was written, and the store works on.
pub async fn a_lost_connection_before_the_commit_writes_nothing(test: TestDb) {
    let db = &test.db;
    create_counters(db).await;
    db.faults().at("store.commit").lose_connection();
    let outcome = add_one(db, 0).await;
    assert!(matches!(outcome, Err(Error::CommitUnknown(_))), "{outcome:?}");
    assert_eq!(counter(db, 0).await, 0);
    db.faults().at("store.execute").lose_connection();
    let outcome = add_one(db, 0).await;
    assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
    add_one(db, 0).await.expect("the next transaction succeeds");
    assert_eq!(counter(db, 0).await, 1);
}

/// The caller hears the same, but the commit stands: only an idempotent transaction may be repeated.
pub async fn a_lost_answer_leaves_the_commit_standing(test: TestDb) {
    let db = &test.db;
    create_counters(db).await;
    db.faults().at("store.committed").lose_connection();
    let outcome = retrying(|| add_one(db, 0)).await;
    let error = outcome.expect_err("the answer is lost");
    assert!(matches!(error, Error::CommitUnknown(_)), "{error:?}");
    assert!(error.transient() && !error.repeatable());
    assert_eq!(counter(db, 0).await, 1);
}

/// Failures that wrote nothing are repeated, up to five attempts in all.
pub async fn retrying_repeats_what_wrote_nothing(test: TestDb) {
    let db = &test.db;
    create_counters(db).await;
    db.faults().at("store.commit").times(4).fail();
    retrying(|| add_one(db, 0)).await.expect("the fifth attempt");
    assert_eq!(counter(db, 0).await, 1);
    db.faults().at("store.begin").times(5).fail();
    let outcome = retrying(|| add_one(db, 0)).await;
    assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
    assert_eq!(counter(db, 0).await, 1);
}

/// A point strikes as often as armed, then costs nothing.
pub async fn delays_and_own_points_strike_as_often_as_armed(test: TestDb) {
    let db = &test.db;
    db.faults().at("ingest.written").delay(Duration::from_millis(50));
    let begin = Instant::now();
    db.fault("ingest.written").await.expect("delayed");
    assert!(begin.elapsed() >= Duration::from_millis(50));
    db.faults().at("ingest.written").times(2).fail();
    assert!(db.fault("ingest.written").await.is_err());
    db.fault("another.point").await.expect("not armed");
    assert!(db.fault("ingest.written").await.is_err());
    db.fault("ingest.written").await.expect("used up");
    db.faults().at("store.fetch").fail();
    assert!(db.ping().await.is_err());
    db.faults().at("store.fetch").times(9).fail();
    db.faults().clear();
    db.ping().await.expect("disarmed");
}
