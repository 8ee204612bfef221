use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode, errors::ErrorKind};
use portolan_api::Error;
use serde::{Deserialize, Serialize};

use crate::{PeerFault, token::now_s};

/// Clocks of an installation may differ by this.
pub const SKEW_S_MAX: i64 = 30;
/// A service token is used for this long, and then made anew…
const USE_S: i64 = 5;
/// … and is good for as long as its use, the way to the peer and the difference of the clocks may take.
const LIFE_S: i64 = USE_S + SKEW_S_MAX + 5;

/// Tokens of peers that are remembered; each peer makes one in [`USE_S`].
const COUNTED_MAX: usize = 1_000;

/// How services of one installation know each other: a token under a key that all of them derive from the
/// installation's secret.
#[derive(Clone)]
pub struct ServiceAuth {
    name: Arc<str>,
    encoding: EncodingKey,
    decoding: DecodingKey,
    current: Arc<Mutex<(Arc<str>, i64)>>,
    /// Tokens of peers that counted, so that each is looked into once and not at each call.
    counted: Arc<RwLock<HashMap<String, Times>>>,
}

/// Between which moments a token counts, in Unix seconds.
#[derive(Clone, Copy)]
struct Times {
    made_s: Option<i64>,
    until_s: i64,
}

impl Times {
    fn count(self, now_s: i64) -> bool {
        self.until_s > now_s && self.made_s.is_none_or(|made_s| made_s <= now_s + SKEW_S_MAX)
    }
}

#[derive(Serialize, Deserialize)]
struct ServiceClaims {
    /// The process that speaks, for logs.
    #[serde(default)]
    iss: String,
    /// Unix seconds; a version before this one left it out.
    iat: Option<i64>,
    exp: i64,
}

/// Why a service token does not count. Who made it is what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Distrusted {
    /// The text is no service token: nobody of an installation sent it.
    Foreign,
    /// A process with another secret key made it.
    Key { peer: String },
    /// The clock of its maker differs by more than [`SKEW_S_MAX`]; positive when it is ahead of ours.
    Clock { peer: String, skew_s: i64 },
}

impl Distrusted {
    /// What is wrong with the peer, and its name; `None` when no peer spoke.
    pub fn fault(&self) -> Option<(PeerFault, &str, String)> {
        match self {
            Self::Foreign => None,
            Self::Key { peer } => {
                Some((PeerFault::Key, peer, "its token is signed with another secret key: see secrets.key_file".into()))
            }
            Self::Clock { peer, skew_s } => {
                let side = if *skew_s > 0 { "ahead of" } else { "behind" };
                let detail = format!("its clock is about {} s {side} this one, more than {SKEW_S_MAX} s", skew_s.abs());
                Some((PeerFault::Clock, peer, detail))
            }
        }
    }
}

impl ServiceAuth {
    pub fn new(key: &[u8; 32]) -> Self {
        Self {
            name: "".into(),
            encoding: EncodingKey::from_secret(key),
            decoding: DecodingKey::from_secret(key),
            current: Arc::new(Mutex::new(("".into(), 0))),
            counted: Arc::default(),
        }
    }

    /// With the name under which peers log this process.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: name.into(), ..self }
    }

    /// A token that any peer takes now.
    pub fn token(&self) -> Result<Arc<str>, Error> {
        let now = now_s();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back makes it anew as well.
        if !(0..USE_S).contains(&(now - current.1)) {
            *current = (self.token_at(now)?.into(), now);
        }
        Ok(current.0.clone())
    }

    /// The token of a process whose clock shows this, in Unix seconds.
    pub fn token_at(&self, now_s: i64) -> Result<String, Error> {
        let claims = ServiceClaims { iss: self.name.to_string(), iat: Some(now_s), exp: now_s + LIFE_S };
        encode(&Header::new(Algorithm::HS256), &claims, &self.encoding).map_err(Error::internal)
    }

    /// # Errors
    /// Why the token does not count.
    pub fn verify(&self, token: &str) -> Result<(), Distrusted> {
        let now = now_s();
        {
            let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            if *current.0 == *token && (0..LIFE_S).contains(&(now - current.1)) {
                return Ok(());
            }
        }
        let counted = self.counted.read().unwrap_or_else(PoisonError::into_inner).get(token).copied();
        if counted.is_some_and(|times| times.count(now)) {
            return Ok(());
        }
        let mut validation = Validation::new(Algorithm::HS256);
        // Compared below, so that the difference can be told.
        validation.validate_exp = false;
        let claims = match decode::<ServiceClaims>(token, &self.decoding, &validation) {
            Ok(decoded) => decoded.claims,
            Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => {
                return Err(Distrusted::Key { peer: claimed_name(token) });
            }
            Err(_) => return Err(Distrusted::Foreign),
        };
        let made_s = claims.iat.unwrap_or(claims.exp - LIFE_S);
        let times = Times { made_s: claims.iat, until_s: claims.exp };
        if !times.count(now) {
            return Err(Distrusted::Clock { peer: claims.iss, skew_s: made_s - now });
        }
        let mut counted = self.counted.write().unwrap_or_else(PoisonError::into_inner);
        if counted.len() >= COUNTED_MAX {
            counted.retain(|_, times| times.count(now));
            if counted.len() >= COUNTED_MAX {
                counted.clear();
            }
        }
        counted.insert(token.to_owned(), times);
        Ok(())
    }
}

/// What a token that cannot be trusted says of its maker.
fn claimed_name(token: &str) -> String {
    let claims = jsonwebtoken::dangerous::insecure_decode::<ServiceClaims>(token);
    claims.map(|decoded| decoded.claims.iss).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_key_and_another_time_are_told_apart() {
        let ours = ServiceAuth::new(&[7; 32]).named("portolan-tokens");
        let peer = || "portolan-tokens".to_owned();
        assert_eq!(ours.verify(&ours.token().unwrap()), Ok(()));
        let fresh = ServiceAuth::new(&[7; 32]);
        for _ in 0..2 {
            assert_eq!(fresh.verify(&ours.token().unwrap()), Ok(()), "a token of another process");
        }

        let foreign = ServiceAuth::new(&[8; 32]);
        assert_eq!(foreign.verify(&ours.token().unwrap()), Err(Distrusted::Key { peer: peer() }));
        for skew_s in [-600, -60, 60, 600] {
            let token = ours.token_at(now_s() + skew_s).unwrap();
            match fresh.verify(&token) {
                Err(Distrusted::Clock { peer: named, skew_s: found }) => {
                    assert!(named == peer() && (found - skew_s).abs() <= 1, "{named} {found}");
                }
                other => panic!("{skew_s} s: {other:?}"),
            }
            let token = foreign.token_at(now_s() + skew_s).unwrap();
            assert!(matches!(fresh.verify(&token), Err(Distrusted::Key { .. })), "the key counts before the clock");
        }
        for skew_s in [-25, 25] {
            assert_eq!(fresh.verify(&ours.token_at(now_s() + skew_s).unwrap()), Ok(()), "{skew_s} s");
        }
        for text in ["guess", "a.b.c", ""] {
            assert_eq!(fresh.verify(text), Err(Distrusted::Foreign), "{text}");
        }
    }
}
