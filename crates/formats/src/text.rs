//! Text encodings: UTF-8 with or without a byte-order mark, and UTF-16 with one.

use std::borrow::Cow;
use std::io::{self, Read};

use crate::FormatError;

/// The encoding that a byte-order mark declares, and the length of the mark in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

pub(crate) fn encoding(prefix: &[u8]) -> (Encoding, usize) {
    match prefix {
        [0xEF, 0xBB, 0xBF, ..] => (Encoding::Utf8, 3),
        [0xFF, 0xFE, ..] => (Encoding::Utf16Le, 2),
        [0xFE, 0xFF, ..] => (Encoding::Utf16Be, 2),
        _ => (Encoding::Utf8, 0),
    }
}

/// The text of a whole document. Unpaired UTF-16 surrogates become U+FFFD.
///
/// # Errors
/// [`FormatError::Syntax`] at the first byte that is not UTF-8.
pub(crate) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, FormatError> {
    let (encoding, mark) = encoding(bytes);
    let body = &bytes[mark..];
    if encoding != Encoding::Utf8 {
        return Ok(Cow::Owned(decode_utf16(body, encoding)));
    }
    std::str::from_utf8(body).map(Cow::Borrowed).map_err(|error| {
        let before = &body[..error.valid_up_to()];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        FormatError::Syntax {
            line: 1 + memchr::memchr_iter(b'\n', before).count() as u64,
            column: (before.len() - line_start) as u64 + 1,
            reason: "the text is not UTF-8".to_owned(),
        }
    })
}

/// The text of the first bytes of a file, as far as they can be read.
pub(crate) fn decode_prefix(prefix: &[u8]) -> Cow<'_, str> {
    let (encoding, mark) = encoding(prefix);
    let body = &prefix[mark..];
    match encoding {
        Encoding::Utf8 => String::from_utf8_lossy(body),
        _ => Cow::Owned(decode_utf16(body, encoding)),
    }
}

fn decode_utf16(body: &[u8], encoding: Encoding) -> String {
    let (pairs, odd) = body.as_chunks::<2>();
    let units = pairs.iter().map(|pair| unit(*pair, encoding));
    let mut text: String = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    if !odd.is_empty() {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    text
}

fn unit(pair: [u8; 2], encoding: Encoding) -> u16 {
    if encoding == Encoding::Utf16Be { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
}

/// Reads any supported encoding as UTF-8 without a byte-order mark. Bytes of a UTF-8 source pass unchecked.
pub(crate) struct Utf8Reader<R> {
    inner: R,
    encoding: Option<Encoding>,
    /// Bytes ready to be handed out.
    ready: Vec<u8>,
    given: usize,
    /// Bytes of an unfinished UTF-16 character: at most a unit and a half.
    partial: Vec<u8>,
    ended: bool,
}

const CHUNK_BYTES: usize = 64 * 1024;

impl<R: Read> Utf8Reader<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, encoding: None, ready: Vec::new(), given: 0, partial: Vec::new(), ended: false }
    }

    fn start(&mut self) -> io::Result<Encoding> {
        let mut prefix = Vec::with_capacity(3);
        (&mut self.inner).take(3).read_to_end(&mut prefix)?;
        let (encoding, mark) = encoding(&prefix);
        let rest = prefix.split_off(mark);
        match encoding {
            Encoding::Utf8 => self.ready = rest,
            _ => self.partial = rest,
        }
        self.encoding = Some(encoding);
        Ok(encoding)
    }

    fn refill(&mut self, encoding: Encoding) -> io::Result<()> {
        let held = self.partial.len();
        self.partial.resize(held + CHUNK_BYTES, 0);
        let read = match self.inner.read(&mut self.partial[held..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            other => {
                let read = other?;
                self.ended = read == 0;
                read
            }
        };
        self.partial.truncate(held + read);
        let mut whole = self.partial.len();
        if !self.ended {
            whole -= whole % 2;
            if whole >= 2 {
                let last = unit([self.partial[whole - 2], self.partial[whole - 1]], encoding);
                if (0xD800..0xDC00).contains(&last) {
                    whole -= 2;
                }
            }
        }
        self.ready = decode_utf16(&self.partial[..whole], encoding).into_bytes();
        self.given = 0;
        self.partial.drain(..whole);
        Ok(())
    }
}

impl<R: Read> Read for Utf8Reader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let encoding = match self.encoding {
            Some(encoding) => encoding,
            None => self.start()?,
        };
        while self.given == self.ready.len() {
            if encoding == Encoding::Utf8 {
                return self.inner.read(out);
            }
            if self.ended {
                return Ok(0);
            }
            self.refill(encoding)?;
        }
        let count = out.len().min(self.ready.len() - self.given);
        out[..count].copy_from_slice(&self.ready[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out one byte at a time, so that every boundary falls inside a character.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = out.len().min(self.0.len()).min(1);
            out[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn check(bytes: &[u8], expected: &str) {
        let mut text = String::new();
        Utf8Reader::new(Drip(bytes)).read_to_string(&mut text).unwrap();
        assert_eq!(text, expected);
        assert_eq!(decode(bytes).unwrap(), expected);
    }

    #[test]
    fn every_encoding_reads_alike() {
        let text = "{\"é\": \"𝄞 x\"}";
        check(text.as_bytes(), text);
        check(&[b"\xEF\xBB\xBF", text.as_bytes()].concat(), text);
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        check(&[b"\xFF\xFE", &little[..]].concat(), text);
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        check(&[b"\xFE\xFF", &big[..]].concat(), text);
        check(b"", "");
        check(b"\xFF\xFE\x00\xD8a\x00", "\u{FFFD}a");
        check(b"\xFF\xFEa\x00b", "a\u{FFFD}");
    }

    #[test]
    fn bytes_that_are_not_text_are_located() {
        assert_eq!(decode(b"a\nbc\xFFd").unwrap_err().to_string(), "line 2, column 3: the text is not UTF-8");
    }
}
