use std::time::{Duration, Instant};

use portolan_api::identity::v1::{self as identity, directory_service_server as directory};
use portolan_ids::{AccountId, CollectionId};
use portolan_inventory::{
    Deps, collections, endpoints,
    ingest::{Skipped, WRITE, skip},
    oldest_unread,
};
use portolan_jobs::STEPPED;
use portolan_jobs::State;
use portolan_record::Record;
use portolan_store::Value;
use portolan_testkit::TestDb;
use tokio_util::sync::CancellationToken;

use crate::harness::{
    ACCOUNT, admin, append, call, create, deps, deps_without_identity, distinct_path, ingest_all, local, start_ingest,
    wait_for_all,
};

/// A process of this machine that ended: its id is in use by one that began at another time.
fn dead_process() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let ids = std::fs::read_link("/proc/self/ns/pid").unwrap();
    format!("{}/{}/{}/0/x", boot.trim(), ids.display(), std::process::id())
}

/// A collection with records that nobody has read yet: its id and their partition.
async fn waiting(deps: &Deps, count: usize) -> (CollectionId, i64) {
    let id = create(deps, ACCOUNT, "A").await.id;
    let records: Vec<Record<'_>> = (0..count).map(|n| call(id, "GET", &distinct_path(n), 5)).collect();
    let partition = *append(deps, "p", 0, &records).await.first_key_value().unwrap().0;
    (id, partition)
}

/// Leaves the partition as a process does that died at some of its records.
async fn die_at(deps: &Deps, partition: i64, owner: &str, work: (i64, i64), suspects: (i64, i64), deaths: i64) {
    let insert = "INSERT INTO ingest_cursors (source, partition_id, next_offset) VALUES ($1, $2, 0) \
         ON CONFLICT DO NOTHING";
    let update = "UPDATE ingest_cursors SET work_owner = $3, work_from = $4, work_to = $5, suspect_from = $6, \
         suspect_to = $7, deaths = $8 WHERE source = $1 AND partition_id = $2";
    let place = vec![Value::from(deps.log.source()), Value::from(partition)];
    deps.db.execute(insert, place.clone()).await.unwrap();
    let numbers = [work.0, work.1, suspects.0, suspects.1, deaths].map(Value::from);
    let values = place.into_iter().chain([Value::from(owner)]).chain(numbers).collect();
    deps.db.execute(update, values).await.unwrap();
}

async fn count(deps: &Deps, id: CollectionId) -> usize {
    endpoints::list(deps, &admin(ACCOUNT), id).await.unwrap().1.len()
}

/// The first process died with five records under work, the second at one of them: the third sets that one aside with the
/// reason, and its neighbors arrive.
pub async fn a_record_at_which_processes_died_twice_is_set_aside(test: TestDb) {
    let deps = deps(&test).await;
    let (id, partition) = waiting(&deps, 5).await;
    die_at(&deps, partition, &dead_process(), (0, 1), (0, 5), 1).await;
    ingest_all(&deps).await;
    let rejected = deps.log.rejected(portolan_log::Accounts::All, None, 10).await.unwrap();
    assert_eq!((rejected.len(), rejected[0].offset), (1, 0), "{rejected:?}");
    assert!(rejected[0].reason.contains("died") && !rejected[0].value.is_empty(), "{rejected:?}");
    assert_eq!(count(&deps, id).await, 4);
}

/// After one death every record is read, each on its own, and an orderly end leaves nothing that counts as a death.
pub async fn one_death_sets_nothing_aside(test: TestDb) {
    let deps = deps(&test).await;
    let (id, partition) = waiting(&deps, 5).await;
    die_at(&deps, partition, &dead_process(), (0, 5), (0, 0), 0).await;
    ingest_all(&deps).await;
    assert_eq!((count(&deps, id).await, deps.log.rejected_count().await.unwrap()), (5, 0));
    let left = "SELECT count(*) FROM ingest_cursors WHERE work_owner IS NOT NULL";
    assert_eq!(deps.db.fetch_one(left, vec![]).await.unwrap().get::<i64>(0).unwrap(), 0);
}

