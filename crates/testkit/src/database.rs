use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use portolan_store::{Db, Error, Store};
use tempfile::TempDir;

/// The service that cases without a service of their own run as.
const SERVICE: &str = "test";

/// A fresh, empty database.
#[derive(Clone)]
pub struct TestDb {
    /// The handle of the service `test`. Services under test open their own by `store.service(…)`.
    pub db: Db,
    /// The database itself.
    pub store: Store,
    /// To open the same database a second time, as another process would.
    pub url: String,
    /// Removes the SQLite directory after the last clone is gone.
    _directory: Option<Arc<TempDir>>,
}

impl TestDb {
    /// A SQLite database in a temporary directory.
    ///
    /// # Panics
    /// When the directory or the database cannot be made: a test cannot go on.
    pub async fn sqlite() -> Self {
        let directory = TempDir::new().expect("make a temporary directory");
        let url = format!("sqlite:{}", directory.path().display());
        Self::open(url, Some(Arc::new(directory))).await
    }

    /// The same handle for a test that starts a program on another database.
    #[must_use]
    pub fn at(&self, url: String) -> Self {
        Self { url, ..self.clone() }
    }

    async fn open(url: String, directory: Option<Arc<TempDir>>) -> Self {
        let store = Store::connect(&url).await.expect("open the test database");
        let db = store.service(SERVICE).await.expect("open the service");
        Self { db, store, url, _directory: directory }
    }
}

/// A database on the test server, to be dropped at the end.
pub struct PostgresDatabase {
    server_url: String,
    name: String,
}

impl PostgresDatabase {
    /// Makes one on this server.
    ///
    /// # Panics
    /// When it cannot be made: a test cannot go on.
    pub async fn create(server_url: &str) -> (Self, TestDb) {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let name = format!("portolan_{}_{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let database = Self { server_url: server_url.to_owned(), name };
        database.administer(format!("CREATE DATABASE {}", database.name)).await.expect("create the test database");
        let test = TestDb::open(with_database(server_url, &database.name), None).await;
        (database, test)
    }

    /// # Errors
    /// When the server does not answer.
    pub async fn drop_database(self) -> Result<(), Error> {
        self.administer(format!("DROP DATABASE {} WITH (FORCE)", self.name)).await
    }

    async fn administer(&self, statement: String) -> Result<(), Error> {
        let store = Store::connect(&self.server_url).await?;
        let outcome =
            store.service("testkit").await?.execute(portolan_store::Sql::assembled(statement), Vec::new()).await;
        store.close().await;
        outcome.map(drop)
    }
}

/// The same server and parameters, another database.
fn with_database(server_url: &str, name: &str) -> String {
    let (address, parameters) = server_url.split_once('?').map_or((server_url, None), |(url, rest)| (url, Some(rest)));
    let after_scheme = address.find("://").map_or(0, |at| at + 3);
    let server = address[after_scheme..].find('/').map_or(address, |at| &address[..after_scheme + at]);
    match parameters {
        None => format!("{server}/{name}"),
        Some(parameters) => format!("{server}/{name}?{parameters}"),
    }
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn replaces_only_the_database() {
        let cases = [
            ("postgres://me@host:1/postgres", "postgres://me@host:1/x"),
            ("postgres://me@host:1", "postgres://me@host:1/x"),
            ("postgres://me:a%2Fb@host/postgres?sslmode=disable", "postgres://me:a%2Fb@host/x?sslmode=disable"),
        ];
        for (given, expected) in cases {
            assert_eq!(with_database(given, "x"), expected);
        }
    }
}
