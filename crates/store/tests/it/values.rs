use portolan_store::{Bulk, Db, Dialect, Error, Sql, Value, args};
use portolan_testkit::TestDb;

const INSERT: &str = "INSERT INTO samples (id, number, ratio, note, bytes) VALUES ($1, $2, $3, $4, $5)";
const SELECT: &str = "SELECT id, number, ratio, note, bytes FROM samples WHERE id = $1";

pub async fn create_samples(db: &Db) {
    let bytes = match db.dialect() {
        Dialect::Sqlite => "BLOB",
        Dialect::Postgres => "BYTEA",
    };
    let create = format!(
        "CREATE TABLE samples (id TEXT PRIMARY KEY, number BIGINT, ratio DOUBLE PRECISION, note TEXT, bytes {bytes})"
    );
    db.execute(Sql::assembled(create), args![]).await.expect("create the table");
}

/// Every kind of value comes back as it was given.
pub async fn round_trip(test: TestDb) {
    let db = &test.db;
    create_samples(db).await;
    let text = "é 日本 '; DROP TABLE samples; -- $1";
    let bytes = vec![0, 255, 39];
    for (id, number) in [("low", i64::MIN), ("high", i64::MAX), ("zero", 0)] {
        let touched = db.execute(INSERT, args![id, number, 0.1, text, &bytes]).await.expect("insert");
        assert_eq!(touched, 1);
        let row = db.fetch_one(SELECT, args![id]).await.expect("select");
        assert_eq!(row.get::<String>("id").expect("id"), id);
        assert_eq!(row.get::<i64>(1).expect("number"), number);
        assert_eq!(row.get::<f64>("ratio").expect("ratio"), 0.1);
        assert_eq!(row.get::<String>("note").expect("note"), text);
        assert_eq!(row.get::<Option<Vec<u8>>>("bytes").expect("bytes"), Some(bytes.clone()));
    }
    db.execute(INSERT, args!["flag", true, 1.0, "", Vec::new()]).await.expect("insert");
    assert!(db.fetch_one(SELECT, args!["flag"]).await.expect("select").get::<bool>("number").expect("a flag"));
}

/// A statement first used with nulls takes values later, and the other way round.
pub async fn nulls_keep_prepared_statements_usable(test: TestDb) {
    let db = &test.db;
    create_samples(db).await;
    for (id, full) in [("a", false), ("b", true), ("c", false), ("d", true)] {
        let row = args![
            id,
            full.then_some(7_i64),
            full.then_some(1.5_f64),
            full.then_some("text"),
            full.then(|| vec![1_u8, 2]),
        ];
        db.execute(INSERT, row).await.expect("insert");
        let row = db.fetch_one(SELECT, args![id]).await.expect("select");
        assert_eq!(row.get::<Option<i64>>("number").expect("number"), full.then_some(7));
        assert_eq!(row.get::<Option<f64>>("ratio").expect("ratio"), full.then_some(1.5));
        assert_eq!(row.get::<Option<String>>("note").expect("note"), full.then(|| "text".to_owned()));
        assert_eq!(row.get::<Option<Vec<u8>>>("bytes").expect("bytes"), full.then(|| vec![1, 2]));
    }
}

/// A wrong reading is an error with the column in its text, not a panic.
pub async fn misread_columns_are_errors(test: TestDb) {
    let db = &test.db;
    create_samples(db).await;
    db.execute(INSERT, args!["a", -1_i64, None::<f64>, None::<&str>, None::<Vec<u8>>]).await.expect("insert");
    let row = db.fetch_one(SELECT, args!["a"]).await.expect("select");
    let errors = [
        row.get::<i64>("id").err(),
        row.get::<u32>("number").err(),
        row.get::<String>("note").err(),
        row.get::<i64>("absent").err(),
        row.get::<i64>(5).err(),
        db.fetch_one(SELECT, args!["absent"]).await.err(),
    ];
    for error in errors {
        assert!(matches!(error, Some(Error::Inconsistency(_))), "{error:?}");
    }
    assert!(row.get::<bool>("number").expect("a flag"));
    assert!(db.fetch_optional(SELECT, args!["absent"]).await.expect("select").is_none());
    let wrong = db.fetch_all("SELECT nothing FROM nowhere", args![]).await.err();
    assert!(matches!(wrong, Some(Error::Other(_))), "{wrong:?}");
}

/// Callers can tell which key or reference was violated.
pub async fn violations_are_named(test: TestDb) {
    let db = &test.db;
    db.execute("CREATE TABLE owners (name TEXT NOT NULL, CONSTRAINT owners_name UNIQUE (name))", args![])
        .await
        .expect("create");
    db.execute("CREATE TABLE pets (owner TEXT NOT NULL REFERENCES owners (name))", args![]).await.expect("create");
    let insert = "INSERT INTO owners (name) VALUES ($1)";
    db.execute(insert, args!["ann"]).await.expect("insert");
    let taken = db.execute(insert, args!["ann"]).await.expect_err("the name is taken");
    let key = taken.unique_violation().expect("a unique violation").to_owned();
    match db.dialect() {
        Dialect::Sqlite => assert_eq!(key, "owners.name"),
        Dialect::Postgres => assert_eq!(key, "owners_name"),
    }
    assert!(!taken.transient());
    let orphan = db.execute("INSERT INTO pets (owner) VALUES ($1)", args!["bob"]).await;
    assert!(matches!(orphan, Err(Error::ForeignKeyViolation { .. })), "{orphan:?}");
}

/// All rows arrive, whatever their number, and a second time they are updated.
pub async fn bulk_writes_every_row(test: TestDb) {
    static SAVE: Bulk<3> = Bulk::new(
        "INSERT INTO samples (id, number, note)",
        "ON CONFLICT (id) DO UPDATE SET number = samples.number + excluded.number RETURNING number",
    );
    let db = &test.db;
    create_samples(db).await;
    let row = |index: i64| [Value::from(format!("key {index}")), Value::from(index), Value::from(None::<&str>)];
    for round in 1..=2_i64 {
        let mut tx = db.begin().await.expect("begin");
        let answers = tx.bulk_returning(&SAVE, (0..1_500).map(row)).await.expect("write");
        let sum: i64 = answers.iter().map(|row| row.get::<i64>(0).expect("number")).sum();
        assert_eq!((answers.len(), sum), (1_500, round * 1_500 * 1_499 / 2));
        tx.commit().await.expect("commit");
    }
    let mut tx = db.begin().await.expect("begin");
    assert_eq!(tx.bulk(&SAVE, (0..7).map(row)).await.expect("write"), 7);
    assert_eq!(tx.bulk(&SAVE, std::iter::empty()).await.expect("write"), 0);
    tx.commit().await.expect("commit");
    let count = db.fetch_one("SELECT count(*) FROM samples", args![]).await.expect("count");
    assert_eq!(count.get::<i64>(0).expect("count"), 1_500);
}
