//! The road of converted records: into the log, then the wait until the inventory has read them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use portolan_api::Reason;
use portolan_engine::{Detectors, EndpointDelta, Method, Verdict, observe};
use portolan_ids::{AccountId, CollectionId};
use portolan_log::{Message, Positions, Shown};
use portolan_record::Record;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::model::candidates::Candidate;
use crate::{Deps, Error, peers};

/// Longest wait of a documented request for the inventory; above it the answer comes without the guarantee.
pub const WAIT: Duration = Duration::from_secs(10);
/// Bytes of one append of a long import: a crash repeats at most this much.
pub const CHUNK_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The message of one record. All records of a collection share a key, so that one consumer sees them in order.
pub fn message(account_id: AccountId, collection_id: CollectionId, record: String) -> Message {
    Message { key: format!("{account_id}:{collection_id}").into_bytes(), value: record.into_bytes() }
}

/// Cuts a sequence of messages into chunks. The cuts depend on the sizes alone, so that a repetition makes the same.
pub struct Chunks {
    messages: Vec<Message>,
    bytes: usize,
    bytes_max: usize,
}

impl Chunks {
    pub fn new(bytes_max: usize) -> Self {
        Self { messages: Vec::new(), bytes: 0, bytes_max }
    }

    /// Adds a message that counts as `bytes`, and returns the chunk that it no longer fits in.
    pub fn push(&mut self, message: Message, bytes: usize) -> Option<Vec<Message>> {
        let full = (self.bytes + bytes > self.bytes_max).then(|| self.take()).flatten();
        self.bytes += bytes;
        self.messages.push(message);
        full
    }

    /// The rest; `None` when there is none.
    pub fn take(&mut self) -> Option<Vec<Message>> {
        self.bytes = 0;
        (!self.messages.is_empty()).then(|| std::mem::take(&mut self.messages))
    }
}

/// Appends under consecutive sequence numbers.
pub struct Appender<'d> {
    deps: &'d Deps,
    producer_id: String,
    next: i64,
    positions: Positions,
}

impl<'d> Appender<'d> {
    pub fn new(deps: &'d Deps, producer_id: String) -> Self {
        Self { deps, producer_id, next: 0, positions: Positions::new() }
    }

    /// Appends a chunk durably; one that was appended before is not appended again.
    pub async fn append(&mut self, chunk: Vec<Message>) -> Result<(), Error> {
        let positions = append(self.deps, &self.producer_id, self.next, chunk, &|_| ()).await?;
        self.next += 1;
        merge(&mut self.positions, positions);
        Ok(())
    }

    /// Appends the last chunk, and shows once readers see all of them where the log ends, which may be before they are
    /// durable.
    pub async fn append_last(self, chunk: Vec<Message>, show: watch::Sender<Positions>) -> Result<(), Error> {
        let shown = |positions: &Positions| {
            let mut all = self.positions.clone();
            merge(&mut all, positions.clone());
            show.send_replace(all);
        };
        append(self.deps, &self.producer_id, self.next, chunk, &shown).await.map(drop)
    }

    /// Where the log ends after what was appended.
    pub fn positions(self) -> Positions {
        self.positions
    }
}

/// Appends records of one account durably, once under a number of a producer, and calls as soon as readers see them, which
/// may be earlier. Where the plan is limited, their endpoints are reserved before.
///
/// # Errors
/// `FEATURE_LIMIT_EXCEEDED`, `FEATURE_NOT_IN_PLAN`, and `BILLING_PROVIDER_UNAVAILABLE` when the plan is not known: then
/// nothing is appended.
pub async fn append(
    deps: &Deps,
    producer_id: &str,
    sequence: i64,
    chunk: Vec<Message>,
    shown: &Shown<'_>,
) -> Result<Positions, Error> {
    let reservation = reserve(deps, producer_id, sequence, &chunk).await?;
    let positions = deps.log.append_showing(producer_id, sequence, chunk, shown).await?;
    if let Some(reservation_id) = reservation {
        // The records are accepted. A reservation that is not settled ends with its lease.
        if let Err(error) = peers::settle_reservation(&deps.peers, reservation_id, &positions).await {
            tracing::warn!(%error, "a reservation of endpoints was not settled");
        }
    }
    Ok(positions)
}

