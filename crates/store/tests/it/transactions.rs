use std::time::Duration;

use portolan_store::{Db, Dialect, Error, Store, args, retrying};
use portolan_testkit::TestDb;

const ADD: &str = "UPDATE counters SET value = value + $2 WHERE id = $1";
const SELECT: &str = "SELECT value FROM counters WHERE id = $1";

pub async fn create_counters(db: &Db) {
    db.execute("CREATE TABLE counters (id BIGINT PRIMARY KEY, value BIGINT NOT NULL)", args![]).await.expect("create");
    for id in 0..2_i64 {
        db.execute("INSERT INTO counters (id, value) VALUES ($1, 0)", args![id]).await.expect("insert");
    }
}

pub async fn counter(db: &Db, id: i64) -> i64 {
    db.fetch_one(SELECT, args![id]).await.expect("select").get(0).expect("value")
}

/// Adds 1 to a counter in a transaction of two statements.
pub async fn add_one(db: &Db, id: i64) -> Result<(), Error> {
    let mut tx = db.begin().await?;
    tx.fetch_one(SELECT, args![id]).await?;
    tx.execute(ADD, args![id, 1_i64]).await?;
    tx.commit().await
}

/// Ignoring a failed statement does not commit the others.
pub async fn a_failed_statement_spoils_the_transaction(test: TestDb) {
    let db = &test.db;
    create_counters(db).await;
    let mut tx = db.begin().await.expect("begin");
    tx.execute(ADD, args![0_i64, 1_i64]).await.expect("update");
    let repeated = tx.execute("INSERT INTO counters (id, value) VALUES (0, 0)", args![]).await;
    assert!(matches!(repeated, Err(Error::UniqueViolation { .. })), "{repeated:?}");
    let after = tx.execute(ADD, args![0_i64, 1_i64]).await;
    assert!(matches!(after, Err(Error::Other(_))), "{after:?}");
    assert!(tx.commit().await.is_err());
    assert_eq!(counter(db, 0).await, 0);
}

/// Dropping and rolling back leave nothing, and give the connection back.
pub async fn an_unfinished_transaction_rolls_back(test: TestDb) {
    let db = &test.db;
    create_counters(db).await;
    for round in 0..30 {
        let mut tx = db.begin().await.expect("begin");
        tx.execute(ADD, args![0_i64, 1_i64]).await.expect("update");
        if round % 2 == 0 {
            tx.rollback().await.expect("roll back");
        }
    }
    assert_eq!(counter(db, 0).await, 0);
    add_one(db, 0).await.expect("write after the rollbacks");
    assert_eq!(counter(db, 0).await, 1);
}

/// A statement given up half-way cannot be followed by a commit.
pub async fn a_cancelled_statement_spoils_the_transaction(test: TestDb) {
    let db = &test.db;
    create_counters(db).await;
    let mut tx = db.begin().await.expect("begin");
    tx.execute(ADD, args![0_i64, 1_i64]).await.expect("update");
    let slow = match db.dialect() {
        Dialect::Sqlite => {
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) SELECT max(i) FROM n"
        }
        Dialect::Postgres => "SELECT cast(pg_sleep(1) AS text)",
    };
    let given_up = tokio::time::timeout(Duration::from_millis(20), tx.fetch_all(slow, args![])).await;
    assert!(given_up.is_err(), "the statement was too quick");
    assert!(tx.commit().await.is_err());
    assert_eq!(counter(db, 0).await, 0);
}

/// Writers at the same time lose no update.
pub async fn concurrent_increments_are_all_counted(test: TestDb) {
    let db = &test.db;
    create_counters(db).await;
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let db = db.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    retrying(|| add_one(&db, 0)).await.expect("write");
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("the writer ends");
    }
    assert_eq!(counter(db, 0).await, 80);
}

