//! Insomnia: exports of version 4 (a flat list of resources) and 5 (a tree in YAML).

use serde_json::{Value, json};

use crate::tree::Node;

use super::build::{collection_of, headers, list, members, text, value};

/// Folders of folders; the list may refer in circles.
const DEPTH_MAX: usize = 50;

pub(super) fn is_v5(text: &str) -> bool {
    text.lines().take(20).any(|line| line.starts_with("type: collection.insomnia.rest/5"))
}

pub(super) fn collection_v4(root: &Node) -> Option<Value> {
    root.get("__export_format")?;
    let resources = list(root, "resources");
    let of_type = |kind: &str| resources.iter().find(|node| text(node, "_type") == kind);
    let workspace = of_type("workspace")?;
    let name = text(workspace, "name");
    let environments = resources.iter().filter(|node| text(node, "_type") == "environment");
    let variables = environments.flat_map(|node| variables(node.get("data"), "")).collect();
    Some(collection_of(&name, variables, children(resources, &text(workspace, "_id"), 0)))
}

fn children(resources: &[Node], parent: &str, depth: usize) -> Vec<Value> {
    if depth > DEPTH_MAX {
        return Vec::new();
    }
    let own = resources.iter().filter(|node| text(node, "parentId") == parent);
    own.filter_map(|node| match &*text(node, "_type") {
        "request_group" => {
            Some(json!({"name": text(node, "name"), "item": children(resources, &text(node, "_id"), depth + 1)}))
        }
        "request" => Some(request(node, &text(node, "url"))),
        "websocket_request" => Some(json!({
            "name": text(node, "name"),
            "request": {"method": "GET", "url": braces(&text(node, "url")), "header": headers(list(node, "headers"))},
        })),
        _ => None,
    })
    .collect()
}

pub(super) fn collection_v5(root: &Node) -> Option<Value> {
    let items = list(root, "collection");
    let data = root.get("environments").and_then(|environment| environment.get("data"));
    Some(collection_of(&text(root, "name"), variables(data, ""), tree(items, 0)))
}

fn tree(items: &[Node], depth: usize) -> Vec<Value> {
    if depth > DEPTH_MAX {
        return Vec::new();
    }
    items
        .iter()
        .map(|node| match node.get("children").and_then(Node::as_list) {
            Some(children) => json!({"name": text(node, "name"), "item": tree(children, depth + 1)}),
            None => request(node, &text(node, "url")),
        })
        .collect()
}

fn request(node: &Node, url: &str) -> Value {
    let mut query: Vec<String> = Vec::new();
    for parameter in list(node, "parameters") {
        if !parameter.get("disabled").is_some_and(Node::is_true) {
            query.push(format!("{}={}", text(parameter, "name"), text(parameter, "value")));
        }
    }
    let mut url = braces(url);
    if !query.is_empty() {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(&braces(&query.join("&")));
    }
    let method = Some(text(node, "method")).filter(|method| !method.is_empty()).unwrap_or_else(|| "GET".to_owned());
    json!({
        "name": text(node, "name"),
        "request": {
            "method": method,
            "url": url,
            "header": headers(list(node, "headers")),
            "body": body(node.get("body")),
            "auth": auth(node.get("authentication")),
        },
    })
}

fn body(body: Option<&Node>) -> Value {
    let Some(body) = body else { return Value::Null };
    let parameters = list(body, "params");
    if !parameters.is_empty() {
        let mode = if text(body, "mimeType").contains("multipart") { "formdata" } else { "urlencoded" };
        let pair = |node: &Node| json!({"key": text(node, "name"), "value": text(node, "value"), "type": "text"});
        return json!({"mode": mode, mode: parameters.iter().map(pair).collect::<Vec<_>>()});
    }
    let language = if text(body, "mimeType").contains("json") { "json" } else { "text" };
    match text(body, "text") {
        raw if raw.is_empty() => Value::Null,
        raw => json!({"mode": "raw", "raw": braces(&raw), "options": {"raw": {"language": language}}}),
    }
}

fn auth(auth: Option<&Node>) -> Value {
    let Some(auth) = auth.filter(|auth| !auth.get("disabled").is_some_and(Node::is_true)) else { return Value::Null };
    let pair = |key: &str, value: String| json!({"key": key, "value": value});
    match &*text(auth, "type") {
        "" | "none" => Value::Null,
        "bearer" => json!({"type": "bearer", "bearer": [pair("token", text(auth, "token"))]}),
        "basic" => {
            json!({"type": "basic", "basic": [pair("username", text(auth, "username")), pair("password", text(auth, "password"))]})
        }
        "apikey" => json!({"type": "apikey", "apikey": [
            pair("key", text(auth, "key")),
            pair("value", text(auth, "value")),
            pair("in", if text(auth, "addTo").contains("query") { "query" } else { "header" }.to_owned()),
        ]}),
        other => json!({"type": other, other: []}),
    }
}

/// The variables of an environment; nested ones are named with dots.
fn variables(data: Option<&Node>, prefix: &str) -> Vec<Value> {
    let mut found = Vec::new();
    for (name, node) in members(data) {
        let name = format!("{prefix}{name}");
        match node.as_map() {
            Some(_) => found.extend(variables(Some(node), &format!("{name}."))),
            None => found.push(json!({"key": name, "value": value(node)})),
        }
    }
    found
}

/// `{{ _.base_url }}` as `{{base_url}}`.
fn braces(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        written.push_str(before);
        let Some((inner, behind)) = after.split_once("}}") else {
            rest = &rest[before.len()..];
            break;
        };
        let name = inner.trim();
        written.push_str(&format!("{{{{{}}}}}", name.strip_prefix("_.").unwrap_or(name)));
        rest = behind;
    }
    written.push_str(rest);
    written
}
