//! Bruno: the JSON that it exports a collection as.

use serde_json::{Value, json};

use crate::tree::Node;

use super::build::{collection_of, headers, list, text};

pub(super) fn collection(root: &Node) -> Option<Value> {
    let items = root.get("items")?.as_list()?;
    // A collection of Postman has `item`; a list of `items` with types is Bruno's.
    let is_bruno = items.iter().all(|item| item.get("type").is_some()) && root.get("version").is_some();
    if !is_bruno || root.get("item").is_some() {
        return None;
    }
    let environments = list(root, "environments").iter().flat_map(|environment| list(environment, "variables"));
    let variables = environments.map(|node| json!({"key": text(node, "name"), "value": text(node, "value")})).collect();
    Some(collection_of(&text(root, "name"), variables, tree(items)))
}

/// The tree is no deeper than the parser takes, so the stack is enough.
fn tree(items: &[Node]) -> Vec<Value> {
    items
        .iter()
        .map(|item| match item.get("request") {
            None => json!({"name": text(item, "name"), "item": tree(list(item, "items"))}),
            Some(request) => json!({"name": text(item, "name"), "request": call(request)}),
        })
        .collect()
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
    let part = |name: &str| auth.get(&mode).map(|node| text(node, name)).unwrap_or_default();
    let pair = |key: &str, value: String| json!({"key": key, "value": value});
    match &*mode {
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
