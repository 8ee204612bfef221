use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use portolan_jwks::serde_json::{Map, Value};

use super::profile::Profile;
use crate::model::edge::Digest;

/// Tokens whose signature was verified, so that a signature costs its price once.
///
/// An entry says only that the token was signed by a certain key. Whether the profile is still the same, whether the key
/// is still one of its keys, and whether the claims hold at this moment is asked again at each use.
#[derive(Default)]
pub struct VerifiedTokens {
    by_digest: Mutex<HashMap<Digest, Arc<VerifiedToken>>>,
}

pub struct VerifiedToken {
    /// The state of the profile at that time: any change of it makes another.
    pub profile: Arc<Profile>,
    pub key: Digest,
    pub kid: Option<String>,
    pub algorithm: portolan_jwks::Algorithm,
    pub claims: Map<String, Value>,
    /// The claims as they are passed on.
    pub claims_header: String,
}

/// Above this many the memory starts over.
const TOKENS_MAX: usize = 20_000;

impl VerifiedTokens {
    pub fn get(&self, digest: &Digest) -> Option<Arc<VerifiedToken>> {
        self.by_digest.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    pub fn put(&self, digest: Digest, token: Arc<VerifiedToken>) {
        let mut tokens = self.by_digest.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= TOKENS_MAX {
            tokens.clear();
        }
        tokens.insert(digest, token);
    }
}
