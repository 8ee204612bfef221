use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::TestDb;
use crate::database::PostgresDatabase;

/// Names the Postgres server for tests, as `postgres://user@host:port/database`. Its user may create databases.
pub const POSTGRES_VARIABLE: &str = "PORTOLAN_TEST_POSTGRES";
const IGNORED_REASON: &str = "set PORTOLAN_TEST_POSTGRES";

/// Writes the `main` of a test target without harness from the paths of its cases.
#[macro_export]
macro_rules! suite {
    ($($($path:ident)::+),+ $(,)?) => {
        fn main() -> ::std::process::ExitCode {
            $crate::run(::std::vec![$($crate::Case::new(stringify!($($path)::+), $($path)::+)),+])
        }
    };
}

/// One case: a name and an async function from [`TestDb`], which fails by panicking.
#[derive(Clone)]
pub struct Case {
    name: String,
    body: Arc<dyn Fn(TestDb) -> CaseFuture + Send + Sync>,
}

type CaseFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Case {
    pub fn new<F>(path: &str, body: impl Fn(TestDb) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self { name: path.replace(' ', ""), body: Arc::new(move |test| Box::pin(body(test))) }
    }
}

/// Runs every case on SQLite and on Postgres, with the arguments and the output of `cargo test`.
pub fn run(cases: Vec<Case>) -> ExitCode {
    let arguments = Arguments::from_args();
    let server_url = std::env::var(POSTGRES_VARIABLE).ok().filter(|url| !url.is_empty());
    let mut trials = Vec::with_capacity(cases.len() * 2);
    for case in cases {
        trials.push(postgres_trial(case.clone(), server_url.clone()));
        trials.push(Trial::test(format!("sqlite::{}", case.name), move || block_on(on_sqlite(case))));
    }
    trials.sort_by(|a, b| b.name().cmp(a.name()));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn postgres_trial(case: Case, server_url: Option<String>) -> Trial {
    let name = format!("postgres::{}", case.name);
    match server_url {
        Some(url) => Trial::test(name, move || block_on(on_postgres(case, url))),
        // Asked for by `--ignored`, the case fails for the same reason.
        None => Trial::test(name, || Err(IGNORED_REASON.into())).with_kind(IGNORED_REASON).with_ignored_flag(true),
    }
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
