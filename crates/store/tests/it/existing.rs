use std::time::{Duration, Instant};

use portolan_store::{Error, Migration, Migrations, Store};
use portolan_testkit::TestDb;

const LATER: Migrations = Migrations {
    service: "test",
    steps: &[Migration {
        version: 1,
        name: "later",
        sqlite: "CREATE TABLE later (id BIGINT)",
        postgres: "CREATE TABLE later (id BIGINT)",
    }],
};

/// Neither directory nor file, nor schema, nor table is made by a look.
pub async fn a_store_that_is_looked_at_stays_as_it_is(test: TestDb) {
    let missing = |error: Error| assert!(matches!(error, Error::Configuration(_)), "{error}");
    let directory = std::env::temp_dir().join(format!("portolan-none-{}", std::process::id()));
    missing(Store::open_existing(&format!("sqlite:{}", directory.display())).await.err().unwrap());
    assert!(!directory.exists());

    // The handle of the test has made the file, or the schema `test`.
    test.db.execute("CREATE TABLE first (id BIGINT)", Vec::new()).await.unwrap();
    let looked_at = Store::open_existing(&test.url).await.unwrap();
    let db = looked_at.service("test").await.unwrap();
    db.execute("INSERT INTO first (id) VALUES (1)", Vec::new()).await.unwrap();
    let error = db.migrate(&LATER).await.unwrap_err().to_string();
    assert!(error.contains("step 1 later is missing: `portolan migrate`"), "{error}");
    if test.url.starts_with("postgres") {
        let error = looked_at.service("absent").await.err().unwrap();
        assert!(error.to_string().contains("no schema absent"), "{error}");
    }
    test.db.migrate(&LATER).await.unwrap();
    db.migrate(&LATER).await.unwrap();
}

/// Nobody waits for a connection to a server that does not exist.
pub async fn a_server_that_is_gone_is_named_at_once(test: TestDb) {
    if test.url.starts_with("sqlite") {
        return;
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let store = Store::connect(&format!("postgres://nobody@127.0.0.1:{port}/none")).await.unwrap();
    let began = Instant::now();
    let error = store.service("test").await.err().unwrap();
    assert!(matches!(&error, Error::Unavailable(text) if text.contains(&format!("127.0.0.1:{port}"))), "{error}");
    // The pool itself would wait for ten seconds.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

/// What a process may open stands beside what the server takes of it.
pub async fn connections_are_counted_beside_the_limit(test: TestDb) {
    let store = Store::connect(&test.url).await.unwrap().with_connections(3);
    let (one, _two) = (store.service("one").await.unwrap(), store.service("two").await.unwrap());
    let Some(found) = store.connections().await.unwrap() else {
        assert!(test.url.starts_with("sqlite"));
        return;
    };
    assert_eq!((found.pools, found.pool_max, found.total()), (2, 3, 6));
    assert!(found.fit() && found.server_max >= 6, "{found:?}");
    let database = test.url.rsplit('/').next().unwrap();
    let limit = format!("ALTER DATABASE {database} CONNECTION LIMIT 5");
    one.execute(portolan_store::Sql::assembled(limit), Vec::new()).await.unwrap();
    let found = store.connections().await.unwrap().unwrap();
    assert_eq!((found.server_max, found.fit()), (5, false));
    store.close().await;
}

/// What one handle tells is heard by those who listen, again after their connection broke.
pub async fn what_is_told_is_heard(test: TestDb) {
    const CHANNEL: &str = "test channel";
    let db = test.store.service("test").await.unwrap();
    db.notify(CHANNEL, "nobody listens").await.unwrap();
    let Some(mut listener) = test.store.listener(CHANNEL) else {
        assert!(test.url.starts_with("sqlite"));
        return;
    };
    let counted = test.store.connections().await.unwrap().unwrap();
    assert_eq!((counted.listeners, counted.total()), (1, counted.pools * counted.pool_max + 1));
    listener.connect().await.unwrap();
    db.notify("another channel", "elsewhere").await.unwrap();
    for text in ["one", "two"] {
        db.notify(CHANNEL, text).await.unwrap();
    }
    assert_eq!((listener.next().await.unwrap(), listener.next().await.unwrap()), ("one".into(), "two".into()));
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND query LIKE 'LISTEN %'";
    assert_eq!(db.fetch_all(end, Vec::new()).await.unwrap().len(), 1);
    listener.next().await.unwrap_err();
    listener.connect().await.unwrap();
    db.notify(CHANNEL, "three").await.unwrap();
    assert_eq!(listener.next().await.unwrap(), "three");
    drop(listener);
    assert_eq!(test.store.connections().await.unwrap().unwrap().listeners, 0);
}
