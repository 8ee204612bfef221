//! What a body is and how it is packed, by its headers.

use std::{borrow::Cow, io::Read as _};

use bytes::Bytes;
use encoding_rs::{Encoding, UTF_8};
use flate2::read::MultiGzDecoder;
use http::{HeaderMap, header};
use portolan_api::{Error, Reason};

use portolan_runtime::budget::Hold;

/// Bytes that are unpacked before what they hold is counted again.
const PIECE_BYTES: usize = 64 * 1024;

/// How the members of a request are written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    /// `application/x-www-form-urlencoded`.
    Pairs,
    /// `multipart/form-data`.
    Parts {
        boundary: String,
    },
}

impl Form {
    /// That of an unpacked body. A body without a content type that begins like an object is JSON, and so is one that
    /// is announced as pairs, as some tools do unasked: in pairs that character is always escaped.
    ///
    /// # Errors
    /// `CONTENT_TYPE_UNSUPPORTED`; `MEMBER_TYPE` for parts without a boundary.
    pub fn of(headers: &HeaderMap, body: &[u8]) -> Result<Self, Error> {
        let is_object = || body.trim_ascii_start().first() == Some(&b'{');
        match &*media_type(headers) {
            "application/json" => Ok(Self::Json),
            "" if body.is_empty() || is_object() => Ok(Self::Json),
            "application/x-www-form-urlencoded" if is_object() => Ok(Self::Json),
            "application/x-www-form-urlencoded" => Ok(Self::Pairs),
            "multipart/form-data" => match parameter(headers, "boundary") {
                Some(boundary) => Ok(Self::Parts { boundary }),
                None => Err(unreadable("names no boundary in its content type")),
            },
            _ if body.is_empty() => Ok(Self::Json),
            _ => Err(Reason::ContentTypeUnsupported.into()),
        }
    }
}

/// Refuses what is known to be unreadable before any of it has arrived.
///
/// # Errors
/// `CONTENT_TYPE_UNSUPPORTED` for an unknown content type or encoding.
pub(super) fn check(headers: &HeaderMap) -> Result<(), Error> {
    const TYPES: [&str; 4] = ["", "application/json", "application/x-www-form-urlencoded", "multipart/form-data"];
    let is_known = TYPES.contains(&&*media_type(headers));
    if is_known && packing(headers).is_some() { Ok(()) } else { Err(Reason::ContentTypeUnsupported.into()) }
}

/// The body without its compression, within the limit for bodies and what its owner may hold.
///
/// # Errors
/// `BODY_TOO_LARGE`, `MEMBER_TYPE` for what is no gzip, those of the budget.
pub(super) fn unpack(headers: &HeaderMap, body: Bytes, limit: usize, hold: &mut Hold) -> Result<Bytes, Error> {
    if body.is_empty() || packing(headers) != Some(Packing::Gzip) {
        return Ok(body);
    }
    let mut unpacked = Vec::new();
    let mut decoder = MultiGzDecoder::new(&*body);
    loop {
        let start = unpacked.len();
        let taken = (&mut decoder).take(PIECE_BYTES as u64).read_to_end(&mut unpacked);
        taken.map_err(|_| unreadable("is no gzip"))?;
        if unpacked.len() == start {
            return Ok(unpacked.into());
        }
        if unpacked.len() > limit {
            return Err(Error::new(Reason::BodyTooLarge).with("limit", limit));
        }
        hold.grow(unpacked.len() - start)?;
    }
}

/// A body that is none of its form.
pub(super) fn unreadable(detail: &str) -> Error {
    Error::new(Reason::MemberType).with("member", "body").with("detail", detail)
}

/// JSON text in UTF-8, from the charset that the content type names.
///
/// # Errors
/// `BODY_NOT_JSON` for text that is not in its charset.
pub(super) fn text<'b>(headers: &HeaderMap, body: &'b Bytes) -> Result<Cow<'b, [u8]>, Error> {
    let Some(label) = parameter(headers, "charset") else {
        if std::str::from_utf8(body).is_err() {
            let detail = "it is not UTF-8, and its content type names no charset";
            return Err(Error::new(Reason::BodyNotJson).with("detail", detail));
        }
        return Ok(Cow::Borrowed(body));
    };
    let refused = |detail: &str| Error::new(Reason::BodyNotJson).with("detail", detail);
    let encoding = Encoding::for_label(label.as_bytes()).ok_or_else(|| refused("its charset is not known"))?;
    if encoding == UTF_8 {
        return Ok(Cow::Borrowed(body));
    }
    let (text, _, has_errors) = encoding.decode(body);
    if has_errors { Err(refused("it is not in its charset")) } else { Ok(text.into_owned().into_bytes().into()) }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
}

