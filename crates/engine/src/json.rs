use std::borrow::Cow;

/// Levels of nesting that are read; a body that nests deeper is no JSON to the engine.
pub const DEPTH_MAX: usize = 64;

/// A scalar as it stands in the text.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each is the JSON value of its name")]
pub enum Scalar<'a> {
    Null,
    Bool(bool),
    /// The digits as written, of any length.
    Number(&'a str),
    Text(Cow<'a, str>),
}

/// Receives a document in order. A container inside an array is entered without a key.
pub trait Visitor<'a> {
    /// A member of an object begins.
    fn enter_key(&mut self, key: Cow<'a, str>);
    /// An array begins.
    fn enter_array(&mut self);
    /// Leaves the innermost key or array.
    fn leave(&mut self);
    /// A value without parts.
    fn scalar(&mut self, value: Scalar<'a>);
}

/// Why a text is no JSON document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Walks an object or an array, without recursion and without a limit on the digits of a number. A lone surrogate
/// reads as U+FFFD. Duplicate keys are visited each. The visitor may have seen a part when the text turns out malformed.
///
/// # Errors
/// [`Malformed`] when the text is not one JSON object or array, or nests deeper than [`DEPTH_MAX`].
pub fn walk<'a>(text: &'a str, visitor: &mut impl Visitor<'a>) -> Result<(), Malformed> {
    let mut scanner = Scanner { text, bytes: text.as_bytes(), at: 0 };
    let mut stack = [false; DEPTH_MAX];
    let mut depth = 0;
    scanner.space();
    match scanner.next()? {
        b'{' => {}
        b'[' => {
            stack[0] = true;
            visitor.enter_array();
        }
        _ => return Err(Malformed),
    }
    depth += 1;
    let mut first = true;
    // Each turn reads one member of the innermost container, or its end.
    while depth > 0 {
        let is_array = stack[depth - 1];
        scanner.space();
        if scanner.peek()? == if is_array { b']' } else { b'}' } {
            scanner.at += 1;
            depth -= 1;
            first = false;
            if is_array {
                visitor.leave();
            }
            if depth > 0 && !stack[depth - 1] {
                visitor.leave();
            }
            continue;
        }
        if !first {
            scanner.expect(b',')?;
            scanner.space();
        }
        if !is_array {
            scanner.expect(b'"')?;
            let key = scanner.string()?;
            scanner.space();
            scanner.expect(b':')?;
            scanner.space();
            visitor.enter_key(key);
        }
        let opens_array = match scanner.peek()? {
            b'{' => false,
            b'[' => true,
            _ => {
                visitor.scalar(scanner.scalar()?);
                if !is_array {
                    visitor.leave();
                }
                first = false;
                continue;
            }
        };
        scanner.at += 1;
        if depth == DEPTH_MAX {
            return Err(Malformed);
        }
        stack[depth] = opens_array;
        depth += 1;
        first = true;
        if opens_array {
            visitor.enter_array();
        }
    }
    scanner.space();
    if scanner.at == scanner.bytes.len() { Ok(()) } else { Err(Malformed) }
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Result<u8, Malformed> {
        self.bytes.get(self.at).copied().ok_or(Malformed)
    }

    fn next(&mut self) -> Result<u8, Malformed> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.next()? == byte { Ok(()) } else { Err(Malformed) }
    }

    fn scalar(&mut self) -> Result<Scalar<'a>, Malformed> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                Ok(Scalar::Text(self.string()?))
            }
            b't' => self.word("true").map(|()| Scalar::Bool(true)),
            b'f' => self.word("false").map(|()| Scalar::Bool(false)),
            b'n' => self.word("null").map(|()| Scalar::Null),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Malformed> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(Malformed);
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<Scalar<'a>, Malformed> {
        let start = self.at;
        if self.peek()? == b'-' {
            self.at += 1;
        }
        match self.next()? {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return Err(Malformed),
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Ok(Scalar::Number(&self.text[start..self.at]))
    }

    fn digits(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        self.digits();
        if self.at > start { Ok(()) } else { Err(Malformed) }
    }

    /// Reads up to the closing quote; the opening one is already read.
    fn string(&mut self) -> Result<Cow<'a, str>, Malformed> {
        let start = self.at;
        self.plain()?;
        if self.bytes[self.at] == b'"' {
            self.at += 1;
            return Ok(Cow::Borrowed(&self.text[start..self.at - 1]));
        }
        let mut text = String::with_capacity(self.at - start + 32);
        text.push_str(&self.text[start..self.at]);
        loop {
            if self.next()? == b'"' {
                return Ok(Cow::Owned(text));
            }
            text.push(self.escape()?);
            let start = self.at;
            self.plain()?;
            text.push_str(&self.text[start..self.at]);
        }
    }

    /// Moves to the next quote or backslash.
    fn plain(&mut self) -> Result<(), Malformed> {
        let rest = &self.bytes[self.at..];
        let len = end_of_plain(rest).ok_or(Malformed)?;
        self.at += len;
        if rest[len] > 0x1f { Ok(()) } else { Err(Malformed) }
    }

    fn escape(&mut self) -> Result<char, Malformed> {
        Ok(match self.next()? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hex4()?;
                if (0xd800..0xdc00).contains(&high) && self.bytes[self.at..].starts_with(b"\\u") {
                    let mark = self.at;
                    self.at += 2;
                    let low = self.hex4()?;
                    if (0xdc00..0xe000).contains(&low) {
                        let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                        return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                    self.at = mark;
                }
                char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return Err(Malformed),
        })
    }

    fn hex4(&mut self) -> Result<u32, Malformed> {
        let mut code = 0;
        for _ in 0..4 {
            code = code * 16 + char::from(self.next()?).to_digit(16).ok_or(Malformed)?;
        }
        Ok(code)
    }
}

