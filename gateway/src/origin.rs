//! Where browsers reach this installation, and from where a request comes: cross-site requests that ride on a session
//! cookie are refused.

use std::{net::IpAddr, sync::Arc};

use http::{HeaderMap, HeaderName, header, request::Parts};
use portolan_api::{Error, MethodPolicy, Reason, Result, Who};
use portolan_authz::SESSION_COOKIE;
use portolan_proxies::{Proxies, forwarded, lines};
use url::Url;

use crate::dialect;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What is configured of the place of this installation in its network.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// Where people reach it, if that is told.
    public: Option<Url>,
    proxies: Arc<Proxies>,
}

impl Site {
    /// `public_url` is empty when it is not told.
    ///
    /// # Errors
    /// `INTERNAL` for a URL that cannot be read.
    pub fn new(public_url: &str, proxies: Arc<Proxies>) -> Result<Self> {
        let wrong = |error| Error::internal(format!("mail.public_url: {error}"));
        let public = if public_url.is_empty() { None } else { Some(Url::parse(public_url.trim()).map_err(wrong)?) };
        Ok(Self { public, proxies })
    }

    /// The address of the client behind a connection.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        self.proxies.client(peer, headers)
    }

    /// Refuses a state-changing call whose `Origin`, or without one `Sec-Fetch-Site`, names another site, when it has a
    /// session cookie, or is a form that anybody may send: pages of other sites send forms without asking. Clients that are
    /// no browsers send neither header; a browser cannot leave them out.
    ///
    /// # Errors
    /// `ORIGIN_NOT_ALLOWED`.
    pub(crate) fn check(&self, parts: &Parts, peer: IpAddr, policy: &MethodPolicy) -> Result<()> {
        let headers = &parts.headers;
        let may_ride = match policy.who {
            Who::Public => dialect::of(policy.dialect).takes_forms() && !is_json(headers),
            _ => !policy.audit.is_empty() && has_session(headers),
        };
        if !may_ride {
            return Ok(());
        }
        let origins = lines(headers, header::ORIGIN.as_str());
        let same_site = match (&origins[..], headers.get(FETCH_SITE)) {
            ([], None) => true,
            ([], Some(site)) => site == "same-origin" || site == "none",
            ([origin], _) => origin_of(origin).is_some_and(|origin| self.is_own(&origin, parts, peer)),
            _ => false,
        };
        if same_site { Ok(()) } else { Err(Error::new(Reason::OriginNotAllowed)) }
    }

    /// An origin is ours when it is that of the public URL, or names the host that the request was sent to: the one that
    /// it names itself, and the one that a trusted proxy was asked for.
    fn is_own(&self, origin: &Url, parts: &Parts, peer: IpAddr) -> bool {
        let told_by_proxies = self.proxies.trusts(peer);
        if let Some(public) = &self.public {
            if public.origin() == origin.origin() {
                return true;
            }
            // A page over plain HTTP may be anybody's, whatever host it names.
            if public.host() == origin.host() && public.scheme() == "https" && origin.scheme() == "http" {
                return false;
            }
        }
        let own = parts.uri.authority().map(|authority| authority.as_str().to_owned());
        let own = own.or_else(|| Some(parts.headers.get(header::HOST)?.to_str().ok()?.to_owned()));
        let mut hosts: Vec<String> = own.into_iter().collect();
        if told_by_proxies {
            let told = told(&parts.headers);
            if origin.scheme() == "http" && told.protos.iter().any(|proto| proto.eq_ignore_ascii_case("https")) {
                return false;
            }
            hosts.extend(told.hosts);
        }
        hosts.iter().any(|host| host_of(origin.scheme(), host).is_some_and(|own| own.origin() == origin.origin()))
    }
}

/// What proxies say of the request that they were sent.
struct ToldByProxies {
    hosts: Vec<String>,
    protos: Vec<String>,
}

fn told(headers: &HeaderMap) -> ToldByProxies {
    let list = |name: &str| -> Vec<String> {
        let lines = lines(headers, name);
        lines.iter().flat_map(|line| line.split(',')).map(|value| value.trim().to_owned()).collect()
    };
    let (mut hosts, mut protos) = (list("x-forwarded-host"), list("x-forwarded-proto"));
    for element in lines(headers, "forwarded").iter().flat_map(|line| forwarded(line)) {
        hosts.extend(element.host);
        protos.extend(element.proto);
    }
    ToldByProxies { hosts, protos }
}

/// Scheme, host and port, as browsers send them.
fn origin_of(text: &str) -> Option<Url> {
    let (scheme, host) = text.split_once("://")?;
    if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return None;
    }
    host_of(scheme, host)
}

/// A host, possibly with a port, under a scheme; its default port is the same as none.
fn host_of(scheme: &str, host: &str) -> Option<Url> {
    let is_host = !host.is_empty() && !host.contains(['/', '\\', '?', '#', '@', ' ', '\t']);
    is_host.then(|| Url::parse(&format!("{scheme}://{host}")).ok())?
}

/// A content type that pages of other sites may send only after they have asked.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

