use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, dangerous::insecure_decode, decode, encode,
    errors::ErrorKind,
};
use portolan_api::Error;
use serde::{Deserialize, Serialize};

use crate::{
    PeerFault,
    roads::{INSTALLATION, RoadKeys, RootRoads},
    token::now_s,
};

/// Clocks of an installation may differ by this.
pub const SKEW_S_MAX: i64 = 30;
/// A service token is used for this long, and then made anew…
const USE_S: i64 = 5;
/// … and is good for as long as its use, the way to the peer and the difference of the clocks may take.
const LIFE_S: i64 = USE_S + SKEW_S_MAX + 5;

/// Tokens of peers that are remembered; each peer makes one for an audience in [`USE_S`].
const COUNTED_MAX: usize = 1_000;

/// How services of one installation know each other: a token that names who speaks and who listens, under a key of those
/// two.
#[derive(Clone)]
pub struct ServiceAuth {
    speaker: Arc<str>,
    program: Arc<str>,
    keys: Arc<dyn RoadKeys>,
    current: Arc<Mutex<Vec<Current>>>,
    /// Tokens of peers that counted, so that each is looked into once and not at each call.
    counted: Arc<RwLock<HashMap<String, Counted>>>,
}

/// The token that is used with one audience.
struct Current {
    audience: Box<str>,
    token: Arc<str>,
    made_s: i64,
}

/// What a token says that counted.
#[derive(Clone)]
struct Counted {
    speaker: Arc<str>,
    audience: Arc<str>,
    /// Between which moments it counts, in Unix seconds.
    made_s: i64,
    until_s: i64,
}

impl Counted {
    fn counts(&self, now_s: i64) -> bool {
        self.until_s > now_s && self.made_s <= now_s + SKEW_S_MAX
    }
}

#[derive(Serialize, Deserialize)]
struct ServiceClaims {
    /// The service that speaks.
    #[serde(default)]
    iss: String,
    /// The service that listens.
    #[serde(default)]
    aud: String,
    /// The program that speaks, for logs.
    #[serde(default)]
    program: String,
    /// Unix seconds.
    iat: i64,
    exp: i64,
}

/// Why a service token does not count. Who made it is what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the text of each variant says what its fields are")]
pub enum Distrusted {
    /// The text is no service token: nobody of an installation sent it.
    Foreign,
    /// A process with another secret key made it, or one that speaks as a service that it is not.
    Key { peer: String },
    /// It was made for another service.
    Audience { peer: String, audience: String },
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
            Self::Audience { peer, audience } => {
                let detail = format!("its token is for {audience}: see the addresses of [peers] there");
                Some((PeerFault::Key, peer, detail))
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
    /// Of a process that has the root of all roads, and speaks for the installation.
    pub fn new(root: &[u8; 32]) -> Self {
        Self::with_keys(Arc::new(RootRoads(*root)), INSTALLATION)
    }

    /// Of a process with these keys, which speaks as this service.
    pub fn with_keys(keys: Arc<dyn RoadKeys>, speaker: &str) -> Self {
        let (current, counted) = (Arc::default(), Arc::default());
        Self { speaker: speaker.into(), program: speaker.into(), keys, current, counted }
    }

    /// Speaks as this service.
    #[must_use]
    pub fn speaking_as(self, speaker: &str) -> Self {
        Self { speaker: speaker.into(), program: speaker.into(), current: Arc::default(), ..self }
    }

    /// With the name under which peers log this process.
    #[must_use]
    pub fn named(self, program: &str) -> Self {
        Self { program: program.into(), current: Arc::default(), ..self }
    }

    /// As which service this process speaks.
    pub fn speaker(&self) -> &str {
        &self.speaker
    }

    /// A token that a service takes now.
    ///
    /// # Errors
    /// `INTERNAL` when this process has no key to speak to it.
    pub fn token(&self, audience: &str) -> Result<Arc<str>, Error> {
        let now = now_s();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back makes it anew as well.
        current.retain(|one| (0..USE_S).contains(&(now - one.made_s)));
        if let Some(known) = current.iter().find(|one| *one.audience == *audience) {
            return Ok(known.token.clone());
        }
        let token: Arc<str> = self.token_at(audience, now)?.into();
        current.push(Current { audience: audience.into(), token: token.clone(), made_s: now });
        Ok(token)
    }

    /// The token of a process whose clock shows this, in Unix seconds.
    ///
    /// # Errors
    /// `INTERNAL` when this process has no key to speak to the service.
    pub fn token_at(&self, audience: &str, now_s: i64) -> Result<String, Error> {
        let key = self.keys.road_keys(&self.speaker, audience).into_iter().next();
        let key = key.ok_or_else(|| Error::internal(format!("no key to speak to {audience} as {}", self.speaker)))?;
        let claims = ServiceClaims {
            iss: self.speaker.to_string(),
            aud: audience.to_owned(),
            program: self.program.to_string(),
            iat: now_s,
            exp: now_s + LIFE_S,
        };
        encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(&key)).map_err(Error::internal)
    }