/// The reservation for a chunk; `None` where no limit is to be kept.
async fn reserve(deps: &Deps, producer_id: &str, sequence: i64, chunk: &[Message]) -> Result<Option<String>, Error> {
    let Some(account_id) = chunk.first().and_then(account_of) else { return Ok(None) };
    match deps.peers.check_limit(account_id, "ACTIVE_ENDPOINTS", 1).await {
        Ok(room) if room < 0 => return Ok(None),
        // At the limit the records may still add nothing.
        Ok(_) => {}
        Err(error) if error.reason() == Reason::FeatureLimitExceeded => {}
        Err(error) => return Err(error.into()),
    }
    let records: Vec<Vec<u8>> = chunk.iter().map(|message| message.value.clone()).collect();
    let bytes = records.iter().map(Vec::len).sum();
    let candidates = portolan_runtime::apart_from(bytes, move || candidates(&records)).await?;
    if candidates.is_empty() {
        return Ok(None);
    }
    let reservation_id = format!("{producer_id}/{sequence}");
    peers::reserve_endpoints(&deps.peers, account_id, &reservation_id, candidates).await?;
    Ok(Some(reservation_id))
}

fn account_of(message: &Message) -> Option<AccountId> {
    std::str::from_utf8(&message.key).ok()?.split_once(':')?.0.parse().ok()
}

/// The raw URLs that these records show, as ingest will read them.
fn candidates(records: &[Vec<u8>]) -> Vec<Candidate> {
    let detectors = Detectors::default();
    let mut found: BTreeMap<(i32, Method, String), EndpointDelta> = BTreeMap::new();
    for record in records {
        let Some(record) = std::str::from_utf8(record).ok().and_then(|json| Record::parse(json).ok()) else { continue };
        let Ok(collection_id) = i32::try_from(record.collection_id) else { continue };
        let Verdict::Seen(observations) = observe(&record, &detectors) else { continue };
        for observation in observations {
            match found.entry((collection_id, observation.method, observation.raw_url.clone())) {
                Entry::Vacant(place) => _ = place.insert(EndpointDelta::new(observation)),
                Entry::Occupied(known) => known.into_mut().fold(observation),
            }
        }
    }
    let candidate = |((collection_id, _, _), delta): ((i32, Method, String), EndpointDelta)| {
        let raw = delta.raw_endpoint();
        Candidate {
            collection_id: collection_id.into(),
            method: raw.method.name().to_owned(),
            url: raw.url,
            pinned: raw.pinned,
            proven: raw.proven,
            body_names: serde_json::to_string(&raw.bodies).expect("digests always serialize"),
        }
    };
    found.into_iter().map(candidate).collect()
}

/// Keeps the later offset of each partition.
pub fn merge(into: &mut Positions, positions: Positions) {
    for (partition, offset) in positions {
        let kept = into.entry(partition).or_insert(offset);
        *kept = offset.max(*kept);
    }
}

/// Waits until the inventory has read everything of the account below `positions`; false when the time passed before.
pub async fn wait(deps: &Deps, account_id: AccountId, positions: &Positions, timeout: Duration) -> bool {
    const PAUSE_MAX: Duration = Duration::from_millis(200);
    const CALL_MAX: Duration = Duration::from_secs(2);
    let deadline = Instant::now() + timeout;
    let mut pause = Duration::from_millis(2);
    loop {
        let left = deadline.saturating_duration_since(Instant::now()).min(CALL_MAX);
        // An inventory that does not answer is one that has not read yet.
        if let Ok(read) = peers::ingest_positions(&deps.peers, account_id, positions, left).await {
            let next = |partition: i64| i32::try_from(partition).ok().and_then(|partition| read.get(&partition));
            if positions.iter().all(|(partition, offset)| next(*partition).is_some_and(|next| next >= offset)) {
                return true;
            }
        }
        if Instant::now() + pause > deadline {
            return false;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_cut_before_they_are_too_large() {
        let mut chunks = Chunks::new(10);
        let mut sizes = Vec::new();
        for bytes in [4, 6, 1, 30, 2] {
            sizes.extend(
                chunks.push(message(AccountId(1), CollectionId(2), "x".repeat(bytes)), bytes).map(|chunk| chunk.len()),
            );
        }
        sizes.extend(chunks.take().map(|chunk| chunk.len()));
        assert_eq!(sizes, [2, 1, 1, 1]);
        assert!(chunks.take().is_none());
    }

    #[test]
    fn later_offsets_win() {
        let mut positions = Positions::from([(0, 5), (1, 9)]);
        merge(&mut positions, Positions::from([(0, 7), (1, 3), (2, 1)]));
        assert_eq!(positions, Positions::from([(0, 7), (1, 9), (2, 1)]));
    }
}
