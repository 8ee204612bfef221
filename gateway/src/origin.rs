//! Cross-site requests that ride on a session cookie are refused.

use http::{HeaderMap, HeaderName, Uri, header};
use portolan_api::{Error, MethodPolicy, Reason, Result, Who};
use portolan_authz::SESSION_COOKIE;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses a state-changing call with a session cookie whose `Origin`, or without one `Sec-Fetch-Site`, names another
/// site. Clients that are no browsers send neither; a browser cannot leave them out.
///
/// # Errors
/// `ORIGIN_NOT_ALLOWED`.
pub(crate) fn check(headers: &HeaderMap, uri: &Uri, policy: &MethodPolicy) -> Result<()> {
    if policy.audit.is_empty() || policy.who == Who::Public || !has_session(headers) {
        return Ok(());
    }
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let same_site = match (text(header::ORIGIN), text(FETCH_SITE)) {
        (Some(origin), _) => {
            let host = uri.authority().map(|authority| authority.as_str()).or(text(header::HOST));
            let of_origin = origin.split_once("://").map(|(_, rest)| rest);
            of_origin.is_some_and(|origin| host.is_some_and(|host| host.eq_ignore_ascii_case(origin)))
        }
        (None, Some(site)) => matches!(site, "same-origin" | "none"),
        (None, None) => true,
    };
    if same_site { Ok(()) } else { Err(Error::new(Reason::OriginNotAllowed)) }
}

fn has_session(headers: &HeaderMap) -> bool {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|line| line.split(';')).any(|pair| pair.trim().starts_with(SESSION_COOKIE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(uri: &'static str, headers: &[(&'static str, &'static str)]) -> bool {
        let policy = portolan_api::policy("/portolan.identity.v1.IdentityService/Logout").unwrap();
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect::<HeaderMap>();
        check(&headers, &Uri::from_static(uri), policy).is_ok()
    }

    #[test]
    fn a_cookie_counts_for_its_own_site_only() {
        let cookie = ("cookie", "a=b; __Host-portolan-session=s");
        let host = ("host", "portolan.test:8443");
        assert!(allowed("/api/logout", &[cookie, host, ("origin", "https://portolan.test:8443")]));
        assert!(!allowed("/api/logout", &[cookie, host, ("origin", "https://portolan.test")]));
        assert!(!allowed("/api/logout", &[cookie, host, ("origin", "https://evil.test")]));
        assert!(!allowed("/api/logout", &[cookie, host, ("origin", "null")]));
        assert!(!allowed("/api/logout", &[cookie, ("origin", "https://evil.test")]));
        assert!(!allowed("/api/logout", &[cookie, host, ("sec-fetch-site", "cross-site")]));
        assert!(allowed("https://portolan.test/api/logout", &[cookie, ("origin", "https://portolan.test")]));
        assert!(allowed("/api/logout", &[cookie, host]));
        assert!(allowed("/api/logout", &[host, ("x-api-key", "k"), ("origin", "https://evil.test")]));
    }
}
