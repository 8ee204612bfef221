use portolan_testkit::TestDb;
use portolan_tokens::TABLES;

/// The tables are made, and a second start finds them.
pub async fn run_twice(test: TestDb) {
    let db = test.store.service("tokens").await.unwrap();
    db.migrate_tables(&TABLES).await.unwrap();
    db.migrate_tables(&TABLES).await.unwrap();
    let row = db.fetch_one("SELECT count(*) AS n FROM api_profiles", Vec::new()).await.unwrap();
    assert_eq!(row.get::<i64>("n").unwrap(), 0);
}
