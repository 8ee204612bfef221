//! Identity on a test's database, without the other services; billing allows everything.
#![allow(dead_code, reason = "each of the targets that share this file uses a part of it")]

use std::sync::Arc;

use portolan_api::billing::v1::{
    CheckLimitRequest, CheckLimitResponse, GetEntitlementsRequest, GetEntitlementsResponse, RecordUsageEventsRequest,
    RecordUsageEventsResponse, ReportCountsRequest, ReportCountsResponse,
    check_limit_response::Verdict,
    metering_service_server::{MeteringService, MeteringServiceServer},
};
use portolan_authz::{Cache, Caller, CredentialKind, Grant, RequestInfo, Role, Scope};
use portolan_identity::{Deps, Options, users};
use portolan_ids::{AccountId, UserId};
use portolan_runtime::{Config, GrpcService, Keys, Peers, Secrets};
use portolan_store::{Store, args};
use portolan_testkit::TestDb;
use tonic::{Request, Response, Status, body::Body, codegen::http, service::Routes};
use tower::{ServiceExt, util::BoxCloneSyncService};

pub const ACCOUNT: AccountId = AccountId(1_000_000);
pub const PASSWORD: &str = "a password of its own";

/// Identity as one more process on the test's database would have it, with its own connections.
pub async fn identity(test: &TestDb, grants: Cache<Grant>) -> Deps {
    let directory = tempfile::tempdir().unwrap();
    let config = Config::load(directory.path().to_owned(), None, []).unwrap();
    let keys = Keys::load_or_create(&std::env::temp_dir().join(format!("key-{}", std::process::id()))).unwrap();
    let secrets = Secrets::of(&keys, "identity").unwrap();
    let peers = Peers::new(&config, keys.auth("identity")).unwrap();
    peers.billing.connect_local(local(Routes::new(MeteringServiceServer::new(Unlimited))));
    let db = Store::connect(&test.url).await.unwrap().service("identity").await.unwrap();
    Deps::open(db, peers, secrets, grants, Cache::Off, &Options::read(&config).unwrap()).await.unwrap()
}

/// Makes the account, with a member of it, and returns the member.
pub async fn member(deps: &Deps, login: &str) -> UserId {
    with_role(deps, login, "MEMBER").await
}

/// The same in another role.
pub async fn with_role(deps: &Deps, login: &str, role: &str) -> UserId {
    let organization = "INSERT INTO organizations (organization_id, public_id, name, state, created_at)
        VALUES ('o', 'org_o', 'o', 'ACTIVE', 0) ON CONFLICT DO NOTHING";
    deps.db.execute(organization, args![]).await.unwrap();
    let account = "INSERT INTO accounts (account_id, organization_id, name, created_at)
        VALUES (1000000, 'o', 'a', 0) ON CONFLICT DO NOTHING";
    deps.db.execute(account, args![]).await.unwrap();
    let next = "UPDATE identity_sequences SET next = 1000001 WHERE name = 'account' AND next = 1000000";
    deps.db.execute(next, args![]).await.unwrap();
    users::create(deps, users::NewUser { account_id: ACCOUNT, login, password: PASSWORD, role }).await.unwrap()
}

/// A caller as the guard makes one, for an ADMIN of the account.
pub fn admin(user_id: UserId, credential_id: &str) -> Caller {
    Caller {
        account_id: ACCOUNT,
        user_id,
        organization_id: "o".into(),
        scope: Scope::Api,
        credential: CredentialKind::Session,
        credential_id: credential_id.to_owned(),
        info: RequestInfo::default(),
        grant: Arc::new(Grant::new("ADMIN", Role::Admin, None)),
        token: "".into(),
    }
}

fn local(routes: Routes) -> GrpcService {
    let routes = ServiceExt::<http::Request<Body>>::map_err(routes.prepare(), Into::into);
    BoxCloneSyncService::new(routes)
}

/// Billing with a plan that includes everything, in the place of the other program.
struct Unlimited;

#[tonic::async_trait]
impl MeteringService for Unlimited {
    async fn record_usage_events(
        &self,
        _: Request<RecordUsageEventsRequest>,
    ) -> Result<Response<RecordUsageEventsResponse>, Status> {
        Ok(Response::new(RecordUsageEventsResponse::default()))
    }

    async fn report_counts(&self, _: Request<ReportCountsRequest>) -> Result<Response<ReportCountsResponse>, Status> {
        Ok(Response::new(ReportCountsResponse::default()))
    }

    async fn check_limit(&self, _: Request<CheckLimitRequest>) -> Result<Response<CheckLimitResponse>, Status> {
        Ok(Response::new(CheckLimitResponse { verdict: Verdict::Allowed.into(), room: -1 }))
    }

    async fn get_entitlements(
        &self,
        _: Request<GetEntitlementsRequest>,
    ) -> Result<Response<GetEntitlementsResponse>, Status> {
        Ok(Response::new(GetEntitlementsResponse::default()))
    }
}