/// `None` for one that is not read.
fn packing(headers: &HeaderMap) -> Option<Packing> {
    match &*value(headers, &header::CONTENT_ENCODING).to_ascii_lowercase() {
        "" | "identity" => Some(Packing::Plain),
        "gzip" | "x-gzip" => Some(Packing::Gzip),
        _ => None,
    }
}

/// In lower case, without parameters; empty when there is none.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let value = value(headers, &header::CONTENT_TYPE);
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A parameter of the content type, without its quotes.
fn parameter(headers: &HeaderMap, name: &str) -> Option<String> {
    let parameters = value(headers, &header::CONTENT_TYPE).split(';').skip(1);
    let mut pairs = parameters.filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case(name))?;
    let value = value.trim().trim_matches('"');
    (!value.is_empty()).then(|| value.to_owned())
}

fn value<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use portolan_runtime::budget::{CallBudget, Owner};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_form_follows_the_content_type() {
        let form = |content_type: &'static str, body: &str| {
            Form::of(&headers(&[("content-type", content_type)]), body.as_bytes())
        };
        assert_eq!(form("application/json; charset=latin1", "x").unwrap(), Form::Json);
        assert_eq!(form("Application/X-WWW-Form-Urlencoded", "a=1").unwrap(), Form::Pairs);
        assert_eq!(form("application/x-www-form-urlencoded", " {}").unwrap(), Form::Json);
        assert_eq!(form("multipart/form-data; boundary=\"b c\"", "").unwrap(), Form::Parts { boundary: "b c".into() });
        assert_eq!(form("multipart/form-data", "x").unwrap_err().reason(), Reason::MemberType);
        assert_eq!(form("text/plain", "{}").unwrap_err().reason(), Reason::ContentTypeUnsupported);
        assert_eq!(Form::of(&HeaderMap::new(), b"\n{}").unwrap(), Form::Json);
        assert_eq!(Form::of(&HeaderMap::new(), b"a=1").unwrap_err().reason(), Reason::ContentTypeUnsupported);
    }

    #[test]
    fn gzip_is_unpacked_within_the_limit_and_the_budget() {
        let packed = |bytes: usize| -> Bytes {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&vec![b' '; bytes]).unwrap();
            encoder.finish().unwrap().into()
        };
        let budget = CallBudget::new(1 << 20, 1 << 20);
        let read = |body: Bytes, limit| {
            unpack(&headers(&[("content-encoding", "gzip")]), body, limit, &mut budget.hold(Owner::Account(1.into())))
                .map(|body| body.len())
                .map_err(|error| error.reason())
        };
        assert_eq!(read(packed(300_000), 300_000), Ok(300_000));
        assert_eq!(read(packed(300_001), 300_000), Err(Reason::BodyTooLarge));
        assert_eq!(read(packed(1 << 21), 1 << 22), Err(Reason::BodiesShareExceeded));
        assert_eq!(read("{}".into(), 10), Err(Reason::MemberType));
        assert_eq!(read(Bytes::new(), 10), Ok(0));
    }

    #[test]
    fn json_is_read_in_its_charset() {
        let read = |content_type: &'static str, body: &'static [u8]| {
            let body = Bytes::from_static(body);
            text(&headers(&[("content-type", content_type)]), &body)
                .map(|text| String::from_utf8(text.into_owned()).unwrap())
        };
        assert_eq!(read("application/json; charset=iso-8859-1", b"\"\xe9\"").unwrap(), "\"é\"");
        assert_eq!(read("application/json; charset=utf-8", "\"é\"".as_bytes()).unwrap(), "\"é\"");
        for (content_type, body) in [
            ("application/json", &b"\"\xe9\""[..]),
            ("application/json; charset=nonsense", b"{}"),
            ("application/json; charset=utf-16le", b"{\0\x00\xd8"),
        ] {
            assert_eq!(read(content_type, body).unwrap_err().reason(), Reason::BodyNotJson, "{content_type}");
        }
    }
}
