//! The road of converted records: into the log, then the wait until the inventory has read them.

use std::time::Duration;

use portolan_api::inventory::v1::GetIngestPositionsRequest;
use portolan_log::{Message, Positions};
use tokio::time::Instant;

use crate::{Deps, Error};

/// Longest wait of a documented request for the inventory; above it the answer comes without the guarantee.
pub const WAIT: Duration = Duration::from_secs(10);
/// Bytes of one append of a long import: a crash repeats at most this much.
pub const CHUNK_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The message of one record. All records of a collection share a key, so that one consumer sees them in order.
pub fn message(account_id: i64, collection_id: i32, record: String) -> Message {
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

    /// Adds a message that counts as `bytes`, and answers the chunk that it no longer fits in.
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
        let positions = self.deps.log.append(&self.producer_id, self.next, chunk).await?;
        self.next += 1;
        merge(&mut self.positions, positions);
        Ok(())
    }

    /// Where the log ends after what was appended.
    pub fn positions(self) -> Positions {
        self.positions
    }
}

/// Keeps the later offset of each partition.
pub fn merge(into: &mut Positions, positions: Positions) {
    for (partition, offset) in positions {
        let kept = into.entry(partition).or_insert(offset);
        *kept = offset.max(*kept);
    }
}

/// Waits until the inventory has read everything below `positions`; false when the time passed before.
pub async fn wait(deps: &Deps, positions: &Positions, timeout: Duration) -> bool {
    const PAUSE_MAX: Duration = Duration::from_millis(200);
    let deadline = Instant::now() + timeout;
    let mut pause = Duration::from_millis(2);
    loop {
        // An inventory that does not answer is one that has not read yet.
        if let Ok(answer) = deps.peers.inventory().get_ingest_positions(GetIngestPositionsRequest {}).await {
            let read = answer.into_inner().next_offsets;
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
            sizes.extend(chunks.push(message(1, 2, "x".repeat(bytes)), bytes).map(|chunk| chunk.len()));
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
