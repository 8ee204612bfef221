use portolan_testkit::TestDb;
use portolan_tokens::MIGRATIONS;

const NEXT: &str = "UPDATE token_sequences SET next = next + 1 WHERE name = 'change' RETURNING next - 1 AS n";

/// Numbers of the change feed become visible in their order: who takes a later one waits until the earlier is committed
/// or given up, so a reader that polls by number misses nothing.
pub async fn numbers_become_visible_in_order(test: TestDb) {
    let db = test.store.service("tokens").await.unwrap();
    db.migrate(&MIGRATIONS).await.unwrap();
    let mut first = db.begin().await.unwrap();
    let one: i64 = first.fetch_one(NEXT, Vec::new()).await.unwrap().get("n").unwrap();
    let later = tokio::spawn({
        let db = db.clone();
        async move {
            let mut second = db.begin().await.unwrap();
            let two: i64 = second.fetch_one(NEXT, Vec::new()).await.unwrap().get("n").unwrap();
            second.commit().await.unwrap();
            two
        }
    });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(!later.is_finished(), "a later number was committed before an earlier one");
    first.commit().await.unwrap();
    assert_eq!(later.await.unwrap(), one + 1);
}
