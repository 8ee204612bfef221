use std::borrow::Cow;

use crate::json::{self, Scalar, Visitor};

/// Headers that are read of one message; servers refuse far fewer.
const HEADERS_MAX: usize = 500;

/// The headers of one message, names in lower case, in the order of the message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Headers<'a> {
    entries: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Headers<'a> {
    /// Reads a JSON object of name to value. A list gives a header for each of its items; anything that is no such
    /// object gives none.
    pub fn parse(text: &'a str) -> Self {
        let mut reader = Reader { headers: Vec::with_capacity(16), name: None, depth: 0 };
        if !text.trim_start().starts_with('{') || json::walk(text, &mut reader).is_err() {
            return Self::default();
        }
        Self { entries: reader.headers }
    }

    /// The first header of the name, which is in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// Names and values, in the order of the record.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The cookies of a request, by name and value.
    pub fn cookies(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter()
            .filter(|(name, _)| *name == "cookie")
            .flat_map(|(_, value)| value.split(';'))
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.trim(), value.trim()))
    }
}

struct Reader<'a> {
    headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    name: Option<Cow<'a, str>>,
    /// Keys and arrays inside the value of the current header.
    depth: usize,
}

impl<'a> Visitor<'a> for Reader<'a> {
    fn enter_key(&mut self, key: Cow<'a, str>) {
        if self.name.is_some() {
            self.depth += 1;
        } else if key.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.name = Some(Cow::Owned(key.trim().to_ascii_lowercase()));
        } else {
            self.name = Some(key);
        }
    }

    fn enter_array(&mut self) {
        self.depth += 1;
    }

    fn leave(&mut self) {
        match self.depth {
            0 => self.name = None,
            _ => self.depth -= 1,
        }
    }

    fn scalar(&mut self, value: Scalar<'a>) {
        let Some(name) = &self.name else { return };
        if self.depth > 1 || self.headers.len() >= HEADERS_MAX {
            return;
        }
        let value = match value {
            Scalar::Text(text) => text,
            Scalar::Number(digits) => Cow::Borrowed(digits),
            Scalar::Bool(value) => Cow::Borrowed(if value { "true" } else { "false" }),
            Scalar::Null => Cow::Borrowed(""),
        };
        self.headers.push((name.clone(), value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_any_kind_are_text() {
        let headers = Headers::parse(
            r#"{"Host":"a","Age":5,"Set-Cookie":["a=1","b=2"],"x":null,"deep":{"y":{"z":1}},"last":true}"#,
        );
        let list: Vec<_> = headers.iter().collect();
        assert_eq!(
            list,
            [("host", "a"), ("age", "5"), ("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x", ""), ("last", "true")]
        );
    }

    #[test]
    fn other_texts_have_none() {
        for text in ["", "null", "[]", "[\"a\"]", "{\"a\":", "x"] {
            assert_eq!(Headers::parse(text), Headers::default(), "{text}");
        }
    }

    #[test]
    fn cookies_are_split() {
        let headers = Headers::parse(r#"{"cookie":"a=1; b=x=y;c"}"#);
        assert_eq!(headers.cookies().collect::<Vec<_>>(), [("a", "1"), ("b", "x=y")]);
    }
}
