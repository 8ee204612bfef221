use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use portolan_api::{
    billing::v1::{
        self as billing,
        metering_service_server::{MeteringService, MeteringServiceServer},
    },
    identity::v1::{
        self as identity, ForgetCollectionsRequest, ForgetCollectionsResponse,
        collection_lists_service_server::{CollectionListsService, CollectionListsServiceServer},
        directory_service_server::{DirectoryService, DirectoryServiceServer},
    },
    imports::v1::{
        self as imports,
        uploads_service_server::{UploadsService, UploadsServiceServer},
    },
};
use portolan_authz::{Caller, CredentialKind, Grant, RequestInfo, Role, Scope, ServiceAuth};
use portolan_ids::{AccountId, CollectionId, OrganizationId, UserId};
use portolan_inventory::{
    Deps, Options, SERVICE, collections,
    model::collections::{Collection, CollectionName},
};
use portolan_log::{Log, Message, Positions};
use portolan_record::{Record, Source};
use portolan_runtime::{Config, Peers, Tasks};
use portolan_store::{Store, Value};
use portolan_testkit::TestDb;
use tokio_util::sync::CancellationToken;

pub const ACCOUNT: AccountId = AccountId(1_000_000);
pub const OTHER_ACCOUNT: AccountId = AccountId(1_000_001);

/// The service on the test's database.
pub async fn deps(test: &TestDb) -> Deps {
    deps_on(&test.store).await
}

/// The service as a process of its own on a store.
pub async fn deps_on(store: &Store) -> Deps {
    let deps = deps_without_identity(store).await;
    let mut identity = tonic::service::Routes::builder();
    identity.add_service(CollectionListsServiceServer::new(NoLists));
    identity.add_service(DirectoryServiceServer::new(OneOrganization));
    deps.peers.identity.connect_local(local(identity.routes()));
    let billing = tonic::service::Routes::new(MeteringServiceServer::new(NoLimits));
    deps.peers.billing.connect_local(local(billing));
    deps
}

/// The same, where identity does not answer yet.
pub async fn deps_without_identity(store: &Store) -> Deps {
    let db = store.service(SERVICE).await.unwrap();
    let log = Log::open("embedded:", "akto.api.logs", store).await.unwrap();
    // Records of these tests are from the first minutes of the epoch.
    let days = ("PORTOLAN__INVENTORY__CALL_STATS_DAYS".to_owned(), "36500".to_owned());
    let config = Config::load(PathBuf::from("."), None, [days]).unwrap();
    let peers = Peers::new(&config, ServiceAuth::new(&[7; 32])).unwrap();
    peers.imports.connect_local(uploads());
    Deps::open(db, log, peers).await.unwrap().configured(&Options::read(&config).unwrap())
}

/// Imports without any upload, in the place of the other program.
struct NoUploads;

#[tonic::async_trait]
impl UploadsService for NoUploads {
    async fn redact_uploads(
        &self,
        _: tonic::Request<imports::RedactUploadsRequest>,
    ) -> Result<tonic::Response<imports::RedactUploadsResponse>, tonic::Status> {
        Ok(tonic::Response::new(imports::RedactUploadsResponse::default()))
    }
    async fn delete_uploads(
        &self,
        _: tonic::Request<imports::DeleteUploadsRequest>,
    ) -> Result<tonic::Response<imports::DeleteUploadsResponse>, tonic::Status> {
        Ok(tonic::Response::new(imports::DeleteUploadsResponse::default()))
    }
    async fn get_specification(
        &self,
        _: tonic::Request<imports::GetSpecificationRequest>,
    ) -> Result<tonic::Response<imports::GetSpecificationResponse>, tonic::Status> {
        Ok(tonic::Response::new(imports::GetSpecificationResponse::default()))
    }
}

/// Identity without any list of collections, in the place of the other program.
struct NoLists;

#[tonic::async_trait]
impl CollectionListsService for NoLists {
    async fn forget_collections(
        &self,
        _: tonic::Request<ForgetCollectionsRequest>,
    ) -> Result<tonic::Response<ForgetCollectionsResponse>, tonic::Status> {
        Ok(tonic::Response::new(ForgetCollectionsResponse::default()))
    }
}

