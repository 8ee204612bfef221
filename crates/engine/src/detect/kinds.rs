//! The kinds of characters that a value holds, as bits: the lower half the kinds, the upper half the letters themselves
//! regardless of case.

/// Kinds and letters of a text.
pub(super) type Kinds = u64;

pub(super) const LETTER: Kinds = 1;
pub(super) const DIGIT: Kinds = 1 << 1;
pub(super) const AT: Kinds = 1 << 2;
pub(super) const DOT: Kinds = 1 << 3;
pub(super) const COLON: Kinds = 1 << 4;
pub(super) const SLASH: Kinds = 1 << 5;
pub(super) const DASH: Kinds = 1 << 6;
pub(super) const SPACE: Kinds = 1 << 7;
pub(super) const PLUS: Kinds = 1 << 8;
/// Any other sign of ASCII.
pub(super) const SIGN: Kinds = 1 << 9;
pub(super) const WIDE: Kinds = 1 << 10;
/// Beside [`LETTER`].
pub(super) const UPPER: Kinds = 1 << 11;
pub(super) const LOWER: Kinds = 1 << 12;
/// Beside [`SIGN`].
pub(super) const UNDERSCORE: Kinds = 1 << 13;
pub(super) const EQUALS: Kinds = 1 << 14;
pub(super) const SEMICOLON: Kinds = 1 << 15;

/// The kinds without the letters.
pub(super) const CLASSES: Kinds = (1 << 16) - 1;

/// The kind of every byte.
pub(super) static KINDS: [Kinds; 256] = {
    let mut kinds = [SIGN; 256];
    let mut byte = 0;
    while byte < 256 {
        let letter = 1 << (32 + (byte as u64 & 31));
        kinds[byte] = match byte as u8 {
            b'a'..=b'z' => LETTER | LOWER | letter,
            b'A'..=b'Z' => LETTER | UPPER | letter,
            b'0'..=b'9' => DIGIT,
            b'@' => AT,
            b'.' => DOT,
            b':' => COLON,
            b'/' => SLASH,
            b'-' => DASH,
            b' ' => SPACE,
            b'+' => PLUS,
            b'_' => SIGN | UNDERSCORE,
            b'=' => SIGN | EQUALS,
            b';' => SIGN | SEMICOLON,
            128..=255 => WIDE,
            _ => SIGN,
        };
        byte += 1;
    }
    kinds
};

pub(super) fn kinds_of(text: &str) -> Kinds {
    text.bytes().fold(0, |kinds, byte| kinds | KINDS[usize::from(byte)])
}
