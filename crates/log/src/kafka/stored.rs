//! Records of a broker as the log gives them out.

use bytes::Bytes;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};

use crate::message::{ProducerMark, Stored};

/// Under which a record carries its place among those of its producer.
pub(super) const PRODUCER_HEADER: &str = "portolan-producer";

pub(super) fn stored(message: &BorrowedMessage<'_>) -> Stored {
    let mark = message.headers().and_then(|headers| {
        let header = headers.iter().find(|header| header.key == PRODUCER_HEADER)?;
        ProducerMark::from_text(std::str::from_utf8(header.value?).ok()?)
    });
    Stored {
        offset: message.offset(),
        key: Bytes::copy_from_slice(message.key().unwrap_or_default()),
        value: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
        producer: mark,
    }
}

/// Whether an error tells of a batch that cannot be read, not of a broker that is away.
pub(super) fn is_unreadable(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    use RDKafkaErrorCode::{
        BadCompression, BadMessage, InvalidMessage, InvalidMessageSize, NotImplemented, UnsupportedCompressionType,
    };
    let (KafkaError::MessageConsumption(code) | KafkaError::MessageConsumptionFatal(code)) = error else { return None };
    let codes =
        [BadCompression, BadMessage, InvalidMessage, InvalidMessageSize, NotImplemented, UnsupportedCompressionType];
    codes.contains(code).then_some(*code)
}