fn has_session(headers: &HeaderMap) -> bool {
    let cookies = lines(headers, header::COOKIE.as_str());
    cookies.iter().flat_map(|line| line.split(';')).any(|pair| pair.trim().starts_with(SESSION_COOKIE))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "10.0.0.1";
    const STRANGER: &str = "203.0.113.9";

    fn allowed(public: &str, peer: &str, uri: &str, headers: &[(&str, &str)]) -> bool {
        let policy = portolan_api::policy("/portolan.identity.v1.IdentityService/Logout").unwrap();
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let proxies = Proxies::parse("10.0.0.0/8", 0, "").unwrap();
        let site = Site::new(public, Arc::new(proxies)).unwrap();
        site.check(&parts, peer.parse().unwrap(), policy).is_ok()
    }

    const COOKIE: (&str, &str) = ("cookie", "a=b; __Host-portolan-session=s");

    #[test]
    fn a_cookie_counts_for_its_own_site_only() {
        let allowed = |uri, headers: &[(&str, &str)]| allowed("", STRANGER, uri, headers);
        let host = ("host", "portolan.test:8443");
        assert!(!allowed("/api/logout", &[COOKIE, host, ("origin", "null")]));
        assert!(!allowed("/api/logout", &[COOKIE, ("origin", "https://evil.test")]));
        assert!(!allowed("/api/logout", &[COOKIE, host, ("sec-fetch-site", "cross-site")]));
        assert!(allowed("/api/logout", &[COOKIE, host, ("sec-fetch-site", "same-origin")]));
        assert!(allowed("https://portolan.test/api/logout", &[COOKIE, ("origin", "https://portolan.test")]));
        assert!(allowed("/api/logout", &[COOKIE, host]));
        assert!(allowed("/api/logout", &[host, ("x-api-key", "k"), ("origin", "https://evil.test")]));
        let twice = [COOKIE, host, ("origin", "https://portolan.test:8443"), ("origin", "https://evil.test")];
        assert!(!allowed("/api/logout", &twice));
    }

    /// Every spelling of one place, by every way in which the gateway may learn of it.
    #[test]
    fn spellings_of_one_origin_are_equal() {
        // Scheme, spellings of the origin, spellings of the host, and origins of other places.
        type Case = (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str]);
        const CASES: [Case; 4] = [
            (
                "https",
                &["https://portolan.test", "https://portolan.test:443", "HTTPS://PORTOLAN.test"],
                &["portolan.test", "portolan.test:443", "Portolan.Test"],
                &[
                    "https://evil.test",
                    "https://portolan.test:8443",
                    "https://portolan.test.evil.test",
                    "https://evil.test:443",
                    "https://portolan.test@evil.test",
                    "null",
                    "",
                    "portolan.test",
                    "file://portolan.test",
                    "https://",
                    "https://xn--portoln-fza.test",
                ],
            ),
            (
                "https",
                &["https://portolan.test:8443"],
                &["portolan.test:8443", "PORTOLAN.TEST:8443"],
                &["https://portolan.test", "https://portolan.test:443", "https://portolan.test:8444"],
            ),
            (
                "http",
                &["http://127.0.0.1:8080", "http://127.0.0.1:08080"],
                &["127.0.0.1:8080"],
                &["http://127.0.0.1", "http://127.0.0.1:80", "http://127.0.0.2:8080"],
            ),
            (
                "https",
                &["https://[2001:db8::1]", "https://[2001:DB8:0:0::1]:443"],
                &["[2001:db8::1]", "[2001:db8::1]:443"],
                &["https://[2001:db8::2]", "https://[2001:db8::1]:444", "https://2001:db8::1"],
            ),
        ];
        const FRONT: &str = "gateway.internal:8080";
        for (scheme, origins, hosts, others) in CASES {
            for host in hosts {
                let public = format!("{scheme}://{host}/base");
                let standard = format!("for=1.2.3.4;host=\"{host}\";proto={scheme}");
                for (origin, expected) in
                    origins.iter().map(|origin| (origin, true)).chain(others.iter().map(|origin| (origin, false)))
                {
                    let origin = ("origin", *origin);
                    let front = ("host", FRONT);
                    let is_allowed = [
                        allowed("", STRANGER, "/", &[COOKIE, ("host", host), origin]),
                        allowed(&public, STRANGER, "/", &[COOKIE, front, origin]),
                        allowed("", PROXY, "/", &[COOKIE, front, ("x-forwarded-host", host), origin]),
                        allowed("", PROXY, "/", &[COOKIE, front, ("forwarded", &standard), origin]),
                        allowed(&public, PROXY, "/", &[COOKIE, front, ("x-forwarded-proto", scheme), origin]),
                    ];
                    assert_eq!(is_allowed, [expected; 5], "{host} asked from {origin:?}");
                    assert!(!allowed("", STRANGER, "/", &[COOKIE, front, ("x-forwarded-host", host), origin]));
                    assert!(!allowed("", STRANGER, "/", &[COOKIE, front, ("forwarded", &standard), origin]));
                }
            }
        }
    }

    #[test]
    fn a_page_over_plain_http_speaks_for_nobody() {
        let (host, origin) = (("host", "portolan.test"), ("origin", "http://portolan.test"));
        assert!(!allowed("https://portolan.test", STRANGER, "/", &[COOKIE, host, origin]));
        assert!(!allowed("", PROXY, "/", &[COOKIE, host, ("x-forwarded-proto", "https"), origin]));
        assert!(allowed("", STRANGER, "/", &[COOKIE, host, origin]));
    }
}
