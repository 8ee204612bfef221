use bytes::Bytes;

use crate::message::{Message, Stored};

/// A batch is closed at this size, so that a reader who needs few records does not unpack much. A larger message is a
/// batch of its own.
const RAW_BYTES_TARGET: usize = 1 << 20;
/// One message of at most [`crate::message::MESSAGE_BYTES_MAX`] beyond the target.
const RAW_BYTES_MAX: usize = RAW_BYTES_TARGET + crate::message::MESSAGE_BYTES_MAX + 2 * LENGTH_BYTES;
/// Each key and each value follows its length, 32 bits with the least byte first.
const LENGTH_BYTES: usize = 4;

/// Consecutive records of one partition, packed.
pub(crate) struct Batch {
    pub record_count: i64,
    /// Size before compression.
    pub raw_bytes: i64,
    /// LZ4 block after its raw size of 32 bits.
    pub payload: Vec<u8>,
}

/// Packs messages in their order into batches of about 1 MiB.
pub(crate) fn pack(messages: &[Message]) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut raw = Vec::new();
    let mut record_count = 0;
    for message in messages {
        if record_count > 0 && raw.len() + size(message) > RAW_BYTES_TARGET {
            batches.push(close(&raw, record_count));
            raw.clear();
            record_count = 0;
        }
        put(&mut raw, &message.key);
        put(&mut raw, &message.value);
        record_count += 1;
    }
    if record_count > 0 {
        batches.push(close(&raw, record_count));
    }
    batches
}

/// Unpacks the records at or after `from_offset`. The error says what is wrong with the payload.
pub(crate) fn unpack(
    payload: &[u8],
    base_offset: i64,
    record_count: i64,
    from_offset: i64,
    into: &mut Vec<Stored>,
) -> Result<(), &'static str> {
    // A damaged size must not decide how much is allocated.
    if raw_bytes(payload).ok_or("it has no size")? > RAW_BYTES_MAX {
        return Err("its size is out of range");
    }
    let raw = lz4_flex::block::decompress_size_prepended(payload).map_err(|_| "it does not decompress")?;
    let mut raw = Bytes::from(raw);
    for index in 0..record_count {
        let key = take(&mut raw)?;
        let value = take(&mut raw)?;
        let offset = base_offset.checked_add(index).ok_or("its offset is out of range")?;
        if offset >= from_offset {
            into.push(Stored { offset, key, value, producer: None });
        }
    }
    if raw.is_empty() { Ok(()) } else { Err("it holds more than its records") }
}

/// The size before compression that a payload declares.
pub(crate) fn raw_bytes(payload: &[u8]) -> Option<usize> {
    payload.first_chunk::<LENGTH_BYTES>().map(|declared| u32::from_le_bytes(*declared) as usize)
}

/// The space one message takes in a batch.
pub(crate) fn size(message: &Message) -> usize {
    message.key.len() + message.value.len() + 2 * LENGTH_BYTES
}

fn close(raw: &[u8], record_count: i64) -> Batch {
    let payload = lz4_flex::block::compress_prepend_size(raw);
    Batch { record_count, raw_bytes: i64::try_from(raw.len()).unwrap_or(i64::MAX), payload }
}

/// Lengths fit 32 bits, because `append` refuses larger messages.
fn put(raw: &mut Vec<u8>, field: &[u8]) {
    raw.extend_from_slice(&(field.len() as u32).to_le_bytes());
    raw.extend_from_slice(field);
}

fn take(raw: &mut Bytes) -> Result<Bytes, &'static str> {
    let length = raw.first_chunk::<LENGTH_BYTES>().ok_or("it ends within a length")?;
    let length = u32::from_le_bytes(*length) as usize;
    let _ = raw.split_to(LENGTH_BYTES);
    if length > raw.len() {
        return Err("it ends within a record");
    }
    Ok(raw.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(key: &str, bytes: usize) -> Message {
        Message { key: key.as_bytes().to_vec(), value: vec![b'x'; bytes] }
    }

    fn unpacked(batch: &Batch, from_offset: i64) -> Result<Vec<Stored>, &'static str> {
        let mut records = Vec::new();
        unpack(&batch.payload, 100, batch.record_count, from_offset, &mut records)?;
        Ok(records)
    }

    #[test]
    fn unpacks_from_the_middle() {
        let batches = pack(&[message("a", 3), message("", 0), message("c", 5)]);
        assert_eq!(batches.len(), 1);
        let records = unpacked(&batches[0], 101).expect("readable");
        assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<_>>(), [101, 102]);
        assert_eq!((&records[0].key[..], records[0].value.len()), (&b""[..], 0));
        assert_eq!((&records[1].key[..], &records[1].value[..]), (&b"c"[..], &b"xxxxx"[..]));
    }

    #[test]
    fn splits_at_about_a_mebibyte_and_keeps_large_messages_whole() {
        let messages: Vec<Message> = [600_000, 600_000, 5_000_000, 10].map(|bytes| message("k", bytes)).into();
        let counts: Vec<i64> = pack(&messages).iter().map(|batch| batch.record_count).collect();
        assert_eq!(counts, [1, 1, 1, 1]);
        assert!(pack(&[]).is_empty());
    }

    #[test]
    fn refuses_damaged_payloads() {
        let whole = pack(&[message("key", 300)]).remove(0);
        let cases = [
            Batch { payload: Vec::new(), ..batch(&whole) },
            Batch { payload: vec![0xff; 40], ..batch(&whole) },
            Batch { payload: whole.payload[..whole.payload.len() - 1].to_vec(), ..batch(&whole) },
            Batch { record_count: 2, ..batch(&whole) },
            Batch { record_count: 0, ..batch(&whole) },
        ];
        for case in cases {
            assert!(unpacked(&case, 0).is_err(), "{} records were read", case.record_count);
        }
    }

    fn batch(of: &Batch) -> Batch {
        Batch { record_count: of.record_count, raw_bytes: of.raw_bytes, payload: of.payload.clone() }
    }
}
