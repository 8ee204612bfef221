use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashSet, btree_map::Entry},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use portolan_engine::{EndpointDelta, Observation, Sample, Verdict, observe, template::SplitUrl};
use portolan_ids::AccountId;
use portolan_log::Stored;
use portolan_path::without_credentials;
use portolan_record::Record;
use portolan_runtime::now_s;

use crate::{
    Error,
    ingest::lanes,
    model::{
        deltas::{Delta, Deltas, Target, concrete_url, merge},
        detectors::DetectorSet,
        keys, masking,
        rules::Rules,
        samples::SAMPLES_MAX,
        text,
    },
    redaction,
};

/// Parts of a batch that are read at once.
const PARTS: usize = 2;

/// Below this a second thread costs more than it saves.
const PART_BYTES_MIN: usize = 256 << 10;

/// A record that is set aside.
#[derive(Clone, Debug)]
pub struct Rejected {
    pub record: Stored,
    pub reason: String,
    /// The account that it names does not exist.
    pub is_of_nobody: bool,
}

/// A batch of records, added up.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// By account and target.
    pub deltas: BTreeMap<(AccountId, Target), Deltas>,
    pub rejected: Vec<Rejected>,
    /// Records that were read.
    pub records: usize,
    /// Records of calls that are never part of an inventory.
    pub passed_over: usize,
    /// Accounts whose address ranges were not known.
    pub unknown_accounts: HashSet<AccountId>,
    /// The rules that the records were read by.
    pub rules: Arc<Rules>,
}

/// Reads records, more than a few on threads of their own.
///
/// # Errors
/// When a thread cannot be run.
pub async fn read(records: Vec<Stored>, rules: Arc<Rules>, detectors: Arc<DetectorSet>) -> Result<Batch, Error> {
    let bytes: usize = records.iter().map(|record| record.value.len()).sum();
    let parts = if bytes < PART_BYTES_MIN { 1 } else { PARTS };
    let share = bytes.div_ceil(parts);
    let is_own = |record: &Stored| lanes::account_of(&record.value).is_some_and(|account| detectors.are_own(account));
    // Patterns of an account's own may take any time.
    let bound = if parts == 1 && records.iter().any(is_own) { usize::MAX } else { share };
    let mut folds = Vec::with_capacity(parts);
    let mut part = Vec::new();
    let mut part_bytes = 0;
    let fold_apart = |part: Vec<Stored>| {
        let (rules, detectors) = (rules.clone(), detectors.clone());
        portolan_runtime::apart_from(bound, move || fold(&part, rules, &detectors))
    };
    for record in records {
        part_bytes += record.value.len();
        part.push(record);
        if part_bytes >= share {
            folds.push(fold_apart(std::mem::take(&mut part)));
            part_bytes = 0;
        }
    }
    if !part.is_empty() {
        folds.push(fold_apart(part));
    }
    let folded = futures::future::try_join_all(folds).await;
    let mut whole = Batch { rules, ..Batch::default() };
    for part in folded.map_err(|error| Error::Internal(format!("reading a batch: {error}")))? {
        whole.merge(part);
    }
    Ok(whole)
}

impl Batch {
    /// Raw URLs with their methods.
    pub fn endpoints(&self) -> usize {
        self.deltas.values().map(Deltas::len).sum()
    }

    /// Parameters of all raw URLs together.
    pub fn parameters(&self) -> usize {
        self.deltas.values().flat_map(Deltas::values).map(|delta| delta.seen.parameters.len()).sum()
    }

    /// Bytes of whole records that are kept until the batch is written.
    pub fn kept_bytes(&self) -> usize {
        let samples = self.deltas.values().flat_map(Deltas::values).flat_map(|delta| delta.samples.list());
        let rejected = self.rejected.iter().map(|rejected| rejected.record.value.len());
        samples.map(|sample| sample.text.len()).chain(rejected).sum()
    }

    /// Adds what other records say.
    pub fn merge(&mut self, other: Self) {
        self.rejected.extend(other.rejected);
        self.records += other.records;
        self.passed_over += other.passed_over;
        self.unknown_accounts.extend(other.unknown_accounts);
        for (target, deltas) in other.deltas {
            merge(self.deltas.entry(target).or_default(), deltas);
        }
    }

    /// The lanes of the records that are set aside.
    pub fn rejected_lanes(&self) -> BTreeSet<i64> {
        self.rejected.iter().map(|rejected| lanes::lane_of(&rejected.record.value)).collect()
    }

    /// Forgets what these lanes have brought.
    pub fn leave(&mut self, lanes: &BTreeSet<i64>) {
        self.deltas.retain(|(account_id, _), _| !lanes.contains(&account_id.get()));
        self.rejected.retain(|rejected| !lanes.contains(&lanes::lane_of(&rejected.record.value)));
    }

