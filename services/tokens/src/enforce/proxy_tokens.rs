//! The secrets by which the edge knows its proxies.

use std::sync::{PoisonError, RwLock};

use portolan_runtime::Secrets;
use subtle::ConstantTimeEq as _;

use crate::model::edge::{Digest, digest_of};

/// The name under which the secret that proxies share is derived.
const PURPOSE: &str = "edge token";

/// The configured secret; else the one that is derived, and for as long as the secret key is being rotated the one from
/// the other key beside it.
pub(super) struct ProxyTokens {
    secrets: Option<Secrets>,
    /// Of the keys' version.
    known: RwLock<(u64, Vec<Digest>)>,
}

impl ProxyTokens {
    /// `configured` is empty where none is.
    pub fn new(configured: &str, secrets: &Secrets) -> Self {
        match configured {
            "" => Self { known: RwLock::new(derived(secrets)), secrets: Some(secrets.clone()) },
            token => Self { known: RwLock::new((0, vec![digest_of(token)])), secrets: None },
        }
    }

    pub fn contains(&self, token: &str) -> bool {
        if let Some(secrets) = &self.secrets
            && secrets.keys().version() != self.known.read().unwrap_or_else(PoisonError::into_inner).0
        {
            *self.known.write().unwrap_or_else(PoisonError::into_inner) = derived(secrets);
        }
        // Digests have one length, whatever was shown.
        let shown = digest_of(token);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.1.iter().fold(false, |found, digest| found | bool::from(shown.ct_eq(digest)))
    }
}

fn derived(secrets: &Secrets) -> (u64, Vec<Digest>) {
    // The version first: keys that change meanwhile are read again.
    let version = secrets.keys().version();
    let each = secrets.derive_each(PURPOSE);
    (version, each.into_iter().map(|key| digest_of(&hex::encode(key))).collect())
}

/// The secret that proxies share with the edge when none is configured.
pub fn derived_token(secrets: &Secrets) -> String {
    hex::encode(secrets.derive(PURPOSE))
}
