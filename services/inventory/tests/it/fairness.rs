use portolan_ids::AccountId;
use portolan_inventory::{
    Deps,
    ingest::{TURN, positions},
};
use portolan_log::{Log, Message};
use portolan_record::Record;
use portolan_store::Store;
use portolan_testkit::TestDb;

use crate::harness::{call, deps_on, distinct_path, ingest, start_ingest, tables, wait_for_all};

const FLOODING: AccountId = AccountId(1);
const ORDINARY: AccountId = AccountId(2);

/// More than one account gets in a look at the log…
const FLOOD: usize = 3_000;

/// … which is so many records.
const SHARE: usize = 500;

const FEW: usize = 10;

fn records(account_id: AccountId, count: usize) -> Vec<Record<'static>> {
    let record = |n: usize| Record {
        account_id: account_id.into(),
        response_payload: format!(r#"{{"id":{n},"mail":"u{}@corp.io"}}"#, n % 60).into(),
        status_code: if n.is_multiple_of(11) { 404 } else { 200 },
        ..call(0, "GET", &distinct_path(n % 40), 1_000 + i64::try_from(n * 37 % 101).unwrap())
    };
    (0..count).map(record).collect()
}

/// Appends the flood, and behind it the few records of another account, all of one key; answers where both end.
async fn append_both(log: &Log) -> ((i64, i64), i64) {
    let message = |record: &Record<'_>| Message { key: b"one".to_vec(), value: record.to_json().into_bytes() };
    let flood = log.append("flood", 0, records(FLOODING, FLOOD).iter().map(message).collect()).await.unwrap();
    // One producer of both, as a replay is; its records of the flooding account come after the others.
    let mixed: Vec<Message> = records(ORDINARY, FEW).iter().chain(&records(FLOODING, FEW)).map(message).collect();
    log.append("mixed", 0, records(FLOODING, 1).iter().map(message).collect()).await.unwrap();
    let ends = log.append("mixed", 1, mixed).await.unwrap();
    let (&partition, &end) = ends.first_key_value().unwrap();
    ((partition, flood[&partition]), end)
}

async fn assert_as_in_order(deps: &Deps) {
    let calm = TestDb::sqlite().await;
    let expected = deps_on(&calm.store).await;
    ingest(&expected, "flood", &records(FLOODING, FLOOD)).await;
    ingest(&expected, "more", &records(FLOODING, FEW)).await;
    ingest(&expected, "one", &records(FLOODING, 1)).await;
    ingest(&expected, "few", &records(ORDINARY, FEW)).await;
    for account_id in [FLOODING, ORDINARY] {
        assert_eq!(tables(deps, account_id).await, tables(&expected, account_id).await);
    }
    calm.store.close().await;
}

/// While nothing more of the flood can be written, the records behind it are; then the process dies, and two others
/// find every record once.
async fn flood(one: Deps, other: Deps) {
    let ((partition, flood_end), end) = append_both(&one.log).await;
    one.db.faults().at(TURN).times(u32::MAX).fail();
    let first = start_ingest(one.clone());
    let arrived = async {
        while positions(&one, ORDINARY).await.unwrap()[&partition] < end {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), arrived).await.expect("the flood must hold up nobody");
    assert_eq!(tables(&one, ORDINARY).await["endpoints"].len(), FEW);
    let position = positions(&one, FLOODING).await.unwrap()[&partition];
    let commits = "SELECT commits FROM ingest_cursors WHERE partition_id = $1";
    let commits: i64 = one.db.fetch_one(commits, vec![partition.into()]).await.unwrap().get(0).unwrap();
    // A slow machine needs more than one look until it is at the others.
    let is_part = position < flood_end || commits >= i64::try_from(FLOOD / SHARE).unwrap();
    assert!(0 < position && is_part, "{position} of {flood_end} in {commits} commits");
    first.stop().await;
    one.db.faults().clear();

    let (first, second) = (start_ingest(one.clone()), start_ingest(other.clone()));
    wait_for_all(&one, &first).await;
    wait_for_all(&other, &second).await;
    first.stop().await;
    second.stop().await;
    assert_as_in_order(&one).await;
    let left = one.db.fetch_one("SELECT count(*) FROM ingest_lanes", vec![]).await.unwrap();
    assert_eq!(left.get::<i64>(0).unwrap(), 0);
}

