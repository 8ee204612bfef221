//! What a caller shows, wherever it stands in the request.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_jwks::Jws;

/// The name of the header, of the user in Basic, and with `_` of the query parameter.
pub const TOKEN_HEADER: &str = "api-token";
pub const TOKEN_PARAMETER: &str = "api_token";

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
        let authorization = headers.get("authorization").map_or("", String::as_str);
        let (scheme, value) = authorization.split_once(' ').unwrap_or_default();
        let value = value.trim_matches(' ');
        let basic = scheme.eq_ignore_ascii_case("basic").then(|| basic_token(value)).flatten();
        let header = headers.get(TOKEN_HEADER).cloned();
        let mut tokens: Vec<_> = header.into_iter().chain(basic).chain(query_tokens(query)).collect();
        tokens.dedup();
        match tokens.as_slice() {
            [token] => return Some(Self::Token(token.clone())),
            [] => {}
            _ => return None,
        }
        if !scheme.eq_ignore_ascii_case("bearer") || value.is_empty() {
            return None;
        }
        let value = value.to_owned();
        Some(if Jws::is_compact(&value) { Self::Signed(value) } else { Self::AccessToken(value) })
    }
}

/// Whether the query has a token in it, under a name that an upstream would read as ours.
pub fn has_query_token(query: &str) -> bool {
    query_tokens(query).next().is_some()
}

fn query_tokens(query: &str) -> impl Iterator<Item = String> {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs
        .filter(|(name, _)| portolan_engine::template::decoded(name) == TOKEN_PARAMETER)
        .map(|(_, value)| portolan_engine::template::decoded(value).into_owned())
}

fn basic_token(value: &str) -> Option<String> {
    let decoded = STANDARD.decode(value).ok()?;
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    (user == TOKEN_HEADER).then(|| password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(headers: &[(&str, &str)], query: &str) -> Option<Credential> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Credential::find(&headers, query)
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
}