/// Identity with one organization, whose accounts have no settings.
struct OneOrganization;

#[tonic::async_trait]
impl DirectoryService for OneOrganization {
    async fn find_organization(
        &self,
        _: tonic::Request<identity::FindOrganizationRequest>,
    ) -> Result<tonic::Response<identity::FindOrganizationResponse>, tonic::Status> {
        let organization = identity::OrganizationRecord { id: "one".into(), ..Default::default() };
        Ok(tonic::Response::new(identity::FindOrganizationResponse { organization: Some(organization) }))
    }
    async fn get_account_settings(
        &self,
        _: tonic::Request<identity::GetAccountSettingsRequest>,
    ) -> Result<tonic::Response<identity::GetAccountSettingsResponse>, tonic::Status> {
        Err(tonic::Status::unimplemented("accounts of these tests have no settings"))
    }
    async fn resolve_managed_user(
        &self,
        _: tonic::Request<identity::ResolveManagedUserRequest>,
    ) -> Result<tonic::Response<identity::ResolveManagedUserResponse>, tonic::Status> {
        Err(tonic::Status::unimplemented("these tests have no managed users"))
    }
}

/// Billing with a plan that allows everything.
struct NoLimits;

#[tonic::async_trait]
impl MeteringService for NoLimits {
    async fn check_limit(
        &self,
        _: tonic::Request<billing::CheckLimitRequest>,
    ) -> Result<tonic::Response<billing::CheckLimitResponse>, tonic::Status> {
        let verdict = billing::check_limit_response::Verdict::Allowed.into();
        Ok(tonic::Response::new(billing::CheckLimitResponse { verdict, room: -1 }))
    }
    async fn record_usage_events(
        &self,
        _: tonic::Request<billing::RecordUsageEventsRequest>,
    ) -> Result<tonic::Response<billing::RecordUsageEventsResponse>, tonic::Status> {
        Err(tonic::Status::unimplemented("the inventory records no events"))
    }
    async fn report_counts(
        &self,
        _: tonic::Request<billing::ReportCountsRequest>,
    ) -> Result<tonic::Response<billing::ReportCountsResponse>, tonic::Status> {
        Err(tonic::Status::unimplemented("counts go through the outbox"))
    }
    async fn get_entitlements(
        &self,
        _: tonic::Request<billing::GetEntitlementsRequest>,
    ) -> Result<tonic::Response<billing::GetEntitlementsResponse>, tonic::Status> {
        Err(tonic::Status::unimplemented("the inventory asks for no plan"))
    }
}

fn uploads() -> portolan_runtime::GrpcService {
    local(tonic::service::Routes::new(UploadsServiceServer::new(NoUploads)))
}

/// Routes as the other end of a road within the process.
pub fn local(routes: tonic::service::Routes) -> portolan_runtime::GrpcService {
    let routes = routes.prepare();
    let routes = tower::ServiceExt::<tonic::codegen::http::Request<tonic::body::Body>>::map_err(routes, Into::into);
    tower::util::BoxCloneSyncService::new(routes)
}

/// An ADMIN of an account.
pub fn admin(account_id: AccountId) -> Caller {
    caller(account_id, Role::Admin, None, Scope::Api)
}

pub fn caller(account_id: AccountId, role: Role, collections: Option<Vec<CollectionId>>, scope: Scope) -> Caller {
    static WRITES: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let write_id = WRITES.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string();
    Caller {
        account_id,
        user_id: UserId(1),
        organization_id: OrganizationId::default(),
        scope,
        credential: CredentialKind::Session,
        credential_id: String::new(),
        info: RequestInfo { write_id, ..RequestInfo::default() },
        grant: Arc::new(Grant::new(role.name(), role, collections)),
        token: "".into(),
    }
}

/// Creates a collection as an ADMIN.
pub async fn create(deps: &Deps, account_id: AccountId, name: &str) -> Collection {
    let name = CollectionName::parse(Some(name.to_owned())).unwrap();
    collections::create(deps, &admin(account_id), name).await.unwrap()
}