/// A death among very many records: they are read again in portions, after the next death those of the portion one by one,
/// and one more names the record.
pub async fn many_suspects_are_narrowed_down(test: TestDb) {
    const RECORDS: usize = 900;
    let deps = deps(&test).await;
    let id = create(&deps, ACCOUNT, "A").await.id;
    let commits = async || {
        let row = deps.db.fetch_one("SELECT max(commits) FROM ingest_cursors", vec![]).await.unwrap();
        row.get::<Option<i64>>(0).unwrap().unwrap_or_default()
    };
    for (round, expected) in [(1_u32, 30..40), (2, 30..40), (3, 2..10)] {
        let before = commits().await;
        let records: Vec<Record<'_>> = (0..RECORDS).map(|n| call(id, "GET", ["/a", "/b", "/c"][n % 3], 5)).collect();
        append(&deps, "p", round.into(), &records).await;
        deps.db.faults().at(WRITE).times(round).panic();
        ingest_all(&deps).await;
        let made = commits().await - before;
        assert!(expected.contains(&made), "{made} commits after {round} deaths");
    }
    let rejected = deps.log.rejected(portolan_log::Accounts::All, None, 10).await.unwrap();
    assert_eq!(rejected.iter().map(|record| record.offset).collect::<Vec<_>>(), [2 * 900]);
    assert!(rejected[0].reason.contains("panicked") && !rejected[0].value.is_empty(), "{rejected:?}");
    assert_eq!(count(&deps, id).await, 3);
}

/// What is worked on is noted with the records that may come next, and a partition without records is nobody's: the end of
/// a process that has nothing to do is no death.
pub async fn an_idle_partition_is_let_go(test: TestDb) {
    let deps = deps(&test).await;
    let (_, partition) = waiting(&deps, 1).await;
    let handle = start_ingest(deps.clone());
    wait_for_all(&deps, &handle).await;
    let select = "SELECT count(work_owner), max(work_to) FROM ingest_cursors WHERE partition_id = $1";
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let row = deps.db.fetch_one(select, vec![Value::from(partition)]).await.unwrap();
        let (owners, work_to): (i64, i64) = (row.get(0).unwrap(), row.get(1).unwrap());
        assert!(work_to > 100, "{work_to}");
        if owners == 0 {
            break;
        }
        assert!(Instant::now() < deadline, "the partition is kept without records");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    handle.stop().await;
}

/// A panic at a record is a death of the same kind: a passing one loses nothing, and one that comes again at the record
/// alone sets this one aside, while the process and its partition go on.
pub async fn a_panic_sets_its_record_aside(test: TestDb) {
    let deps = deps(&test).await;
    let (id, _) = waiting(&deps, 5).await;
    deps.db.faults().at(WRITE).panic();
    ingest_all(&deps).await;
    assert_eq!((count(&deps, id).await, deps.log.rejected_count().await.unwrap()), (5, 0));
    let more: Vec<Record<'_>> = (5..10).map(|n| call(id, "GET", &distinct_path(n), 5)).collect();
    append(&deps, "p", 1, &more).await;
    deps.db.faults().at(WRITE).times(2).panic();
    ingest_all(&deps).await;
    let rejected = deps.log.rejected(portolan_log::Accounts::All, None, 10).await.unwrap();
    assert_eq!(rejected.iter().map(|record| record.offset).collect::<Vec<_>>(), [5]);
    assert!(rejected[0].reason.contains("panicked") && !rejected[0].value.is_empty(), "{rejected:?}");
    assert_eq!(count(&deps, id).await, 9);
}

