use http::HeaderMap;
use portolan_api::{Error, Reason};

/// Name of the session cookie, which the gateway sets and this module reads.
pub const SESSION_COOKIE: &str = "__Host-portolan-session";

/// A credential as it was presented at the edge.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    ApiKey(String),
    Session {
        session: String,
        access_token: String,
    },
    /// A Bearer value in JWS form.
    CapabilitiesToken(String),
}

impl Credential {
    /// Reads `x-api-key`, `authorization: Bearer`, or the session cookie with `access-token`, in this order.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` when there is none, or only half of a session.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, Error> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        if let Some(key) = text("x-api-key") {
            return Ok(Self::ApiKey(key.to_owned()));
        }
        if let Some(value) = text("authorization")
            && let Some((scheme, token)) = value.split_once(' ')
            && scheme.eq_ignore_ascii_case("bearer")
        {
            let token = token.trim().to_owned();
            let is_jws = token.bytes().filter(|byte| *byte == b'.').count() == 2;
            return Ok(if is_jws { Self::CapabilitiesToken(token) } else { Self::ApiKey(token) });
        }
        match (session_cookie(headers), text("access-token")) {
            (Some(session), Some(access_token)) => Ok(Self::Session { session, access_token: access_token.to_owned() }),
            _ => Err(Reason::Unauthenticated.into()),
        }
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ApiKey(_) => "ApiKey(***)",
            Self::Session { .. } => "Session(***)",
            Self::CapabilitiesToken(_) => "CapabilitiesToken(***)",
        })
    }
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
        check(&[("authorization", "Bearer a.b.c")], Some(Credential::CapabilitiesToken("a.b.c".into())));
        check(
            &[("cookie", "a=b; __Host-portolan-session=s"), ("access-token", "t")],
            Some(Credential::Session { session: "s".into(), access_token: "t".into() }),
        );
    }

    #[test]
    fn half_a_session_is_no_credential() {
        check(&[("cookie", "__Host-portolan-session=s")], None);
        check(&[("access-token", "t")], None);
        check(&[("authorization", "Basic eDp5")], None);
    }
}
