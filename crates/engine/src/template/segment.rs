use std::borrow::Cow;

use super::dictionary::is_word;
use crate::body::contains_ignoring_case;
use crate::{Detectors, SubType};

/// The kind of a variable segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variable {
    Integer,
    Float,
    ObjectId,
    String,
    Versioned,
}

impl Variable {
    pub(super) const ALL: [Self; 5] = [Self::Integer, Self::Float, Self::ObjectId, Self::String, Self::Versioned];

    /// The token that stands for the kind in a template.
    pub fn token(self) -> &'static str {
        match self {
            Self::Integer => "INTEGER",
            Self::Float => "FLOAT",
            Self::ObjectId => "OBJECT_ID",
            Self::String => "STRING",
            Self::Versioned => "VERSIONED",
        }
    }

    /// The kind that a token of a template stands for; nothing for a literal.
    pub fn of_token(token: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|variable| variable.token() == token)
    }

    /// Whether a literal token may stand under the kind. Whether it is a word is another question.
    pub fn accepts(self, token: &str) -> bool {
        match self {
            Self::String | Self::Versioned => true,
            Self::Integer => number(token) == Some(Self::Integer) || is_long_integer(token),
            Self::Float => number(token) == Some(Self::Float) && token.contains('.'),
            Self::ObjectId => is_object_id(token),
        }
    }
}

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

/// One segment that became variable, with the token that stood there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// Place among the path's segments, from 0.
    pub index: usize,
    pub variable: Variable,
    pub token: &'a str,
}

/// The part of a record's path that names an endpoint: without query and fragment.
pub fn without_query(path: &str) -> &str {
    path.split(['?', '#']).next().unwrap_or_default()
}

/// Whether the URL may hold variable segments at all. GraphQL endpoints never do.
pub fn is_templatable(url: &str) -> bool {
    !contains_ignoring_case(url, "graph")
}

/// The template of one URL alone: each segment that is visibly an identifier becomes its kind. Needs no second URL, so
/// it depends on nothing but the URL and the detectors.
pub fn shape<'a>(url: &'a str, detectors: &Detectors) -> (Cow<'a, str>, Vec<Found<'a>>) {
    if !is_templatable(url) {
        return (Cow::Borrowed(url), Vec::new());
    }
    let split = SplitUrl::new(url);
    let is_single = !split.path.contains('/');
    let found: Vec<_> = split
        .segments()
        .enumerate()
        .filter_map(|(index, token)| {
            variable_of(token, is_single, detectors).map(|variable| Found { index, variable, token })
        })
        .collect();
    if found.is_empty() {
        return (Cow::Borrowed(url), found);
    }
    let mut next = found.iter().peekable();
    let shaped = split.with_segments(split.segments().enumerate().map(|(index, token)| {
        next.next_if(|found| found.index == index).map_or(token, |found| found.variable.token())
    }));
    (Cow::Owned(shaped), found)
}

/// The token as sent, with its percent escapes resolved.
pub fn decoded(token: &str) -> Cow<'_, str> {
    if token.contains('%') {
        percent_encoding::percent_decode_str(token).decode_utf8_lossy()
    } else {
        Cow::Borrowed(token)
    }
}

fn variable_of(token: &str, is_single: bool, detectors: &Detectors) -> Option<Variable> {
    let bytes = token.as_bytes();
    // Most segments are words without a digit; only an e-mail address or a phone number is anything else.
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    if digits == 0
        && !bytes.iter().any(|byte| matches!(byte, b'@' | b'%' | b':' | b'.'))
        && bytes.len() != 24
        && bytes.len() != 36
    {
        return None;
    }
    if is_word(token) {
        return None;
    }
    if let Some(variable) = number(token) {
        return Some(variable);
    }
    if is_object_id(token) {
        return Some(Variable::ObjectId);
    }
    if crate::detect::is_uuid(token) {
        return Some(Variable::String);
    }
    if !is_single && !matches!(detectors.detect_text("", &decoded(token)).sub_type, SubType::Generic | SubType::Other) {
        return Some(Variable::String);
    }
    let letters = bytes.iter().any(u8::is_ascii_alphabetic);
    (bytes.len() >= 6 && digits >= 3 && letters).then_some(Variable::String)
}

fn number(token: &str) -> Option<Variable> {
    let digits = token.strip_prefix(['+', '-']).unwrap_or(token);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(if token.parse::<i64>().is_ok() { Variable::Integer } else { Variable::Float });
    }
    let (whole, fraction) = digits.split_once('.')?;
    let both = !whole.is_empty() && !fraction.is_empty();
    (both && whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit())).then_some(Variable::Float)
}

/// Digits beyond 64 bits, which a template of integers takes in though alone they would be a float.
fn is_long_integer(token: &str) -> bool {
    let digits = token.strip_prefix('+').unwrap_or(token);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_object_id(token: &str) -> bool {
    token.len() == 24 && token.bytes().all(|byte| byte.is_ascii_hexdigit())
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
            ("/users/9223372036854775808", "/users/FLOAT"),
            ("/prices/1.5", "/prices/FLOAT"),
            ("/a/5f2504e04f8911d39a0c0305", "/a/OBJECT_ID"),
            ("/a/123456789012345678901234", "/a/FLOAT"),
            ("/a/3f2504e0-4f89-11d3-9a0c-0305e82c3301", "/a/STRING"),
            ("/a/zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz", "/a/STRING"),
            ("/a/jane%40mail.org", "/a/STRING"),
            ("/a/jane@mail.org/b", "/a/STRING/b"),
            ("/a/10.1.2.3", "/a/STRING"),
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
        assert_eq!(found, [Found { index: 1, variable: Variable::Integer, token: "42" }]);
    }

    #[test]
    fn kinds_accept_what_they_stand_for() {
        assert!(Variable::Integer.accepts("+7") && Variable::Integer.accepts("99999999999999999999"));
        assert!(!Variable::Integer.accepts("7.5") && !Variable::Integer.accepts("x"));
        assert!(Variable::Float.accepts("7.5") && !Variable::Float.accepts("7"));
        assert!(Variable::String.accepts("x"));
        assert_eq!(Variable::of_token("STRINGS"), None);
    }
}
