//! One installation as billing sees it: its store, a clock that stands, and the services it asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use portolan_api::identity::v1::{
    FindOrganizationRequest, FindOrganizationResponse, GetAccountSettingsRequest, GetAccountSettingsResponse,
    OrganizationRecord, ResolveManagedUserRequest, ResolveManagedUserResponse,
    directory_service_server::{DirectoryService, DirectoryServiceServer},
    find_organization_request::By,
    identity_usage_service_server::{IdentityUsageService, IdentityUsageServiceServer},
};
use portolan_api::inventory::v1::ingest_service_server::{IngestService, IngestServiceServer};
use portolan_api::{Error, Reason, identity, inventory};
use portolan_authz::{Caller, CredentialKind, Grant, RequestInfo, Role, Scope, ServiceAuth};
use portolan_billing::provider::{Provider, SigningKey};
use portolan_billing::{BillingRules, Clock, Deps, Plans};
use portolan_ids::{AccountId, UserId};
use portolan_runtime::{Config, GrpcService, Peers};
use portolan_store::args;
use portolan_testkit::TestDb;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use tower::util::BoxCloneSyncService;
use tower::{ServiceExt as _, service_fn};

pub const ORGANIZATION: &str = "123e4567-e89b-12d3-a456-426614174000";
pub const ACCOUNT: i64 = 1_000_000;
pub const SIBLING: i64 = 1_000_001;
/// 2026-01-15T12:00:00Z
pub const START: i64 = 1_768_478_400;

/// A clock that is moved by hand.
#[derive(Clone)]
pub struct Hand(Arc<AtomicI64>);

impl Hand {
    pub fn at(now: i64) -> Self {
        Self(Arc::new(AtomicI64::new(now)))
    }

    pub fn move_by(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }

    fn clock(&self) -> Clock {
        let hand = self.0.clone();
        Clock::new(move || hand.load(Ordering::Relaxed))
    }
}

pub struct World {
    pub test: TestDb,
    pub deps: Deps,
    pub hand: Hand,
    pub owners: Owners,
}

impl World {
    pub async fn built_in(test: TestDb, plans: &str) -> Self {
        Self::new(test, Provider::BuiltIn(SigningKey::new("key")), plans).await
    }

    pub async fn new(test: TestDb, provider: Provider, plans: &str) -> Self {
        let hand = Hand::at(START);
        let owners = Owners::default();
        let config = Config::load("data".into(), None, []).unwrap();
        let peers = Peers::new(&config, ServiceAuth::new(&[7; 32])).unwrap();
        let mut routes = Routes::builder();
        routes.add_service(DirectoryServiceServer::new(owners.clone()));
        routes.add_service(IdentityUsageServiceServer::new(owners.clone()));
        peers.identity.connect_local(grpc(routes.routes()));
        peers.inventory.connect_local(grpc(Routes::new(IngestServiceServer::new(owners.clone()))));
        let rules = BillingRules {
            refresh_s: 60,
            stale_s: 3_600,
            report_s: 60,
            event_window_s: 90 * 86_400,
            hours_s: 400 * 86_400,
            days_s: 1_830 * 86_400,
            agents_s: 400 * 86_400,
            email_domain_rule: false,
        };
        let db = test.store.service("billing").await.unwrap();
        let plans = if plans.is_empty() { Plans::compiled_in() } else { Plans::parse(plans).unwrap() };
        let deps = Deps::new(db, peers, provider, plans, hand.clock(), rules).await.unwrap();
        Self { test, deps, hand, owners }
    }

    pub fn caller(&self) -> Caller {
        Caller {
            account_id: AccountId(ACCOUNT),
            user_id: UserId(1),
            organization_id: ORGANIZATION.into(),
            scope: Scope::Api,
            credential: CredentialKind::ExternalApiKey,
            credential_id: "key".to_owned(),
            info: RequestInfo::default(),
            grant: Arc::new(Grant::new("ADMIN", Role::Admin, None)),
            token: "token".into(),
        }
    }

    /// Works on every job that is due.
    pub async fn run_jobs(&self, owner: &str) {
        self.deps.jobs.run_due(&self.deps, owner, &CancellationToken::new()).await.unwrap();
    }

    /// Sum of every event of an account's feature, from the sums and from the events.
    pub async fn total(&self, account_id: i64, feature: &str) -> (i64, i64) {
        let sum = "SELECT value, events FROM usage_buckets WHERE account_id = $1 AND feature = $2 AND grain = 'TOTAL'";
        let row = self.deps.db.fetch_optional(sum, args![account_id, feature]).await.unwrap();
        row.map_or((0, 0), |row| (row.get("value").unwrap(), row.get("events").unwrap()))
    }
}

