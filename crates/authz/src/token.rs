use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use portolan_api::{Error, Reason};
use portolan_ids::{AccountId, OrganizationId, UserId};
use serde::{Deserialize, Serialize};

use crate::{CredentialKind, Scope};

/// Life of a caller token.
const LIFE_S: i64 = 60;
/// Verified tokens that are remembered, so that a busy caller is verified once a minute and not once a call.
const VERIFIED_MAX: usize = 10_000;

/// Services that call another one with the rights of who called them.
const PASS_ON: [(&str, &str); 2] = [("identity", "inventory"), ("imports", "inventory")];

/// For whom a caller token is made.
#[derive(Clone, Copy, Debug)]
pub struct Audience<'a> {
    /// The service that is called.
    pub service: &'a str,
    /// The service that calls it with the token.
    pub speaker: &'a str,
}

/// Who calls, as signed by identity. No role: that is read at the moment of use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallerClaims {
    /// The account that the caller acts in.
    pub account_id: AccountId,
    /// The user that calls; 0 for an organization token.
    pub user_id: UserId,
    /// The organization of the account, a UUID.
    pub organization_id: OrganizationId,
    /// The product scope that the request names.
    pub scope: Scope,
    /// What the caller showed.
    pub credential: CredentialKind,
    /// Tells credentials of one kind apart; never a secret.
    pub credential_id: String,
    /// From where the request came; empty where that is not known.
    pub client_address: String,
    /// Scopes of an organization token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Unix seconds from which on the credential is refused; `None` for one without an end, and for sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<i64>,
    /// Whether the credential may be used from some addresses only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_networks: bool,
    /// The services that take the token: the one that is called, and those that it calls with the same rights.
    #[serde(default)]
    pub aud: Vec<String>,
    /// The service that calls the first of them.
    #[serde(default)]
    pub azp: String,
    /// Unix seconds.
    pub iat: i64,
    /// Unix seconds at which the token ends.
    pub exp: i64,
}

impl CallerClaims {
    /// Made for these.
    #[must_use]
    pub fn to(self, audience: Audience<'_>) -> Self {
        let passed_on = PASS_ON.iter().filter(|(from, _)| *from == audience.service).map(|(_, to)| *to);
        let aud = std::iter::once(audience.service).chain(passed_on).map(str::to_owned).collect();
        Self { aud, azp: audience.speaker.to_owned(), ..self }
    }

    /// Whether a service takes the token.
    pub fn is_for(&self, service: &str) -> bool {
        self.aud.iter().any(|one| one == service)
    }

    /// Whether it counts when this service speaks: the one that it was made for, or one that passes it on.
    pub fn may_come_from(&self, speaker: &str) -> bool {
        self.azp == speaker || self.is_for(speaker)
    }
}

/// Signs caller tokens; only identity has one.
pub struct CallerSigner {
    key_id: String,
    key: EncodingKey,
}

impl CallerSigner {
    /// `pkcs8`: an Ed25519 private key in PKCS#8 DER form.
    pub fn new(key_id: String, pkcs8: &[u8]) -> Self {
        Self { key_id, key: EncodingKey::from_ed_der(pkcs8) }
    }

    /// Signs for at most 60 s from now; sets `iat` and `exp`.
    ///
    /// # Errors
    /// `INTERNAL` when the key cannot sign.
    pub fn sign(&self, claims: CallerClaims) -> Result<(String, i64), Error> {
        self.sign_until(claims, i64::MAX)
    }

    /// The same, until this time at the latest, in Unix seconds.
    ///
    /// # Errors
    /// `INTERNAL` when the key cannot sign.
    pub fn sign_until(&self, mut claims: CallerClaims, end: i64) -> Result<(String, i64), Error> {
        claims.iat = now_s();
        claims.exp = end.min(claims.iat + LIFE_S);
        let header = Header { kid: Some(self.key_id.clone()), ..Header::new(Algorithm::EdDSA) };
        let token = encode(&header, &claims, &self.key).map_err(Error::internal)?;
        Ok((token, claims.exp))
    }
}

/// Key id to the 32 bytes of an Ed25519 public key.
pub type VerifyingKeys = HashMap<String, Vec<u8>>;

/// Verifies caller tokens with identity's public keys.
#[derive(Clone, Default)]
pub struct CallerVerifier {
    keys: Arc<RwLock<HashMap<String, DecodingKey>>>,
    verified: Arc<Mutex<HashMap<String, Arc<CallerClaims>>>>,
}

impl CallerVerifier {
    /// Replaces the known keys: key id to the 32 bytes of an Ed25519 public key.
    pub fn set_keys(&self, keys: &VerifyingKeys) {
        use base64::Engine as _;
        let parsed = keys.iter().filter_map(|(id, key)| {
            let x = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(key);
            Some((id.clone(), DecodingKey::from_ed_components(&x).ok()?))
        });
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = parsed.collect();
    }

    /// Whether the key that signed this token is known; `false` also for texts that are no tokens.
    pub fn knows_key_of(&self, token: &str) -> bool {
        let Some(id) = decode_header(token).ok().and_then(|header| header.kid) else { return false };
        self.keys.read().unwrap_or_else(PoisonError::into_inner).contains_key(&id)
    }

    /// # Errors
    /// `UNAUTHENTICATED` unless the token is signed by a known key with EdDSA and has not expired.
    pub fn verify(&self, token: &str) -> Result<Arc<CallerClaims>, Error> {
        let now = now_s();
        {
            let verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(claims) = verified.get(token).filter(|claims| claims.exp > now) {
                return Ok(claims.clone());
            }
        }
        let refused = || Error::new(Reason::Unauthenticated);
        let id = decode_header(token).ok().and_then(|header| header.kid).ok_or_else(refused)?;
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = keys.get(&id).ok_or_else(refused)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.leeway = 0;
        // Which service takes it is asked by its guard.
        validation.validate_aud = false;
        let claims = Arc::new(decode::<CallerClaims>(token, key, &validation).map_err(|_| refused())?.claims);
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.len() >= VERIFIED_MAX {
            verified.retain(|_, claims| claims.exp > now);
            if verified.len() >= VERIFIED_MAX {
                verified.clear();
            }
        }
        verified.insert(token.to_owned(), claims.clone());
        Ok(claims)
    }
}

/// Unix seconds.
pub(crate) fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs() as i64)
}
