//! One installation as imports see it: store, log, inventory, and a caller.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use portolan_api::imports::v1::imports_service_client::ImportsServiceClient;
use portolan_api::{Error, Reason};
use portolan_authz::{Caller, CredentialKind, Grant, RequestInfo, Role, Scope, ServiceAuth};
use portolan_fetch::Fetch;
use portolan_ids::{AccountId, UserId};
use portolan_imports::{Deps, Options};
use portolan_log::{Log, PARTITIONS};
use portolan_runtime::{Channel, Config, GrpcService, Keys, Peers, Secrets, Tasks};
use portolan_testkit::TestDb;
use tempfile::TempDir;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::service::Routes;
use tonic::{Request, Status};
use tower::util::BoxCloneSyncService;
use tower::{ServiceExt as _, service_fn};

use crate::inventory::Inventory;
use crate::postman_server::PostmanServer;

pub const ACCOUNT: i64 = 1_000_000;

pub struct World {
    pub test: TestDb,
    pub log: Log,
    pub inventory: Inventory,
    pub client: ImportsServiceClient<Channel>,
    /// For the other services of the package.
    pub channel: Channel,
    pub caller: Caller,
    /// Where Postman is looked for.
    pub postman: PostmanServer,
    directory: Arc<TempDir>,
}

/// One record as far as these cases look at it.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    pub collection_id: i64,
    pub method: String,
    pub path: String,
    pub source: &'static str,
}

impl World {
    pub async fn new(test: TestDb) -> Self {
        let log = Log::open("embedded:", "akto.api.logs", &test.store).await.unwrap();
        let inventory = Inventory::new(log.clone());
        let directory = Arc::new(TempDir::new().unwrap());
        let caller = Caller {
            account_id: AccountId(ACCOUNT),
            user_id: UserId(1),
            organization_id: "organization".into(),
            scope: Scope::Api,
            credential: CredentialKind::ExternalApiKey,
            credential_id: "key".to_owned(),
            info: RequestInfo::default(),
            grant: Arc::new(Grant::new("ADMIN", Role::Admin, None)),
            token: "token".into(),
        };
        let postman = PostmanServer::start().await;
        let deps = deps(&test, &log, &inventory, directory.path().into(), &postman.url).await;
        let channel = Channel::local();
        channel.connect_local(grpc(portolan_imports::routes(deps)));
        let client = ImportsServiceClient::new(channel.clone());
        Self { test, log, inventory, client, channel, caller, postman, directory }
    }

    /// The jobs of a process of this installation.
    pub async fn start_jobs(&self) -> Tasks {
        self.start_jobs_stalling_after(Duration::from_secs(900)).await
    }

    /// As [`World::start_jobs`]; a job hangs that does not go on for so long.
    pub async fn start_jobs_stalling_after(&self, stall_max: Duration) -> Tasks {
        let data_dir = self.directory.path().into();
        let deps = deps(&self.test, &self.log, &self.inventory, data_dir, &self.postman.url).await;
        let tasks = Tasks::default();
        portolan_imports::start(&deps.stalling_after(stall_max), &tasks);
        tasks
    }

    /// A request of the caller under a write id.
    pub fn request<T>(&self, write_id: &str, message: T) -> Request<T> {
        self.request_of(self.caller.clone(), write_id, message)
    }

    pub fn request_of<T>(&self, mut caller: Caller, write_id: &str, message: T) -> Request<T> {
        caller.info = RequestInfo { write_id: write_id.to_owned(), ..RequestInfo::default() };
        let mut request = Request::new(message);
        request.extensions_mut().insert(caller);
        request
    }

    /// Every record in the log, sorted by address.
    pub async fn records(&self) -> Vec<Seen> {
        let mut seen = Vec::new();
        for partition in 0..PARTITIONS {
            let mut from = 0;
            loop {
                let stored = self.log.fetch(partition, from, 1 << 20).await.unwrap();
                let Some(last) = stored.last() else { break };
                from = last.offset + 1;
                for message in &stored {
                    let json = std::str::from_utf8(&message.value).unwrap();
                    let record = portolan_record::Record::parse(json).unwrap();
                    assert_eq!(record.account_id, ACCOUNT);
                    seen.push(Seen {
                        collection_id: record.collection_id,
                        method: record.method.to_string(),
                        path: record.path.to_string(),
                        source: record.source.name(),
                    });
                }
            }
        }
        seen.sort_by(|a, b| (&a.path, &a.method).cmp(&(&b.path, &b.method)));
        seen
    }

    /// Names of the files that are spooled.
    pub fn spooled(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path().join("uploads")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "spool-id").collect()
    }
}

/// The reason of a refusal.
pub fn reason<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Reason, String) {
    let error = Error::from_status(&answer.unwrap_err());
    (error.reason(), error.text())
}

async fn deps(test: &TestDb, log: &Log, inventory: &Inventory, data_dir: PathBuf, postman_url: &str) -> Deps {
    let settings = [("PORTOLAN__FETCH__ALLOW_PRIVATE", "true"), ("PORTOLAN__POSTMAN__URL", postman_url)];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = Config::load(data_dir.clone(), None, settings).unwrap();
    let peers = Peers::new(&config, ServiceAuth::new(&[7; 32])).unwrap();
    peers.inventory.connect_local(grpc(inventory.routes()));
    peers.billing.connect_local(grpc(inventory.billing_routes()));
    let db = test.store.service("imports").await.unwrap();
    let secrets = Secrets::of(&Keys::load_or_create(&data_dir.join("secret-key")).unwrap(), "imports").unwrap();
    let fetch = Fetch::new(config.fetch_policy().unwrap());
    let options = Options::read(&config).unwrap();
    Deps::open(db, log.clone(), peers, secrets, fetch, &data_dir, &options).await.unwrap()
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

fn grpc(routes: Routes) -> GrpcService {
    BoxCloneSyncService::new(service_fn(move |request: http::Request<Body>| {
        let routes = routes.clone();
        async move { routes.oneshot(request).await.map_err(BoxError::from) }
    }))
}
