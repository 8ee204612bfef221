//! One HAR entry as a record.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use portolan_record::{BoundExceeded, RECORD_BYTES_MAX, Record};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::body;
use crate::{Target, error};

/// Reads one entry. The inner error is the reason why this entry alone is refused.
///
/// # Errors
/// The outer error says that the text is not JSON.
pub(super) fn record<'a>(json: &'a [u8], target: &Target) -> Result<Result<Record<'a>, String>, serde_json::Error> {
    if json.first().is_some_and(|byte| !matches!(byte, b'{')) {
        return serde_json::from_slice::<IgnoredAny>(json).map(|_| Err("the entry is not an object".to_owned()));
    }
    match serde_json::from_slice::<Entry<'a>>(json) {
        Ok(entry) => Ok(build(entry, target)),
        Err(fault) if fault.is_data() => {
            // The parser stopped at the wrong type, so what follows is unchecked.
            serde_json::from_slice::<IgnoredAny>(json).map(|_| Err(error::reason(&fault)))
        }
        Err(fault) => Err(fault),
    }
}

/// The entry with stray bytes and unpaired surrogate escapes replaced by U+FFFD.
pub(super) fn repair(json: &[u8]) -> String {
    let text = String::from_utf8_lossy(json);
    let mut repaired = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(at) = rest.find('\\') {
        repaired.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = match (escaped_unit(rest), rest.get(6..).and_then(escaped_unit)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(0xD800..=0xDFFF), _) => {
                repaired.push_str("\\ufffd");
                rest = &rest[6..];
                continue;
            }
            _ => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
        };
        repaired.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    repaired.push_str(rest);
    repaired
}

/// The code unit of the escape, `\u` and four hexadecimal digits, that the text starts with.
fn escaped_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

/// The record of a parsed entry, or why it is refused.
pub(super) fn build<'a>(entry: Entry<'a>, target: &Target) -> Result<Record<'a>, String> {
    let request = entry.request.ok_or("the member `request` is missing")?;
    let response = entry.response.ok_or("the member `response` is missing")?;
    let url = request.url.required("request.url")?;
    check_url(&url)?;
    let url = match portolan_path::without_credentials(&url) {
        Cow::Owned(url) => Cow::Owned(url),
        Cow::Borrowed(_) => url,
    };
    let method = request.method.required("request.method")?;
    let status_code = response.status.status()?;
    let mut request_headers = Headers::new(request.headers, "request.headers")?;
    request_headers.default_cookies(request.cookies, "request.cookies")?;
    let mut response_headers = Headers::new(response.headers, "response.headers")?;
    let request_payload = match request.post_data {
        Some(post) => {
            let payload = post.payload(&request_headers)?;
            request_headers.default_type(&payload, post_mime(&post.mime_type, &post.text));
            payload
        }
        None => Cow::Borrowed(""),
    };
    let response_payload = match response.content {
        Some(content) => {
            let text = content.text.optional("response.content.text")?;
            let payload = decoded(text, &content.encoding, &content.mime_type, &response_headers);
            response_headers.default_type(&payload, &content.mime_type);
            payload
        }
        None => Cow::Borrowed(""),
    };
    let protocol = match request.http_version.optional("request.httpVersion")? {
        version if version.is_empty() => Cow::Borrowed("HTTP/1.1"),
        version => version,
    };
    let record = Record {
        account_id: target.account_id,
        collection_id: target.collection_id,
        source: target.source,
        method,
        path: url,
        protocol,
        request_headers: request_headers.json().into(),
        request_payload,
        response_headers: response_headers.json().into(),
        response_payload,
        status_code,
        status: response.status_text.optional("response.statusText")?,
        time: started(&entry.started).map_or(target.time, |time| time.min(target.time)),
        ip: Cow::Borrowed("null"),
        direction: 1,
        ..Record::default()
    };
    check_bounds(&record).map_err(|bound| bound.to_string())?;
    Ok(record)
}

/// When the call was made, in Unix seconds, where the capture says it.
fn started(text: &Text<'_>) -> Option<i64> {
    let Text::Is(text) = text else { return None };
    let time = OffsetDateTime::parse(text.trim(), &Rfc3339).ok()?.unix_timestamp();
    (time > 0).then_some(time)
}

/// Captures also hold what a page loads from itself: `data:`, `blob:`, `chrome-extension:`. None of it is a call.
fn check_url(url: &str) -> Result<(), String> {
    let (scheme, rest) = url.split_once(':').unwrap_or_default();
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
        // What stands before a port is a host.
        && !rest.starts_with(|c: char| c.is_ascii_digit());
    if is_scheme && !["http", "https", "ws", "wss"].iter().any(|name| scheme.eq_ignore_ascii_case(name)) {
        return Err(format!("request.url is not an HTTP address: its scheme is `{}`", cut(scheme, 40)));
    }
    Ok(())
}

