//! Bodies that a capture holds as bytes: in base64, often compressed as they were sent.

use std::borrow::Cow;
use std::io::Read;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use portolan_record::RECORD_BYTES_MAX;

/// The text of a base64 body in the charset of its media type; empty when the body is binary or not base64. `coding` is
/// what its headers say of its compression.
pub(super) fn decode(base64: &str, mime: &str, coding: &str) -> String {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let wrapped = base64.bytes().any(|byte| byte.is_ascii_whitespace());
    let bytes = if wrapped {
        let joined: Vec<u8> = base64.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        LENIENT.decode(joined)
    } else {
        LENIENT.decode(base64)
    };
    let text = bytes.ok().map(|bytes| unpacked(bytes, coding)).and_then(|bytes| match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Some(text),
        Ok(text) => without_mark(text.as_bytes()),
        Err(other) => in_charset(other.as_bytes(), mime).or_else(|| without_mark(other.as_bytes())),
    });
    text.filter(|text| !text.contains('\0')).unwrap_or_default()
}

/// Bodies that a proxy wrote as they were sent are still compressed. All but Brotli begin with a mark, so that the
/// headers, which stay as they were when a browser has unpacked a body, need not be believed.
fn unpacked(bytes: Vec<u8>, coding: &str) -> Vec<u8> {
    let is_zlib =
        |first: u8, second: u8| first == 0x78 && (u16::from(first) << 8 | u16::from(second)).is_multiple_of(31);
    let plain = match bytes[..] {
        [0x1f, 0x8b, ..] => read(MultiGzDecoder::new(&*bytes)),
        [first, second, ..] if is_zlib(first, second) => read(ZlibDecoder::new(&*bytes)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => read_zstd(&bytes),
        _ if coding.trim().eq_ignore_ascii_case("br") && !is_text(&bytes) => {
            read(brotli_decompressor::Decompressor::new(&*bytes, BUFFER_BYTES))
        }
        _ => return bytes,
    };
    plain.unwrap_or(bytes)
}

/// Of a compressed body, what a record could hold.
const UNPACKED_BYTES_MAX: u64 = RECORD_BYTES_MAX as u64;

const BUFFER_BYTES: usize = 4096;

fn read(packed: impl Read) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    packed.take(UNPACKED_BYTES_MAX).read_to_end(&mut plain).is_ok().then_some(plain)
}

/// A body asks for the memory of its own window, which HTTP allows 8 MiB (RFC 9659).
fn read_zstd(bytes: &[u8]) -> Option<Vec<u8>> {
    const WINDOW_LOG_MAX: u32 = 23;
    let mut decoder = zstd::Decoder::with_buffer(bytes).ok()?;
    decoder.window_log_max(WINDOW_LOG_MAX).ok()?;
    read(decoder)
}

fn is_text(bytes: &[u8]) -> bool {
    let is_control = |byte: &u8| byte.is_ascii_control() && !byte.is_ascii_whitespace();
    !bytes.iter().any(is_control) && std::str::from_utf8(bytes).is_ok()
}

/// JSON in UTF-16 without a byte-order mark: its first character is of ASCII, so that one of two bytes is zero.
fn without_mark(bytes: &[u8]) -> Option<String> {
    let encoding = match bytes {
        [0, b'{' | b'[' | b'"', ..] => encoding_rs::UTF_16BE,
        [b'{' | b'[' | b'"', 0, ..] => encoding_rs::UTF_16LE,
        _ => return None,
    };
    encoding.decode_without_bom_handling_and_without_replacement(bytes).map(Cow::into_owned)
}

/// A text that is not UTF-8: in the encoding of its byte-order mark, else in the charset that its media type names.
fn in_charset(bytes: &[u8], mime: &str) -> Option<String> {
    let named = mime.to_ascii_lowercase();
    let label = named.split_once("charset=").map(|(_, rest)| rest.split(';').next().unwrap_or_default());
    let encoding = match encoding_rs::Encoding::for_bom(bytes) {
        Some((encoding, _)) => encoding,
        None => encoding_rs::Encoding::for_label(label?.trim().trim_matches('"').as_bytes())?,
    };
    let (text, _, has_errors) = encoding.decode(bytes);
    (!has_errors).then(|| text.into_owned())
}
