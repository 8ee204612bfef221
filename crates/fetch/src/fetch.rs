use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::{Client, redirect};
use url::Url;

use crate::dns::{CheckedResolver, Refused};
use crate::{FetchError, HostPattern, Policy, Request, Resolve, SystemResolver, answer};

/// The guarded client. Clones share their connections.
#[derive(Clone)]
pub struct Fetch {
    policy: Arc<Policy>,
    resolver: Arc<dyn Resolve>,
    /// Made at the first call: most processes never call out, and reading the system's certificates takes time.
    client: Arc<OnceLock<Client>>,
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Response {
    /// Of the last hop.
    pub status: StatusCode,
    /// Of the last hop.
    pub headers: HeaderMap,
    /// Where the answer came from, after redirects.
    pub url: Url,
    /// Decompressed.
    pub body: Bytes,
}

impl Response {
    /// The body as text, with replacement characters for what is no UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header as text; empty when absent or no text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Fetch {
    /// A client that goes where the policy lets it.
    pub fn new(policy: Policy) -> Self {
        Self::with_resolver(policy, Arc::new(SystemResolver))
    }

    /// A client with another source of addresses.
    pub fn with_resolver(policy: Policy, resolver: Arc<dyn Resolve>) -> Self {
        Self { policy: Arc::new(policy), resolver, client: Arc::default() }
    }

    /// A client that may also reach the host of a URL from the configuration, wherever it stands. Only for calls whose
    /// URL begins with that one.
    #[must_use]
    pub fn trusting(&self, configured_url: &str) -> Self {
        let mut policy = (*self.policy).clone();
        policy.allow_hosts.extend(HostPattern::of(configured_url));
        Self::with_resolver(policy, self.resolver.clone())
    }

    /// Refuses at once what needs no resolver to be refused.
    ///
    /// # Errors
    /// [`FetchError::InvalidUrl`] and [`FetchError::RefusedAddress`].
    pub fn check(&self, url: &str) -> Result<Url, FetchError> {
        self.policy.check(url)
    }

    /// Sends a request and reads its answer whole, following redirects.
    ///
    /// # Errors
    /// Every [`FetchError`]; an answer with an error status is an answer.
    pub async fn send(&self, request: Request) -> Result<Response, FetchError> {
        let time_max = request.time_max;
        let sent = tokio::time::timeout(time_max, self.follow(request)).await;
        sent.unwrap_or(Err(FetchError::TooSlow(time_max.as_secs())))
    }

    async fn follow(&self, request: Request) -> Result<Response, FetchError> {
        let Request { mut method, url, mut headers, mut body, bytes_max, redirects_max, .. } = request;
        let mut url = self.policy.check(&url)?;
        headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static("portolan"));
        let mut hops = 0;
        loop {
            let response = self.once(&method, &url, &headers, &body).await?;
            let (status, received) = (response.status(), response.headers().clone());
            let Some(next) = redirect_of(status, &received).filter(|_| redirects_max > 0) else {
                let body = answer::body(response, bytes_max).await?;
                return Ok(Response { status, headers: received, url, body });
            };
            hops += 1;
            let next = url.join(next).map_err(|_| FetchError::BadRedirect)?;
            if hops > redirects_max {
                return Err(FetchError::BadRedirect);
            }
            self.policy.check_url(&next).map_err(|_| FetchError::RefusedName)?;
            let asks_for_get = status == StatusCode::SEE_OTHER
                || (method == Method::POST && matches!(status, StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND));
            if asks_for_get && method != Method::HEAD {
                method = Method::GET;
                body = Bytes::new();
                headers.remove(header::CONTENT_TYPE);
            }
            if next.origin() != url.origin() {
                // What was meant for one host is not another's business, and a body may hold a credential as well.
                if !body.is_empty() {
                    return Err(FetchError::BadRedirect);
                }
                let kept = [header::ACCEPT, header::USER_AGENT];
                headers = headers.into_iter().filter_map(|(name, value)| Some((name?, value))).collect();
                let names: Vec<_> = headers.keys().filter(|name| !kept.contains(name)).cloned().collect();
                for name in names {
                    headers.remove(name);
                }
            }
            url = next;
        }
    }

    async fn once(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<reqwest::Response, FetchError> {
        let request = self.client().request(method.clone(), url.clone()).headers(headers.clone()).body(body.clone());
        request.send().await.map_err(|error| {
            let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
            while let Some(inner) = cause {
                if inner.is::<Refused>() {
                    return FetchError::RefusedName;
                }
                cause = inner.source();
            }
            tracing::debug!(host = url.host_str(), %error, "an outgoing call got no answer");
            FetchError::NoAnswer
        })
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| {
            // Another part of the process may have installed the same one.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let builder = || {
                let resolver = CheckedResolver { resolver: self.resolver.clone(), policy: self.policy.clone() };
                Client::builder().no_proxy().referer(false).redirect(redirect::Policy::none()).dns_resolver(resolver)
            };
            // A machine without certificates can still speak plain HTTP.
            let without_certificates = || builder().tls_certs_only([]).build();
            builder()
                .build()
                .or_else(|_| without_certificates())
                .expect("a client without special settings can be built")
        })
    }
}

fn redirect_of(status: StatusCode, headers: &HeaderMap) -> Option<&str> {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
        .then(|| headers.get(header::LOCATION).and_then(|value| value.to_str().ok()))
        .flatten()
}
