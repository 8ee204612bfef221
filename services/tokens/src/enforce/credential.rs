//! What a caller shows, wherever it stands in the request, and what of it must not reach the upstream.
//!
//! A credential is taken from few places in one spelling each. It is removed in every spelling that some server reads
//! as one of them: names are decoded, folded and cut as servers do.

use std::{borrow::Cow, collections::HashMap};

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use portolan_engine::template::decoded;
use portolan_jwks::Jws;

/// The name of the header, of the user in Basic, and with `_` of the query parameter.
const TOKEN_HEADER: &str = "api-token";
const TOKEN_PARAMETER: &str = "api_token";
const AUTHORIZATION: &str = "authorization";
/// How often an upstream and what stands before it may decode a name.
const DECODINGS_MAX: usize = 3;

/// A credential of a request.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// Of a `token` profile.
    Token(String),
    /// Of the OAuth2 token endpoint.
    AccessToken(String),
    /// Signed by the caller or its identity provider.
    Signed(String),
}

impl Credential {
    /// Finds the credential. A Bearer value beside a token is harmless and not looked at; tokens that contradict each
    /// other, and several values of one header, are no credential.
    pub fn find(headers: &HashMap<String, String>, query: &str) -> Option<Self> {
        let authorization = headers.get(AUTHORIZATION).map_or("", String::as_str);
        let (scheme, value) = authorization.split_once(' ').unwrap_or_default();
        let value = value.trim_matches(' ');
        let basic = scheme.eq_ignore_ascii_case("basic").then(|| basic_token(value)).flatten();
        let header = headers.get(TOKEN_HEADER).cloned();
        let mut tokens = header.into_iter().chain(basic).chain(query_tokens(query));
        if let Some(token) = tokens.next() {
            return tokens.all(|other| other == token).then_some(Self::Token(token));
        }
        bearer(scheme, value)
    }
}

fn bearer(scheme: &str, value: &str) -> Option<Credential> {
    if !scheme.eq_ignore_ascii_case("bearer") || value.is_empty() {
        return None;
    }
    let value = value.to_owned();
    Some(if Jws::is_compact(&value) { Credential::Signed(value) } else { Credential::AccessToken(value) })
}

fn query_tokens(query: &str) -> impl Iterator<Item = String> {
    pairs(query).filter(|(name, _)| decoded(name) == TOKEN_PARAMETER).map(|(_, value)| decoded(value).into_owned())
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn basic_token(value: &str) -> Option<String> {
    let decoded = STANDARD.decode(value).ok()?;
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    (user == TOKEN_HEADER).then(|| password.to_owned())
}

/// What must not reach the upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Names of headers, in lower case.
    pub headers: Vec<String>,
    /// Names as they stand in the query.
    pub parameters: Vec<String>,
    /// The header `cookie` without the credential; empty removes it.
    pub cookie: Option<String>,
}

impl Removed {
    /// Every spelling of a token, and the header `authorization` where it is not the upstream's own.
    pub fn find(headers: &HashMap<String, String>, query: &str, with_authorization: bool) -> Self {
        let is_removed =
            |name: &str| is_token_name(name) || (with_authorization && name.eq_ignore_ascii_case(AUTHORIZATION));
        let mut parameters: Vec<String> = Vec::new();
        for (name, _) in pairs(query).filter(|(name, _)| is_token_name(name)) {
            if !parameters.iter().any(|known| known == name) {
                parameters.push(name.to_owned());
            }
        }
        Self {
            headers: headers.keys().filter(|name| is_removed(name)).cloned().collect(),
            parameters,
            cookie: headers.get("cookie").and_then(|cookie| without_token(cookie)),
        }
    }
}

