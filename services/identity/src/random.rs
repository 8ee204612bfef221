//! Codes and names from the operating system's generator.

use base64::Engine as _;
use rand::RngExt as _;

/// 256 bits, for codes in links.
pub(crate) fn random_code() -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// Letters and digits.
pub(crate) fn random_text(length: usize) -> String {
    let mut rng = rand::rng();
    (0..length).map(|_| char::from(rng.sample(rand::distr::Alphanumeric))).collect()
}

/// A password for somebody who chooses another.
pub(crate) fn random_password() -> String {
    random_text(20)
}
