//! What `services/inventory/fuzz` runs, and a unit test on its seeds: the whole way of records into the tables and back
//! out of them, and rules of any form over what was seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use portolan_engine::{AccessPolicy, AuthType, PiiType, Verdict, observe};
use portolan_ids::{AccountId, CollectionId};
use portolan_log::Stored;
use portolan_record::Record;
use portolan_store::{Db, Store, Tx};
use tokio::runtime::Runtime;

use crate::{
    catalogs::Catalogs,
    defaults::insert_defaults,
    ingest::{batch, write},
    migrations::TABLES,
    model::{
        collections::Tag,
        conditions::{Conditions, Seen, Written},
        data_types::{DataType, Definition, rule, unreadable},
        deltas::Target,
        detectors::{DetectorSet, detectors_of},
        endpoints::EndpointId,
        keys,
        rules::Rules,
    },
    store,
};

/// The account of the seeds; others come with the inputs.
const ACCOUNT: AccountId = AccountId(1_000_000);
/// Ids for the collections of hosts.
const HOST_IDS: std::ops::Range<i32> = 1_000..2_000;
/// Rows that are read back of one collection.
const ROWS_MAX: i64 = 10_000;

/// The tables of the service in memory; every input finds them empty.
pub struct Tables {
    runtime: Runtime,
    db: Db,
    detectors: DetectorSet,
    directory: PathBuf,
}

