use std::borrow::Cow;

use super::dictionary::stays_literal;
use super::identifiers::{
    file_of, handle, is_date_list_or_version, is_digest, is_domain, is_padded, is_period, is_resource_name,
    is_standard_locale, looks_random, looks_shuffled,
};
use crate::text::contains_ignoring_case;
use crate::{Detectors, SubType};

/// The kind of a variable segment.
pub use portolan_path::Kind as Variable;
pub use portolan_path::decoded;

/// A URL in two parts: what is never templated, and the segments of its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitUrl<'a> {
    /// Scheme and host of an absolute URL, up to the path's first `/`; empty for a path.
    pub origin: &'a str,
    /// The path without its one leading and one trailing `/`.
    pub path: &'a str,
    starts_with_slash: bool,
    ends_with_slash: bool,
}

impl<'a> SplitUrl<'a> {
    /// Splits a URL whose query and fragment are cut off.
    pub fn new(url: &'a str) -> Self {
        let authority = ["http://", "https://"].into_iter().find(|scheme| url.starts_with(scheme));
        let (origin, rest) = match authority {
            Some(scheme) => {
                let end = url[scheme.len()..].find('/').map_or(url.len(), |at| scheme.len() + at);
                url.split_at(end)
            }
            None => ("", url),
        };
        let inner = rest.strip_prefix('/').unwrap_or(rest);
        let path = inner.strip_suffix('/').unwrap_or(inner);
        Self { origin, path, starts_with_slash: rest.starts_with('/'), ends_with_slash: inner.ends_with('/') }
    }

    /// The path's segments; none for an empty path.
    pub fn segments(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let path = self.path;
        path.split('/').take(if path.is_empty() { 0 } else { usize::MAX })
    }

    /// Whether two URLs are the same outside their segments: origin, leading and trailing `/`.
    pub fn has_frame_of(&self, other: &SplitUrl<'_>) -> bool {
        (self.origin, self.starts_with_slash, self.ends_with_slash)
            == (other.origin, other.starts_with_slash, other.ends_with_slash)
    }

    /// The text in front of the segments and the text behind them.
    pub fn frame(&self) -> (String, &'static str) {
        let slash = if self.starts_with_slash { "/" } else { "" };
        (format!("{}{slash}", self.origin), if self.ends_with_slash { "/" } else { "" })
    }

    /// The URL with other segments.
    pub fn with_segments<'s>(&self, segments: impl IntoIterator<Item = &'s str>) -> String {
        let mut url = String::with_capacity(self.origin.len() + self.path.len() + 16);
        url.push_str(self.origin);
        if self.starts_with_slash {
            url.push('/');
        }
        for (index, segment) in segments.into_iter().enumerate() {
            if index > 0 {
                url.push('/');
            }
            url.push_str(segment);
        }
        if self.ends_with_slash {
            url.push('/');
        }
        url
    }
}

/// What stands in a segment that became variable, or in a variable part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableToken<'a> {
    /// Place among the path's segments, from 0.
    pub index: usize,
    /// The segment as it stands in the path.
    pub token: &'a str,
}

/// The part of a record's path that names an endpoint: without query and fragment.
pub fn without_query(path: &str) -> &str {
    path.split(['?', '#']).next().unwrap_or_default()
}

/// Whether the URL may hold variable segments at all. GraphQL endpoints never do.
pub fn is_templatable(url: &str) -> bool {
    const GRAPHQL: &str = "graphql";
    !contains_ignoring_case(url, GRAPHQL)
        || !SplitUrl::new(url).segments().any(|segment| segment.eq_ignore_ascii_case(GRAPHQL))
}

