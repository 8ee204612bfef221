//! What goes into the log and comes out of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

/// Key and value of one message together. Records below 5 MiB must pass, and a record is larger as JSON text than the
/// call it describes.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// The next offset by partition.
pub type Positions = BTreeMap<i64, i64>;

/// What is called once readers see appended messages, with the next offset of each partition that they went to.
pub type Shown<'s> = dyn Fn(&Positions) + Send + Sync + 's;

/// A record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Records of one key keep their order.
    pub key: Vec<u8>,
    /// What readers get.
    pub value: Vec<u8>,
}

/// A record as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its place in its partition.
    pub offset: i64,
    /// What chose its partition.
    pub key: Bytes,
    /// What was appended.
    pub value: Bytes,
    /// Who wrote it, where the log itself does not keep a repeated append from writing twice.
    pub producer: Option<ProducerMark>,
}

/// The place of a record among those of its producer. A producer writes in ascending order of sequence and index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerMark {
    /// Who appended it.
    pub producer_id: Arc<str>,
    /// The number that its producer gave it.
    pub sequence: i64,
    /// Among the records of one append.
    pub index: i64,
}

impl ProducerMark {
    pub(crate) fn to_text(&self) -> String {
        format!("{}/{}/{}", self.sequence, self.index, self.producer_id)
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '/');
        let (sequence, index) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self { producer_id: parts.next()?.into(), sequence, index })
    }
}
