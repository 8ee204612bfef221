//! Bodies of routes that take forms: `application/x-www-form-urlencoded` or JSON, as the content type says.

use bytes::Bytes;
use http::{HeaderMap, header};
use percent_encoding::percent_decode_str;
use portolan_api::{Error, Reason};
use serde_json::{Map, Value};

/// Most fields of a form.
const FIELDS_MAX: usize = 100;

/// Returns the body as a JSON object.
///
/// # Errors
/// `CONTENT_TYPE_UNSUPPORTED` for another content type or none; `OAUTH_INVALID_REQUEST` for a field that is given twice
/// or cannot be read.
pub(crate) fn to_json(headers: &HeaderMap, body: &Bytes) -> Result<Bytes, Error> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/json" => Ok(body.clone()),
        "application/x-www-form-urlencoded" => fields(body).map(|fields| Value::from(fields).to_string().into()),
        _ => Err(Reason::ContentTypeUnsupported.into()),
    }
}

fn fields(body: &[u8]) -> Result<Map<String, Value>, Error> {
    let refused = |detail: &str| Error::new(Reason::OauthInvalidRequest).with("detail", detail);
    let text = std::str::from_utf8(body).map_err(|_| refused("the body is not UTF-8"))?;
    let mut fields = Map::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| {
            let spaced = text.replace('+', " ");
            percent_decode_str(&spaced).decode_utf8().map(String::from).map_err(|_| refused("a field is not UTF-8"))
        };
        if fields.len() >= FIELDS_MAX || fields.insert(decode(name)?, decode(value)?.into()).is_some() {
            return Err(refused("a parameter is given twice"));
        }
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(content_type: &'static str, body: &'static str) -> Result<Bytes, Reason> {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        to_json(&headers, &Bytes::from_static(body.as_bytes())).map_err(|error| error.reason())
    }

    #[test]
    fn a_form_becomes_an_object() {
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        assert_eq!(read(form, "a=1+2&b=%26").unwrap(), r#"{"a":"1 2","b":"&"}"#);
        assert_eq!(read("application/json", "{}").unwrap(), "{}");
        assert_eq!(read(form, "a=1&a=2").unwrap_err(), Reason::OauthInvalidRequest);
        assert_eq!(read("text/plain", "").unwrap_err(), Reason::ContentTypeUnsupported);
    }
}