/// Two transactions that lock in opposite order both succeed: one is refused as a conflict and repeated.
pub async fn a_deadlock_is_repeated(test: TestDb) {
    let db = &test.db;
    create_counters(db).await;
    let writers = [(0_i64, 1_i64), (1, 0)].map(|(first, second)| {
        let db = db.clone();
        tokio::spawn(async move {
            retrying(|| async {
                let mut tx = db.begin().await?;
                tx.execute(ADD, args![first, 1_i64]).await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
                tx.execute(ADD, args![second, 1_i64]).await?;
                tx.commit().await
            })
            .await
        })
    });
    for writer in writers {
        writer.await.expect("the writer ends").expect("write");
    }
    assert_eq!((counter(db, 0).await, counter(db, 1).await), (2, 2));
}

/// A read transaction keeps its view while others write, and cannot write itself.
pub async fn a_read_transaction_sees_one_moment(test: TestDb) {
    let db = &test.db;
    create_counters(db).await;
    let mut reader = db.begin_read().await.expect("begin");
    assert_eq!(reader.fetch_one(SELECT, args![0_i64]).await.expect("select").get::<i64>(0).expect("value"), 0);
    add_one(db, 0).await.expect("write beside the reader");
    assert_eq!(reader.fetch_one(SELECT, args![0_i64]).await.expect("select").get::<i64>(0).expect("value"), 0);
    assert!(reader.execute(ADD, args![0_i64, 1_i64]).await.is_err());
    drop(reader);
    assert_eq!(counter(db, 0).await, 1);
}

/// Names that are no schema names are refused; one name always means the same tables.
pub async fn services_are_told_apart_by_name(test: TestDb) {
    for name in ["", "Identity", "pg_temp", "1st", "a\"b", "a b", &"x".repeat(33)] {
        let refused = test.store.service(name).await.err();
        assert!(matches!(refused, Some(Error::Configuration(_))), "{name:?}: {refused:?}");
    }
    let (one, two) = (test.store.service("one").await.expect("open"), test.store.service("two").await.expect("open"));
    create_counters(&one).await;
    add_one(&test.store.service("one").await.expect("open again"), 0).await.expect("write");
    assert_eq!(counter(&one, 0).await, 1);
    let seen_by_two = two.fetch_optional(SELECT, args![0_i64]).await;
    assert_eq!(seen_by_two.is_ok(), two.dialect() == Dialect::Sqlite, "schemas exist on Postgres alone");
    one.ping().await.expect("ping");
}

/// Two processes on one database see each other's commits and wait for each other's locks.
pub async fn two_stores_share_one_database(test: TestDb) {
    create_counters(&test.db).await;
    let other = Store::connect(&test.url).await.expect("open again").service("test").await.expect("open");
    let writers = [test.db.clone(), other.clone()].map(|db| {
        tokio::spawn(async move {
            for _ in 0..50 {
                retrying(|| add_one(&db, 0)).await.expect("write");
            }
        })
    });
    for writer in writers {
        writer.await.expect("the writer ends");
    }
    assert_eq!((counter(&test.db, 0).await, counter(&other, 0).await), (100, 100));
}

/// A database that ends a transaction by itself, as SQLite does on a full disk, costs that transaction alone: the
/// connection goes, and the next transaction has another one.
pub async fn a_transaction_that_cannot_end_takes_its_connection_along(test: TestDb) {
    let db = &test.db;
    create_counters(db).await;
    for round in 1..=3 {
        let mut tx = db.begin().await.expect("begin");
        tx.execute("ROLLBACK", args![]).await.expect("the database ends the transaction");
        let _ = tx.commit().await;
        let mut tx = db.begin_read().await.expect("begin to read");
        let _ = tx.execute("ROLLBACK", args![]).await;
        drop(tx);
        add_one(db, 0).await.expect("the next transaction works");
        assert_eq!(counter(db, 0).await, round);
    }
    db.migrate(&portolan_store::Migrations { service: "test", steps: &[] }).await.expect("migrate");
    db.probe().await.expect("a write can be made");
}

/// A caller that goes away while a transaction begins leaves none open: what is written next by itself is committed.
pub async fn a_cancelled_begin_leaves_no_transaction_open(test: TestDb) {
    let db = &test.db;
    create_counters(db).await;
    for round in 0..300 {
        let patience = async {
            for _ in 0..round % 6 {
                tokio::time::sleep(Duration::from_micros(50)).await;
            }
        };
        tokio::select! {
            biased;
            begun = db.begin() => drop(begun),
            () = patience => {}
        }
        db.execute("UPDATE counters SET value = value + 1 WHERE id = 0", args![]).await.expect("write");
    }
    let other = Store::connect(&test.url).await.expect("connect").service("test").await.expect("open");
    assert_eq!(counter(&other, 0).await, 300);
}