/// The cookies that are left when one of them carries a token; nothing when none does.
fn without_token(cookie: &str) -> Option<String> {
    let is_token = |pair: &&str| is_token_name(pair.split('=').next().unwrap_or_default().trim());
    let pairs = || cookie.split(';').map(str::trim);
    pairs().any(|pair| is_token(&pair)).then(|| pairs().filter(|pair| !is_token(pair)).collect::<Vec<_>>().join("; "))
}

/// What the header `authorization` carries that may be ours, whoever reads it: each of several values.
pub fn shown(authorization: &str) -> impl Iterator<Item = Shown> {
    authorization.split(',').filter_map(|value| {
        let (scheme, value) = value.trim().split_once([' ', '\t'])?;
        let value = value.trim();
        if scheme.eq_ignore_ascii_case("basic") {
            return is_token_user(value).then_some(Shown::Token);
        }
        bearer(scheme, value).map(Shown::Bearer)
    })
}

/// See [`shown`].
pub enum Shown {
    /// A token by Basic.
    Token,
    /// A bearer token.
    Bearer(Credential),
}

fn is_token_user(value: &str) -> bool {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let decode = |alphabet| GeneralPurpose::new(alphabet, config).decode(value).ok();
    let Some(bytes) = decode(&alphabet::STANDARD).or_else(|| decode(&alphabet::URL_SAFE)) else { return false };
    let user = bytes.split(|byte| *byte == b':').next().unwrap_or_default();
    std::str::from_utf8(user).is_ok_and(is_token_name)
}

/// Whether some server reads this name as one of ours: decoded more than once, in another case, with another sign between
/// the words, after blanks, as the name of a list.
fn is_token_name(name: &str) -> bool {
    let mut name = Cow::Borrowed(name);
    for _ in 0..DECODINGS_MAX {
        if folds_to_token(&name) {
            return true;
        }
        if !name.contains('%') {
            return false;
        }
        name = Cow::Owned(decoded(&name).into_owned());
    }
    folds_to_token(&name)
}