/// The template of one URL alone: each segment that is visibly an identifier becomes its kind. Needs no second URL, so
/// it depends on nothing but the URL and the detectors.
pub fn shape<'a>(url: &'a str, detectors: &Detectors) -> (Cow<'a, str>, Vec<VariableToken<'a>>) {
    if !is_templatable(url) {
        return (Cow::Borrowed(url), Vec::new());
    }
    let split = SplitUrl::new(url);
    let is_single = !split.path.contains('/');
    let mut found = Vec::new();
    let mut shaped: Vec<(usize, Cow<'static, str>)> = Vec::new();
    let mut previous = None;
    for (index, token) in split.segments().enumerate() {
        match variable_of(token, previous.replace(token), is_single, detectors) {
            Some(Shape::Whole(variable)) => {
                found.push(VariableToken { index, token });
                shaped.push((index, Cow::Borrowed(variable.token())));
            }
            Some(Shape::Parts(words, tokens)) => {
                found.extend(tokens.into_iter().map(|token| VariableToken { index, token }));
                shaped.push((index, Cow::Owned(words)));
            }
            None => {}
        }
    }
    if shaped.is_empty() {
        return (Cow::Borrowed(url), found);
    }
    let mut next = shaped.iter().peekable();
    let shaped = split.with_segments(
        split
            .segments()
            .enumerate()
            .map(|(at, token)| next.next_if(|(index, _)| *index == at).map_or(token, |found| &*found.1)),
    );
    (Cow::Owned(shaped), found)
}

/// What a segment is when it is no literal.
enum Shape<'a> {
    Whole(Variable),
    /// The segment with words in place of its variable parts, and those parts.
    Parts(String, Vec<&'a str>),
}

fn variable_of<'a>(
    token: &'a str,
    previous: Option<&str>,
    is_single: bool,
    detectors: &Detectors,
) -> Option<Shape<'a>> {
    let bytes = token.as_bytes();
    // Most segments are words without a digit; only an e-mail address, a key or a phone number is anything else.
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    if digits == 0
        && !bytes.iter().any(|byte| matches!(byte, b'@' | b'%' | b':' | b'.' | b'\'' | b'='))
        && bytes.len() != 24
        && bytes.len() != 36
    {
        return None;
    }
    if digits < bytes.len() && stays_literal(token) {
        return None;
    }
    if let Some(name) = handle(token) {
        return Some(Shape::Parts(format!("@{}", Variable::String.token()), vec![name]));
    }
    let text = decoded(token);
    if let Some(variable) = number(&text) {
        return Some(Shape::Whole(variable));
    }
    if is_object_id(token) {
        return Some(Shape::Whole(Variable::ObjectId));
    }
    if crate::detect::is_uuid(token) || is_date_list_or_version(token) || is_period(token, previous) {
        return Some(Shape::Whole(Variable::String));
    }
    if is_resource_name(token) || (previous.is_some() && is_domain(token)) {
        return Some(Shape::Whole(Variable::String));
    }
    if let Some(parts) = parts_of(token) {
        return Some(parts);
    }
    let detected = || detectors.detect_text("", &text).sub_type;
    if !is_single && !matches!(detected(), SubType::Generic | SubType::Other) {
        return Some(Shape::Whole(Variable::String));
    }
    // Digits of an ending say nothing: `seg-17.m4s`.
    let is_random = file_of(token).is_none() && (looks_random(token) || looks_shuffled(token) || is_padded(token));
    is_random.then_some(Shape::Whole(Variable::String))
}

/// Whether a part of a segment is visibly an identifier, and its kind.
fn identifier(part: &str) -> Option<Variable> {
    if let Some(variable) = number(part) {
        return Some(variable);
    }
    let is_any = is_digest(part)
        || crate::detect::is_uuid(part)
        || is_date_list_or_version(part)
        || looks_random(part)
        || looks_shuffled(part)
        || crate::detect::is_email(part);
    is_any.then_some(Variable::String)
}

