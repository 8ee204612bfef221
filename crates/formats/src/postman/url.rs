use std::collections::HashMap;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use portolan_path::{Kind, Segment};

use crate::tree::{Map, Node};

use super::scope::{Scope, is_disabled, placeholder};

/// The address of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Without its query; variable segments are type tokens. Absolute unless the request names no host.
    pub(super) url: String,
    /// Without its question mark; empty for none.
    pub(super) query: String,
    /// Host and port, when they are known.
    pub(super) host: Option<String>,
}

/// The values that a request and its saved answers give each path variable.
#[derive(Default)]
pub(super) struct PathVariables(HashMap<String, Vec<String>>);

impl PathVariables {
    /// Adds those of a `url` member.
    pub(super) fn add(&mut self, url: Option<&Node>, scope: &Scope<'_>) {
        let listed = url.and_then(|url| url.get("variable")).and_then(Node::as_list).unwrap_or_default();
        for variable in listed.iter().filter(|variable| !is_disabled(variable)) {
            let name = variable.get("key").or_else(|| variable.get("id")).and_then(Node::scalar);
            self.add_value(name, variable.get("value"), scope);
        }
    }

    /// Adds those of version 1: an object of name to value.
    pub(super) fn add_map(&mut self, variables: Option<&Map>, scope: &Scope<'_>) {
        for (name, value) in variables.into_iter().flat_map(Map::iter) {
            self.add_value(Some(name.to_owned()), Some(value), scope);
        }
    }

    fn add_value(&mut self, name: Option<String>, value: Option<&Node>, scope: &Scope<'_>) {
        if let (Some(name), Some(value)) = (name, value.and_then(Node::scalar)) {
            let value = scope.resolve(&value);
            if !value.is_empty() && placeholder(&value).is_none() {
                self.0.entry(name).or_default().push(value);
            }
        }
    }

    /// One token for all addresses of a request, so that they are one endpoint.
    fn kind(&self, name: &str) -> Kind {
        let is_number = |value: &String| {
            matches!(&**value, "<integer>" | "<number>" | "<long>" | "<int>")
                || (!value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()))
        };
        match self.0.get(name) {
            Some(values) if values.iter().all(is_number) => Kind::Integer,
            _ => Kind::String,
        }
    }
}

/// Reads the address; `None` when there is none.
///
/// # Errors
/// Why it is no address of an HTTP call.
pub(super) fn read(
    url: Option<&Node>,
    scope: &Scope<'_>,
    variables: &PathVariables,
) -> Result<Option<Address>, String> {
    let Some(written) = url.and_then(written) else { return Ok(None) };
    let text = scope.resolve(&written);
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let text = text.split('#').next().unwrap_or_default();
    let (place, query) = text.split_once('?').unwrap_or((text, ""));
    let (origin, host, path) = split_origin(place)?;
    let mut path = path.trim_start_matches('/');
    // A base with a slash at its end, joined to a path with one at its start.
    path = path.trim_start_matches('/');
    let mut address = Address { url: origin, query: encoded(query), host };
    for segment in path.split('/') {
        address.url.push('/');
        address.url.push_str(&template(segment, variables).words());
    }
    Ok(Some(address))
}

/// A segment whose variables are `:name` at its start, `{name}`, and placeholders without a value.
fn template(segment: &str, variables: &PathVariables) -> Segment {
    let mut text = String::with_capacity(segment.len());
    let mut rest = segment;
    while let Some((before, name, after)) = placeholder(rest) {
        text.push_str(before);
        let plain: String = name.chars().filter(|letter| letter.is_alphanumeric() || *letter == '_').collect();
        text.push_str(&format!("{{{plain}}}"));
        rest = after;
    }
    text.push_str(rest);
    if let Some(rest) = text.strip_prefix(':') {
        // A custom verb behind the variable begins with a colon too, and names end before a suffix.
        let end = rest.find([':', '.']).filter(|at| *at > 0).unwrap_or(rest.len());
        if end > 0 {
            text = format!("{{{}}}{}", &rest[..end], &rest[end..]);
        }
    }
    Segment::parse(&text, false, &|name| variables.kind(name))
}