impl Tables {
    /// # Panics
    /// When the tables cannot be made.
    pub fn open() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let memory = PathBuf::from("/dev/shm");
        let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let directory = parent.join(format!("portolan-tables-{}", uuid::Uuid::new_v4()));
        let db = runtime.block_on(async {
            let store = Store::connect(&format!("sqlite:{}", directory.display())).await.expect("a store");
            store.migrate(&TABLES).await.expect("the tables")
        });
        let detectors = DetectorSet { common: portolan_engine::Detectors::new(PiiType::all()), ..Default::default() };
        Self { runtime, db, detectors, directory }
    }

    /// Reads the lines of the input as records of the log and writes them twice, as a batch each.
    ///
    /// # Panics
    /// When what was read cannot be written or read back, or when the same records say something else the second time.
    pub fn check(&self, input: &[u8]) {
        let lines = input.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let stored = |(value, offset): (&[u8], i64)| Stored {
            offset,
            key: Default::default(),
            value: value.to_vec().into(),
            producer: None,
        };
        let records: Vec<Stored> = lines.zip(0..).map(stored).collect();
        let policy = Arc::new(AccessPolicy::new(["10.0.0.0/8"], ["198.51.100.0/24"], []));
        self.runtime.block_on(async {
            let mut tx = self.db.begin().await.expect("a transaction");
            let version = store::demerged::version(&mut tx).await.expect("the version of the rules");
            let rules = Arc::new(Rules { version, policies: [(ACCOUNT, policy)].into(), ..Rules::default() });
            let batch = batch::fold(&records, rules, &self.detectors);
            assert_eq!(batch.records + batch.rejected.len(), records.len());
            let accounts: Vec<AccountId> = batch.deltas.keys().map(|(account_id, _)| *account_id).collect();
            insert_defaults(&mut tx, &accounts).await.expect("default collections");
            let first = written(&mut tx, &batch).await;
            let again = written(&mut tx, &batch).await;
            assert_eq!(first, again, "the same records make other endpoints");
            tx.rollback().await.expect("the end");
        });
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Writes a batch and reads back which endpoints there are, with their names and samples.
async fn written(tx: &mut Tx, batch: &batch::Batch) -> BTreeMap<(AccountId, CollectionId), BTreeSet<(String, String)>> {
    let hosts = batch.deltas.keys().filter(|(_, target)| matches!(target, Target::Host(_))).count();
    let ids = HOST_IDS.take(hosts).map(CollectionId).collect();
    let written = write::put(tx, &Catalogs::new(usize::MAX), batch, ids).await.expect("what was read can be written");
    let mut found = BTreeMap::new();
    for place in written.expect("the rules are the same").iter().map(write::Written::place) {
        let (account_id, collection_id) = place;
        let rows = store::endpoints::page(tx, account_id, collection_id, "", ROWS_MAX).await.expect("endpoints");
        let raw_keys: Vec<&str> = rows.iter().map(|(row, _)| row.key.as_str()).collect();
        store::parameters::by_endpoints_in(tx, account_id, collection_id, &raw_keys).await.expect("parameters");
        for (key, ..) in store::samples::list_keys(tx, account_id, collection_id, &raw_keys).await.expect("samples") {
            assert!(raw_keys.contains(&key.as_str()), "a sample of no endpoint");
        }
        let urls: BTreeSet<String> = rows.iter().map(|(row, _)| keys::endpoint_key(&row.method, &row.url)).collect();
        let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
        let grouped = store::endpoints::by_url_keys_in(tx, account_id, collection_id, &urls).await.expect("endpoints");
        assert_eq!(grouped.len(), rows.len(), "an endpoint that its URL does not find");
        found.insert(place, rows.into_iter().map(|(row, _)| (row.method, row.url)).collect());
    }
    found
}

/// Reads the first line of the input as rules: conditions of a group, as a caller writes them and as they are stored, and
/// the definition of a data type; and judges the second line, a record, by them.
///
/// # Panics
/// When what was accepted cannot be read again, or means something else then.
pub fn check_rules(input: &[u8]) {
    let mut lines = input.splitn(2, |byte| *byte == b'\n');
    let Ok(text) = std::str::from_utf8(lines.next().unwrap_or_default()) else { return };
    let record = std::str::from_utf8(lines.next().unwrap_or_default()).unwrap_or_default();
    let record = Record::parse(record).unwrap_or_default();
    let id =
        EndpointId { collection_id: CollectionId(1), url: record.path.to_string(), method: record.method.to_string() };
    let tag =
        |key: &str, value: &str| Tag { key_name: key.to_owned(), value: value.to_owned(), source: None, updated_at: 0 };
    let tags = [tag("envType", "STAGING"), tag("team", "orders")];
    let seen = Seen {
        id: &id,
        host_name: Some("api.example.org"),
        tags: &tags,
        endpoint_tags: tags.to_vec(),
        auth: [AuthType::Bearer].into(),
        access: BTreeSet::new(),
    };
    let stored = Conditions::stored(text);
    stored.matches(&seen);
    stored.unreadable().for_each(|reason| assert!(!reason.is_empty()));
    if let Ok(written) = serde_json::from_str::<Vec<Written>>(text)
        && let Ok(conditions) = Conditions::parse(written)
    {
        let again = Conditions::stored(&conditions.to_json());
        assert_eq!(again.unreadable().collect::<Vec<_>>(), Vec::<&str>::new(), "accepted, and not read again");
        assert_eq!(conditions.matches(&seen), again.matches(&seen));
        assert_eq!(conditions.to_json(), again.to_json());
    }
    let Ok(definition) = serde_json::from_str::<Definition>(text) else { return };
    let kind = DataType {
        name: "OWN".to_owned(),
        built_in: false,
        active: true,
        definition,
        unreadable: None,
        created_at: 0,
        updated_at: 0,
    };
    assert_eq!(rule(&kind).is_ok(), unreadable(&kind).is_none());
    let custom = rule(&kind).ok().map(Arc::new).into_iter().collect();
    if let Verdict::Seen(observations) = observe(&record, &detectors_of(&[kind], custom)) {
        observations.into_iter().for_each(drop);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn seeds(target: &str) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
        let read = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read(entry.unwrap().path()).unwrap();
        std::fs::read_dir(folder).unwrap().map(read).collect()
    }

    /// What the fuzzers start from, and what they found once, is taken.
    #[test]
    fn seeds_are_taken() {
        let tables = Tables::open();
        let records = seeds("inventory");
        records.iter().for_each(|input| tables.check(input));
        let rules = seeds("rules");
        rules.iter().for_each(|input| check_rules(input));
        assert!(records.len() >= 5 && rules.len() >= 5, "{} and {} seeds", records.len(), rules.len());
    }
}
