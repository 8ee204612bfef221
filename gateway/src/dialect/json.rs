//! Requests with a JSON object as body, and parameters in path and query.

use bytes::Bytes;
use http::header;
use portolan_api::{
    Error, Reason, Who,
    options::{BODY_BYTES_MAX, PUBLIC_BYTES_MAX},
};

use super::asked::Asked;
use crate::{
    codec::{self, Manner},
    query::{encode_cookies, encode_params, encode_query},
    routes::BodyRule,
};

/// How much of the body is read; `None` for a route that takes none.
///
/// # Errors
/// `CONTENT_TYPE_UNSUPPORTED` for a body that is announced as something else.
pub(super) fn body_limit(asked: &Asked<'_>, is_empty: bool) -> Result<Option<usize>, Error> {
    if asked.route.body == BodyRule::None {
        return Ok(None);
    }
    if !takes_json(asked) && asked.headers().contains_key(header::CONTENT_TYPE) && !is_empty {
        return Err(Reason::ContentTypeUnsupported.into());
    }
    Ok(Some(bytes_max(asked)))
}

/// Most bytes of a body on this route.
pub(super) fn bytes_max(asked: &Asked<'_>) -> usize {
    if asked.route.rpc.policy.who == Who::Public { PUBLIC_BYTES_MAX } else { BODY_BYTES_MAX }
}

/// Appends the request message.
///
/// # Errors
/// `CONTENT_TYPE_UNSUPPORTED`, and those of the codec and of parameters.
pub(super) fn to_wire(asked: &Asked<'_>, body: &Bytes, out: &mut Vec<u8>) -> Result<(), Error> {
    let (plans, route) = (asked.plans(), asked.route);
    if route.body != BodyRule::None {
        if !body.is_empty() && !takes_json(asked) {
            return Err(Reason::ContentTypeUnsupported.into());
        }
        out.reserve(body.len());
        let only = if let BodyRule::Field(index) = route.body { Some(index) } else { None };
        codec::json_to_wire(plans, route.rpc.request, only, body, Manner::Strict, out)?;
    }
    encode_query(plans, route, asked.query(), out)?;
    encode_params(plans, route, asked.values, out)?;
    encode_cookies(plans, route, asked.headers(), out)
}

/// Whether the body is plain JSON: the media type, whatever its parameters, and no compression.
fn takes_json(asked: &Asked<'_>) -> bool {
    is_plain_json(asked.header(header::CONTENT_TYPE), asked.header(header::CONTENT_ENCODING))
}

fn is_plain_json(content_type: &str, encoding: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("application/json")
        && (encoding.is_empty() || encoding.eq_ignore_ascii_case("identity"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_may_name_a_charset() {
        assert!(
            is_plain_json("application/json", "") && is_plain_json("Application/JSON ; charset=latin1", "identity")
        );
        assert!(!is_plain_json("application/jsonp", "") && !is_plain_json("text/plain", "") && !is_plain_json("", ""));
        assert!(!is_plain_json("application/json", "gzip"));
    }
}