/// A segment that has its variable in a part: a custom verb, keys in parentheses, the name of a file.
fn parts_of(token: &str) -> Option<Shape<'_>> {
    if let Some((id, verb)) = token.rsplit_once(':')
        && verb.len() >= 3
        && verb.bytes().all(|byte| byte.is_ascii_alphabetic())
        && let Some(kind) = identifier(id)
    {
        return Some(Shape::Parts(format!("{}:{verb}", kind.token()), vec![id]));
    }
    if let Some((name, keys)) = token.strip_suffix(')').and_then(|rest| rest.split_once('('))
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
        && !keys.is_empty()
    {
        return keys_of(name, keys);
    }
    let (front, suffix) = file_of(token)?;
    // The digest of a build: `app.3f2a91bc.js`.
    if !crate::detect::is_uuid(front)
        && let Some(at) = front.rfind(['.', '-']).filter(|at| *at > 0)
        && is_digest(&front[at + 1..])
    {
        return Some(Shape::Parts(format!("{}STRING.{suffix}", &front[..=at]), vec![&front[at + 1..]]));
    }
    // Pictures for screens of other densities: `706@2x.png`.
    let (front, scale) = match front.rsplit_once('@') {
        Some((name, "1x" | "2x" | "3x" | "4x")) => (name, &front[name.len()..]),
        _ => (front, ""),
    };
    let kind = identifier(front).or_else(|| is_standard_locale(front).then_some(Variable::String));
    kind.map(|kind| Shape::Parts(format!("{}{scale}.{suffix}", kind.token()), vec![front]))
}

/// The keys of OData: `('ALFKI')`, `(7)`, `(OrderID=7,Line='x')`.
fn keys_of<'a>(name: &str, keys: &'a str) -> Option<Shape<'a>> {
    let mut words = format!("{name}(");
    let mut found = Vec::new();
    for (at, key) in keys.split(',').enumerate() {
        if at > 0 {
            words.push(',');
        }
        let value = match key.split_once('=') {
            Some((label, value)) => {
                words.push_str(label);
                words.push('=');
                value
            }
            None => key,
        };
        match value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')) {
            Some(text) if !text.is_empty() => {
                words.push_str("'STRING'");
                found.push(text);
            }
            _ => match identifier(value) {
                Some(kind) => {
                    words.push_str(kind.token());
                    found.push(value);
                }
                None => words.push_str(value),
            },
        }
    }
    words.push(')');
    (!found.is_empty()).then_some(Shape::Parts(words, found))
}

/// A whole number is an integer however long it is, so that one parameter has one kind.
fn number(token: &str) -> Option<Variable> {
    match Variable::of_number(token)? {
        Variable::Float if !token.contains('.') => Some(Variable::Integer),
        kind => Some(kind),
    }
}

