use std::time::Duration;

use portolan_testkit::TestDb;
use portolan_tokens::{TABLES, changes};

/// Numbers of the change feed become visible in their order: who takes a later one waits until the earlier is committed
/// or given up, so a reader that polls by number misses nothing.
pub async fn numbers_become_visible_in_order(test: TestDb) {
    let db = test.store.service("tokens").await.unwrap();
    db.migrate_tables(&TABLES).await.unwrap();
    let mut first = db.begin().await.unwrap();
    let one = changes::next(&mut first).await.unwrap();
    let mut later = tokio::spawn({
        let db = db.clone();
        async move {
            let mut second = db.begin().await.unwrap();
            let two = changes::next(&mut second).await.unwrap();
            second.commit().await.unwrap();
            two
        }
    });
    let early = tokio::time::timeout(Duration::from_millis(200), &mut later).await;
    assert!(early.is_err(), "a later number was committed before an earlier one");
    first.commit().await.unwrap();
    assert_eq!(later.await.unwrap(), one + 1);

    let mut given_up = db.begin().await.unwrap();
    assert_eq!(changes::next(&mut given_up).await.unwrap(), one + 2);
    given_up.rollback().await.unwrap();
    let mut again = db.begin().await.unwrap();
    assert_eq!(changes::next(&mut again).await.unwrap(), one + 2, "no number is left out that a reader waits for");
}
