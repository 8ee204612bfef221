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
pub struct VerifiedTokens(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    by_digest: HashMap<Digest, Arc<VerifiedToken>>,
    /// Of their claims, as they are passed on.
    bytes: usize,
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

/// Above this many the memory starts over…
const TOKENS_MAX: usize = 20_000;

/// … and above so many bytes of their claims, which take up to ten times as much in memory: whoever has a key signs
/// tokens of any number and of 16 KiB each.
const BYTES_MAX: usize = 16 << 20;

impl VerifiedTokens {
    pub fn get(&self, digest: &Digest) -> Option<Arc<VerifiedToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).by_digest.get(digest).cloned()
    }

    pub fn put(&self, digest: Digest, token: Arc<VerifiedToken>) {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(replaced) = remembered.by_digest.remove(&digest) {
            remembered.bytes -= replaced.claims_header.len();
        }
        let bytes = token.claims_header.len();
        if remembered.by_digest.len() >= TOKENS_MAX || remembered.bytes + bytes > BYTES_MAX {
            *remembered = Remembered::default();
        }
        remembered.bytes += bytes;
        remembered.by_digest.insert(digest, token);
    }
}

#[cfg(test)]
mod tests {
    use portolan_ids::{AccountId, ApiClientId, ProfileId};

    use super::*;
    use crate::enforce::profile::Auth;

    fn token(bytes: usize) -> Arc<VerifiedToken> {
        let profile = Profile {
            id: ProfileId(1),
            account_id: AccountId(1),
            client_id: ApiClientId(1),
            active: true,
            digest: None,
            auth: Auth::Token,
            allow: Default::default(),
            deny: Default::default(),
            collection_ids: Vec::new(),
            allow_preflight: false,
            policy_id: None,
            grant_version: 1,
            mtls: None,
        };
        Arc::new(VerifiedToken {
            profile: Arc::new(profile),
            key: [0; 32],
            kid: None,
            algorithm: portolan_jwks::Algorithm::Hs256,
            claims: Map::new(),
            claims_header: "x".repeat(bytes),
        })
    }

    fn digest(at: usize) -> Digest {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&at.to_le_bytes());
        digest
    }

    #[test]
    fn what_is_remembered_is_bounded_in_number_and_bytes() {
        for (bytes, count_max) in [(1, TOKENS_MAX), (16 << 10, BYTES_MAX / (16 << 10))] {
            let (tokens, token) = (VerifiedTokens::default(), token(bytes));
            let mut most = 0;
            for at in 0..2 * count_max + 10 {
                tokens.put(digest(at), token.clone());
                tokens.put(digest(at), token.clone());
                assert!(tokens.get(&digest(at)).is_some());
                let remembered = tokens.0.lock().unwrap();
                assert_eq!(remembered.bytes, remembered.by_digest.len() * bytes);
                most = most.max(remembered.by_digest.len());
            }
            assert_eq!(most, count_max);
        }
    }
}
