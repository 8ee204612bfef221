use std::borrow::Cow;

use http::HeaderMap;

/// Every line of a header, in order. What is no text stays as something that cannot be read: passed over, it would hide
/// that a proxy wrote there.
pub fn lines<'h>(headers: &'h HeaderMap, name: &str) -> Vec<Cow<'h, str>> {
    headers.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes())).collect()
}