/// A long read keeps the log of an SQLite file from being emptied, and writers from nothing.
pub async fn a_read_that_holds_the_log_holds_no_writer(test: TestDb) {
    let db = &test.db;
    create_counters(db).await;
    let Some(directory) = test.url.strip_prefix("sqlite:") else {
        return db.empty_log().await.expect("Postgres keeps its log by its own rules");
    };
    let mut reader = db.begin_read().await.expect("begin");
    reader.fetch_all("SELECT id FROM counters", args![]).await.expect("read");
    add_one(db, 0).await.expect("write");
    let emptying = tokio::spawn({
        let db = db.clone();
        async move { db.empty_log().await }
    });
    for _ in 0..10 {
        add_one(db, 0).await.expect("write");
    }
    assert!(!emptying.is_finished(), "the read still holds the log");
    reader.rollback().await.expect("end the read");
    emptying.await.expect("join").expect("the log is emptied");
    let logs = std::fs::read_dir(directory).expect("list").map(|entry| entry.expect("entry").path());
    let log = logs.into_iter().find(|path| path.to_string_lossy().ends_with("-wal")).expect("a log");
    assert_eq!(std::fs::metadata(log).expect("size").len(), 0);
    assert_eq!(counter(db, 0).await, 11);
}

/// What is committed without waiting for the disk is seen by all, and who is to be told is told once.
pub async fn a_commit_is_seen_before_it_is_durable(test: TestDb) {
    let db = &test.db;
    create_counters(db).await;
    let other = Store::connect(&test.url).await.expect("connect").service("test").await.expect("open");
    let mut tx = db.begin().await.expect("begin");
    tx.execute(ADD, args![0_i64, 1_i64]).await.expect("update");
    tx.commit_unsynced().await.expect("commit");
    assert_eq!(counter(&other, 0).await, 1);
    assert_eq!(db.execute_unsynced(ADD, args![0_i64, 1_i64]).await.expect("update"), 1);
    assert_eq!(counter(&other, 0).await, 2);
    let mut told = 0;
    let mut tx = db.begin().await.expect("begin");
    tx.execute(ADD, args![0_i64, 1_i64]).await.expect("update");
    tx.commit_showing(|| told += 1).await.expect("commit");
    assert_eq!((told, counter(&other, 0).await), (1, 3));
    db.faults().at("store.commit").fail();
    let mut tx = db.begin().await.expect("begin");
    tx.execute(ADD, args![0_i64, 1_i64]).await.expect("update");
    assert!(tx.commit_showing(|| told += 1).await.is_err());
    assert_eq!((told, counter(&other, 0).await), (1, 3));
}

/// However much is written without a pause, the log of an SQLite file stays short.
pub async fn the_log_of_a_file_stays_short(test: TestDb) {
    const WRITES: i64 = 400;
    const ROW: usize = 80 << 10;
    let db = &test.db;
    db.execute("CREATE TABLE texts (id BIGINT PRIMARY KEY, text TEXT NOT NULL)", args![]).await.expect("create");
    let Some(directory) = test.url.strip_prefix("sqlite:") else { return };
    let log = std::path::Path::new(directory).join("portolan.db-wal");
    let mut longest = 0;
    for id in 0..WRITES {
        let mut tx = db.begin().await.expect("begin");
        tx.execute("INSERT INTO texts (id, text) VALUES ($1, $2)", args![id, "x".repeat(ROW)]).await.expect("insert");
        tx.commit_unsynced().await.expect("commit");
        longest = longest.max(std::fs::metadata(&log).expect("a log").len());
    }
    let all = WRITES as u64 * ROW as u64;
    assert!(longest < all / 2, "{longest} of {all} bytes");
    let count = db.fetch_one("SELECT count(*) FROM texts", args![]).await.expect("count");
    assert_eq!(count.get::<i64>(0).expect("count"), WRITES);
}