fn check_bounds(record: &Record<'_>) -> Result<(), BoundExceeded> {
    record.check_bounds()?;
    let texts = [
        &record.method,
        &record.path,
        &record.protocol,
        &record.request_headers,
        &record.request_payload,
        &record.response_headers,
        &record.response_payload,
        &record.status,
    ];
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    // A byte takes at most six in JSON (`\u0000`), so most records need not be written to know that they fit.
    const FIXED_BYTES: usize = 1024;
    if bytes * 6 + FIXED_BYTES <= RECORD_BYTES_MAX {
        return Ok(());
    }
    record.to_bounded_json().map(drop)
}

/// A body as text, in whatever form the capture holds it.
fn decoded<'a>(text: Cow<'a, str>, encoding: &Text<'_>, mime: &Text<'_>, headers: &Headers<'_>) -> Cow<'a, str> {
    if !encoding.is("base64") {
        return text;
    }
    let mime = if let Text::Is(mime) = mime { mime } else { "" };
    body::decode(&text, mime, headers.coding()).into()
}

/// The media type that a body's member declares; a params-only body is written as a form, whatever was declared.
fn post_mime<'t, 'a>(mime: &'t Text<'a>, text: &Text<'a>) -> &'t Text<'a> {
    const FORM: &Text<'static> = &Text::Is(Cow::Borrowed("application/x-www-form-urlencoded"));
    if matches!(text, Text::Is(text) if !text.is_empty()) { mime } else { FORM }
}

fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Headers by lower-case name, sorted; a later value replaces an earlier one, cookies join.
struct Headers<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Headers<'a> {
    fn new(given: Option<Vec<Pair<'a>>>, place: &'static str) -> Result<Self, String> {
        let given = given.unwrap_or_default();
        let mut all = Vec::with_capacity(given.len());
        for pair in given {
            let name = lower(pair.name.optional(place)?);
            let name = if name == ":authority" { Cow::Borrowed("host") } else { name };
            if name.is_empty() || name.starts_with(':') || name.contains(' ') {
                continue;
            }
            all.push((name, pair.value.optional(place)?));
        }
        all.sort_by(|left, right| left.0.cmp(&right.0));
        let mut merged: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::with_capacity(all.len());
        for (name, value) in all {
            match merged.last_mut() {
                Some(last) if last.0 == name => match &*name {
                    "cookie" => append(&mut last.1, "; ", &value),
                    // One line a cookie, as browsers write several of them into one header of a capture.
                    "set-cookie" => append(&mut last.1, "\n", &value),
                    _ => last.1 = value,
                },
                _ => merged.push((name, value)),
            }
        }
        Ok(Self(merged))
    }

    /// How the body was compressed on its way (RFC 9110 section 8.4), empty where nothing says it.
    fn coding(&self) -> &str {
        let place = self.0.binary_search_by(|(name, _)| (**name).cmp("content-encoding"));
        place.map_or("", |at| &*self.0[at].1)
    }

    /// Adds the media type that stands beside a body whose headers do not say it.
    fn default_type(&mut self, payload: &str, mime: &Text<'a>) {
        const NAME: &str = "content-type";
        if let Text::Is(mime) = mime
            && !mime.is_empty()
            && !payload.is_empty()
            && let Err(at) = self.0.binary_search_by(|(name, _)| (**name).cmp(NAME))
        {
            self.0.insert(at, (Cow::Borrowed(NAME), mime.clone()));
        }
    }

    /// Adds the cookies that stand beside headers without them.
    fn default_cookies(&mut self, cookies: Option<Vec<Pair<'a>>>, place: &'static str) -> Result<(), String> {
        const NAME: &str = "cookie";
        let Err(at) = self.0.binary_search_by(|(name, _)| (**name).cmp(NAME)) else { return Ok(()) };
        let mut header = String::new();
        for pair in cookies.unwrap_or_default() {
            let separator = if header.is_empty() { "" } else { "; " };
            let (name, value) = (pair.name.optional(place)?, pair.value.optional(place)?);
            if !name.is_empty() {
                header.push_str(&format!("{separator}{name}={value}"));
            }
        }
        if !header.is_empty() {
            self.0.insert(at, (Cow::Borrowed(NAME), Cow::Owned(header)));
        }
        Ok(())
    }

    fn json(&self) -> String {
        let mut json = Vec::with_capacity(2 + self.0.iter().map(|(n, v)| n.len() + v.len() + 8).sum::<usize>());
        let mut map = serde_json::Serializer::new(&mut json);
        serde::Serializer::collect_map(&mut map, self.0.iter().map(|(name, value)| (&**name, &**value)))
            .expect("text always serializes");
        String::from_utf8(json).expect("JSON is UTF-8")
    }
}

/// Joins in place, so that many headers of one name cost what their bytes do.
fn append(value: &mut Cow<'_, str>, separator: &str, next: &str) {
    let text = value.to_mut();
    text.push_str(separator);
    text.push_str(next);
}

