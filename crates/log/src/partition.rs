/// Partitions of every topic of the embedded log. The number is part of the stored data: another one would move keys between partitions and
/// break their order.
pub const PARTITIONS: i64 = 4;

/// The partition of a key. The answer never changes between versions, machines and processes.
pub fn partition_of(key: &[u8]) -> i64 {
    partition_among(key, PARTITIONS)
}

/// The partition of a key in a topic of another size.
pub(crate) fn partition_among(key: &[u8], partitions: i64) -> i64 {
    // FNV-1a with 64 bits; the upper half is folded in because its lowest bits alone spread similar keys badly.
    let hash = key
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let folded = (hash ^ (hash >> 32)) & 0xffff_ffff;
    i64::try_from(folded).unwrap_or_default() % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_known_keys_in_place() {
        let keys = ["", "a", "1:api.example.com", "1:www.example.com", "2:api.example.com"];
        assert_eq!(keys.map(|key| partition_of(key.as_bytes())), [1, 0, 3, 3, 1]);
    }

    #[test]
    fn spreads_similar_keys() {
        let mut counts = [0_u32; PARTITIONS as usize];
        for host in 0..4_000 {
            counts[partition_of(format!("1000:host{host}.example.com").as_bytes()) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "uneven: {counts:?}");
    }
}
