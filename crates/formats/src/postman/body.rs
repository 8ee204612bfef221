use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::tree::Node;

use super::scope::{Scope, is_disabled, placeholder};

/// The body of a request, with the media type that follows from how it is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Body {
    pub(super) text: String,
    pub(super) media_type: Option<&'static str>,
}

/// Delimits the parts of form data; a file does not say its own.
const BOUNDARY: &str = "portolan-form-data";
const FORM_DATA: &str = "multipart/form-data; boundary=portolan-form-data";
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// Reads a `body` member.
pub(super) fn read(body: Option<&Node>, scope: &Scope<'_>) -> Body {
    let Some(body) = body else { return Body::default() };
    if let Node::Text(text) = body {
        return raw(text, "", scope);
    }
    if is_disabled(body) {
        return Body::default();
    }
    let mode = body.get("mode").and_then(Node::as_text).unwrap_or_default();
    let given = body.get(mode);
    match mode {
        "raw" => {
            let language = body.get("options").and_then(|o| o.get("raw")).and_then(|raw| raw.get("language"));
            raw(&text(given), language.and_then(Node::as_text).unwrap_or_default(), scope)
        }
        "urlencoded" => form(list(given), scope),
        "formdata" => form_data(list(given), scope),
        "graphql" => graphql(given, scope),
        // The content of a file is not in the collection.
        _ => Body::default(),
    }
}

pub(super) fn raw(text: &str, language: &str, scope: &Scope<'_>) -> Body {
    let text = scope.resolve(text);
    let text = if text.trim_start().starts_with(['{', '[']) { quoted_placeholders(text) } else { text };
    let media_type = match language {
        "json" => Some(JSON),
        "xml" => Some("application/xml"),
        "html" => Some("text/html"),
        "javascript" => Some("application/javascript"),
        "text" => Some("text/plain"),
        _ => None,
    };
    Body { media_type: media_type.filter(|_| !text.is_empty()), text }
}

pub(super) fn form(pairs: &[Node], scope: &Scope<'_>) -> Body {
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');
    let part = |text: String| utf8_percent_encode(&scope.resolve(&text), RESERVED).to_string();
    let pairs = pairs.iter().filter(|pair| !is_disabled(pair)).filter_map(|pair| {
        let name = pair.get("key").and_then(Node::scalar)?;
        Some(format!("{}={}", part(name), part(text(pair.get("value")))))
    });
    let text = pairs.collect::<Vec<_>>().join("&");
    Body { media_type: (!text.is_empty()).then_some(FORM), text }
}

pub(super) fn form_data(pairs: &[Node], scope: &Scope<'_>) -> Body {
    let quoted = |text: &str| scope.resolve(text).replace(['"', '\r', '\n'], "_");
    let mut body = String::new();
    for pair in pairs.iter().filter(|pair| !is_disabled(pair)) {
        let Some(name) = pair.get("key").and_then(Node::scalar) else { continue };
        body.push_str(&format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{}\"", quoted(&name)));
        if pair.get("type").and_then(Node::as_text) == Some("file") {
            let source = pair.get("src");
            let source =
                source.and_then(|s| s.as_list()?.first()).or(source).and_then(Node::scalar).unwrap_or_default();
            let file = source.rsplit(['/', '\\']).next().unwrap_or_default();
            body.push_str(&format!("; filename=\"{}\"\r\n\r\n", quoted(file)));
        } else {
            body.push_str("\r\n\r\n");
            body.push_str(&scope.resolve(&text(pair.get("value"))));
        }
        body.push_str("\r\n");
    }
    if body.is_empty() {
        return Body::default();
    }
    body.push_str(&format!("--{BOUNDARY}--\r\n"));
    Body { text: body, media_type: Some(FORM_DATA) }
}

pub(super) fn graphql(given: Option<&Node>, scope: &Scope<'_>) -> Body {
    let Some(given) = given.and_then(Node::as_map) else { return Body::default() };
    let variables = given.get("variables").map(|variables| match variables {
        // The editor keeps them as the text of an object.
        Node::Text(text) => serde_json::from_str(&scope.resolve(text)).unwrap_or(serde_json::Value::Null),
        other => serde_json::to_value(other).unwrap_or(serde_json::Value::Null),
    });
    let mut request = serde_json::json!({ "query": scope.resolve(&text(given.get("query"))) });
    if let Some(variables) = variables.filter(|variables| !variables.is_null()) {
        request["variables"] = variables;
    }
    if let Some(name) = given.get("operationName").and_then(Node::scalar).filter(|name| !name.is_empty()) {
        request["operationName"] = name.into();
    }
    Body { text: request.to_string(), media_type: Some(JSON) }
}

/// JSON in which variables without value stand where a value should: they are put in quotes, so that the rest of the
/// body can be read.
fn quoted_placeholders(text: String) -> String {
    if placeholder(&text).is_none() || serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok() {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut in_string = false;
    let mut rest = &*text;
    while let Some((before, name, after)) = placeholder(rest) {
        let mut escaped = false;
        for byte in before.bytes() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = in_string,
                b'"' => in_string = !in_string,
                _ => {}
            }
        }
        out.push_str(before);
        let quote = if in_string { "" } else { "\"" };
        out.push_str(quote);
        out.push_str("{{");
        out.push_str(name);
        out.push_str("}}");
        out.push_str(quote);
        rest = after;
    }
    out.push_str(rest);
    // A body that is no JSON even so stays as written.
    if serde_json::from_str::<serde::de::IgnoredAny>(&out).is_ok() { out } else { text }
}

fn text(node: Option<&Node>) -> String {
    match node {
        None | Some(Node::Null) => String::new(),
        Some(node) => node.scalar().unwrap_or_else(|| serde_json::to_string(node).unwrap_or_default()),
    }
}

fn list(node: Option<&Node>) -> &[Node] {
    node.and_then(Node::as_list).unwrap_or_default()
}