/// Where the first quote, backslash or control character stands.
fn end_of_plain(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    let (words, rest) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let equals = |byte: u8| {
            let zero = word ^ (ONES * u64::from(byte));
            zero.wrapping_sub(ONES) & !zero
        };
        // The highest bit of each byte that is one of them; of bytes above the first such one it may be set wrongly.
        let found = (equals(b'"') | equals(b'\\') | (word.wrapping_sub(ONES * 0x20) & !word)) & HIGHS;
        if found != 0 {
            return Some(at * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let last = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))?;
    Some(words.len() * 8 + last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn the_end_of_plain_text_is_found_wherever_it_stands() {
        for end in [b'"', b'\\', 0, b'\n', 0x1f] {
            for front in 0..20 {
                let mut bytes = vec![b' '; front];
                assert_eq!(end_of_plain(&bytes), None);
                bytes.extend([end, b'"', 0x7f, 0xff, 0x80, 1]);
                bytes[..front]
                    .iter_mut()
                    .zip([b'!', b'#', 0x7f, 0x80, 0xff].into_iter().cycle())
                    .for_each(|(to, from)| *to = from);
                assert_eq!(end_of_plain(&bytes), Some(front), "{end}");
            }
        }
    }

    #[derive(Default)]
    struct Trace {
        path: Vec<String>,
        leaves: Vec<(String, String)>,
    }

    impl<'a> Visitor<'a> for Trace {
        fn enter_key(&mut self, key: Cow<'a, str>) {
            self.path.push(key.into_owned());
        }
        fn enter_array(&mut self) {
            self.path.push("$".to_string());
        }
        fn leave(&mut self) {
            self.path.pop().unwrap();
        }
        fn scalar(&mut self, value: Scalar<'a>) {
            let text = match value {
                Scalar::Null => "null".to_string(),
                Scalar::Bool(value) => value.to_string(),
                Scalar::Number(value) => value.to_string(),
                Scalar::Text(value) => format!("{value:?}"),
            };
            self.leaves.push((self.path.join("#"), text));
        }
    }

    fn leaves(value: &Value, path: &mut Vec<String>, out: &mut Vec<(String, String)>) {
        match value {
            Value::Object(members) => {
                for (key, member) in members {
                    path.push(key.clone());
                    leaves(member, path, out);
                    path.pop();
                }
            }
            Value::Array(items) => {
                path.push("$".to_string());
                for item in items {
                    leaves(item, path, out);
                }
                path.pop();
            }
            Value::String(text) => out.push((path.join("#"), format!("{text:?}"))),
            other => out.push((path.join("#"), other.to_string())),
        }
    }

    fn trace(text: &str) -> Result<Vec<(String, String)>, Malformed> {
        let mut trace = Trace::default();
        walk(text, &mut trace)?;
        assert!(trace.path.is_empty());
        Ok(trace.leaves)
    }

    fn documents() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(".{0,5}", inner, 0..5)
                    .prop_map(Value::from_iter::<BTreeMap<String, Value>>),
            ]
        })
        .prop_map(|value| serde_json::json!({ "document": value }))
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(document in documents()) {
            let mut expected = Vec::new();
            leaves(&document, &mut Vec::new(), &mut expected);
            prop_assert_eq!(trace(&document.to_string()).unwrap(), expected.clone());
            prop_assert_eq!(trace(&serde_json::to_string_pretty(&document).unwrap()).unwrap(), expected);
        }

        #[test]
        fn refuses_what_serde_json_refuses(text in r#"[\[\]{}:,"a1 .\\e-]{0,12}"#) {
            let accepted = matches!(serde_json::from_str::<Value>(&text), Ok(Value::Array(_) | Value::Object(_)));
            // A number that no f64 holds is the one thing that only the walker accepts.
            if accepted || !text.contains('e') {
                prop_assert_eq!(trace(&text).is_ok(), accepted);
            }
        }
    }

    #[test]
    fn reads_hostile_documents() {
        let digits = format!("[{}]", "9".repeat(100_000));
        assert_eq!(trace(&digits).unwrap()[0].1.len(), 100_000);
        assert_eq!(trace("[1e999]").unwrap()[0].1, "1e999");
        assert_eq!(trace(r#"["\ud800x\udc00\ud83d\ude00"]"#).unwrap()[0].1, format!("{:?}", "\u{fffd}x\u{fffd}😀"));
        assert_eq!(trace(r#"{"a":1,"a":2}"#).unwrap().len(), 2);
        assert_eq!(trace(&"[".repeat(100_000)), Err(Malformed));
        let deepest = format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
        assert!(trace(&deepest).is_ok());
        assert_eq!(trace(&format!("[{deepest}]")), Err(Malformed));
        for text in
            ["", "7", "\"a\"", "{} x", "{\"a\"}", "[1,]", "[,1]", "{\"a\":1,}", "[01]", "[-]", "[1.]", "[\"\n\"]"]
        {
            assert_eq!(trace(text), Err(Malformed), "{text}");
        }
    }
}
