use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

use portolan_authz::{Cache, Grant, Redis, ServiceAuth};
use portolan_identity::{Deps, users};
use portolan_runtime::{Config, Peers, Secrets};
use portolan_store::{Store, args};
use portolan_testkit::TestDb;

pub const ACCOUNT: i64 = 1_000_000;

/// Identity as one more process on the test's database would have it, with its own connections.
pub async fn identity(test: &TestDb, grants: Cache<Grant>) -> Deps {
    let directory = tempfile::tempdir().unwrap();
    let config = Config::load(directory.path().to_owned(), None, []).unwrap();
    let secrets = Secrets::load_or_create(&std::env::temp_dir().join(format!("key-{}", std::process::id()))).unwrap();
    let peers = Peers::new(&config, ServiceAuth::new(&secrets.derive("service token"))).unwrap();
    let db = Store::connect(&test.url).await.unwrap().service("identity").await.unwrap();
    Deps::open(db, peers, secrets, grants, Cache::Off, &config).await.unwrap()
}

/// Makes the account, with a member of it, and answers the member.
pub async fn member(deps: &Deps, login: &str) -> i64 {
    let organization = "INSERT INTO organizations (organization_id, public_id, name, state, created_at)
        VALUES ('o', 'org_o', 'o', 'ACTIVE', 0) ON CONFLICT DO NOTHING";
    deps.db.execute(organization, args![]).await.unwrap();
    let account = "INSERT INTO accounts (account_id, organization_id, name, created_at)
        VALUES (1000000, 'o', 'a', 0) ON CONFLICT DO NOTHING";
    deps.db.execute(account, args![]).await.unwrap();
    let new = users::NewUser { account_id: ACCOUNT, login, password: "a password of its own", role: "MEMBER" };
    users::create(deps, new).await.unwrap()
}

/// A Redis of this test alone.
pub struct Server {
    program: String,
    pub port: u16,
    child: Option<Child>,
}

impl Server {
    /// `None` when the environment names no server to start.
    pub fn start() -> Option<Self> {
        let program = std::env::var("PORTOLAN_TEST_REDIS_SERVER").ok().filter(|path| !path.is_empty())?;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { program, port, child: None };
        server.run();
        Some(server)
    }

    pub fn run(&mut self) {
        let port = self.port.to_string();
        let child = Command::new(&self.program)
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.unwrap());
    }

    pub fn client(&self) -> Redis {
        Redis::new(&format!("redis://127.0.0.1:{}", self.port), "test").unwrap()
    }

    /// Stops answering for a while, with every connection open.
    pub async fn pause(&self, time: Duration) {
        self.signal("-STOP");
        tokio::time::sleep(time).await;
        self.signal("-CONT");
    }

    /// Dies with everything it holds, and begins anew.
    pub async fn restart(&mut self, after: Duration) {
        self.kill();
        tokio::time::sleep(after).await;
        self.run();
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        Command::new("kill").args([signal, &pid]).status().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
