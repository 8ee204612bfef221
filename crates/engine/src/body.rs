use std::borrow::Cow;

use crate::credentials::is_key;
use crate::detect::{Detected, jwt_payload};
use crate::headers::Headers;
use crate::json::{self, Scalar, Visitor};
use crate::sighting::{NAME_BYTES_MAX, Place, Sightings, cut, normal_key};
use crate::text::contains_ignoring_case;
use crate::{REQUEST, SubType, xml};

/// Pairs of a form or a query, and parts of a multipart body, that are read.
const PAIRS_MAX: usize = 1000;

/// Gathers the parameters of a body by its content type. A body of no known form gives none.
pub fn read(text: &str, code: i32, headers: &Headers<'_>, sightings: &mut Sightings<'_>) {
    let text = without_guard(text.trim_start_matches(['\u{feff}', '\u{1e}']).trim());
    if text.is_empty() {
        return;
    }
    let content_type = headers.get("content-type").unwrap_or_default();
    let is_type = |part: &str| contains_ignoring_case(content_type, part);
    if text.starts_with(['{', '[']) && (read_json(text, code, sightings) || read_json_lines(text, code, sightings)) {
        return;
    }
    if is_type("event-stream") {
        read_events(text, code, sightings);
        return;
    }
    if is_type("form-urlencoded") {
        read_pairs(text, code, Place::Body, sightings);
    } else if is_type("multipart/") {
        read_multipart(text, content_type, code, sightings);
    } else if text.starts_with('<') && (is_type("xml") || is_type("soap")) {
        sightings.attempt(|sightings| xml::read(text, code, sightings).is_ok());
    } else if code == REQUEST {
        if let Some(payload) = jwt_payload(text) {
            read_json(payload.trim(), code, sightings);
        }
    } else if let Some(argument) = jsonp_argument(text) {
        read_json(argument, code, sightings);
    }
}

/// The text behind what keeps pages of other sites from reading it as a script.
fn without_guard(text: &str) -> &str {
    [")]}',", ")]}'", "for(;;);", "for (;;);", "while(1);", "while (1);", "{}&&", "throw 1;"]
        .into_iter()
        .find_map(|guard| text.strip_prefix(guard).map(str::trim_start).filter(|rest| rest.starts_with(['{', '['])))
        .unwrap_or(text)
}

/// JSON documents, one on each line or behind a record separator. Says whether any was read.
fn read_json_lines(text: &str, code: i32, sightings: &mut Sightings<'_>) -> bool {
    let mut any = false;
    for line in text.split(['\n', '\u{1e}']).map(str::trim).filter(|line| !line.is_empty()).take(PAIRS_MAX) {
        any |= line.starts_with(['{', '[']) && read_json(line, code, sightings);
    }
    any
}

/// The data of server-sent events, an event at a time.
fn read_events(text: &str, code: i32, sightings: &mut Sightings<'_>) {
    let mut data = String::new();
    for line in text.lines().chain(std::iter::once("")).take(PAIRS_MAX * 10) {
        if let Some(part) = line.strip_prefix("data:") {
            data.push_str(part.trim_start());
            data.push('\n');
        } else if line.trim().is_empty() && !data.is_empty() {
            read_json(data.trim(), code, sightings);
            data.clear();
        }
    }
}

/// Gathers the pairs of a query or a form; each name and value is decoded by itself.
pub fn read_pairs(text: &str, code: i32, place: Place, sightings: &mut Sightings<'_>) {
    for pair in text.split('&').filter(|pair| !pair.is_empty()).take(PAIRS_MAX) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded(name);
        if name.is_empty() {
            continue;
        }
        let name = normal_key(cut(&name, NAME_BYTES_MAX));
        let value = decoded(value);
        let (found, is_credential) = sightings.detectors.detect_member(&name, &value);
        let is_secret = is_credential || (place == Place::Query && is_key(&name, &value));
        sightings.add(code, place, &name, found, Some(&value), is_secret);
    }
}