/// Scheme with host, the host when it is known, and the path. Postman calls what has no scheme by `http`.
fn split_origin(place: &str) -> Result<(String, Option<String>, &str), String> {
    if place.starts_with('/') && !place.starts_with("//") {
        return Ok((String::new(), None, place));
    }
    let (scheme, rest) = place.split_once("://").unwrap_or(("http", place.trim_start_matches('/')));
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        known @ ("http" | "https" | "ws" | "wss") => known.to_owned(),
        variable if placeholder(variable).is_some() => "http".to_owned(),
        other => {
            let shown: String = other.chars().take(40).collect();
            return Err(format!("the url is not an HTTP address: its scheme is `{shown}`"));
        }
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let authority = authority.rsplit('@').next().unwrap_or_default().trim();
    if authority.is_empty() {
        return Ok((String::new(), None, path));
    }
    let known = placeholder(authority).is_none();
    let authority = if known { authority.to_lowercase() } else { authority.to_owned() };
    Ok((format!("{scheme}://{authority}"), known.then_some(authority), path))
}

/// The address as text, before its variables are replaced.
fn written(url: &Node) -> Option<String> {
    let map = match url {
        Node::Text(text) => return Some(text.to_string()),
        Node::Map(map) => map,
        _ => return None,
    };
    let raw = map.get("raw").and_then(Node::as_text);
    let host = map.get("host").map(|host| joined(host, "."));
    let path = map.get("path").map(|path| joined(path, "/"));
    let mut text = match (host, path) {
        (None, None) => raw?.split(['?', '#']).next().unwrap_or_default().to_owned(),
        (host, path) => {
            let host = host.unwrap_or_default();
            let mut text = String::new();
            let protocol = map.get("protocol").and_then(Node::scalar).filter(|protocol| !protocol.is_empty());
            if let Some(protocol) = protocol
                && !host.is_empty()
                // A variable may bring its own scheme.
                && (placeholder(&host).is_none() || raw.is_some_and(|raw| raw.contains("://")))
            {
                text = format!("{}://", protocol.trim_end_matches("://"));
            }
            text.push_str(host.trim_end_matches('/'));
            if let Some(port) = map.get("port").and_then(Node::scalar).filter(|port| !port.is_empty()) {
                text = format!("{text}:{port}");
            }
            if let Some(path) = path {
                text = format!("{text}/{}", path.trim_start_matches('/'));
            }
            text
        }
    };
    let query = match map.get("query").and_then(Node::as_list) {
        Some(list) => query(list),
        None => raw.and_then(|raw| raw.split('#').next()?.split_once('?')).map(|(_, query)| query.to_owned()),
    };
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        text = format!("{text}?{query}");
    }
    Some(text)
}

/// A host or path: a text, or a list of texts and of objects with a `value`.
fn joined(node: &Node, separator: &str) -> String {
    let part = |node: &Node| node.scalar().or_else(|| node.get("value").and_then(Node::scalar)).unwrap_or_default();
    match node {
        Node::List(list) => list.iter().map(part).collect::<Vec<_>>().join(separator),
        other => part(other),
    }
}

fn query(list: &[Node]) -> Option<String> {
    let pairs = list.iter().filter(|pair| !is_disabled(pair)).filter_map(|pair| {
        if let Node::Text(text) = pair {
            return Some(text.to_string());
        }
        let name = pair.get("key").and_then(Node::scalar)?;
        let value = pair.get("value").and_then(Node::scalar).unwrap_or_default();
        Some(format!("{}={}", part_encoded(&name, true), part_encoded(&value, false)))
    });
    Some(pairs.collect::<Vec<_>>().join("&"))
}

/// What would end a name or a value early.
fn part_encoded(text: &str, is_name: bool) -> String {
    const VALUE: &AsciiSet = &CONTROLS.add(b'&').add(b'#');
    const NAME: &AsciiSet = &VALUE.add(b'=');
    utf8_percent_encode(text, if is_name { NAME } else { VALUE }).to_string()
}

/// What no URL holds.
fn encoded(query: &str) -> String {
    const QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>');
    utf8_percent_encode(query, QUERY).to_string()
}
