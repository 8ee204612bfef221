use portolan_api::identity::v1::{self as identity, directory_service_server as directory};
use portolan_ids::CollectionId;
use portolan_inventory::{
    Deps, access_types, collections, endpoints, groups,
    model::{collections::CollectionName, conditions::Written},
    redaction,
};
use portolan_jobs::STEPPED;
use portolan_jobs::State;
use portolan_record::Record;
use portolan_testkit::TestDb;
use tokio_util::sync::CancellationToken;

use crate::harness::{ACCOUNT, admin, call, create, deps, deps_without_identity, distinct_path, ingest, local, tables};

/// A step is tried this often before its worker gives up.
const ATTEMPTS: u32 = 5;

/// Runs what is due; each of the first steps dies before its commit, and another worker takes up the job.
pub async fn run_with_deaths(deps: &Deps) {
    for death in 0..3 {
        deps.db.faults().at(STEPPED).times(ATTEMPTS).fail();
        let stop = CancellationToken::new();
        deps.jobs.run_due(deps, &format!("worker{death}"), &stop).await.unwrap();
        // The time of the pause after a failure is over.
        deps.db.execute("UPDATE jobs SET due_at = 0", vec![]).await.unwrap();
        one_step(deps, &format!("survivor{death}")).await;
        deps.db.execute("UPDATE jobs SET due_at = 0", vec![]).await.unwrap();
    }
    deps.db.faults().clear();
    deps.jobs.run_due(deps, "last", &CancellationToken::new()).await.unwrap();
    let all = deps.jobs.list(ACCOUNT, 0, None).await.unwrap();
    assert!(all.iter().all(|job| job.state == State::Succeeded), "{all:?}");
}

