//! Keys of rows whose natural key is longer than an index takes.

use sha2::{Digest as _, Sha256};

/// Bytes of a key: 128 bits, so that two of a billion rows meet with a chance below one in 10^20.
const KEY_BYTES: usize = 16;

/// The key of a raw URL or of an effective URL, with its method.
pub fn endpoint_key(method: &str, url: &str) -> String {
    digest([method.as_bytes(), url.as_bytes()])
}

/// The digest of parts, none of which can be mistaken for another division of the same bytes.
pub fn digest<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hex::encode(&hasher.finalize()[..KEY_BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_of_parts_counts() {
        assert_ne!(endpoint_key("GET", "/a"), endpoint_key("GET/", "a"));
        assert_eq!(endpoint_key("GET", "/a").len(), 32);
    }
}
