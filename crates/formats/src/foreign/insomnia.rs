//! Insomnia: exports of version 4 (a flat list of resources) and 5 (a tree in YAML).

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use crate::notes::{Notes, cut};
use crate::tree::Node;

use super::build::{Foreign, REQUESTS, collection_of, headers, list, members, text, value};

/// Folders of folders. What lies deeper is noted as not read.
const DEPTH_MAX: usize = 50;

pub(super) fn is_v5(text: &str) -> bool {
    text.lines().take(20).any(|line| line.starts_with("type: collection.insomnia.rest/5"))
}

/// Types of resources that are read or hold no requests.
const TYPES: [&str; 16] = [
    "workspace",
    "environment",
    "request_group",
    "request",
    "websocket_request",
    "cookie_jar",
    "unit_test",
    "unit_test_suite",
    "unit_test_result",
    "request_meta",
    "request_group_meta",
    "workspace_meta",
    "request_version",
    "websocket_payload",
    "proto_file",
    "proto_directory",
];

/// Members of a document of version 5 and of its items that are read or hold no requests.
const DOCUMENT: [&str; 8] =
    ["type", "schema_version", "name", "meta", "collection", "cookieJar", "environments", "certificates"];
const ITEM: [&str; 15] = [
    "url",
    "name",
    "meta",
    "method",
    "headers",
    "parameters",
    "pathParameters",
    "body",
    "authentication",
    "settings",
    "scripts",
    "children",
    "description",
    "environment",
    "environmentPropertyOrder",
];

pub(super) fn collection_v4(root: &Node) -> Option<Foreign> {
    root.get("__export_format")?;
    let resources = list(root, "resources");
    let workspaces: Vec<&Node> = resources.iter().filter(|node| text(node, "_type") == "workspace").collect();
    let first = workspaces.first()?;
    let mut notes = Notes::default();
    if let Some(map) = root.as_map() {
        notes.unread(map, &["resources"], "the export", &REQUESTS);
    }
    let environments = resources.iter().filter(|node| text(node, "_type") == "environment");
    let variables = environments.flat_map(|node| variables(node.get("data"), "")).collect();
    let mut flat = Flat { children: HashMap::new(), read: HashSet::new() };
    for node in resources {
        flat.children.entry(text(node, "parentId")).or_default().push(node);
    }
    let mut items = flat.below(&text(first, "_id"), 0);
    for workspace in &workspaces[1..] {
        items.push(json!({"name": text(workspace, "name"), "item": flat.below(&text(workspace, "_id"), 0)}));
    }
    for node in resources {
        let (kind, name, id) = (text(node, "_type"), cut(&text(node, "name")), text(node, "_id"));
        let is_call = matches!(&*kind, "request" | "websocket_request" | "request_group");
        if is_call && !flat.read.contains(&id) {
            notes.warn(format!("{kind} {name} belongs to no workspace of the export and is left out"));
        } else if !is_call && !TYPES.contains(&&*kind) {
            notes.warn(format!("the resource {name} of type `{}` is not understood and left out", cut(&kind)));
        }
        if let Some(map) = node.as_map() {
            notes.unread(map, &["url"], &format!("the resource {name}"), &REQUESTS);
        }
    }
    Some(Foreign::new(&collection_of(&text(first, "name"), variables, items), notes))
}

/// The resources of an export by their parents.
struct Flat<'n> {
    children: HashMap<String, Vec<&'n Node>>,
    read: HashSet<String>,
}

impl Flat<'_> {
    fn below(&mut self, parent: &str, depth: usize) -> Vec<Value> {
        if depth > DEPTH_MAX {
            return Vec::new();
        }
        let own = self.children.get(parent).cloned().unwrap_or_default();
        let mut items = Vec::new();
        for node in own {
            let kind = text(node, "_type");
            if !matches!(&*kind, "request" | "websocket_request" | "request_group") {
                continue;
            }
            // Of a circle each resource is read once.
            let id = text(node, "_id");
            if !self.read.insert(id.clone()) && !id.is_empty() {
                continue;
            }
            items.push(match &*kind {
                "request_group" => json!({"name": text(node, "name"), "item": self.below(&id, depth + 1)}),
                "request" => request(node, &text(node, "url")),
                _ => json!({
                    "name": text(node, "name"),
                    "request": {
                        "method": "GET",
                        "url": braces(&text(node, "url")),
                        "header": headers(list(node, "headers")),
                    },
                }),
            });
        }
        items
    }
}

pub(super) fn collection_v5(root: &Node) -> Foreign {
    let mut notes = Notes::default();
    if let Some(map) = root.as_map() {
        notes.unread(map, &DOCUMENT, "the document", &REQUESTS);
    }
    let items = list(root, "collection");
    let data = root.get("environments").and_then(|environment| environment.get("data"));
    let items = tree(items, "", &mut notes);
    Foreign::new(&collection_of(&text(root, "name"), variables(data, ""), items), notes)
}

/// The tree is no deeper than the parser takes, so the stack is enough.
fn tree(items: &[Node], folder: &str, notes: &mut Notes) -> Vec<Value> {
    let mut written = Vec::new();
    for node in items {
        let name = text(node, "name");
        let place = if folder.is_empty() { name.clone() } else { format!("{folder} / {name}") };
        if let Some(map) = node.as_map() {
            notes.unread(map, &ITEM, &format!("item {}", cut(&place)), &REQUESTS);
        }
        let mut known = match node.get("children") {
            Some(_) if node.get("url").is_none() => json!({"name": name}),
            _ => request(node, &text(node, "url")),
        };
        match node.get("children") {
            Some(Node::List(children)) => known["item"] = tree(children, &place, notes).into(),
            Some(Node::Null) | None => {}
            Some(_) => notes.warn(format!("item {}: `children` is not a list and left out", cut(&place))),
        }
        written.push(known);
    }
    written
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
