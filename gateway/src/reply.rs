//! The answer to a request: its body in memory, its headers, and what every answer carries.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use portolan_api::{Error, common::v1::Carrier};
use portolan_authz::SESSION_COOKIE;

use crate::{codec, deprecation};

/// Every answer is made in memory: answers are bounded, and an idempotent one is stored before it is sent.
pub(crate) type Reply = Response<Bytes>;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const ACCESS_TOKEN: HeaderName = HeaderName::from_static("access-token");

/// The 200 of an RPC.
pub(crate) fn from_answer(answer: codec::Answer) -> Result<Reply, Error> {
    let mut reply = json(Bytes::from(answer.body));
    for (carrier, value) in answer.carriers {
        let (name, value) = match carrier {
            Carrier::AccessToken => (ACCESS_TOKEN, value),
            Carrier::SessionCookie => (header::SET_COOKIE, session_cookie(&value)?),
            Carrier::Successor => (header::LINK, deprecation::successor_link(&value)),
            Carrier::Unspecified => continue,
        };
        let value = HeaderValue::from_str(&value).map_err(|_| Error::internal("a carrier value is no header value"))?;
        reply.headers_mut().append(name, value);
    }
    Ok(reply)
}

pub(crate) fn json(body: Bytes) -> Reply {
    let mut reply = Response::new(body);
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

/// Lets pages of every origin read the answer: what it shows was asked for with a credential that browsers never add
/// by themselves.
pub(crate) fn allow_every_origin(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, content-type, *"));
}

/// Adds what every answer carries. A header that the answer has already stays.
pub(crate) fn finish(headers: &mut HeaderMap, request_id: &HeaderValue) {
    const ALWAYS: [(HeaderName, &str); 5] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
    ];
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.insert(REQUEST_ID, request_id.clone());
}

/// The cookie that starts a session, or ends it when the value is empty.
fn session_cookie(value: &str) -> Result<String, Error> {
    let is_cookie_octet = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\');
    if !value.bytes().all(is_cookie_octet) {
        return Err(Error::internal("a session value is no cookie value"));
    }
    let end = if value.is_empty() { "; Max-Age=0" } else { "" };
    Ok(format!("{SESSION_COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carriers_become_headers() {
        let carriers = vec![(Carrier::AccessToken, "jwt".to_owned()), (Carrier::SessionCookie, "abc".to_owned())];
        let reply = from_answer(codec::Answer { body: b"{}".to_vec(), carriers }).unwrap();
        assert_eq!(reply.headers()["access-token"], "jwt");
        assert_eq!(
            reply.headers()["set-cookie"],
            "__Host-portolan-session=abc; Path=/; Secure; HttpOnly; SameSite=Lax"
        );
    }

    #[test]
    fn an_empty_session_ends_and_a_forged_one_is_refused() {
        assert!(session_cookie("").unwrap().ends_with("; Max-Age=0"));
        assert!(session_cookie("a; Domain=evil").is_err());
    }
}