fn lower(name: Cow<'_, str>) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) { Cow::Owned(name.to_ascii_lowercase()) } else { name }
}

#[derive(Deserialize)]
#[serde(expecting = "an entry object")]
pub(super) struct Entry<'a> {
    #[serde(borrow, default, rename = "startedDateTime")]
    started: Text<'a>,
    #[serde(borrow, default)]
    request: Option<Request<'a>>,
    #[serde(borrow, default)]
    response: Option<Response<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a request object")]
struct Request<'a> {
    #[serde(borrow, default)]
    method: Text<'a>,
    #[serde(borrow, default)]
    url: Text<'a>,
    #[serde(borrow, default)]
    http_version: Text<'a>,
    #[serde(borrow, default)]
    headers: Option<Vec<Pair<'a>>>,
    #[serde(borrow, default)]
    cookies: Option<Vec<Pair<'a>>>,
    #[serde(borrow, default)]
    post_data: Option<PostData<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a response object")]
struct Response<'a> {
    #[serde(borrow, default)]
    status: Text<'a>,
    #[serde(borrow, default)]
    status_text: Text<'a>,
    #[serde(borrow, default)]
    headers: Option<Vec<Pair<'a>>>,
    #[serde(borrow, default)]
    content: Option<Content<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a postData object")]
struct PostData<'a> {
    #[serde(borrow, default)]
    mime_type: Text<'a>,
    #[serde(borrow, default)]
    text: Text<'a>,
    #[serde(borrow, default)]
    encoding: Text<'a>,
    #[serde(borrow, default)]
    params: Option<Vec<Pair<'a>>>,
}

impl<'a> PostData<'a> {
    fn payload(&self, headers: &Headers<'_>) -> Result<Cow<'a, str>, String> {
        let text = self.text.clone().optional("request.postData.text")?;
        if !text.is_empty() {
            return Ok(decoded(text, &self.encoding, &self.mime_type, headers));
        }
        let mut form = String::new();
        for pair in self.params.iter().flatten() {
            if !form.is_empty() {
                form.push('&');
            }
            encode(&mut form, &pair.name.clone().optional("request.postData.params")?);
            form.push('=');
            encode(&mut form, &pair.value.clone().optional("request.postData.params")?);
        }
        Ok(Cow::Owned(form))
    }
}

/// Appends a name or value in the form encoding.
fn encode(form: &mut String, text: &str) {
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_').remove(b' ');
    for part in utf8_percent_encode(text, RESERVED) {
        form.extend(part.chars().map(|c| if c == ' ' { '+' } else { c }));
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a content object")]
struct Content<'a> {
    #[serde(borrow, default)]
    mime_type: Text<'a>,
    #[serde(borrow, default)]
    text: Text<'a>,
    #[serde(borrow, default)]
    encoding: Text<'a>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with `name` and `value`")]
struct Pair<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    value: Text<'a>,
}

/// A member that should be text; the wrong type is kept as such, so that the entry's refusal can name the member.
#[derive(Clone, Default)]
enum Text<'a> {
    #[default]
    Absent,
    Wrong,
    Is(Cow<'a, str>),
}

impl<'a> Text<'a> {
    fn optional(self, place: &str) -> Result<Cow<'a, str>, String> {
        match self {
            Self::Absent => Ok(Cow::Borrowed("")),
            Self::Wrong => Err(format!("the member `{place}` is not text")),
            Self::Is(text) => Ok(text),
        }
    }

    fn required(self, place: &str) -> Result<Cow<'a, str>, String> {
        match self.optional(place)? {
            text if text.trim().is_empty() => Err(format!("the member `{place}` is missing")),
            text => Ok(text),
        }
    }

    fn is(&self, expected: &str) -> bool {
        matches!(self, Self::Is(text) if text.eq_ignore_ascii_case(expected))
    }

    /// A status code, 0 for a call that got no answer.
    fn status(self) -> Result<i32, String> {
        match self.optional("response.status")? {
            text if text.is_empty() => Ok(0),
            text => match text.parse() {
                Ok(code @ 0..=999) => Ok(code),
                _ => Err(format!("the member `response.status` is not a status code: {}", cut(&text, 40))),
            },
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text::Is(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text::Is(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Text<'de>, E> {
        Ok(Text::Is(Cow::Owned(number.to_string())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Text<'de>, E> {
        Ok(Text::Is(Cow::Owned(number.to_string())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Text<'de>, E> {
        Ok(Text::Is(Cow::Owned(number.to_string())))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Text<'de>, E> {
        Ok(Text::Is(Cow::Borrowed(if value { "true" } else { "false" })))
    }

    fn visit_unit<E>(self) -> Result<Text<'de>, E> {
        Ok(Text::Absent)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Text<'de>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text::Wrong)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Text<'de>, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text::Wrong)
    }
}
