use std::net::IpAddr;

use crate::address::address;

/// What one proxy wrote into `Forwarded` (RFC 7239).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Who spoke to the proxy; `None` when it is not told, hidden, or cannot be read.
    pub client: Option<IpAddr>,
    /// The `Host` that the proxy was asked for.
    pub host: Option<String>,
    /// The scheme by which it was asked.
    pub proto: Option<String>,
}

/// Reads one line of `Forwarded`, the nearest proxy last. An element that cannot be read is one that tells nothing.
pub fn forwarded(line: &str) -> Vec<Element> {
    split(line, ',').into_iter().map(|text| element(text).unwrap_or_default()).collect()
}

fn element(text: &str) -> Option<Element> {
    let mut element = Element::default();
    for pair in split(text, ';').into_iter().map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let value = unquoted(value.trim())?;
        match name.trim().to_ascii_lowercase().as_str() {
            "for" => element.client = address(&value),
            "host" => element.host = Some(value),
            "proto" => element.proto = Some(value),
            _ => {}
        }
    }
    Some(element)
}

/// Splits at a mark that stands in no quotes.
fn split(text: &str, mark: char) -> Vec<&str> {
    let (mut is_quoted, mut is_escaped, mut start) = (false, false, 0);
    let mut parts = Vec::new();
    for (at, letter) in text.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ if letter == mark && !is_quoted => {
                parts.push(&text[start..at]);
                start = at + letter.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// The text of a token or a quoted string; `None` for quotes that do not end.
fn unquoted(text: &str) -> Option<String> {
    let Some(rest) = text.strip_prefix('"') else { return (!text.contains('"')).then(|| text.to_owned()) };
    let mut plain = String::new();
    let mut letters = rest.chars();
    loop {
        match letters.next()? {
            '"' => return letters.next().is_none().then_some(plain),
            '\\' => plain.push(letters.next()?),
            letter => plain.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_as_the_standard_writes_them() {
        let clients = |line: &str| -> Vec<String> {
            forwarded(line).iter().map(|e| e.client.map_or("-".to_owned(), |client| client.to_string())).collect()
        };
        for (line, expected) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", vec!["192.0.2.60"]),
            ("For=\"[2001:db8:cafe::17]:4711\"", vec!["2001:db8:cafe::17"]),
            ("for=192.0.2.43, for=198.51.100.17", vec!["192.0.2.43", "198.51.100.17"]),
            ("for=\"_gazonk\", for=unknown;host=a, for=1.2.3.4", vec!["-", "-", "1.2.3.4"]),
            ("proto=https", vec!["-"]),
            ("host=\"a,b;c=\\\"d\";for=1.2.3.4, for=5.6.7.8", vec!["1.2.3.4", "5.6.7.8"]),
            ("for=\"1.2.3.4, for=5.6.7.8", vec!["-"]),
            ("for=1.2.3.4;nonsense, for=5.6.7.8", vec!["-", "5.6.7.8"]),
            ("", vec!["-"]),
        ] {
            assert_eq!(clients(line), expected, "{line}");
        }
        let told = &forwarded("for=1.2.3.4;Host=\"a.example:8443\";PROTO=https")[0];
        assert_eq!((told.host.as_deref(), told.proto.as_deref()), (Some("a.example:8443"), Some("https")));
    }
}
