use std::sync::Arc;

use portolan_authz::{Caller, CredentialKind, Grant, RequestInfo, Role, Scope};
use portolan_ids::{AccountId, UserId};
use portolan_runtime::{Config, Process};
use portolan_testkit::TestDb;
use portolan_tokens::{Deps, Options};

pub const ACCOUNT: AccountId = AccountId(1_000_000);

/// The service on a database of its own, without other services.
pub struct World {
    pub deps: Deps,
    _data: tempfile::TempDir,
}

impl World {
    pub async fn new(test: &TestDb) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut config = Config::load(data.path().to_owned(), None, []).unwrap();
        config.put("store.url", &test.url);
        let process = Process::open(config).await.unwrap();
        let options = Options::read(&process.config).unwrap();
        let db = process.db("tokens").await.unwrap();
        Self { deps: Deps::open(&process, db, &options).await.unwrap(), _data: data }
    }
}

/// Runs a case where its future need not be sent: of the references that it holds across calls of nouns the compiler
/// proves too little (rust-lang/rust#110338).
pub async fn in_place<F: Future<Output = ()>>(case: impl FnOnce() -> F + Send + 'static) {
    let handle = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || handle.block_on(case())).await.unwrap();
}

/// An administrator of [`ACCOUNT`]; each write has an id of its own.
pub fn caller(write_id: &str) -> Caller {
    Caller {
        account_id: ACCOUNT,
        user_id: UserId(1),
        organization_id: "organization".into(),
        scope: Scope::Api,
        credential: CredentialKind::Session,
        credential_id: "session".to_owned(),
        info: RequestInfo { write_id: write_id.to_owned(), ..RequestInfo::default() },
        grant: Arc::new(Grant::new("ADMIN", Role::Admin, None)),
        token: "token".into(),
    }
}
