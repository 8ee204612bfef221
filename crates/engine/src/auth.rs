use std::cell::RefCell;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use portolan_record::DeclaredAuth;

use crate::detect::{is_jwt, letters_of};
use crate::headers::Headers;
use crate::memory::Memory;

/// What the names of headers that carry a key contain.
const KEYS: [(&str, u32); 2] = [named("apikey"), named("passkey")];

/// What the names of headers that speak of a client's certificate contain.
const CERTIFICATES: [(&str, u32); 6] = [
    named("clientcert"),
    named("sslcert"),
    named("clientdn"),
    named("sslclientsdn"),
    named("sslclientverify"),
    named("forwardedclientcert"),
];

/// How a call proves who makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is the documented authentication type of its name")]
pub enum AuthType {
    Unauthenticated,
    Basic,
    AuthorizationHeader,
    Jwt,
    Bearer,
    Custom,
    ApiKey,
    Mtls,
    SessionToken,
}

/// The types found in one call, never empty: a call with none is [`AuthType::Unauthenticated`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthSet(u16);

impl AuthType {
    /// Every authentication type.
    pub const ALL: [Self; 9] = [
        Self::Unauthenticated,
        Self::Basic,
        Self::AuthorizationHeader,
        Self::Jwt,
        Self::Bearer,
        Self::Custom,
        Self::ApiKey,
        Self::Mtls,
        Self::SessionToken,
    ];

    /// As the contract spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Basic => "BASIC",
            Self::AuthorizationHeader => "AUTHORIZATION_HEADER",
            Self::Jwt => "JWT",
            Self::Bearer => "BEARER",
            Self::Custom => "CUSTOM",
            Self::ApiKey => "API_KEY",
            Self::Mtls => "MTLS",
            Self::SessionToken => "SESSION_TOKEN",
        }
    }

    /// The authentication type of a documented name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|auth| auth.name() == name)
    }
}

impl AuthSet {
    /// The types found in a request's headers and cookies.
    pub fn of_request(headers: &Headers<'_>) -> Self {
        let mut found = 0;
        for (name, value) in headers.iter().filter(|(name, _)| *name != "cookie") {
            let said = NameFacts::of(name);
            found |= said.of_value(value);
            found |= bit_if(said.names_a_key, AuthType::ApiKey);
            found |= bit_if(said.names_a_certificate && !value.trim().is_empty(), AuthType::Mtls);
            found |= bit_if(name != "authorization" && is_jwt(value), AuthType::Jwt);
        }
        for (name, value) in headers.cookies().filter(|(_, value)| !value.contains('=')) {
            found |= NameFacts::of(&name.to_ascii_lowercase()).of_value(value);
            found |= bit_if(is_jwt(value), AuthType::Jwt);
        }
        Self::from_bits(found)
    }

    /// The set with further types: a call that shows any is not unauthenticated.
    pub fn with(self, types: impl IntoIterator<Item = AuthType>) -> Self {
        let found = types.into_iter().fold(0, |bits, auth| bits | bit(auth));
        if found == 0 { self } else { Self(found | self.0 & !bit(AuthType::Unauthenticated)) }
    }

    /// The schemes of one alternative, which a caller uses together.
    pub fn of_declared(schemes: &[DeclaredAuth]) -> Self {
        let of_scheme = |auth: &DeclaredAuth| match auth {
            DeclaredAuth::ApiKey => AuthType::ApiKey,
            DeclaredAuth::Basic => AuthType::Basic,
            DeclaredAuth::Bearer | DeclaredAuth::Oauth2 | DeclaredAuth::OpenIdConnect => AuthType::Bearer,
            DeclaredAuth::MutualTls => AuthType::Mtls,
            DeclaredAuth::Http => AuthType::AuthorizationHeader,
            DeclaredAuth::None => AuthType::Unauthenticated,
        };
        schemes.iter().map(of_scheme).collect()
    }

    /// Its members, in the order of [`AuthType::ALL`].
    pub fn iter(self) -> impl Iterator<Item = AuthType> {
        AuthType::ALL.into_iter().filter(move |auth| self.0 & bit(*auth) != 0)
    }

    /// Whether it has this member.
    pub fn contains(self, auth: AuthType) -> bool {
        self.0 & bit(auth) != 0
    }

    fn from_bits(bits: u16) -> Self {
        Self(if bits == 0 { bit(AuthType::Unauthenticated) } else { bits })
    }
}

impl FromIterator<AuthType> for AuthSet {
    fn from_iter<I: IntoIterator<Item = AuthType>>(types: I) -> Self {
        Self::from_bits(types.into_iter().fold(0, |bits, auth| bits | bit(auth)))
    }
}

impl std::fmt::Debug for AuthSet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for AuthSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(AuthType::name))
    }
}

impl<'de> Deserialize<'de> for AuthSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<String>::deserialize(deserializer)?
            .iter()
            .map(|name| {
                AuthType::from_name(name).ok_or_else(|| serde::de::Error::custom("no such authentication type"))
            })
            .collect()
    }
}

const fn named(part: &str) -> (&str, u32) {
    (part, letters_of(part))
}

fn bit(auth: AuthType) -> u16 {
    1 << auth as u16
}

fn bit_if(condition: bool, auth: AuthType) -> u16 {
    if condition { bit(auth) } else { 0 }
}

/// What the name of a header or a cookie says.
#[derive(Clone, Copy, Debug, Default)]
struct NameFacts {
    names_a_key: bool,
    names_a_certificate: bool,
    names_a_session: bool,
    is_authorization: bool,
}

