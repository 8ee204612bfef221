use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with its percent escapes resolved; what is then no UTF-8 becomes U+FFFD.
pub fn decoded(text: &str) -> Cow<'_, str> {
    if text.contains('%') {
        percent_encoding::percent_decode_str(text).decode_utf8_lossy()
    } else {
        Cow::Borrowed(text)
    }
}

/// The value of the escape that begins at `at`.
pub(crate) fn triplet(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
    (bytes.get(at) == Some(&b'%')).then_some(())?;
    Some((digit(at + 1)? * 16 + digit(at + 2)?) as u8)
}

/// What may be written as it is wherever it stands (RFC 3986, 2.3).
pub(crate) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What stays as it is in a path. Braces are no part of a URI and do no harm; templates are read and shown with them.
fn is_plain(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(byte, b'/' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':')
        || matches!(byte, b'@' | b'{' | b'}')
}

/// One spelling of the escapes: unreserved characters as they are, all others in capitals, a `%` that begins no escape
/// escaped, and what may not stand in a path escaped.
pub(crate) fn normalized(path: &str) -> Cow<'_, str> {
    let bytes = path.as_bytes();
    if bytes.iter().all(|byte| is_plain(*byte)) {
        return Cow::Borrowed(path);
    }
    let mut text = String::with_capacity(path.len() + 16);
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let value = triplet(bytes, at);
        at += if value.is_some() { 3 } else { 1 };
        match value {
            Some(value) if is_unreserved(value) => text.push(char::from(value)),
            None if is_plain(*byte) => text.push(char::from(*byte)),
            other => _ = write!(text, "%{:02X}", other.unwrap_or(*byte)),
        }
    }
    Cow::Owned(text)
}
