use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::Serialize;

/// One outgoing call with its limits: 10 s, 10 MiB and 3 redirects unless said otherwise.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) time_max: Duration,
    pub(crate) bytes_max: usize,
    pub(crate) redirects_max: usize,
}

/// Headers that belong to the connection; a caller cannot set them.
const OF_THE_CONNECTION: [HeaderName; 7] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::ACCEPT_ENCODING,
];

impl Request {
    /// A request without headers and body.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            time_max: Duration::from_secs(10),
            bytes_max: 10 * 1024 * 1024,
            redirects_max: 3,
        }
    }

    /// A GET.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::GET, url)
    }

    /// A POST.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new(Method::POST, url)
    }

    /// Sets a header. A name or value that HTTP does not allow is left out, as is one that belongs to the connection.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value))
            && !OF_THE_CONNECTION.contains(&name)
        {
            self.headers.insert(name, value);
        }
        self
    }

    /// A header whose value no log shows.
    #[must_use]
    pub fn secret_header(mut self, name: &str, value: &str) -> Self {
        self = self.header(name, value);
        if let Ok(name) = HeaderName::try_from(name)
            && let Some(value) = self.headers.get_mut(name)
        {
            value.set_sensitive(true);
        }
        self
    }

    /// With a body, sent as it is.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// A JSON body with its content type.
    #[must_use]
    pub fn json(self, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).expect("values of our own always serialize");
        self.header("content-type", "application/json").body(body)
    }

    /// Longest time from start to last byte, all redirects included.
    #[must_use]
    pub fn time_max(mut self, time_max: Duration) -> Self {
        self.time_max = time_max;
        self
    }

    /// Largest answer, after decompression.
    #[must_use]
    pub fn bytes_max(mut self, bytes_max: usize) -> Self {
        self.bytes_max = bytes_max;
        self
    }

    /// Most redirects that are followed, 3 at most; with 0 a redirect is the answer.
    #[must_use]
    pub fn redirects_max(mut self, redirects_max: usize) -> Self {
        self.redirects_max = redirects_max.min(3);
        self
    }
}
