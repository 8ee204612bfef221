//! The answer to a request: its body in memory, its headers, and what every answer carries.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use portolan_api::{Error, common::v1::Carrier};
use portolan_authz::SESSION_COOKIE;

use crate::{
    codec,
    cookie::{self, LOGIN_COOKIE, LOGIN_COOKIE_S},
    deprecation,
};

/// Every answer is made in memory: answers are bounded, and an idempotent one is stored before it is sent.
pub(crate) type Reply = Response<Bytes>;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const ACCESS_TOKEN: HeaderName = HeaderName::from_static("access-token");

/// The answer of an RPC: 200, or a redirect.
pub(crate) fn from_answer(answer: codec::Answer) -> Result<Reply, Error> {
    let mut reply = json(Bytes::from(answer.body));
    for (carrier, value) in answer.carriers {
        let (name, value) = match carrier {
            Carrier::AccessToken => (ACCESS_TOKEN, value),
            Carrier::SessionCookie => (header::SET_COOKIE, cookie::set(SESSION_COOKIE, &value, "")?),
            Carrier::LoginCookie => {
                (header::SET_COOKIE, cookie::set(LOGIN_COOKIE, &value, &format!("; Max-Age={LOGIN_COOKIE_S}"))?)
            }
            Carrier::Location => {
                *reply.status_mut() = StatusCode::FOUND;
                (header::LOCATION, value)
            }
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
    fn a_location_is_a_redirect() {
        let carriers = vec![(Carrier::Location, "/x".to_owned()), (Carrier::LoginCookie, "abc".to_owned())];
        let reply = from_answer(codec::Answer { body: b"{}".to_vec(), carriers }).unwrap();
        assert_eq!(
            (reply.status(), &reply.headers()["location"]),
            (StatusCode::FOUND, &HeaderValue::from_static("/x"))
        );
        assert!(reply.headers()["set-cookie"].to_str().unwrap().ends_with("SameSite=Lax; Max-Age=600"));
    }
}