/// A successful call, to be adjusted.
pub fn call(collection_id: impl Into<CollectionId>, method: &'static str, path: &str, time: i64) -> Record<'static> {
    Record {
        account_id: ACCOUNT.into(),
        collection_id: collection_id.into().get().into(),
        source: Source::Har,
        method: method.into(),
        path: path.to_owned().into(),
        protocol: "HTTP/1.1".into(),
        request_headers: r#"{"host":"api.example.com","authorization":"Bearer abc"}"#.into(),
        response_headers: r#"{"content-type":"application/json"}"#.into(),
        response_payload: r#"{"ok":true}"#.into(),
        status_code: 200,
        time,
        ip: "null".into(),
        direction: 1,
        ..Record::default()
    }
}

/// A path that shares no template with those of other numbers: it differs from them in two segments.
pub fn distinct_path(number: usize) -> String {
    let letters: String = (0..4).map(|at| char::from(b'a' + (number / 5_usize.pow(at) % 5) as u8)).collect();
    format!("/zq{letters}/zx{letters}")
}

/// Appends records, those of one collection to one partition.
pub async fn append(deps: &Deps, producer_id: &str, sequence: i64, records: &[Record<'_>]) -> Positions {
    let message = |record: &Record<'_>| Message {
        key: format!("{}:{}", record.account_id, record.collection_id).into_bytes(),
        value: record.to_json().into_bytes(),
    };
    deps.log.append(producer_id, sequence, records.iter().map(message).collect()).await.unwrap()
}

/// Begins ingest and jobs.
pub fn start_ingest(deps: Deps) -> Tasks {
    let tasks = Tasks::default();
    portolan_inventory::start(&deps, &tasks);
    tasks
}

/// Works on all jobs that are due.
pub async fn run_jobs(deps: &Deps) {
    deps.jobs.run_due(deps, "test", &CancellationToken::new()).await.unwrap();
}

/// Runs the ingest until everything in the log is in the tables.
pub async fn ingest_all(deps: &Deps) {
    let handle = start_ingest(deps.clone());
    wait_for_all(deps, &handle).await;
    handle.stop().await;
}

pub async fn wait_for_all(deps: &Deps, _: &Tasks) {
    let end = deps.log.end_offsets().await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), deps.read_to(&end)).await.expect("the ingest must not hang");
}

pub async fn ingest(deps: &Deps, producer_id: &str, records: &[Record<'_>]) {
    append(deps, producer_id, 0, records).await;
    ingest_all(deps).await;
}

/// Every row of an account's endpoints, parameters and samples as text.
pub async fn tables(deps: &Deps, account_id: AccountId) -> BTreeMap<&'static str, Vec<String>> {
    const QUERIES: [(&str, &str, usize); 3] = [
        (
            "endpoints",
            "SELECT collection_id, endpoint_key, method, raw_url, url, url_key, proven, first_seen, last_seen, facts, \
             bodies FROM endpoints WHERE account_id = $1 ORDER BY collection_id, endpoint_key",
            11,
        ),
        (
            "parameters",
            "SELECT collection_id, endpoint_key, parameter_key, name, sub_type, response_code, sensitive, facts \
             FROM parameters WHERE account_id = $1 ORDER BY collection_id, endpoint_key, parameter_key",
            8,
        ),
        (
            "samples",
            "SELECT collection_id, endpoint_key, sample_key, time, record FROM samples WHERE account_id = $1 \
             ORDER BY collection_id, endpoint_key, sample_key",
            5,
        ),
    ];
    let mut tables = BTreeMap::new();
    for (name, query, columns) in QUERIES {
        let rows = deps.db.fetch_all(query, vec![Value::from(account_id)]).await.unwrap();
        let text = |row: &portolan_store::Row| {
            let column = |column: usize| {
                row.get::<String>(column).or_else(|_| row.get::<i64>(column).map(|number| number.to_string())).unwrap()
            };
            (0..columns).map(column).collect::<Vec<_>>().join(" | ")
        };
        tables.insert(name, rows.iter().map(text).collect());
    }
    tables
}