fn folds_to_token(name: &str) -> bool {
    let name = name.split(['[', '\0']).next().unwrap_or_default().trim_matches([' ', '+', '\t']);
    let is_same = |(given, own): (u8, u8)| match own {
        b'_' => b"_-. +".contains(&given),
        own => given.eq_ignore_ascii_case(&own),
    };
    name.len() == TOKEN_PARAMETER.len() && name.bytes().zip(TOKEN_PARAMETER.bytes()).all(is_same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(headers: &[(&str, &str)]) -> HashMap<String, String> {
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn find(headers: &[(&str, &str)], query: &str) -> Option<Credential> {
        Credential::find(&map(headers), query)
    }

    fn token(text: &str) -> Option<Credential> {
        Some(Credential::Token(text.to_owned()))
    }

    #[test]
    fn a_token_stands_in_three_places() {
        let basic = format!("Basic {}", STANDARD.encode("api-token:t"));
        assert!(find(&[("api-token", "t")], "") == token("t"));
        assert!(find(&[("authorization", &basic)], "") == token("t"));
        assert!(find(&[], "a=1&api_token=t&b=2") == token("t"));
        assert!(find(&[], "api%5Ftoken=%74") == token("t"));
        assert!(find(&[("api-token", "t"), ("authorization", &basic)], "api_token=t") == token("t"));
        assert!(find(&[("api-token", "t"), ("authorization", "Bearer x")], "") == token("t"));
        let other_user = format!("Basic {}", STANDARD.encode("admin:t"));
        assert!(find(&[("authorization", &other_user)], "").is_none());
    }

    #[test]
    fn tokens_that_contradict_each_other_are_none() {
        assert!(find(&[("api-token", "t")], "api_token=u").is_none());
        assert!(find(&[], "api_token=t&api_token=u").is_none());
    }

    #[test]
    fn a_bearer_value_is_read_by_its_form() {
        assert!(find(&[("authorization", "bearer  a.b.c")], "") == Some(Credential::Signed("a.b.c".into())));
        assert!(find(&[("authorization", "Bearer abc")], "") == Some(Credential::AccessToken("abc".into())));
        for none in ["", "Bearer", "Bearer ", "abc", "Digest abc", "Basic ###"] {
            assert!(find(&[("authorization", none)], "").is_none(), "{none}");
        }
    }

    /// Each character plain or escaped, in either case, with each sign between, in front of what servers cut off.
    fn spellings() -> Vec<String> {
        let mut all = vec![String::new()];
        for (at, character) in TOKEN_PARAMETER.char_indices() {
            let escaped = |c: char| format!("%{:02X}", c as u32);
            let mut ways = vec![character.to_string()];
            // Escapes of every place together would be too many; those of some places show each kind.
            if matches!(at, 0 | 3 | 8) {
                ways.extend([escaped(character), escaped(character).to_ascii_lowercase()]);
                ways.push(format!("%25{}", &escaped(character)[1..]));
            }
            if character == '_' {
                ways.extend(["-", ".", "+", "%2D", "%2e", "%20"].map(str::to_owned));
            } else if at == 4 {
                ways.push(character.to_ascii_uppercase().to_string());
            }
            all = all.iter().flat_map(|begun| ways.iter().map(move |way| format!("{begun}{way}"))).collect();
        }
        let ends = |name: String| ["", "[]", "%5B%5D", "[0]"].map(|end| format!("{name}{end}"));
        all.into_iter().flat_map(ends).collect()
    }

    #[test]
    fn every_spelling_of_a_token_is_removed() {
        let all = spellings();
        assert!(all.len() > 1_000);
        for name in &all {
            let query = format!("a=1&{name}=t&b=2&{name}=u&api_tokens=x");
            assert_eq!(Removed::find(&map(&[]), &query, false).parameters, [name.as_str()], "{name}");
            let cookie = Removed::find(&map(&[("cookie", &format!("a=1; {name}=t; b=2"))]), "", false).cookie;
            assert_eq!(cookie.as_deref(), Some("a=1; b=2"), "{name}");
            // What is taken as a credential is among what is removed.
            if find(&[], &format!("{name}=t")).is_some() {
                assert!(is_token_name(name), "{name}");
            }
        }
        for other in ["api_tokens", "xapi_token", "api__token", "api", "token", "api_toke", "a[api_token]"] {
            assert_eq!(Removed::find(&map(&[]), &format!("{other}=t"), false), Removed::default(), "{other}");
        }
    }

    #[test]
    fn headers_are_removed_in_every_spelling() {
        let headers = map(&[("api-token", ""), ("api_token", ""), ("authorization", ""), ("x-other", "")]);
        let of = |with_authorization| {
            let mut headers = Removed::find(&headers, "", with_authorization).headers;
            headers.sort();
            headers
        };
        assert_eq!(of(false), ["api-token", "api_token"]);
        assert_eq!(of(true), ["api-token", "api_token", "authorization"]);
        assert_eq!(Removed::find(&map(&[("cookie", "api_token=t")]), "", false).cookie.as_deref(), Some(""));
        assert_eq!(Removed::find(&map(&[("cookie", "a=1")]), "", false).cookie, None);
    }

    #[test]
    fn a_token_by_basic_is_recognized_in_every_encoding() {
        let is_token = |value: &str| shown(value).any(|shown| matches!(shown, Shown::Token));
        for user in ["api-token", "API-Token", "api_token"] {
            let encoded = STANDARD.encode(format!("{user}:ab"));
            for value in [encoded.clone(), encoded.trim_end_matches('=').to_owned()] {
                for scheme in ["Basic ", "basic  ", "BASIC\t", "Bearer x, Basic "] {
                    assert!(is_token(&format!("{scheme}{value}")), "{scheme}{value}");
                }
            }
        }
        assert!(!is_token(&format!("Basic {}", STANDARD.encode("admin:api-token"))));
        assert!(!is_token("Bearer abc"));
    }
}