/// The records of one account are read past the flood of another one.
pub async fn a_flood_delays_its_account_alone(test: TestDb) {
    let other = Store::connect(&test.url).await.unwrap();
    flood(deps_on(&test.store).await, deps_on(&other).await).await;
    other.close().await;
}

/// A row of one account that nobody can read holds up its records alone, until somebody mends it.
pub async fn an_unreadable_row_delays_its_account_alone(test: TestDb) {
    let deps = deps_on(&test.store).await;
    ingest(&deps, "before", &records(FLOODING, 1)).await;
    let facts = deps.db.fetch_one("SELECT facts FROM endpoints WHERE account_id = 1", vec![]).await.unwrap();
    let facts: String = facts.get("facts").unwrap();
    let set = async |facts: &str| {
        let update = "UPDATE endpoints SET facts = $1 WHERE account_id = 1";
        deps.db.execute(update, vec![facts.into()]).await.unwrap();
    };
    set(r#"{"kept_by_an_older_pro"#).await;
    let message = |record: &Record<'_>| Message { key: b"one".to_vec(), value: record.to_json().into_bytes() };
    let messages = records(FLOODING, 3).iter().chain(&records(ORDINARY, FEW)).map(message).collect();
    let (partition, end) = deps.log.append("after", 0, messages).await.unwrap().pop_first().unwrap();
    let handle = start_ingest(deps.clone());
    let arrived = async {
        while positions(&deps, ORDINARY).await.unwrap()[&partition] < end {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), arrived).await.expect("one row must hold up nobody else");
    assert_eq!(tables(&deps, ORDINARY).await["endpoints"].len(), FEW);
    assert!(positions(&deps, FLOODING).await.unwrap()[&partition] < end);
    set(&facts).await;
    wait_for_all(&deps, &handle).await;
    handle.stop().await;
    assert_eq!((tables(&deps, FLOODING).await["endpoints"].len(), deps.log.rejected_count().await.unwrap()), (3, 0));
}

/// A record that is set aside waits for the turn of its account: others of the same scan are written before it is kept.
pub async fn what_is_set_aside_delays_its_account_alone(test: TestDb) {
    let deps = deps_on(&test.store).await;
    let bad = r#"{"akto_account_id": 1, "path": 5}"#.to_owned();
    let good = records(ORDINARY, FEW).into_iter().chain(records(FLOODING, 3)).map(|record| record.to_json());
    let message = |value: String| Message { key: b"one".to_vec(), value: value.into_bytes() };
    let messages = std::iter::once(bad).chain(good).map(message).collect();
    let (partition, end) = deps.log.append("mixed", 0, messages).await.unwrap().pop_first().unwrap();
    deps.db.faults().at(TURN).times(u32::MAX).fail();
    let handle = start_ingest(deps.clone());
    let arrived = async {
        while positions(&deps, ORDINARY).await.unwrap()[&partition] < end {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), arrived)
        .await
        .expect("one record must hold up nobody else");
    assert_eq!(tables(&deps, ORDINARY).await["endpoints"].len(), FEW);
    assert_eq!(positions(&deps, FLOODING).await.unwrap()[&partition], 0);
    deps.db.faults().clear();
    wait_for_all(&deps, &handle).await;
    handle.stop().await;
    assert_eq!((tables(&deps, FLOODING).await["endpoints"].len(), deps.log.rejected_count().await.unwrap()), (3, 1));
}

/// A flood over a broker, which holds repeated appends twice.
pub async fn a_flood_delays_its_account_alone_over_a_broker(test: TestDb) {
    let url = format!("kafka://{}", std::env::var("PORTOLAN_TEST_KAFKA").unwrap());
    let topic = format!("flood.{}", uuid::Uuid::new_v4());
    let other_store = Store::connect(&test.url).await.unwrap();
    let (mut one, mut other) = (deps_on(&test.store).await, deps_on(&other_store).await);
    one.log = Log::open(&url, &topic, &test.store).await.unwrap();
    other.log = Log::open(&url, &topic, &other_store).await.unwrap();
    append_both(&one.log).await;
    flood(one, other).await;
    other_store.close().await;
}
