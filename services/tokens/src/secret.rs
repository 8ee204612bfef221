//! The form of an API key: 40 characters of `[A-Za-z0-9]`, 3 of prefix, 31 random (184 bits), 6 of checksum.

use rand::RngExt as _;
use sha2::{Digest as _, Sha256};

const PREFIX: &str = "ptk";
const RANDOM_CHARS: usize = 31;
const CHECKSUM_CHARS: usize = 6;
const KEY_CHARS: usize = PREFIX.len() + RANDOM_CHARS + CHECKSUM_CHARS;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A new key from the operating system's generator.
pub fn generate() -> String {
    let mut rng = rand::rng();
    let random = (0..RANDOM_CHARS).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]));
    let body: String = PREFIX.chars().chain(random).collect();
    let checksum = checksum(&body);
    body + &checksum
}

/// Whether a text has the form of a key and its checksum fits: a mistyped key needs no look-up.
pub fn is_well_formed(key: &str) -> bool {
    key.len() == KEY_CHARS
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && key.starts_with(PREFIX)
        && key.ends_with(&checksum(&key[..KEY_CHARS - CHECKSUM_CHARS]))
}

fn checksum(body: &str) -> String {
    let digest = Sha256::digest(body);
    digest.iter().take(CHECKSUM_CHARS).map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_documented_form() {
        let key = generate();
        assert_eq!(key.len(), 40);
        assert!(is_well_formed(&key), "{key}");
        assert_ne!(key, generate());
    }

    #[test]
    fn a_mistyped_key_is_noticed() {
        let key = generate();
        for position in 0..key.len() {
            let mut typed = key.clone().into_bytes();
            typed[position] = if typed[position] == b'x' { b'y' } else { b'x' };
            assert!(!is_well_formed(&String::from_utf8(typed).unwrap()), "position {position}");
        }
        assert!(!is_well_formed("") && !is_well_formed(&format!("{key}a")) && !is_well_formed(&"é".repeat(20)));
    }
}