fn decoded(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

/// Says whether the text was JSON; if not, nothing of it is gathered.
fn read_json(text: &str, code: i32, sightings: &mut Sightings<'_>) -> bool {
    read_json_below("", text, code, sightings)
}

/// As [`read_json`], with a name that stands before those of the leaves.
fn read_json_below(name: &str, text: &str, code: i32, sightings: &mut Sightings<'_>) -> bool {
    sightings.attempt(|sightings| {
        let mut path = String::with_capacity(64);
        path.push_str(name);
        let mut leaves = Leaves { sightings, code, key: (0, path.len()), path, outer: Vec::with_capacity(8) };
        json::walk(text, &mut leaves).is_ok()
    })
}

/// Gathers the fields of a multipart body. The content of a file is no value.
fn read_multipart(text: &str, content_type: &str, code: i32, sightings: &mut Sightings<'_>) {
    let Some(boundary) = parameter(content_type, "boundary").filter(|boundary| !boundary.is_empty()) else { return };
    let delimiter = format!("--{boundary}");
    for part in text.split(&*delimiter).skip(1).take(PAIRS_MAX).take_while(|part| !part.starts_with("--")) {
        let part = part.strip_prefix("\r\n").or_else(|| part.strip_prefix('\n')).unwrap_or(part);
        let Some((head, content)) = part.split_once("\r\n\r\n").or_else(|| part.split_once("\n\n")) else { continue };
        let disposition = head.lines().find(|line| contains_ignoring_case(line, "content-disposition:"));
        let Some(disposition) = disposition else { continue };
        let Some(name) = parameter(disposition, "name").filter(|name| !name.is_empty()) else { continue };
        let name = normal_key(cut(name, NAME_BYTES_MAX));
        if parameter(disposition, "filename").is_some() {
            let file = Detected { sub_type: SubType::Generic, reserved: false };
            sightings.add(code, Place::Body, &name, file, None, false);
        } else {
            let content = content.strip_suffix("\r\n").or_else(|| content.strip_suffix('\n')).unwrap_or(content);
            let inner = content.trim();
            if inner.starts_with(['{', '[']) && read_json_below(&name, inner, code, sightings) {
                continue;
            }
            let (found, is_secret) = sightings.detectors.detect_member(&name, content);
            sightings.add(code, Place::Body, &name, found, Some(content), is_secret);
        }
    }
}

/// The value of `name=value` or `name="value"` among the parameters of a header.
fn parameter<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.split(';').skip(1).find_map(|parameter| {
        let (other, value) = parameter.split_once('=')?;
        other.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// What stands between the parentheses of `callback(...);`.
fn jsonp_argument(text: &str) -> Option<&str> {
    let text = text.strip_prefix("/**/").unwrap_or(text);
    let (callback, rest) = text.split_once('(')?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'.');
    let callback = callback.trim();
    if callback.is_empty() || callback.len() > NAME_BYTES_MAX || !callback.bytes().all(is_name) {
        return None;
    }
    rest.trim_end_matches(';').trim_end().strip_suffix(')').map(str::trim)
}

/// Turns the leaves of a document into sightings.
struct Leaves<'s, 'd> {
    sightings: &'s mut Sightings<'d>,
    code: i32,
    path: String,
    /// Where in the path the last key stands.
    key: (usize, usize),
    /// Length of the path and place of the last key, for every key and array around.
    outer: Vec<(usize, (usize, usize))>,
}

impl<'a> Visitor<'a> for Leaves<'_, '_> {
    fn enter_key(&mut self, key: Cow<'a, str>) {
        self.outer.push((self.path.len(), self.key));
        if !self.path.is_empty() {
            self.append("#");
        }
        let start = self.path.len();
        self.append(&normal_key(&key));
        self.key = (start, self.path.len());
    }

    fn enter_array(&mut self) {
        self.outer.push((self.path.len(), self.key));
        // A document that is an array stands under the name `json`, so that its leaves have one.
        self.append(if self.path.is_empty() { "json#$" } else { "#$" });
    }

    fn leave(&mut self) {
        if let Some((len, key)) = self.outer.pop() {
            self.path.truncate(len);
            self.key = key;
        }
    }

    fn scalar(&mut self, value: Scalar<'a>) {
        let plain = |sub_type| (Detected { sub_type, reserved: false }, false);
        let detectors = self.sightings.detectors;
        let ((found, is_secret), text) = match &value {
            Scalar::Null => (plain(SubType::Null), None),
            Scalar::Bool(true) => (plain(SubType::True), Some("true")),
            Scalar::Bool(false) => (plain(SubType::False), Some("false")),
            Scalar::Number(digits) if self.repeats(true, digits) => return,
            Scalar::Text(text) if self.repeats(false, text) => return,
            Scalar::Number(digits) => ((detectors.detect_number(self.key(), digits), false), Some(*digits)),
            Scalar::Text(text) => (detectors.detect_member(self.key(), text), Some(&**text)),
        };
        self.sightings.add(self.code, Place::Body, &self.path, found, text, is_secret);
    }
}

impl Leaves<'_, '_> {
    fn key(&self) -> &str {
        &self.path[self.key.0..self.key.1]
    }

    fn repeats(&mut self, is_number: bool, text: &str) -> bool {
        self.sightings.repeats_leaf(self.code, &self.path, self.key, is_number, text)
    }

    fn append(&mut self, text: &str) {
        let room = NAME_BYTES_MAX - self.path.len();
        self.path.push_str(cut(text, room));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Detectors;

    fn leaves(text: &str, code: i32, content_type: &str) -> Vec<(String, &'static str, Option<String>)> {
        let detectors = Detectors::default();
        let mut sightings = Sightings::new(&detectors);
        let headers = serde_json::json!({ "content-type": content_type }).to_string();
        read(text, code, &Headers::parse(&headers), &mut sightings);
        let mut list = sightings.finish();
        list.sort_by(|left, right| (&left.key, &left.value).cmp(&(&right.key, &right.value)));
        list.into_iter()
            .map(|found| (found.key.name.into(), found.key.sub_type.name(), found.value.map(String::from)))
            .collect()
    }

    fn names(text: &str, code: i32, content_type: &str) -> Vec<String> {
        leaves(text, code, content_type).into_iter().map(|(name, _, _)| name).collect()
    }

    #[test]
    fn json_gives_a_leaf_per_path() {
        let found =
            leaves(r#"{"a":{"b":[{"c":1},{"c":2},{"c":"x"}]},"e":null,"f":[[true]],"7":1.5}"#, 200, "application/json");
        let expected = [
            ("NUMBER", "FLOAT", Some("1.5")),
            ("a#b#$#c", "INTEGER_32", Some("1")),
            ("a#b#$#c", "INTEGER_32", Some("2")),
            ("a#b#$#c", "GENERIC", Some("x")),
            ("e", "NULL", None),
            ("f#$#$", "TRUE", Some("true")),
        ];
        assert_eq!(found, expected.map(|(name, kind, value)| (name.to_string(), kind, value.map(str::to_string))));
        assert_eq!(names(r#"[{"id":1}]"#, 200, ""), ["json#$#id"]);
        assert_eq!(names("[1]", 200, ""), ["json#$"]);
        assert!(names("\"text\"", 200, "application/json").is_empty());
        assert!(names(r#"{"a":1"#, 200, "application/json").is_empty());
    }

    #[test]
    fn repeated_leaves_are_one_only_if_they_are_of_one_kind() {
        let found = leaves(r#"[1e5,"1e5",1e5,"1e5"]"#, 200, "");
        let kinds: Vec<_> = found.iter().map(|(_, kind, _)| *kind).collect();
        assert_eq!(kinds, ["FLOAT", "GENERIC"]);
        let found = leaves(r#"{"password#b":"x","password":{"b":"x"},"c":[{"b":"x"},{"b":"x"}]}"#, 200, "");
        let kinds: Vec<_> = found.iter().map(|(name, kind, _)| (name.as_str(), *kind)).collect();
        assert_eq!(kinds, [("c#$#b", "GENERIC"), ("password#b", "GENERIC"), ("password#b", "PASSWORD")]);
    }

    #[test]
    fn forms_are_decoded_pair_by_pair() {
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        let found = leaves("&a=1&b=x%26y%3Dz&c=a=b&d&=e&n%C3%A4me=gr%C3%BC+n&", REQUEST, form);
        let pairs: Vec<_> = found.iter().map(|(name, _, value)| (name.as_str(), value.as_deref().unwrap())).collect();
        assert_eq!(pairs, [("a", "1"), ("b", "x&y=z"), ("c", "a=b"), ("d", ""), ("näme", "grü n")]);
        assert_eq!(names(r#"{"a":1}"#, REQUEST, form), ["a"]);
    }

    #[test]
    fn multipart_fields_have_values_and_files_have_none() {
        let text = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\njane@mail.org\r\n--x\r\n\
            content-disposition: form-data; name=f; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x--\r\n";
        let nested = text.replace("jane@mail.org", r#"{"to":"jane@mail.org","list":[1]}"#);
        let mut found = names(&nested, REQUEST, "multipart/form-data; boundary=x");
        found.sort();
        assert_eq!(found, ["a#list#$", "a#to", "f"]);
        let found = leaves(text, REQUEST, "multipart/form-data; boundary=\"x\"");
        let expected =
            [("a".to_string(), "EMAIL", Some("jane@mail.org".to_string())), ("f".to_string(), "GENERIC", None)];
        assert_eq!(found, expected);
        assert!(names(text, REQUEST, "multipart/form-data").is_empty());
    }

    #[test]
    fn wrapped_documents_are_unwrapped() {
        assert_eq!(names("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", REQUEST, ""), ["sub"]);
        assert!(names("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", 200, "").is_empty());
        assert_eq!(names("/**/jQuery.cb_1({\"a\":1});", 200, "text/javascript"), ["a"]);
        assert!(names("function f() { return {} }", 200, "text/javascript").is_empty());
        assert_eq!(names("<a><b>1</b></a>", 200, "application/xml"), ["a#b"]);
        assert!(names("<html><b>1</b></html>", 200, "text/html").is_empty());
    }

    #[test]
    fn sequences_of_documents_are_read() {
        for text in ["\u{1e}{\"a\":1}\n\u{1e}{\"b\":2}\n", "{\"a\":1}\n{\"b\":2}"] {
            assert_eq!(names(text, 200, "application/json-seq"), ["a", "b"]);
        }
    }

    #[test]
    fn values_of_credentials_are_left_out() {
        let text = r#"{"password":"Winter-2031","access_token":"q","token_count":"7","hook":"ghp_abcdefghijklmnopqrstuvwxyz0123456789"}"#;
        let kept = |text: &str, content_type: &str| -> Vec<String> {
            leaves(text, REQUEST, content_type).into_iter().filter_map(|(name, _, value)| value.map(|_| name)).collect()
        };
        assert_eq!(kept(text, "application/json"), ["token_count"]);
        let form = "password=Winter-2031&client_secret=q&token_count=7";
        assert_eq!(kept(form, "application/x-www-form-urlencoded"), ["token_count"]);
    }

    #[test]
    fn long_names_are_cut() {
        let text = format!("{{\"{}\":{{\"{}\":1}}}}", "é".repeat(200), "b".repeat(400));
        assert_eq!(names(&text, 200, "")[0].len(), NAME_BYTES_MAX);
    }
}