    /// Which service speaks. Without an `audience` a token for any service that this process listens as counts.
    ///
    /// # Errors
    /// Why the token does not count.
    pub fn verify(&self, token: &str, audience: Option<&str>) -> Result<Arc<str>, Distrusted> {
        let now = now_s();
        {
            let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            let is_ours = |one: &Current| {
                *one.token == *token
                    && audience.is_none_or(|audience| *one.audience == *audience)
                    && (0..LIFE_S).contains(&(now - one.made_s))
            };
            if current.iter().any(is_ours) {
                return Ok(self.speaker.clone());
            }
        }
        let counted = self.counted.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned();
        let counted = counted.filter(|known| known.counts(now));
        if let Some(known) = counted
            && audience.is_none_or(|audience| *known.audience == *audience)
        {
            return Ok(known.speaker);
        }
        let claimed = insecure_decode::<ServiceClaims>(token).map_err(|_| Distrusted::Foreign)?.claims;
        let peer = || if claimed.program.is_empty() { claimed.iss.clone() } else { claimed.program.clone() };
        let mut validation = Validation::new(Algorithm::HS256);
        // Compared below, so that the difference can be told.
        validation.validate_exp = false;
        validation.validate_aud = false;
        let mut claims = None;
        for key in self.keys.road_keys(&claimed.iss, &claimed.aud) {
            match decode::<ServiceClaims>(token, &DecodingKey::from_secret(&key), &validation) {
                Ok(decoded) => claims = Some(decoded.claims),
                Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => {}
                Err(_) => return Err(Distrusted::Foreign),
            }
        }
        if audience.is_some_and(|audience| *audience != *claimed.aud) {
            // Whoever has no key for its audience cannot tell whether it is of this installation.
            return Err(Distrusted::Audience { peer: peer(), audience: claimed.aud.clone() });
        }
        let Some(claims) = claims else { return Err(Distrusted::Key { peer: peer() }) };
        let speaker: Arc<str> = claims.iss.as_str().into();
        let known = Counted {
            speaker: speaker.clone(),
            audience: claims.aud.as_str().into(),
            made_s: claims.iat,
            until_s: claims.exp,
        };
        if !known.counts(now) {
            return Err(Distrusted::Clock { peer: peer(), skew_s: claims.iat - now });
        }
        let mut counted = self.counted.write().unwrap_or_else(PoisonError::into_inner);
        if counted.len() >= COUNTED_MAX {
            counted.retain(|_, known| known.counts(now));
            if counted.len() >= COUNTED_MAX {
                counted.clear();
            }
        }
        counted.insert(token.to_owned(), known);
        Ok(speaker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_key_and_another_time_are_told_apart() {
        let ours = ServiceAuth::new(&[7; 32]).speaking_as("tokens").named("portolan-tokens");
        let peer = || "portolan-tokens".to_owned();
        let of = |auth: &ServiceAuth| auth.token("billing").unwrap();
        let fresh = ServiceAuth::new(&[7; 32]);
        let verify = |token: &str| fresh.verify(token, Some("billing"));
        assert_eq!(ours.verify(&of(&ours), Some("billing")), Ok("tokens".into()));
        for _ in 0..2 {
            assert_eq!(verify(&of(&ours)), Ok("tokens".into()), "a token of another process");
        }
        assert!(fresh.verify(&of(&ours), Some("imports")).is_err(), "one that counted for another service");

        let foreign = ServiceAuth::new(&[8; 32]).speaking_as("tokens").named("portolan-tokens");
        assert_eq!(verify(&of(&foreign)), Err(Distrusted::Key { peer: peer() }));
        for skew_s in [-600, -60, 60, 600] {
            match verify(&ours.token_at("billing", now_s() + skew_s).unwrap()) {
                Err(Distrusted::Clock { peer: named, skew_s: found }) => {
                    assert!(named == peer() && (found - skew_s).abs() <= 1, "{named} {found}");
                }
                other => panic!("{skew_s} s: {other:?}"),
            }
            let token = foreign.token_at("billing", now_s() + skew_s).unwrap();
            assert!(matches!(verify(&token), Err(Distrusted::Key { .. })), "the key counts before the clock");
        }
        for skew_s in [-25, 25] {
            let token = ours.token_at("billing", now_s() + skew_s).unwrap();
            assert_eq!(verify(&token), Ok("tokens".into()), "{skew_s} s");
        }
        for text in ["guess", "a.b.c", ""] {
            assert_eq!(verify(text), Err(Distrusted::Foreign), "{text}");
        }
    }

    #[test]
    fn a_token_is_for_one_service() {
        let ours = ServiceAuth::new(&[7; 32]).speaking_as("tokens");
        let token = ours.token("imports").unwrap();
        for listener in [&ours, &ServiceAuth::new(&[7; 32])] {
            let refused = listener.verify(&token, Some("billing"));
            assert_eq!(refused, Err(Distrusted::Audience { peer: "tokens".into(), audience: "imports".into() }));
            assert_eq!(listener.verify(&token, None), Ok("tokens".into()), "it is told before the audience is known");
        }
    }

    #[test]
    fn who_has_some_roads_speaks_and_hears_on_them_alone() {
        struct OfImports(RootRoads);
        impl RoadKeys for OfImports {
            fn road_keys(&self, speaker: &str, audience: &str) -> Vec<[u8; 32]> {
                let is_own = speaker == "imports" || audience == "imports";
                if is_own { self.0.road_keys(speaker, audience) } else { Vec::new() }
            }
        }
        let whole = ServiceAuth::new(&[7; 32]);
        let imports = ServiceAuth::with_keys(Arc::new(OfImports(RootRoads([7; 32]))), "imports");
        assert_eq!(whole.verify(&imports.token("billing").unwrap(), Some("billing")), Ok("imports".into()));
        let identity = imports.clone().speaking_as("identity");
        assert!(identity.token("billing").is_err(), "it has no key of identity");
        let to_imports = whole.speaking_as("billing").token("imports").unwrap();
        assert_eq!(imports.verify(&to_imports, Some("imports")), Ok("billing".into()));
    }
}
