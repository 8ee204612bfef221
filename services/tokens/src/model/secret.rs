//! The form of the secrets that are made here: 40 characters of `[A-Za-z0-9]`, 3 of prefix, 31 random (184 bits), 6 of
//! checksum, so that a mistyped one needs no look-up and a leaked one is found by its form. Secrets of access profiles
//! are 64 hex digits by contract, which nothing tells from other digests.

use rand::RngExt as _;
use sha2::{Digest as _, Sha256};

const PREFIX_CHARS: usize = 3;
const RANDOM_CHARS: usize = 31;
const CHECKSUM_CHARS: usize = 6;
/// Length of every secret with a prefix.
pub const SECRET_CHARS: usize = PREFIX_CHARS + RANDOM_CHARS + CHECKSUM_CHARS;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What a secret opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A user's API key.
    ApiKey,
    /// An organization token.
    OrganizationToken,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::ApiKey, Self::OrganizationToken];

    /// What secrets of the kind begin with, so that scanners know them.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::ApiKey => "ptk",
            Self::OrganizationToken => portolan_authz::ORGANIZATION_TOKEN_PREFIX,
        }
    }

    /// The kind of a text that has the form of a secret and a checksum that fits.
    pub fn of(text: &str) -> Option<Self> {
        let has_form = text.len() == SECRET_CHARS && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let kind = Self::ALL.into_iter().find(|kind| has_form && text.starts_with(kind.prefix()))?;
        text.ends_with(&checksum(&text[..SECRET_CHARS - CHECKSUM_CHARS])).then_some(kind)
    }
}

/// A new secret from the operating system's generator.
pub fn generate(kind: Kind) -> String {
    let body = format!("{}{}", kind.prefix(), random_text(RANDOM_CHARS));
    let checksum = checksum(&body);
    body + &checksum
}

/// Random letters and digits.
pub(crate) fn random_text(characters: usize) -> String {
    let mut rng = rand::rng();
    (0..characters).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())])).collect()
}

/// 256 random bits in lower-case hex: the secrets that the contract of access profiles fixes.
pub(crate) fn random_hex() -> String {
    rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn checksum(body: &str) -> String {
    let digest = Sha256::digest(body);
    digest.iter().take(CHECKSUM_CHARS).map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_tells_its_kind() {
        for kind in Kind::ALL {
            let secret = generate(kind);
            assert_eq!((secret.len(), Kind::of(&secret)), (40, Some(kind)), "{secret}");
            assert_ne!(secret, generate(kind));
        }
    }

    #[test]
    fn a_mistyped_secret_is_noticed() {
        let secret = generate(Kind::ApiKey);
        for position in 0..secret.len() {
            let mut typed = secret.clone().into_bytes();
            typed[position] = if typed[position] == b'x' { b'y' } else { b'x' };
            assert_eq!(Kind::of(&String::from_utf8(typed).unwrap()), None, "position {position}");
        }
        for text in ["", &format!("{secret}a"), &"é".repeat(20)] {
            assert_eq!(Kind::of(text), None);
        }
    }
}
