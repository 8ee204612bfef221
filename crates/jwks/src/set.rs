use serde_json::Value;

use crate::{Algorithm, Key};

/// A set with more keys is refused as a whole: providers publish a handful.
pub const KEYS_MAX: usize = 100;
/// A larger answer of a provider is refused while it is read.
pub const SET_BYTES_MAX: usize = 1024 * 1024;

/// So many keys of one name are tried: a provider may overlap two while it rotates.
const CANDIDATES_MAX: usize = 4;

/// The keys that an identity provider published.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

/// Why an answer is no key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the text of each variant says when it occurs")]
pub enum SetError {
    #[error("the key set is too large")]
    TooLarge,
    #[error("the answer is no JSON object with a list `keys`")]
    Form,
    #[error("the key set has more than {KEYS_MAX} keys")]
    TooManyKeys,
}

impl KeySet {
    /// Keys of a kind that is not known, not for signatures, or secret are left out (RFC 7517, 5).
    ///
    /// # Errors
    /// When the text is no key set or is out of bounds.
    pub fn parse(text: &[u8]) -> Result<Self, SetError> {
        if text.len() > SET_BYTES_MAX {
            return Err(SetError::TooLarge);
        }
        let document: Value = serde_json::from_slice(text).map_err(|_| SetError::Form)?;
        let keys = document.get("keys").and_then(Value::as_array).ok_or(SetError::Form)?;
        if keys.len() > KEYS_MAX {
            return Err(SetError::TooManyKeys);
        }
        Ok(Self { keys: keys.iter().filter_map(|jwk| Key::from_jwk(jwk).ok()).collect() })
    }

    /// The keys that a token with this header may have been signed with. Without a `kid` that is the only key of the
    /// algorithm, when it is the only one.
    pub fn candidates(&self, kid: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &Key> {
        let fits =
            move |key: &&Key| key.algorithms().contains(&algorithm) && kid.is_none_or(|kid| key.kid() == Some(kid));
        let ambiguous = kid.is_none() && self.keys.iter().filter(fits).count() > 1;
        self.keys.iter().filter(fits).take(if ambiguous { 0 } else { CANDIDATES_MAX })
    }

    /// Whether a refetch could not bring a key under this name that is not there.
    pub fn knows(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid() == Some(kid))
    }

    /// How many keys it has.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// At most how much memory it takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.keys.iter().map(Key::bytes).sum()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}
