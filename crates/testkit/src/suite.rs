use std::ops::Not as _;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::TestDb;
use crate::database::PostgresDatabase;

/// Names the Postgres server for tests, as `postgres://user@host:port/database`. Its user may create databases.
pub const POSTGRES_VARIABLE: &str = "PORTOLAN_TEST_POSTGRES";

/// Writes the `main` of a test target without harness from the paths of its cases. Cases behind `; VARIABLE:` need the
/// server that the variable names, and show as ignored without it; behind `; VARIABLE @postgres:` they run on Postgres
/// alone, where several processes share a database.
#[macro_export]
macro_rules! suite {
    ($($($path:ident)::+),+ $(,)? $(; $variable:ident $(@ $database:ident)?: $($($needy:ident)::+),+ $(,)?)*) => {
        fn main() -> ::std::process::ExitCode {
            let mut cases = ::std::vec![$($crate::Case::new(stringify!($($path)::+), $($path)::+)),+];
            $({
                let database: &[&'static str] = &[$(stringify!($database))?];
                $(cases.push(
                    $crate::Case::new(stringify!($($needy)::+), $($needy)::+)
                        .needing(stringify!($variable))
                        .on(database.first().copied()),
                );)+
            })*
            $crate::run(cases)
        }
    };
}

/// One case: a name and an async function from [`TestDb`], which fails by panicking.
#[derive(Clone)]
pub struct Case {
    name: String,
    /// Variables that must be set for the case to run.
    needs: Vec<&'static str>,
    /// The only database that the case is for.
    only_on: Option<&'static str>,
    body: Arc<dyn Fn(TestDb) -> CaseFuture + Send + Sync>,
}

type CaseFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Case {
    /// A case for both databases.
    pub fn new<F>(path: &str, body: impl Fn(TestDb) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let body = Arc::new(move |test| -> CaseFuture { Box::pin(body(test)) });
        Self { name: path.replace(' ', ""), needs: Vec::new(), only_on: None, body }
    }

    /// The case is for one database, `sqlite` or `postgres`; `None` for both.
    #[must_use]
    pub fn on(self, database: Option<&'static str>) -> Self {
        Self { only_on: database, ..self }
    }

    fn is_on(&self, database: &str) -> bool {
        self.only_on.is_none_or(|only| only == database)
    }

    /// The case runs only where this variable is set.
    #[must_use]
    pub fn needing(mut self, variable: &'static str) -> Self {
        self.needs.push(variable);
        self
    }

    fn missing(&self) -> Option<&'static str> {
        missing(&self.needs)
    }
}

fn missing(needs: &[&'static str]) -> Option<&'static str> {
    needs.iter().copied().find(|variable| std::env::var(variable).is_ok_and(|value| !value.is_empty()).not())
}

/// A case without a database: a name and a function, which fails by panicking.
#[derive(Clone)]
pub struct Plain {
    name: String,
    needs: Vec<&'static str>,
    body: Arc<dyn Fn() + Send + Sync>,
}

impl Plain {
    /// `body` runs on a runtime of its own.
    pub fn new<F>(name: &str, body: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::blocking(name, move || runtime().block_on(body()))
    }

    /// `body` brings its own runtime, or needs none.
    pub fn blocking(name: &str, body: impl Fn() + Send + Sync + 'static) -> Self {
        Self { name: name.replace(' ', ""), needs: Vec::new(), body: Arc::new(body) }
    }

    /// The case runs only where this variable is set.
    #[must_use]
    pub fn needing(mut self, variable: &'static str) -> Self {
        self.needs.push(variable);
        self
    }
}

/// Runs every case once, with the arguments and the output of `cargo test`.
pub fn run_plain(cases: Vec<Plain>) -> ExitCode {
    let trials = cases.into_iter().map(|case| match missing(&case.needs) {
        Some(variable) => ignored(case.name, variable),
        None => Trial::test(case.name, move || {
            (case.body)();
            Ok(())
        }),
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// A runtime as each case has one, for what needs threads of its own.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("start a runtime")
}

/// Runs every case on SQLite and on Postgres, with the arguments and the output of `cargo test`.
pub fn run(cases: Vec<Case>) -> ExitCode {
    let arguments = Arguments::from_args();
    let server_url = std::env::var(POSTGRES_VARIABLE).ok().filter(|url| !url.is_empty());
    let mut trials = Vec::with_capacity(cases.len() * 2);
    for case in cases {
        let missing = case.missing();
        if case.is_on("postgres") {
            trials.push(match missing {
                Some(variable) => ignored(format!("postgres::{}", case.name), variable),
                None => postgres_trial(case.clone(), server_url.clone()),
            });
        }
        if case.is_on("sqlite") {
            let sqlite = format!("sqlite::{}", case.name);
            trials.push(match missing {
                Some(variable) => ignored(sqlite, variable),
                None => Trial::test(sqlite, move || block_on(on_sqlite(case))),
            });
        }
    }
    trials.sort_by(|a, b| b.name().cmp(a.name()));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn postgres_trial(case: Case, server_url: Option<String>) -> Trial {
    let name = format!("postgres::{}", case.name);
    match server_url {
        Some(url) => Trial::test(name, move || block_on(on_postgres(case, url))),
        None => ignored(name, POSTGRES_VARIABLE),
    }
}

/// Asked for by `--ignored`, the case fails for the same reason.
fn ignored(name: String, variable: &'static str) -> Trial {
    let reason = format!("set {variable}");
    Trial::test(name, {
        let reason = reason.clone();
        move || Err(reason.into())
    })
    .with_kind(reason)
    .with_ignored_flag(true)
}

async fn on_sqlite(case: Case) -> Result<(), Failed> {
    let test = TestDb::sqlite().await;
    let store = test.store.clone();
    let outcome = tokio::spawn((case.body)(test)).await;
    store.close().await;
    outcome.map_err(|panic| panic.to_string().into())
}

async fn on_postgres(case: Case, server_url: String) -> Result<(), Failed> {
    let (database, test) = PostgresDatabase::create(&server_url).await;
    let store = test.store.clone();
    let outcome = tokio::spawn((case.body)(test)).await;
    store.close().await;
    database.drop_database().await.map_err(|error| format!("drop the test database: {error}"))?;
    outcome.map_err(|panic| panic.to_string().into())
}

fn block_on(body: impl Future<Output = Result<(), Failed>>) -> Result<(), Failed> {
    runtime().block_on(body)
}