    fn add(&mut self, record: &Record<'_>, json: &str, mut observation: Observation, offset: i64) {
        let target = target_of(record, &observation);
        if matches!(target, Target::Host(_)) {
            // The host stands in the collection, so the endpoint is the path alone.
            let origin_bytes = SplitUrl::new(&observation.raw_url).origin.len();
            observation.raw_url.drain(..origin_bytes);
        }
        if observation.raw_url.contains('\0') {
            observation.raw_url = text::storable(&observation.raw_url);
        }
        let account_id = record.account_id.into();
        let apart = !observation.declared
            && self.rules.is_apart(account_id, &target, observation.method.name(), &observation.raw_url);
        if apart {
            observation.raw_url = concrete_url(record, &target);
            observation.parameters.retain(|sighting| !sighting.key.is_url_param);
        }
        let is_redacted = self.rules.is_redacted(account_id, &target);
        let access_type = match self.rules.policies.get(&account_id) {
            Some(policy) => policy.judge(record).filter(|_| observation.proves_endpoint && !observation.declared),
            None => {
                self.unknown_accounts.insert(account_id);
                None
            }
        };
        // A text that the store refuses would hold up every record behind this one.
        for sighting in observation.parameters.iter_mut().filter(|sighting| sighting.key.name.contains('\0')) {
            sighting.key.name = text::storable(&sighting.key.name).into();
        }
        let key = keys::endpoint_key(observation.method.name(), &observation.raw_url);
        let is_sample = observation.proves_endpoint && !observation.declared;
        let (time, is_call) = (observation.time, !observation.declared);
        let raw_url = is_redacted.then(|| observation.raw_url.clone());
        let deltas = self.deltas.entry((account_id, target)).or_default();
        let delta = match deltas.entry(key) {
            Entry::Vacant(place) => place.insert(Delta::new(EndpointDelta::new(observation))),
            Entry::Occupied(known) => {
                let known = known.into_mut();
                known.seen.fold(observation);
                known
            }
        };
        delta.seen.facts.never_merge |= apart;
        delta.seen.facts.access_types.extend(access_type);
        if is_call {
            delta.calls.add(time, if is_redacted { "" } else { &record.ip });
        }
        if let Some(declaration) = &record.declaration {
            delta.declared.add(declaration, record.source, time, offset);
        }
        if raw_url.is_some() {
            redaction::strip(&mut delta.seen);
        }
        // Older records than ten known ones need no digest.
        let list = delta.samples.list();
        let is_old = list.len() >= SAMPLES_MAX && list.last().is_some_and(|oldest| time < oldest.time);
        if is_sample && !is_old {
            let text = match &raw_url {
                Some(url) => redaction::masked(record, url),
                None => text::storable(json),
            };
            delta.samples.add(Sample::new(time, text));
        }
    }
}

/// Reads records one after the other.
pub fn fold(records: &[Stored], rules: Arc<Rules>, detectors: &DetectorSet) -> Batch {
    let mut batch = Batch { rules, ..Batch::default() };
    for stored in records {
        match read_one(&stored.value, detectors) {
            Ok((record, ..)) if batch.rules.missing.contains(&record.account_id.into()) => {
                let reason = format!("record member `akto_account_id` names no account: {}", record.account_id);
                let record = stored.clone();
                batch.rejected.push(Rejected { record, reason, is_of_nobody: true });
            }
            Ok((record, json, Verdict::Seen(observations))) => {
                batch.records += 1;
                let masked = masking::masked(&record, &observations, detectors.of(record.account_id.into()));
                let json = masked.as_deref().unwrap_or(&json);
                for observation in observations {
                    batch.add(&record, json, observation, stored.offset);
                }
            }
            Ok((_, _, Verdict::Dropped(_))) => {
                batch.records += 1;
                batch.passed_over += 1;
            }
            Err(reason) => {
                let record = stored.clone();
                batch.rejected.push(Rejected { record, reason, is_of_nobody: false });
            }
        }
    }
    batch
}

/// Reads one record; the error says why it cannot be read.
fn read_one<'v>(value: &'v [u8], detectors: &DetectorSet) -> Result<(Record<'v>, Cow<'v, str>, Verdict), String> {
    let json = std::str::from_utf8(value).map_err(|error| format!("record is not UTF-8: {error}"))?;
    // A fault of the program met by one record must not stop all records behind it.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut record = Record::parse(json).map_err(|error| error.to_string())?;
        if record.account_id <= 0 {
            return Err("record member `akto_account_id` names no account".to_owned());
        }
        if record.time == 0 {
            record.time = now_s();
        }
        let credentials = match without_credentials(&record.path) {
            path if path.len() == record.path.len() => None,
            path => Some(path.into_owned()),
        };
        // The record is kept as a sample, a credential of its URL is not.
        let json = match credentials {
            Some(path) => {
                record.path = Cow::Owned(path);
                Cow::Owned(record.to_json())
            }
            None => Cow::Borrowed(json),
        };
        let verdict = observe(&record, detectors.of(record.account_id.into()));
        Ok((record, json, verdict))
    }));
    let (record, json, verdict) = outcome.map_err(|_| "the record makes the engine fail".to_owned())??;
    Ok((record, json, verdict))
}

fn target_of(record: &Record<'_>, observation: &Observation) -> Target {
    match &observation.host {
        Some(host)
            if record.source.makes_host_collections()
                && !observation.declared
                && host.chars().any(char::is_alphabetic) =>
        {
            Target::Host(text::storable(host))
        }
        _ => Target::Collection(record.collection_id.into()),
    }
}