/// Lets a worker live for one step of one job.
async fn one_step(deps: &Deps, owner: &str) {
    let stop = CancellationToken::new();
    let task = tokio::spawn({
        let (deps, owner, stop) = (deps.clone(), owner.to_owned(), stop.clone());
        async move { deps.jobs.run_due(&deps, &owner, &stop).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    stop.cancel();
    task.await.unwrap().unwrap();
}

/// Addresses of an account, in the place of identity, which is another program.
struct Ranges;

#[tonic::async_trait]
impl directory::DirectoryService for Ranges {
    async fn find_organization(
        &self,
        _: tonic::Request<identity::FindOrganizationRequest>,
    ) -> Result<tonic::Response<identity::FindOrganizationResponse>, tonic::Status> {
        Err(tonic::Status::unimplemented(""))
    }
    async fn get_account_settings(
        &self,
        _: tonic::Request<identity::GetAccountSettingsRequest>,
    ) -> Result<tonic::Response<identity::GetAccountSettingsResponse>, tonic::Status> {
        Ok(tonic::Response::new(identity::GetAccountSettingsResponse {
            private_cidr_list: vec!["77.0.0.0/8".into()],
            partner_ip_list: Vec::new(),
        }))
    }
    async fn resolve_managed_user(
        &self,
        _: tonic::Request<identity::ResolveManagedUserRequest>,
    ) -> Result<tonic::Response<identity::ResolveManagedUserResponse>, tonic::Status> {
        Err(tonic::Status::unimplemented(""))
    }
}

fn calls(collection_id: CollectionId, count: usize) -> Vec<Record<'static>> {
    let record = |n: usize| Record { ip: "77.1.2.3".into(), ..call(collection_id, "GET", &distinct_path(n), 5) };
    (0..count).map(record).collect()
}

/// A deletion ends with nothing left, however often its workers die.
pub async fn a_deletion_survives_deaths(test: TestDb) {
    let deps = deps(&test).await;
    let (id, me) = (create(&deps, ACCOUNT, "A").await.id, admin(ACCOUNT));
    ingest(&deps, "p", &calls(id, 450)).await;
    collections::delete(&deps, &me, vec![id]).await.unwrap();
    run_with_deaths(&deps).await;
    assert!(tables(&deps, ACCOUNT).await.values().all(Vec::is_empty));
    let jobs = deps.jobs.list(ACCOUNT, 0, None).await.unwrap();
    assert_eq!((jobs.len(), jobs[0].done_items), (1, 450));
}

/// A redaction that is cut off in its first request ends as an undisturbed one.
pub async fn a_redaction_survives_deaths(test: TestDb) {
    let deps = deps(&test).await;
    let (a, b, me) = (create(&deps, ACCOUNT, "A").await.id, create(&deps, ACCOUNT, "B").await.id, admin(ACCOUNT));
    ingest(&deps, "p", &calls(a, 250)).await;
    ingest(&deps, "q", &calls(b, 250)).await;
    redaction::update(&deps, &me, a, true).await.unwrap();
    deps.jobs.run_due(&deps, "calm", &CancellationToken::new()).await.unwrap();
    deps.db.faults().at(STEPPED).times(ATTEMPTS).fail();
    redaction::update(&deps, &me, b, true).await.unwrap();
    deps.db.execute("UPDATE jobs SET due_at = 0", vec![]).await.unwrap();
    run_with_deaths(&deps).await;
    let tables = tables(&deps, ACCOUNT).await;
    for name in ["endpoints", "parameters"] {
        let of = |id: CollectionId| -> Vec<String> {
            tables[name].iter().filter_map(|row| row.strip_prefix(&format!("{id} | ")).map(str::to_owned)).collect()
        };
        assert_eq!(of(a), of(b), "{name}");
        assert!(of(a).len() >= 250);
    }
    assert!(!tables["samples"].iter().any(|row| row.contains("77.1.2.3")));
}

/// Groups are right after their job was cut off, and a request during a run is followed by a whole run.
pub async fn groups_survive_deaths(test: TestDb) {
    let deps = deps(&test).await;
    let (id, me) = (create(&deps, ACCOUNT, "A").await.id, admin(ACCOUNT));
    ingest(&deps, "p", &calls(id, 620)).await;
    let condition = Written {
        kind: "REGEX".into(),
        operator: "AND".into(),
        data: serde_json::json!({"regex": "."}),
        ..Written::default()
    };
    deps.db.faults().at(STEPPED).times(ATTEMPTS).fail();
    let name = CollectionName::parse(Some("G".into())).unwrap();
    let (group, _) = groups::create(&deps, &me, name, vec![condition]).await.unwrap();
    deps.db.execute("UPDATE jobs SET due_at = 0", vec![]).await.unwrap();
    run_with_deaths(&deps).await;
    assert_eq!(endpoints::list(&deps, &me, group.id).await.unwrap().1.len(), 620);
    let all = collections::list(&deps, &me).await.unwrap();
    assert_eq!(all.iter().find(|known| known.id == group.id).unwrap().endpoint_count, 620);
}

/// Both jobs of access types end the same, however often their workers die; asked for twice they are one job.
pub async fn access_types_survive_deaths(test: TestDb) {
    // A new collection needs what identity says of the plan.
    let (id, me) = (create(&deps(&test).await, ACCOUNT, "A").await.id, admin(ACCOUNT));
    let deps = deps_without_identity(&test.store).await;
    let ranges = tonic::service::Routes::new(directory::DirectoryServiceServer::new(Ranges));
    ingest(&deps, "p", &calls(id, 450)).await;
    let public = async || {
        let (_, list) = endpoints::list(&deps, &me, id).await.unwrap();
        list.iter().filter(|known| known.access_types.iter().any(|known| known.name() == "PUBLIC")).count()
    };
    assert_eq!(public().await, 450);
    access_types::reset_collections(&deps, &me).await.unwrap();
    run_with_deaths(&deps).await;
    let kind = async || collections::list(&deps, &me).await.unwrap().pop().unwrap().access_type;
    assert_eq!(kind().await.as_deref(), Some("Internal"));

    // Without the account's ranges nothing is decided.
    let first = access_types::apply(&deps, &me).await.unwrap();
    assert_eq!(access_types::apply(&deps, &me).await.unwrap(), first);
    deps.jobs.run_due(&deps, "early", &CancellationToken::new()).await.unwrap();
    assert_eq!(public().await, 450);
    let job = deps.jobs.get(ACCOUNT, &first).await.unwrap().unwrap();
    assert!(job.error.is_some() && job.state == State::Pending);
    deps.peers.identity.connect_local(local(ranges));
    deps.db.execute("UPDATE jobs SET due_at = 0", vec![]).await.unwrap();
    run_with_deaths(&deps).await;
    assert_eq!(public().await, 0);
    access_types::reset_collections(&deps, &me).await.unwrap();
    run_with_deaths(&deps).await;
    assert_eq!(kind().await.as_deref(), Some("Third party"));
}