thread_local! {
    static NAMES: RefCell<Memory<NameFacts>> = const { RefCell::new(Memory::new()) };
}

impl NameFacts {
    /// What a name in lower case says.
    fn of(name: &str) -> Self {
        let find = || Self {
            names_a_key: contains_any_joined(name, &KEYS),
            names_a_certificate: contains_any_joined(name, &CERTIFICATES),
            names_a_session: names_a_session(name),
            is_authorization: matches!(name, "authorization" | "auth"),
        };
        NAMES.with_borrow_mut(|memory| memory.get(1, name, find))
    }

    /// What headers and cookies have in common: a scheme in front of the value, or a name that says what it is.
    fn of_value(self, value: &str) -> u16 {
        let scheme = match scheme_of(value) {
            Some(scheme) if scheme.eq_ignore_ascii_case("bearer") => bit(AuthType::Bearer),
            Some(scheme) if scheme.eq_ignore_ascii_case("basic") => bit(AuthType::Basic),
            _ => bit_if(self.is_authorization, AuthType::AuthorizationHeader),
        };
        scheme | bit_if(self.names_a_session, AuthType::SessionToken)
    }
}

fn names_a_session(name: &str) -> bool {
    const SESSION: &str = "session";
    const LETTERS: u32 = letters_of(SESSION);
    letters_of(name) & LETTERS == LETTERS && name.contains(SESSION)
}

/// The first of exactly two words.
fn scheme_of(value: &str) -> Option<&str> {
    // Both schemes begin with a B, and most header values do not.
    let value = value.trim_start();
    if !value.starts_with(['b', 'B']) {
        return None;
    }
    let mut words = value.split_ascii_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(scheme), Some(_), None) => Some(scheme),
        _ => None,
    }
}

/// Whether the name without `-` and `_` contains one of the parts, each of which comes with its letters.
fn contains_any_joined(name: &str, parts: &[(&str, u32)]) -> bool {
    let letters = letters_of(name);
    parts.iter().any(|(part, needed)| letters & needed == *needed && contains_joined(name, part))
}

/// Whether the name without `-` and `_` contains the part.
fn contains_joined(name: &str, part: &str) -> bool {
    let mut starts = name.char_indices().map(|(at, _)| at);
    starts.any(|at| {
        let mut bytes = name.as_bytes()[at..].iter().filter(|byte| !matches!(byte, b'-' | b'_'));
        part.bytes().all(|expected| bytes.next() == Some(&expected))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln";

    fn found(headers: &str) -> Vec<&'static str> {
        let headers = headers.replace("$JWT", JWT);
        AuthSet::of_request(&Headers::parse(&headers)).iter().map(AuthType::name).collect()
    }

    #[test]
    fn credentials_tell_their_type() {
        for (headers, expected) in [
            (r#"{}"#, vec!["UNAUTHENTICATED"]),
            (r#"{"accept":"*/*"}"#, vec!["UNAUTHENTICATED"]),
            (r#"{"Authorization":"Bearer abc"}"#, vec!["BEARER"]),
            (r#"{"authorization":"bearer $JWT"}"#, vec!["BEARER"]),
            (r#"{"x-anything":"BEARER abc"}"#, vec!["BEARER"]),
            (r#"{"authorization":"Bearer a b"}"#, vec!["AUTHORIZATION_HEADER"]),
            (r#"{"authorization":"Basic dTpw"}"#, vec!["BASIC"]),
            (r#"{"authorization":"$JWT"}"#, vec!["AUTHORIZATION_HEADER"]),
            (r#"{"auth":"x"}"#, vec!["AUTHORIZATION_HEADER"]),
            (r#"{"cookie":"auth=x"}"#, vec!["AUTHORIZATION_HEADER"]),
            (r#"{"cookie":"a=Basic dTpw"}"#, vec!["BASIC"]),
            (r#"{"cookie":"a=Bearer abc"}"#, vec!["BEARER"]),
            (r#"{"X-API-Key":"1"}"#, vec!["API_KEY"]),
            (r#"{"x_pass_key":"1"}"#, vec!["API_KEY"]),
            (r#"{"x-forwarded-client-cert":"Hash=1"}"#, vec!["MTLS"]),
            (r#"{"x-ssl-cert":" "}"#, vec!["UNAUTHENTICATED"]),
            (r#"{"cookie":"PHPSESSION_ID=1"}"#, vec!["SESSION_TOKEN"]),
            (r#"{"x-session-token":"1"}"#, vec!["SESSION_TOKEN"]),
            (r#"{"access-token":"$JWT"}"#, vec!["JWT"]),
            (r#"{"cookie":"token=$JWT"}"#, vec!["JWT"]),
            (r#"{"authorization":"Bearer x","x-api-key":"1","cookie":"t=$JWT"}"#, vec!["JWT", "BEARER", "API_KEY"]),
        ] {
            assert_eq!(found(headers), expected, "{headers}");
        }
    }

    #[test]
    fn sets_read_back_from_their_names() {
        let set: AuthSet = [AuthType::Bearer, AuthType::ApiKey].into_iter().collect();
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(json, r#"["BEARER","API_KEY"]"#);
        assert_eq!(serde_json::from_str::<AuthSet>(&json).unwrap(), set);
        assert!(serde_json::from_str::<AuthSet>("[\"X\"]").is_err());
    }
}