fn is_object_id(token: &str) -> bool {
    Variable::ObjectId.accepts(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shaped(url: &str) -> String {
        shape(url, &Detectors::default()).0.into_owned()
    }

    #[test]
    fn identifiers_become_their_kind() {
        for (url, expected) in [
            ("/users/42/orders/17", "/users/INTEGER/orders/INTEGER"),
            ("/users/-42", "/users/INTEGER"),
            ("/users/9223372036854775807", "/users/INTEGER"),
            ("/users/9223372036854775808", "/users/INTEGER"),
            ("/prices/1.5", "/prices/FLOAT"),
            ("/a/5f2504e04f8911d39a0c0305", "/a/OBJECT_ID"),
            ("/a/123456789012345678901234", "/a/INTEGER"),
            ("/a/%2B4915112345678", "/a/INTEGER"),
            ("/jobs/7f3c9a12:cancel", "/jobs/STRING:cancel"),
            ("/jobs/42:run", "/jobs/INTEGER:run"),
            ("/jobs:batchDelete", "/jobs:batchDelete"),
            ("/v1/Customers('ALFKI')/Orders", "/v1/Customers('STRING')/Orders"),
            ("/v1/Orders(OrderID=7,Line='x')", "/v1/Orders(OrderID=INTEGER,Line='STRING')"),
            ("/reports/8812.csv", "/reports/INTEGER.csv"),
            ("/static/app.3f2a91bc.js", "/static/app.STRING.js"),
            ("/static/vendor.9c1d22ef.js", "/static/vendor.STRING.js"),
            ("/live/seg00123.ts", "/live/STRING.ts"),
            ("/live/playlist.m3u8", "/live/playlist.m3u8"),
            ("/hash/sha256", "/hash/sha256"),
            ("/closing/2024-05-01", "/closing/STRING"),
            ("/builds/1.4.2/notes", "/builds/STRING/notes"),
            ("/near/48.13,11.57", "/near/STRING"),
            ("/questions/101;204;377/answers", "/questions/STRING/answers"),
            ("https://photographs.example/api/7", "https://photographs.example/api/INTEGER"),
            ("/a/3f2504e0-4f89-11d3-9a0c-0305e82c3301", "/a/STRING"),
            ("/a/zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz", "/a/STRING"),
            ("/a/jane%40mail.org", "/a/STRING"),
            ("/a/jane@mail.org/b", "/a/STRING/b"),
            ("/a/10.1.2.3", "/a/STRING"),
            ("/@octocat", "/@STRING"),
            ("/@acme%2Fcore/1.2.3", "/@STRING/STRING"),
            ("/users/@me", "/users/@me"),
            ("/nodes/VXNlcjo0NzE5OA==", "/nodes/STRING"),
            ("/nodes/VXNlcjo0NzE5OA%3D%3D", "/nodes/STRING"),
            ("/i18n/de-DE.json", "/i18n/STRING.json"),
            ("/i18n/messages.json", "/i18n/messages.json"),
            ("/usage/2024-01-01..2024-02-01", "/usage/STRING"),
            ("/archive/2024-05", "/archive/STRING"),
            ("/admin/api/2024-10/shops", "/admin/api/2024-10/shops"),
            ("/reports/2024-Q1", "/reports/STRING"),
            ("/reports/2024W05", "/reports/STRING"),
            ("/trains/03:34", "/trains/STRING"),
            ("/trains/03:99", "/trains/03:99"),
            ("/s/aB3xY9", "/s/STRING"),
            ("/s/s3Bucket", "/s/s3Bucket"),
            ("/queues/arn:aws:sns:eu-west-1:1:orders", "/queues/STRING"),
            ("/domains/acme-shop.com/records", "/domains/STRING/records"),
            ("/socket.io/x", "/socket.io/x"),
            ("/users/jane@mail.org:block", "/users/STRING:block"),
            ("/tiles/706@2x.png", "/tiles/INTEGER@2x.png"),
            ("/hls/seg-17.m4s", "/hls/seg-17.m4s"),
            ("/hls/seg-1537.m4s", "/hls/STRING.m4s"),
            ("/a/+14155552671", "/a/INTEGER"),
            ("/a/ab123c", "/a/STRING"),
            ("/a/ab12cd", "/a/ab12cd"),
            ("/v1/payments/pay_29QQoUBi66xm2f/callback/29QQoUBi66xm2f", "/v1/payments/STRING/callback/STRING"),
            ("/3", "/INTEGER"),
            ("/alnum12345", "/STRING"),
            ("/jane@mail.org", "/jane@mail.org"),
            ("/books/", "/books/"),
            ("/books/7/", "/books/INTEGER/"),
            ("api/books/7", "api/books/INTEGER"),
            ("https://api.example.com/books/7", "https://api.example.com/books/INTEGER"),
            ("https://10.0.0.1:8080/books", "https://10.0.0.1:8080/books"),
            ("https://host12345.example.com", "https://host12345.example.com"),
            ("/graphql/42", "/graphql/42"),
            ("/a//7", "/a//INTEGER"),
            ("/", "/"),
            ("", ""),
        ] {
            assert_eq!(shaped(url), expected, "{url}");
        }
    }

    #[test]
    fn found_segments_keep_their_token_and_place() {
        let (_, found) = shape("https://h/users/42/x", &Detectors::default());
        assert_eq!(found, [VariableToken { index: 1, token: "42" }]);
    }
}
