//! The kinds of characters that a value holds, as bits.

pub(super) const LETTER: u16 = 1;
pub(super) const DIGIT: u16 = 1 << 1;
pub(super) const AT: u16 = 1 << 2;
pub(super) const DOT: u16 = 1 << 3;
pub(super) const COLON: u16 = 1 << 4;
pub(super) const SLASH: u16 = 1 << 5;
pub(super) const DASH: u16 = 1 << 6;
pub(super) const SPACE: u16 = 1 << 7;
pub(super) const PLUS: u16 = 1 << 8;
pub(super) const SIGN: u16 = 1 << 9;
pub(super) const WIDE: u16 = 1 << 10;

/// The kind of every byte.
pub(super) static KINDS: [u16; 256] = {
    let mut kinds = [SIGN; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => LETTER,
            b'0'..=b'9' => DIGIT,
            b'@' => AT,
            b'.' => DOT,
            b':' => COLON,
            b'/' => SLASH,
            b'-' => DASH,
            b' ' => SPACE,
            b'+' => PLUS,
            128..=255 => WIDE,
            _ => SIGN,
        };
        byte += 1;
    }
    kinds
};

pub(super) fn kinds_of(text: &str) -> u16 {
    text.bytes().fold(0, |kinds, byte| kinds | KINDS[usize::from(byte)])
}
