use std::borrow::Cow;

use crate::{PATH_BYTES_MAX, SEGMENTS_MAX};

/// The path of a request as its upstream will read it, in decoded segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrictPath<'a> {
    /// Its segments, decoded.
    pub segments: Vec<Cow<'a, str>>,
}

/// The path is one that two readers may understand differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ambiguous;

impl<'a> StrictPath<'a> {
    /// Reads the path of a request target, without its query.
    ///
    /// Envoy passes the path on as it came. So whatever an upstream might resolve, split, cut off or decode once more is
    /// refused here: empty and dot segments, encoded slashes and dots, backslashes, parameters after `;`, control
    /// characters, escapes that are broken, doubled or no UTF-8. What is left means the same to everybody. A slash at the
    /// end makes no other resource.
    ///
    /// # Errors
    /// For every other path.
    pub fn parse(path: &'a str) -> Result<Self, Ambiguous> {
        let inner = path.strip_prefix('/').ok_or(Ambiguous)?;
        if path.len() > PATH_BYTES_MAX || !path.bytes().all(is_plain) {
            return Err(Ambiguous);
        }
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        if inner.is_empty() {
            return if path == "/" { Ok(Self { segments: Vec::new() }) } else { Err(Ambiguous) };
        }
        let segments: Result<Vec<_>, _> = inner.split('/').take(SEGMENTS_MAX + 1).map(segment).collect();
        let segments = segments?;
        if segments.len() > SEGMENTS_MAX { Err(Ambiguous) } else { Ok(Self { segments }) }
    }
}

/// What may stand in a path unescaped (RFC 3986, 3.3), with `%` and without `;`.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,=:@%".contains(&byte)
}

fn segment(raw: &str) -> Result<Cow<'_, str>, Ambiguous> {
    if raw.is_empty() {
        return Err(Ambiguous);
    }
    let decoded = if raw.contains('%') { Cow::Owned(decode(raw)?) } else { Cow::Borrowed(raw) };
    if matches!(&*decoded, "." | "..") {
        return Err(Ambiguous);
    }
    Ok(decoded)
}

/// Resolves the escapes of one segment, once.
fn decode(raw: &str) -> Result<String, Ambiguous> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let ([high, low], after) = after.split_first_chunk::<2>().ok_or(Ambiguous)?;
        let digit = |byte: &u8| char::from(*byte).to_digit(16).ok_or(Ambiguous);
        let byte = (digit(high)? * 16 + digit(low)?) as u8;
        // An escaped dot is only written to hide a dot segment; an escaped `%` begins an escape for whoever decodes twice.
        if byte.is_ascii_control() || b"/\\.;%?#".contains(&byte) {
            return Err(Ambiguous);
        }
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| Ambiguous)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(path: &str) -> Result<Vec<String>, Ambiguous> {
        Ok(StrictPath::parse(path)?.segments.into_iter().map(Cow::into_owned).collect())
    }

    #[test]
    fn a_plain_path_is_its_segments() {
        for (path, expected) in [
            ("/", vec![]),
            ("/a", vec!["a"]),
            ("/a/", vec!["a"]),
            ("/a/b.c/~d/e:f@g", vec!["a", "b.c", "~d", "e:f@g"]),
            ("/%61dmin", vec!["admin"]),
            ("/caf%C3%A9/a%20b", vec!["café", "a b"]),
            ("/...", vec!["..."]),
        ] {
            assert_eq!(segments(path).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn what_upstreams_read_differently_is_refused() {
        for path in [
            "",
            "a",
            "*",
            "//",
            "//a",
            "/a//b",
            "/a//",
            "/./a",
            "/a/.",
            "/a/./b",
            "/..",
            "/a/../b",
            "/a/..",
            "/%2e%2e/a",
            "/a/%2E%2e",
            "/a/%2e",
            "/.%2e/a",
            "/a%2Fb",
            "/a%2fb",
            "/a\\b",
            "/a%5Cb",
            "/a;x=1",
            "/a;/b",
            "/a%3Bx",
            "/a/..;/b",
            "/%252e%252e/a",
            "/a%25",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%00b",
            "/a%0d%0ab",
            "/a\tb",
            "/a b",
            "/caf\u{e9}",
            "/%c0%af",
            "/%c0%ae%c0%ae/",
            "/%e0%80%af",
            "/%ff",
            "/a%3Fb",
            "/a#b",
            "/a%23b",
            "/a%7F",
            "/a\u{0}",
        ] {
            assert_eq!(segments(path), Err(Ambiguous), "{path}");
        }
        assert!(segments(&"/a".repeat(SEGMENTS_MAX)).is_ok());
        assert!(segments(&"/a".repeat(SEGMENTS_MAX + 1)).is_err());
        assert!(segments(&format!("/{}", "a".repeat(PATH_BYTES_MAX))).is_err());
    }
}
