use portolan_store::{Db, Error, Migration, Migrations, Store, Tables, args};
use portolan_testkit::TestDb;

const fn step(version: i64, script: &'static str) -> Migration {
    Migration { version, name: "step", sqlite: script, postgres: script }
}

const NOTES: &str = "-- Two statements; the second one needs the first.\n\
     CREATE TABLE notes (id TEXT PRIMARY KEY);\nINSERT INTO notes (id) VALUES ('it''s; here');";
const TEXTS: &str = "ALTER TABLE notes ADD COLUMN body TEXT;";

const FIRST: Migrations = Migrations { service: "test", steps: &[step(1, NOTES)] };
const SECOND: Migrations = Migrations { service: "test", steps: &[step(1, NOTES), step(3, TEXTS)] };

async fn notes(db: &Db) -> i64 {
    db.fetch_one("SELECT count(*) FROM notes", args![]).await.expect("count").get(0).expect("count")
}

fn refused(outcome: Result<(), Error>, part: &str) {
    match outcome {
        Err(error @ (Error::Migration { .. } | Error::Foreign { .. })) => {
            assert!(error.to_string().contains(part), "{error}");
        }
        other => panic!("expected a refusal about {part:?}, got {other:?}"),
    }
}

/// Steps run once, a later program adds its own.
pub async fn apply_once_and_in_order(test: TestDb) {
    let db = &test.db;
    for _ in 0..2 {
        db.migrate(&FIRST).await.expect("migrate");
        assert_eq!(notes(db).await, 1);
    }
    for _ in 0..2 {
        db.migrate(&SECOND).await.expect("migrate");
        db.fetch_all("SELECT id, body FROM notes", args![]).await.expect("the new column");
    }
}

/// Starting processes wait for each other, so that a step never runs twice.
pub async fn processes_starting_together_apply_once(test: TestDb) {
    let starts: Vec<_> = (0..4)
        .map(|_| {
            let url = test.url.clone();
            tokio::spawn(async move {
                let store = Store::connect(&url).await.expect("open");
                store.service("test").await.expect("open").migrate(&SECOND).await.expect("migrate");
                store.close().await;
            })
        })
        .collect();
    for start in starts {
        start.await.expect("the start succeeds");
    }
    assert_eq!(notes(&test.db).await, 1);
}

/// The program of before runs on tables that a newer one added to, and stops where that one took something away.
pub async fn serve_the_program_of_before(test: TestDb) {
    let db = &test.db;
    db.migrate(&SECOND).await.expect("migrate");
    db.migrate(&FIRST).await.expect("what was added is no hindrance");
    assert_eq!(notes(db).await, 1);
    const GONE: Migration = Migration { name: "contract_body", ..step(4, "ALTER TABLE notes DROP COLUMN body;") };
    const THIRD: &[Migration] = &[step(1, NOTES), step(3, TEXTS), GONE];
    db.migrate(&Migrations { service: "test", steps: THIRD }).await.expect("migrate");
    refused(db.migrate(&SECOND).await, "newer program");
    refused(db.migrate(&FIRST).await, "newer program");
}

/// The program stops instead of running on tables whose past is another one.
pub async fn refuse_edited_and_unknown_databases(test: TestDb) {
    let db = &test.db;
    db.migrate(&SECOND).await.expect("migrate");
    let cases: [(&'static [Migration], &str); 3] = [
        (const { &[step(1, "SELECT 1"), step(3, TEXTS)] }, "step 1 step of test is another one"),
        (const { &[step(1, NOTES), step(2, "SELECT 1"), step(3, TEXTS)] }, "missing below"),
        (const { &[step(3, TEXTS), step(1, NOTES)] }, "does not follow"),
    ];
    for (steps, part) in cases {
        refused(db.migrate(&Migrations { service: "test", steps }).await, part);
    }
    let without_first = Migrations { service: "test", steps: const { &[step(3, TEXTS)] } };
    refused(db.migrate(&without_first).await, "step 1 step of test is unknown");
    refused(db.migrate(&Migrations { service: "other", steps: &[] }).await, "belongs to");
    db.migrate(&SECOND).await.expect("the tables are as before");
}

/// A look at a database tells whose it is, changes nothing of it, and makes none.
pub async fn are_looked_at_before_anything_is_changed(test: TestDb) {
    const SQUASHED: Migrations = Migrations { service: "test", steps: &[step(1, TEXTS)] };
    const OTHER: Migrations = Migrations { service: "other", steps: &[step(1, NOTES)] };
    const BOTH: Tables = Tables { service: "test", parts: &[&OTHER, &SECOND] };
    let file = Store::sqlite_file(&test.url);
    if let Some(file) = &file {
        let absent = file.parent().unwrap().join("absent");
        Store::expect_known(&format!("sqlite:{}", absent.display()), &[BOTH]).await.unwrap();
        assert!(!absent.exists());
    }
    Store::expect_known(&test.url, &[BOTH]).await.expect("an empty database is anybody's");
    test.db.migrate(&FIRST).await.unwrap();
    Store::expect_known(&test.url, &[BOTH]).await.expect("a beginning of the steps is known");
    let listed = || file.as_ref().map(|file| std::fs::read_dir(file.parent().unwrap()).unwrap().count());
    for is_open in [true, false] {
        if !is_open {
            test.store.close().await;
        }
        let content = file.as_ref().map(|file| std::fs::read(file).unwrap());
        let before = listed();
        let error =
            Store::expect_known(&test.url, &[Tables { service: "test", parts: &[&SQUASHED] }]).await.unwrap_err();
        assert!(matches!(&error, Error::Foreign { found, .. } if found.contains("step 1 step of test")), "{error}");
        let place = file.as_ref().map_or("the schema test of Postgres at".into(), |file| file.display().to_string());
        assert!(error.to_string().starts_with(&place), "{error}");
        assert_eq!((file.as_ref().map(|file| std::fs::read(file).unwrap()), listed()), (content, before));
    }
    let elsewhere = Tables { service: "elsewhere", parts: &[&OTHER] };
    Store::expect_known(&test.url, &[elsewhere]).await.expect("the records of others are passed over");
}

/// All steps of a start are one transaction.
pub async fn a_failing_script_changes_nothing(test: TestDb) {
    const BROKEN: &[Migration] = &[step(1, NOTES), step(2, "CREATE TABLE more (id TEXT); SELECT nonsense;")];
    refused(test.db.migrate(&Migrations { service: "test", steps: BROKEN }).await, "step 2");
    assert!(test.db.fetch_all("SELECT id FROM notes", args![]).await.is_err(), "step 1 stayed");
    test.db.migrate(&SECOND).await.expect("migrate");
}
