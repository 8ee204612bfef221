//! Counts on both databases: exact under kills, recounts without false differences.

use std::time::Duration;

use portolan_ids::AccountId;
use portolan_meter::{fold, open, recount};
use portolan_store::{Db, args, retrying};
use portolan_testkit::TestDb;

portolan_testkit::suite! {
    folds_lose_nothing_and_count_nothing_twice,
    a_recount_beside_writers_finds_no_difference,
    a_recount_repairs_once,
}

const COUNTING: &str = "SELECT 'THINGS' AS feature, count(*) AS used FROM things WHERE account_id = $1";

/// A service whose things are counted, as a trigger does it, in the transaction that makes them.
async fn service(test: &TestDb) -> Db {
    let db = test.db.clone();
    open(&db).await.unwrap();
    db.execute("CREATE TABLE things (account_id BIGINT NOT NULL, name TEXT NOT NULL)", args![]).await.unwrap();
    db
}

async fn make(db: &Db, name: i64) {
    retrying(|| async {
        let mut tx = db.begin().await?;
        tx.execute("INSERT INTO things (account_id, name) VALUES (1, $1)", args![name.to_string()]).await?;
        let delta = "INSERT INTO meter_deltas (account_id, feature, delta) VALUES (1, 'THINGS', 1)";
        tx.execute(delta, args![]).await?;
        tx.commit().await
    })
    .await
    .unwrap();
}

async fn count(db: &Db) -> (i64, i64) {
    let row = db.fetch_optional("SELECT count, version FROM meter_counts WHERE account_id = 1", args![]).await.unwrap();
    row.map_or((0, 0), |row| (row.get("count").unwrap(), row.get("version").unwrap()))
}

/// Two processes fold at once and die at every point: the count is exact, and the last report says so.
async fn folds_lose_nothing_and_count_nothing_twice(test: TestDb) {
    let db = service(&test).await;
    let points = ["meter.folded", "store.commit", "store.committed", "store.execute", "store.begin"];
    for round in 0..60 {
        make(&db, round).await;
        make(&db, round + 1_000).await;
        test.store.faults().at(points[round as usize % points.len()]).times(2).lose_connection();
        let _ = tokio::join!(fold(&db), fold(&db));
        test.store.faults().clear();
    }
    while fold(&db).await.unwrap() {}
    let (counted, version) = count(&db).await;
    assert_eq!(counted, 120);
    let last = "SELECT payload FROM outbox WHERE event_id = $1";
    let row = db.fetch_one(last, args![format!("1/THINGS/{version}")]).await.unwrap();
    let payload: String = row.get("payload").unwrap();
    assert!(payload.contains("\"count\":120"), "{payload}");
}

/// What happens while a recount looks is no difference.
async fn a_recount_beside_writers_finds_no_difference(test: TestDb) {
    let db = service(&test).await;
    let writer = {
        let db = db.clone();
        tokio::spawn(async move {
            for name in 0..150 {
                make(&db, name).await;
            }
        })
    };
    let folder = portolan_meter::start(std::slice::from_ref(&db));
    while !writer.is_finished() {
        test.store.faults().at("meter.recounted").delay(Duration::from_millis(5));
        for found in recount(&db, AccountId(1), COUNTING).await.unwrap() {
            assert_eq!(found.kept, found.counted);
        }
    }
    writer.await.unwrap();
    folder.stop().await;
    while fold(&db).await.unwrap() {}
    assert_eq!(count(&db).await.0, 150);
}

/// Recounts that meet repair a difference once, and the difference is named.
async fn a_recount_repairs_once(test: TestDb) {
    let db = service(&test).await;
    make(&db, 1).await;
    fold(&db).await.unwrap();
    db.execute("UPDATE meter_counts SET count = 7", args![]).await.unwrap();
    test.store.faults().at("meter.recounted").times(2).delay(Duration::from_millis(30));
    let (first, second) = tokio::join!(recount(&db, AccountId(1), COUNTING), recount(&db, AccountId(1), COUNTING));
    let kept: Vec<_> = [first.unwrap(), second.unwrap()].concat().iter().map(|found| found.kept).collect();
    assert!(kept.contains(&7) && kept.contains(&1), "{kept:?}");
    assert_eq!(count(&db).await.0, 1);
}
