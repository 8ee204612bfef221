//! Reads a record as nearly all are written, in one pass: a flat object whose members are texts and numbers. Whatever is
//! written in another way is left to the whole reader, which also says what is wrong with it.

use std::borrow::Cow;
use std::ops::Range;

/// The members of a record by their place in [`NAMES`]; one that is missing or null is empty.
pub(crate) type Members<'a> = [Cow<'a, str>; NAMES.len()];

/// What the members of a record are called.
pub(crate) const NAMES: [&str; 18] = [
    "method",
    "path",
    "type",
    "requestHeaders",
    "requestPayload",
    "responseHeaders",
    "responsePayload",
    "statusCode",
    "status",
    "time",
    "ip",
    "destIp",
    "direction",
    "akto_account_id",
    "akto_vxlan_id",
    "is_pending",
    "source",
    "tags",
];

/// Bytes that an unescaped text gets at first.
const ROOM: usize = 512;

const WORD: usize = 8;

/// Bytes of an escaped text that are looked at together.
const BLOCK: usize = 64;

/// Bytes of a short run between two escapes.
const RUN: usize = 16;

/// The members of a record; nothing where the whole reader has to look.
pub(crate) fn read(json: &str) -> Option<Members<'_>> {
    let mut reader = Reader { json, bytes: json.as_bytes(), at: 0 };
    let mut members: Members<'_> = Default::default();
    let mut seen = 0_u32;
    // Members mostly come in the order of the names.
    let mut next = 0;
    reader.space();
    reader.byte(b'{')?;
    loop {
        reader.space();
        reader.byte(b'"')?;
        let name = match NAMES.get(next) {
            Some(name) if reader.is_name(name) => Cow::Borrowed(*name),
            _ => {
                next = NAMES.len();
                reader.string()?
            }
        };
        reader.space();
        reader.byte(b':')?;
        reader.space();
        let value = reader.value()?;
        match if next < NAMES.len() { Some(next) } else { NAMES.iter().position(|known| **known == *name) } {
            Some(place) if seen >> place & 1 == 0 => {
                seen |= 1 << place;
                members[place] = value;
                next = place + 1;
            }
            // Said twice, or of the kind that is no text.
            Some(_) => return None,
            None if name == "declaration" => return None,
            None => {}
        }
        reader.space();
        match reader.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    reader.space();
    (reader.at == reader.bytes.len()).then_some(members)
}

