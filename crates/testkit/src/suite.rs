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
/// server that the variable names, and show as ignored without it.
#[macro_export]
macro_rules! suite {
    ($($($path:ident)::+),+ $(,)? $(; $variable:ident: $($($needy:ident)::+),+ $(,)?)*) => {
        fn main() -> ::std::process::ExitCode {
            let mut cases = ::std::vec![$($crate::Case::new(stringify!($($path)::+), $($path)::+)),+];
            $($(cases.push(
                $crate::Case::new(stringify!($($needy)::+), $($needy)::+).needing(stringify!($variable)),
            );)+)*
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
    body: Arc<dyn Fn(TestDb) -> CaseFuture + Send + Sync>,
}

type CaseFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Case {
    pub fn new<F>(path: &str, body: impl Fn(TestDb) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self { name: path.replace(' ', ""), needs: Vec::new(), body: Arc::new(move |test| Box::pin(body(test))) }
    }

    /// The case runs only where this variable is set.
    #[must_use]
    pub fn needing(mut self, variable: &'static str) -> Self {
        self.needs.push(variable);
        self
    }

    fn missing(&self) -> Option<&'static str> {
        self.needs.iter().copied().find(|variable| std::env::var(variable).is_ok_and(|value| !value.is_empty()).not())
    }
}

/// Runs every case on SQLite and on Postgres, with the arguments and the output of `cargo test`.
pub fn run(cases: Vec<Case>) -> ExitCode {
    let arguments = Arguments::from_args();
    let server_url = std::env::var(POSTGRES_VARIABLE).ok().filter(|url| !url.is_empty());
    let mut trials = Vec::with_capacity(cases.len() * 2);
    for case in cases {
        let missing = case.missing();
        let sqlite = format!("sqlite::{}", case.name);
        trials.push(match missing {
            Some(variable) => ignored(format!("postgres::{}", case.name), variable),
            None => postgres_trial(case.clone(), server_url.clone()),
        });
        trials.push(match missing {
            Some(variable) => ignored(sqlite, variable),
            None => Trial::test(sqlite, move || block_on(on_sqlite(case))),
        });
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
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(body)
}