/// What a living process works on is left to it, and taken up when it has been silent for long.
pub async fn another_process_is_waited_for(test: TestDb) {
    let deps = deps(&test).await;
    let (id, partition) = waiting(&deps, 3).await;
    die_at(&deps, partition, "another machine/1/0/x", (0, 3), (0, 0), 0).await;
    let handle = start_ingest(deps.clone());
    let beat = "INSERT INTO ingest_consumers (owner, beat) VALUES ('another machine/1/0/x', $1) \
         ON CONFLICT (owner) DO UPDATE SET beat = excluded.beat";
    for n in 1..=3_i64 {
        deps.db.execute(beat, vec![Value::from(n)]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(count(&deps, id).await, 0);
    }
    wait_for_all(&deps, &handle).await;
    handle.stop().await;
    assert_eq!((count(&deps, id).await, deps.log.rejected_count().await.unwrap()), (3, 0));
}

/// A damaged batch is kept among the rejected ones after a few tries, and the next one arrives.
pub async fn a_batch_that_cannot_be_read_is_set_aside(test: TestDb) {
    let deps = deps(&test).await;
    let (id, partition) = waiting(&deps, 2).await;
    let log = test.store.service("log").await.unwrap();
    log.execute("UPDATE log_batches SET payload = $1", vec![Value::from(vec![0xff_u8; 9])]).await.unwrap();
    append(&deps, "p", 1, &[call(id, "GET", "/behind", 5)]).await;
    ingest_all(&deps).await;
    let rejected = deps.log.rejected(portolan_log::Accounts::All, None, 10).await.unwrap();
    assert_eq!((rejected.len(), rejected[0].partition, rejected[0].offset), (1, partition, 0));
    assert!(rejected[0].reason.contains("0 to 1"), "{rejected:?}");
    assert_eq!(count(&deps, id).await, 1);
}

/// The oldest unread record is told with its place and age, and an operator's skip sets aside exactly this one.
pub async fn an_operator_skips_what_stands_in_the_way(test: TestDb) {
    let deps = deps(&test).await;
    let (id, partition) = waiting(&deps, 2).await;
    let skip = async |offset| skip(&test.store, &deps.log, partition, offset).await.unwrap();
    assert_eq!(skip(1).await, Skipped::StandsAt(0));
    let log = test.store.service("log").await.unwrap();
    log.execute("UPDATE log_batches SET created_at = created_at - 400", vec![]).await.unwrap();
    let ends = deps.log.end_offsets().await.unwrap();
    let oldest = oldest_unread(&test.store, &deps.log, &ends).await.unwrap().unwrap();
    assert_eq!((oldest.partition, oldest.offset, oldest.age_s >= 400), (partition, 0, true));
    die_at(&deps, partition, "", (0, 0), (0, 0), 0).await;
    assert_eq!(skip(0).await, Skipped::To(1));
    assert_eq!(skip(0).await, Skipped::StandsAt(1));
    ingest_all(&deps).await;
    assert_eq!((count(&deps, id).await, deps.log.rejected_count().await.unwrap()), (1, 1));
    assert_eq!(skip(2).await, Skipped::Empty);
}

/// Identity without the account 77.
struct OneMissing(std::sync::atomic::AtomicBool);

#[tonic::async_trait]
impl directory::DirectoryService for OneMissing {
    async fn find_organization(
        &self,
        _: tonic::Request<identity::FindOrganizationRequest>,
    ) -> Result<tonic::Response<identity::FindOrganizationResponse>, tonic::Status> {
        Err(tonic::Status::unimplemented(""))
    }
    async fn get_account_settings(
        &self,
        request: tonic::Request<identity::GetAccountSettingsRequest>,
    ) -> Result<tonic::Response<identity::GetAccountSettingsResponse>, tonic::Status> {
        if request.into_inner().account_id == 77 && !self.0.swap(true, std::sync::atomic::Ordering::SeqCst) {
            return Err(portolan_api::Error::new(portolan_api::Reason::AccountNotFound).into());
        }
        Ok(tonic::Response::new(identity::GetAccountSettingsResponse::default()))
    }
    async fn resolve_managed_user(
        &self,
        _: tonic::Request<identity::ResolveManagedUserRequest>,
    ) -> Result<tonic::Response<identity::ResolveManagedUserResponse>, tonic::Status> {
        Err(tonic::Status::unimplemented(""))
    }
}

/// A record of an account that does not exist is set aside with the reason, and its neighbors arrive; once there is such
/// an account its records are read at once.
pub async fn records_of_missing_accounts_are_set_aside(test: TestDb) {
    let deps = deps_without_identity(&test.store).await;
    let service = directory::DirectoryServiceServer::new(OneMissing(false.into()));
    deps.peers.identity.connect_local(local(tonic::service::Routes::new(service)));
    let of = |account_id| Record { account_id, ..call(0, "GET", "/a", 5) };
    append(&deps, "p", 0, &[of(77), of(ACCOUNT.into())]).await;
    ingest_all(&deps).await;
    let rejected = deps.log.rejected(portolan_log::Accounts::All, None, 10).await.unwrap();
    assert_eq!(rejected.len(), 1, "{rejected:?}");
    assert!(rejected[0].reason.contains("names no account: 77"), "{rejected:?}");
    append(&deps, "p", 1, &[of(77)]).await;
    ingest_all(&deps).await;
    assert_eq!(deps.log.rejected_count().await.unwrap(), 1);
    assert_eq!(endpoints::list(&deps, &admin(AccountId(77)), CollectionId(0)).await.unwrap().1.len(), 1);
}

/// A job that fails at every attempt ends as failed with the reason.
pub async fn a_job_that_always_fails_ends(test: TestDb) {
    let deps = deps(&test).await;
    let id = create(&deps, ACCOUNT, "A").await.id;
    deps.db.faults().at(STEPPED).times(1_000).fail();
    collections::delete(&deps, &admin(ACCOUNT), vec![id]).await.unwrap();
    for _ in 0..20 {
        deps.db.execute("UPDATE jobs SET due_at = 0", vec![]).await.unwrap();
        deps.jobs.run_due(&deps, "worker", &CancellationToken::new()).await.unwrap();
    }
    let jobs = deps.jobs.list(ACCOUNT, 0, None).await.unwrap();
    assert_eq!((jobs.len(), jobs[0].state), (1, State::Failed), "{jobs:?}");
    assert!(jobs[0].error.as_deref().is_some_and(|error| error.contains("10 attempts")), "{jobs:?}");
}