struct Reader<'a> {
    json: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn next(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn byte(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    /// Moves behind a name and its closing quote if it is next.
    fn is_name(&mut self, name: &str) -> bool {
        let rest = &self.bytes[self.at..];
        let is_next = rest.get(name.len()) == Some(&b'"') && rest.starts_with(name.as_bytes());
        self.at += if is_next { name.len() + 1 } else { 0 };
        is_next
    }

    fn value(&mut self) -> Option<Cow<'a, str>> {
        if self.bytes.get(self.at) == Some(&b'"') {
            self.at += 1;
            return self.string();
        }
        let start = self.at;
        while matches!(self.bytes.get(self.at), Some(b'a'..=b'z' | b'0'..=b'9' | b'-')) {
            self.at += 1;
        }
        let text = &self.json[start..self.at];
        let digits = text.strip_prefix('-').unwrap_or(text);
        match text {
            "null" => Some(Cow::Borrowed("")),
            "true" | "false" => Some(Cow::Borrowed(text)),
            _ if digits == "0" => Some(Cow::Borrowed(text)),
            _ => (!digits.is_empty() && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit()))
                .then_some(Cow::Borrowed(text)),
        }
    }

    /// Reads up to the closing quote; the opening one is read.
    fn string(&mut self) -> Option<Cow<'a, str>> {
        let start = self.at;
        while let Some(word) = self.bytes[self.at..].first_chunk::<WORD>() {
            match special(*word) {
                WORD => self.at += WORD,
                place => {
                    self.at += place;
                    break;
                }
            }
        }
        // What is left is shorter than a word, or begins with what was looked for.
        loop {
            match *self.bytes.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return Some(Cow::Borrowed(&self.json[start..self.at - 1]));
                }
                b'\\' => return self.unescaped(start).map(Cow::Owned),
                0..=0x1f => return None,
                _ => self.at += 1,
            }
        }
    }

    /// Reads a string that begins at `start` and whose first escape is next.
    fn unescaped(&mut self, start: usize) -> Option<String> {
        let plain = &self.bytes[start..self.at];
        let mut text = vec![0; plain.len() + ROOM.min(self.bytes.len() - self.at) + BLOCK + RUN];
        text[..plain.len()].copy_from_slice(plain);
        let mut length = plain.len();
        while let Some(block) = self.bytes[self.at..].first_chunk::<{ BLOCK + RUN }>() {
            if length + BLOCK + RUN > text.len() {
                let left = self.bytes.len() - self.at;
                text.resize(text.len() + left.min(text.len()) + BLOCK + RUN, 0);
            }
            // Where the run begins that is yet to be copied.
            let mut from = 0;
            let mut specials = specials(block.first_chunk()?);
            while specials != 0 {
                let place = specials.trailing_zeros() as usize;
                copy_run(block, from..place, &mut text[length..]);
                length += place - from;
                match block[place] {
                    b'"' => {
                        self.at += place + 1;
                        text.truncate(length);
                        return String::from_utf8(text).ok();
                    }
                    b'\\' => text[length] = unescape(block[place + 1])?,
                    _ => return None,
                }
                length += 1;
                from = place + 2;
                specials &= !(0b11 << place);
            }
            if from < BLOCK {
                copy_run(block, from..BLOCK, &mut text[length..]);
                length += BLOCK - from;
            }
            self.at += from.max(BLOCK);
        }
        text.truncate(length);
        loop {
            match self.next()? {
                b'"' => return String::from_utf8(text).ok(),
                b'\\' => {
                    let letter = self.next()?;
                    text.push(unescape(letter)?);
                }
                0..=0x1f => return None,
                plain => text.push(plain),
            }
        }
    }
}

/// What a backslash and a letter stand for, where that is one byte; else 0.
const UNESCAPED: [u8; 256] = {
    let mut bytes = [0; 256];
    let pairs = *b"\"\"\\\\//n\nr\rt\tb\x08f\x0c";
    let mut at = 0;
    while at < pairs.len() {
        bytes[pairs[at] as usize] = pairs[at + 1];
        at += 2;
    }
    bytes
};

fn unescape(letter: u8) -> Option<u8> {
    Some(UNESCAPED[usize::from(letter)]).filter(|byte| *byte != 0)
}

/// Copies a run of a block to the beginning of a text, which has room for [`RUN`] bytes more than it takes. Most runs are
/// short, and are copied as one word of that many bytes.
fn copy_run(block: &[u8; BLOCK + RUN], run: Range<usize>, text: &mut [u8]) {
    match (block[run.start..].first_chunk::<RUN>(), text.first_chunk_mut::<RUN>()) {
        (Some(from), Some(to)) if run.len() <= RUN => *to = *from,
        _ => text[..run.len()].copy_from_slice(&block[run]),
    }
}

/// A bit for each quote, backslash and control character, the first byte at the lowest.
fn specials(block: &[u8; BLOCK]) -> u64 {
    let marks: [u8; BLOCK] = block.map(|byte| u8::from(byte == b'"') | u8::from(byte == b'\\') | u8::from(byte < 0x20));
    let (words, _) = marks.as_chunks::<WORD>();
    // The product brings the lowest bit of each byte to the highest byte.
    let bits = |word: &[u8; WORD]| u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    words.iter().rev().fold(0, |all, word| all << WORD | bits(word))
}

