use http::HeaderMap;
use portolan_api::{Dialect, Error, Reason};

use crate::Shown;

/// Name of the session cookie, which the gateway sets and this module reads.
pub const SESSION_COOKIE: &str = "__Host-portolan-session";

/// How the secret of an organization token begins.
pub const ORGANIZATION_TOKEN_PREFIX: &str = "pto";

/// A credential as it was presented at the edge.
#[derive(Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each holds the credential of its name as it was sent")]
pub enum Credential {
    /// An API key, as it was sent.
    ApiKey(String),
    /// The cookies or the bearer token of a session.
    Session { session: String, access_token: String },
    /// A Bearer value in JWS form.
    CapabilitiesToken(String),
    /// An organization token, as it was sent.
    OrganizationToken(String),
}

impl Credential {
    /// Reads what the dialect takes. Katapult takes `authorization: Bearer` alone.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` when there is none, or only half of a session; in the katapult dialect `MISSING_API_TOKEN`.
    pub fn in_dialect(dialect: Dialect, headers: &HeaderMap) -> Result<Self, Error> {
        match dialect {
            Dialect::Katapult => Self::from_bearer(headers).ok_or_else(|| Reason::MissingApiToken.into()),
            _ => Self::from_headers(headers),
        }
    }

    /// Reads `x-api-key`, `authorization: Bearer`, or the session cookie with `access-token`, in this order.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` when there is none, or only half of a session.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, Error> {
        if let Some(key) = text(headers, "x-api-key") {
            return Ok(Self::ApiKey(key.to_owned()));
        }
        if let Some(credential) = Self::from_bearer(headers) {
            return Ok(credential);
        }
        match (session_cookie(headers), text(headers, "access-token")) {
            (Some(session), Some(access_token)) => Ok(Self::Session { session, access_token: access_token.to_owned() }),
            _ => Err(Reason::Unauthenticated.into()),
        }
    }

    /// A Bearer value beside the session cookie is the session's access token.
    fn from_bearer(headers: &HeaderMap) -> Option<Self> {
        let (scheme, token) = text(headers, "authorization")?.split_once(' ')?;
        let token = token.trim().to_owned();
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
            return None;
        }
        Some(if token.bytes().filter(|byte| *byte == b'.').count() == 2 {
            Self::CapabilitiesToken(token)
        } else if token.starts_with(ORGANIZATION_TOKEN_PREFIX) {
            Self::OrganizationToken(token)
        } else if let Some(session) = session_cookie(headers) {
            Self::Session { session, access_token: token }
        } else {
            Self::ApiKey(token)
        })
    }
}

impl Credential {
    /// Its kind, and the text that names it.
    pub(crate) fn shown(&self) -> (Shown, &str) {
        match self {
            Self::ApiKey(key) => (Shown::ApiKey, key),
            Self::Session { session, .. } => (Shown::Session, session),
            Self::CapabilitiesToken(token) => (Shown::CapabilitiesToken, token),
            Self::OrganizationToken(token) => (Shown::OrganizationToken, token),
        }
    }
}

/// What stands in the place of a credential in headers in which there is none: half a session, or something that is no
/// Bearer value.
pub(crate) fn unreadable(dialect: Dialect, headers: &HeaderMap) -> Option<(Shown, String)> {
    let own = |name| text(headers, name).filter(|text| !text.is_empty()).map(str::to_owned);
    if let Some(authorization) = own("authorization") {
        return Some((Shown::Unreadable, authorization));
    }
    if dialect == Dialect::Katapult {
        return None;
    }
    session_cookie(headers).or_else(|| own("access-token")).map(|half| (Shown::Session, half))
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ApiKey(_) => "ApiKey(***)",
            Self::Session { .. } => "Session(***)",
            Self::CapabilitiesToken(_) => "CapabilitiesToken(***)",
            Self::OrganizationToken(_) => "OrganizationToken(***)",
        })
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

fn session_cookie(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all("cookie")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == SESSION_COOKIE)
        .map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&'static str, &str)], expected: Option<Credential>) {
        let map = headers.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        assert_eq!(Credential::from_headers(&map.collect()).ok(), expected);
    }

    #[test]
    fn reads_each_documented_form() {
        check(&[("x-api-key", "k")], Some(Credential::ApiKey("k".into())));
        check(&[("authorization", "bearer k")], Some(Credential::ApiKey("k".into())));
        check(&[("authorization", "Bearer ptoX")], Some(Credential::OrganizationToken("ptoX".into())));
        check(
            &[("cookie", "__Host-portolan-session=s"), ("authorization", "Bearer t")],
            Some(Credential::Session { session: "s".into(), access_token: "t".into() }),
        );
        check(&[("authorization", "Bearer a.b.c")], Some(Credential::CapabilitiesToken("a.b.c".into())));
        check(
            &[("cookie", "a=b; __Host-portolan-session=s"), ("access-token", "t")],
            Some(Credential::Session { session: "s".into(), access_token: "t".into() }),
        );
    }

    #[test]
    fn katapult_takes_bearer_alone() {
        let headers: HeaderMap =
            [(http::HeaderName::from_static("x-api-key"), "k".parse().unwrap())].into_iter().collect();
        let refused = Credential::in_dialect(Dialect::Katapult, &headers).unwrap_err();
        assert_eq!(refused.reason(), Reason::MissingApiToken);
        assert!(Credential::in_dialect(Dialect::Akto, &headers).is_ok());
    }

    #[test]
    fn half_a_session_is_no_credential() {
        check(&[("cookie", "__Host-portolan-session=s")], None);
        check(&[("access-token", "t")], None);
        check(&[("authorization", "Basic eDp5")], None);
        check(&[("authorization", "Bearer ")], None);
    }
}
