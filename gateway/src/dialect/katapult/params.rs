//! Parameters of a query or form: `a=1`, `a[b]=1`, `a[]=1`, `a[][b]=1`.

use percent_encoding::percent_decode_str;
use portolan_api::{Error, Reason};
use serde_json::{Map, Value};

/// Most parameters that one query or form may hold, and deepest nesting of a name.
const PARAMETERS_MAX: usize = 1000;
const DEPTH_MAX: usize = 8;

/// Reads the parameters as one object. A name that fits no earlier one takes its place.
///
/// # Errors
/// `PATH_INVALID` for text that cannot be decoded, or beyond the limits.
pub(super) fn parse(text: &str) -> Result<Map<String, Value>, Error> {
    let mut root = Map::new();
    for (count, pair) in text.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        let (first, keys) = split(&name);
        if count >= PARAMETERS_MAX || keys.len() > DEPTH_MAX {
            return Err(Reason::PathInvalid.into());
        }
        put(root.entry(first).or_insert(Value::Null), &keys, value);
    }
    Ok(root)
}

/// `a[b][]` as `a` and the list of `b` and nothing.
fn split(name: &str) -> (String, Vec<&str>) {
    let Some((first, rest)) = name.split_once('[') else { return (name.to_owned(), Vec::new()) };
    let Some(inner) = rest.strip_suffix(']').filter(|_| !first.is_empty()) else {
        return (name.to_owned(), Vec::new());
    };
    (first.to_owned(), inner.split("][").collect())
}

fn put(slot: &mut Value, keys: &[&str], value: String) {
    match keys {
        [] => *slot = Value::String(value),
        ["", rest @ ..] => {
            if !slot.is_array() {
                *slot = Value::Array(Vec::new());
            }
            let Some(items) = slot.as_array_mut() else { return };
            // A member that the last object has already begins the next object.
            let goes_on = match (items.last(), rest) {
                (Some(Value::Object(last)), [key, ..]) if !key.is_empty() => !last.contains_key(*key),
                _ => false,
            };
            if !goes_on {
                items.push(Value::Null);
            }
            if let Some(last) = items.last_mut() {
                put(last, rest, value);
            }
        }
        [key, rest @ ..] => {
            if !slot.is_object() {
                *slot = Value::Object(Map::new());
            }
            if let Some(members) = slot.as_object_mut() {
                put(members.entry((*key).to_owned()).or_insert(Value::Null), rest, value);
            }
        }
    }
}

fn decode(text: &str) -> Result<String, Error> {
    let spaced = text.replace('+', " ");
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(_) => Err(Reason::PathInvalid.into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_nest() {
        for (text, expected) in [
            ("a=1&b=x+y%26", json!({"a": "1", "b": "x y&"})),
            ("a[b][c]=1&a[b][d]=2", json!({"a": {"b": {"c": "1", "d": "2"}}})),
            ("a[]=1&a[]=2", json!({"a": ["1", "2"]})),
            ("a[][k]=1&a[][v]=2&a[][k]=3", json!({"a": [{"k": "1", "v": "2"}, {"k": "3"}]})),
            ("a[=1&[b]=2&=3", json!({"a[": "1", "[b]": "2", "": "3"})),
        ] {
            assert_eq!(Value::from(parse(text).unwrap()), expected, "{text}");
        }
        assert!(parse(&format!("a{}=1", "[b]".repeat(9))).is_err());
        assert!(parse("a=%ff").is_err());
    }
}