/// The place of the first quote, backslash or control character; the length of the word where there is none.
fn special(word: [u8; WORD]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    let word = u64::from_le_bytes(word);
    let equals = |byte: u8| {
        let zero = word ^ (ONES * u64::from(byte));
        zero.wrapping_sub(ONES) & !zero
    };
    // The highest bit of each byte that is one of them; of bytes above the first such one it may be set wrongly.
    let found = (equals(b'"') | equals(b'\\') | (word.wrapping_sub(ONES * 0x20) & !word)) & HIGHS;
    found.trailing_zeros() as usize / 8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn special_bytes_are_found_wherever_they_stand() {
        for end in [b'"', b'\\', 0, b'\n', 0x1f] {
            for place in 0..WORD {
                let mut word = *b"a !#\x7f\x80\xffz";
                word[place] = end;
                assert_eq!(special(word), place, "{end}");
            }
        }
        assert_eq!(special(*b"a !#\x7f\x80\xffz"), WORD);
    }

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            6 => "[a-z\"\\\\/{}:, é\u{1f600}\n\t\r\u{8}\u{c}\u{0}]{0,40}".prop_map(|text| serde_json::to_string(&text).unwrap()),
            2 => "[a-z\"\\\\ é\n]{60,300}".prop_map(|text| serde_json::to_string(&text).unwrap()),
            2 => "(0|-?[1-9][0-9]{0,4}|true|false|null|01|-|1.5|1e3|tru|\"a)",
            1 => "\"[a-z\"\\\\un04\n]{0,6}\"",
        ]
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_the_whole_reader_reads(
            list in prop::collection::vec((prop::sample::select(vec!["method", "path", "ip", "tags", "other", "p\\u0061th"]), value()), 1..6),
            end in prop_oneof![9 => Just("}"), 1 => Just("} x"), 1 => Just(",}"), 1 => Just("")],
        ) {
            let members: Vec<_> = list.iter().map(|(name, value)| format!("\"{name}\" : {value}")).collect();
            let json = format!(" {{{}{end} ", members.join(" ,"));
            let Some(read) = read(&json) else { return Ok(()) };
            let whole: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&json).unwrap();
            for (name, text) in NAMES.iter().zip(&read) {
                let expected = match whole.get(*name) {
                    None | Some(serde_json::Value::Null) => String::new(),
                    Some(serde_json::Value::String(text)) => text.clone(),
                    Some(other) => other.to_string(),
                };
                prop_assert_eq!(text, &expected);
            }
        }
    }

    #[test]
    fn escapes_are_read_wherever_they_stand_in_a_block() {
        for place in 0..3 * BLOCK {
            for (written, text) in [(r#"\""#, "\""), (r"\\", "\\"), (r"\n", "\n"), (r#"\"\\\""#, "\"\\\"")] {
                let (front, back) = ("x".repeat(place), "é".repeat(2 * BLOCK));
                let json = format!("{{\"path\":\"\\t{front}{written}{back}\"}}");
                assert_eq!(read(&json).unwrap()[1], format!("\t{front}{text}{back}"), "{place}");
            }
            let front = "x".repeat(place);
            for bad in ["\n", r"\x", r"\u0041"] {
                assert!(
                    read(&format!("{{\"path\":\"\\t{front}{bad}{front}\",\"ip\":\"{front}\"}}")).is_none(),
                    "{place} {bad}"
                );
            }
        }
    }

    #[test]
    fn usual_records_are_read_here() {
        for (json, path) in [
            (r#"{"method":"GET","path":"/a","statusCode":200,"is_pending":false,"processId":"7"}"#, "/a"),
            (r#"{"path":"\/a\"b\\c\n"}"#, "/a\"b\\c\n"),
        ] {
            assert_eq!(read(json).unwrap()[1], path);
        }
        let long = format!("{{\"path\":\"{}\"}}", "x\\\"é".repeat(3_000));
        assert_eq!(read(&long).unwrap()[1], "x\"é".repeat(3_000));
        for json in [
            "",
            "{}",
            "[]",
            r#"{"path":"\u0041"}"#,
            r#"{"path":"a","path":"b"}"#,
            r#"{"path":{}}"#,
            r#"{"declaration":null}"#,
        ] {
            assert!(read(json).is_none(), "{json}");
        }
    }
}
