//! Reads a record as nearly all are written, in one pass: a flat object whose members are texts and numbers. Whatever is
//! written in another way is left to the whole reader, which also says what is wrong with it.

use std::borrow::Cow;

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
        let name = reader.string()?;
        reader.space();
        reader.byte(b':')?;
        reader.space();
        let value = reader.value()?;
        let is_next = NAMES.get(next).is_some_and(|known| **known == *name);
        match if is_next { Some(next) } else { NAMES.iter().position(|known| **known == *name) } {
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
        let mut text = vec![0; plain.len() + ROOM.min(self.bytes.len() - self.at) + WORD];
        text[..plain.len()].copy_from_slice(plain);
        let mut length = plain.len();
        loop {
            if length + WORD > text.len() {
                let left = self.bytes.len() - self.at;
                text.resize(text.len() + left.min(text.len()) + WORD, 0);
            }
            let place = match self.bytes[self.at..].first_chunk::<WORD>() {
                Some(word) => {
                    text[length..length + WORD].copy_from_slice(word);
                    let place = special(*word);
                    self.at += place;
                    length += place;
                    place
                }
                None => WORD - 1,
            };
            if place == WORD {
                continue;
            }
            match self.next()? {
                b'"' => break,
                b'\\' => {
                    text[length] = match self.next()? {
                        plain @ (b'"' | b'\\' | b'/') => plain,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'b' => 0x08,
                        b'f' => 0x0c,
                        _ => return None,
                    };
                }
                0..=0x1f => return None,
                plain => text[length] = plain,
            }
            length += 1;
        }
        text.truncate(length);
        String::from_utf8(text).ok()
    }
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