pub fn reason<T: std::fmt::Debug>(answer: Result<T, Error>) -> Reason {
    answer.unwrap_err().reason()
}

/// Identity and inventory as far as billing asks them.
#[derive(Clone, Default)]
pub struct Owners {
    pub endpoints: Arc<AtomicI64>,
    pub version: Arc<AtomicI64>,
    pub recounts: Arc<AtomicI64>,
    pub is_down: Arc<AtomicBool>,
}

impl Owners {
    fn up(&self) -> Result<(), Status> {
        if self.is_down.load(Ordering::Relaxed) { Err(Status::unavailable("down")) } else { Ok(()) }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl DirectoryService for Owners {
    async fn find_organization(&self, request: Request<FindOrganizationRequest>) -> Answer<FindOrganizationResponse> {
        self.up()?;
        let is_known = match request.into_inner().by {
            Some(By::Id(id)) => id == ORGANIZATION,
            Some(By::AccountId(id)) => [ACCOUNT, SIBLING].contains(&id),
            _ => false,
        };
        let organization = is_known.then(|| OrganizationRecord {
            id: ORGANIZATION.to_owned(),
            name: "Acme".to_owned(),
            account_ids: vec![ACCOUNT, SIBLING],
            admin_email: "admin@acme.example".to_owned(),
            ..OrganizationRecord::default()
        });
        Ok(Response::new(FindOrganizationResponse { organization }))
    }

    async fn get_account_settings(&self, _: Request<GetAccountSettingsRequest>) -> Answer<GetAccountSettingsResponse> {
        Err(Status::unimplemented("billing asks for no settings"))
    }

    async fn resolve_managed_user(&self, _: Request<ResolveManagedUserRequest>) -> Answer<ResolveManagedUserResponse> {
        Err(Status::unimplemented("billing resolves no managed users"))
    }
}

#[tonic::async_trait]
impl IdentityUsageService for Owners {
    async fn recount_usage(
        &self,
        _: Request<identity::v1::RecountUsageRequest>,
    ) -> Answer<identity::v1::RecountUsageResponse> {
        self.up()?;
        Ok(Response::new(identity::v1::RecountUsageResponse::default()))
    }
}

#[tonic::async_trait]
impl IngestService for Owners {
    async fn recount_usage(
        &self,
        request: Request<inventory::v1::RecountUsageRequest>,
    ) -> Answer<inventory::v1::RecountUsageResponse> {
        self.up()?;
        if request.into_inner().account_id != ACCOUNT {
            return Ok(Response::new(inventory::v1::RecountUsageResponse::default()));
        }
        self.recounts.fetch_add(1, Ordering::Relaxed);
        let (count, version) = (self.endpoints.load(Ordering::Relaxed), self.version.fetch_add(1, Ordering::Relaxed));
        let count = inventory::v1::RecountedUsage {
            feature: "ACTIVE_ENDPOINTS".to_owned(),
            kept: count,
            counted: count,
            settled_version: Some(version),
            count,
            version: version + 1,
        };
        Ok(Response::new(inventory::v1::RecountUsageResponse { counts: vec![count] }))
    }

    async fn get_ingest_positions(
        &self,
        _: Request<inventory::v1::GetIngestPositionsRequest>,
    ) -> Answer<inventory::v1::GetIngestPositionsResponse> {
        Err(Status::unimplemented("billing asks for no positions"))
    }

    async fn list_rejected_records(
        &self,
        _: Request<inventory::v1::ListRejectedRecordsRequest>,
    ) -> Answer<inventory::v1::ListRejectedRecordsResponse> {
        Err(Status::unimplemented("billing reads no records"))
    }

    async fn replay_rejected_record(
        &self,
        _: Request<inventory::v1::ReplayRejectedRecordRequest>,
    ) -> Answer<inventory::v1::ReplayRejectedRecordResponse> {
        Err(Status::unimplemented("billing reads no records"))
    }

    async fn reserve_endpoints(
        &self,
        _: Request<inventory::v1::ReserveEndpointsRequest>,
    ) -> Answer<inventory::v1::ReserveEndpointsResponse> {
        Err(Status::unimplemented("billing reserves nothing"))
    }

    async fn settle_reservation(
        &self,
        _: Request<inventory::v1::SettleReservationRequest>,
    ) -> Answer<inventory::v1::SettleReservationResponse> {
        Err(Status::unimplemented("billing reserves nothing"))
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

fn grpc(routes: Routes) -> GrpcService {
    BoxCloneSyncService::new(service_fn(move |request: http::Request<Body>| {
        let routes = routes.clone();
        async move { routes.oneshot(request).await.map_err(BoxError::from) }
    }))
}
