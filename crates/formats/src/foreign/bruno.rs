//! Bruno: the JSON that it exports a collection as.

use serde_json::{Value, json};

use crate::notes::{Notes, cut};
use crate::tree::Node;

use super::build::{Foreign, REQUESTS, collection_of, headers, list, text};

/// Members of a collection and of its items that are read or hold no requests of their own.
const COLLECTION: [&str; 6] = ["name", "version", "items", "environments", "brunoConfig", "root"];
const ITEM: [&str; 5] = ["name", "type", "items", "request", "examples"];

pub(super) fn collection(root: &Node) -> Option<Foreign> {
    let items = root.get("items")?.as_list()?;
    // A collection of Postman has `item`; a list of `items` with types is Bruno's.
    let is_bruno = items.iter().all(|item| item.get("type").is_some()) && root.get("version").is_some();
    if !is_bruno || root.get("item").is_some() {
        return None;
    }
    let mut notes = Notes::default();
    if let Some(map) = root.as_map() {
        notes.unread(map, &COLLECTION, "the collection", &REQUESTS);
    }
    let environments = list(root, "environments").iter().flat_map(|environment| list(environment, "variables"));
    let variables = environments.map(|node| json!({"key": text(node, "name"), "value": text(node, "value")})).collect();
    let items = tree(items, "", &mut notes);
    Some(Foreign::new(&collection_of(&text(root, "name"), variables, items), notes))
}

/// The tree is no deeper than the parser takes, so the stack is enough.
fn tree(items: &[Node], folder: &str, notes: &mut Notes) -> Vec<Value> {
    let mut written = Vec::new();
    for item in items {
        let name = text(item, "name");
        let place = if folder.is_empty() { name.clone() } else { format!("{folder} / {name}") };
        if let Some(map) = item.as_map() {
            notes.unread(map, &ITEM, &format!("item {}", cut(&place)), &REQUESTS);
        }
        let mut known = json!({"name": name});
        match item.get("items") {
            Some(Node::List(items)) => known["item"] = tree(items, &place, notes).into(),
            Some(Node::Null) | None => {}
            Some(_) => notes.warn(format!("item {}: `items` is not a list and left out", cut(&place))),
        }
        if let Some(request) = item.get("request") {
            known["request"] = call(request);
        } else if known.get("item").is_none() {
            let (kind, place) = (cut(&text(item, "type")), cut(&place));
            notes.warn(format!("item {place} of type `{kind}` holds neither a request nor items and is left out"));
            continue;
        }
        written.push(known);
    }
    written
}

fn call(request: &Node) -> Value {
    let method = Some(text(request, "method")).filter(|method| !method.is_empty());
    json!({
        "method": method.unwrap_or_else(|| "POST".to_owned()),
        "url": text(request, "url"),
        "header": headers(list(request, "headers")),
        "body": body(request.get("body")),
        "auth": auth(request.get("auth")),
    })
}

fn body(body: Option<&Node>) -> Value {
    let Some(body) = body else { return Value::Null };
    let pairs = |name: &str| -> Vec<Value> {
        let pair = |node: &Node| json!({"key": text(node, "name"), "value": text(node, "value"), "type": "text"});
        list(body, name).iter().map(pair).collect()
    };
    match &*text(body, "mode") {
        "json" => json!({"mode": "raw", "raw": text(body, "json"), "options": {"raw": {"language": "json"}}}),
        "xml" => json!({"mode": "raw", "raw": text(body, "xml"), "options": {"raw": {"language": "xml"}}}),
        "text" => json!({"mode": "raw", "raw": text(body, "text")}),
        "formUrlEncoded" => json!({"mode": "urlencoded", "urlencoded": pairs("formUrlEncoded")}),
        "multipartForm" => json!({"mode": "formdata", "formdata": pairs("multipartForm")}),
        "graphql" => {
            let graphql = body.get("graphql");
            let part = |name: &str| graphql.map(|node| text(node, name)).unwrap_or_default();
            json!({"mode": "graphql", "graphql": {"query": part("query"), "variables": part("variables")}})
        }
        _ => Value::Null,
    }
}

fn auth(auth: Option<&Node>) -> Value {
    let Some(auth) = auth else { return Value::Null };
    let mode = text(auth, "mode");
    authentication(&mode, &|name| auth.get(&mode).map(|node| text(node, name)).unwrap_or_default())
}

/// The authentication of a mode whose members `part` knows, as Postman has it. Null inherits.
pub(super) fn authentication(mode: &str, part: &dyn Fn(&str) -> String) -> Value {
    let pair = |key: &str, value: String| json!({"key": key, "value": value});
    match mode {
        "" | "inherit" => Value::Null,
        "none" => json!({"type": "noauth"}),
        "bearer" => json!({"type": "bearer", "bearer": [pair("token", part("token"))]}),
        "basic" => {
            json!({"type": "basic", "basic": [pair("username", part("username")), pair("password", part("password"))]})
        }
        "apikey" => json!({"type": "apikey", "apikey": [
            pair("key", part("key")),
            pair("value", part("value")),
            pair("in", if part("placement").contains("query") { "query" } else { "header" }.to_owned()),
        ]}),
        other => json!({"type": other, other: []}),
    }
}
