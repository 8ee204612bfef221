use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// A key of the audit. It is nowhere in the database in clear, so who writes rows cannot make what it makes.
#[derive(Clone)]
pub struct Key {
    /// Tells keys apart, and nothing of the key.
    pub id: String,
    bytes: [u8; 32],
}

/// Characters of an id.
const ID_CHARS: usize = 16;

impl Key {
    /// A key of these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        let id = mac(&bytes, "key id", &[], &[])[..ID_CHARS].to_owned();
        Self { id, bytes }
    }

    /// What it is made of.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// HMAC-SHA256 in hex, over the purpose, the numbers, and the texts, each with its length.
    pub fn mac(&self, purpose: &str, numbers: &[i64], texts: &[&str]) -> String {
        mac(&self.bytes, purpose, numbers, texts)
    }

    /// Whether a MAC is the one of these values.
    pub fn made(&self, given: &str, purpose: &str, numbers: &[i64], texts: &[&str]) -> bool {
        self.mac(purpose, numbers, texts).as_bytes().ct_eq(given.as_bytes()).into()
    }
}

fn mac(key: &[u8; 32], purpose: &str, numbers: &[i64], texts: &[&str]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("every length is one of a key");
    for text in [purpose].iter().chain(texts) {
        mac.update(&(text.len() as u64).to_be_bytes());
        mac.update(text.as_bytes());
    }
    mac.update(&(numbers.len() as u64).to_be_bytes());
    for number in numbers {
        mac.update(&number.to_be_bytes());
    }
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_counts() {
        let key = Key::new([7; 32]);
        let first = key.mac("event", &[1, 2], &["a", "b"]);
        assert!(key.made(&first, "event", &[1, 2], &["a", "b"]));
        for other in [
            key.mac("head", &[1, 2], &["a", "b"]),
            key.mac("event", &[1, 3], &["a", "b"]),
            key.mac("event", &[2, 1], &["a", "b"]),
            key.mac("event", &[1, 2], &["ab", ""]),
            key.mac("event", &[1], &["a", "b"]),
            Key::new([8; 32]).mac("event", &[1, 2], &["a", "b"]),
        ] {
            assert_ne!(first, other);
        }
        assert_ne!(key.id, Key::new([8; 32]).id);
    }
}
