//! AsyncAPI 2 and 3: each channel is an operation at its address. A channel that is written to is a POST, one that is
//! read a GET, unless its HTTP binding names the method.

use serde_json::{Map, Value, json};

use crate::tree::Node;

use super::build::{members, text, value};

pub(super) fn description(root: &Node) -> Option<Value> {
    let version = text(root, "asyncapi");
    if version.is_empty() {
        return None;
    }
    let is_v2 = version.starts_with('2');
    let mut paths = Map::new();
    for (name, channel) in members(root.get("channels")) {
        let address = match is_v2 {
            true => name.to_owned(),
            false => {
                Some(text(channel, "address")).filter(|address| !address.is_empty()).unwrap_or_else(|| name.to_owned())
            }
        };
        let path = format!("/{}", address.trim_start_matches('/'));
        let item = paths.entry(path).or_insert_with(|| json!({"parameters": parameters(channel)}));
        match is_v2 {
            true => {
                for (kind, default) in [("publish", "post"), ("subscribe", "get")] {
                    if let Some(operation) = channel.get(kind) {
                        item[method(operation, default)] = call(root, operation, operation.get("message"), default);
                    }
                }
            }
            false => {
                let own = format!("#/channels/{}", name.replace('~', "~0").replace('/', "~1"));
                let of_channel = members(root.get("operations"))
                    .filter(|(_, operation)| operation.get("channel").is_some_and(|node| text(node, "$ref") == own));
                for (_, operation) in of_channel {
                    let default = if text(operation, "action") == "receive" { "post" } else { "get" };
                    let message = members(channel.get("messages")).next().map(|(_, message)| message);
                    item[method(operation, default)] = call(root, operation, message, default);
                }
            }
        }
    }
    let info = root.get("info").map(value).unwrap_or_else(|| json!({"title": "", "version": ""}));
    Some(
        json!({"openapi": "3.1.0", "info": info, "servers": servers(root), "paths": paths, "components": root.get("components").map(value).unwrap_or_else(|| json!({}))}),
    )
}

/// Addresses of protocols that have URLs; a broker's are not told by paths.
fn servers(root: &Node) -> Value {
    let mut found = Vec::new();
    for (_, server) in members(root.get("servers")) {
        let protocol = text(server, "protocol").to_lowercase();
        if !matches!(&*protocol, "http" | "https" | "ws" | "wss") {
            continue;
        }
        let url = match server.get("host") {
            Some(_) => format!("{protocol}://{}{}", text(server, "host"), text(server, "pathname")),
            None => match text(server, "url") {
                url if url.contains("://") => url,
                url => format!("{protocol}://{url}"),
            },
        };
        found.push(json!({"url": url.replacen("ws", "http", usize::from(url.starts_with("ws"))), "variables": server.get("variables").map(value).unwrap_or_else(|| json!({}))}));
    }
    found.into()
}

fn method(operation: &Node, default: &str) -> String {
    let binding = operation.get("bindings").and_then(|bindings| bindings.get("http"));
    let named = binding.map(|binding| text(binding, "method").to_lowercase()).filter(|method| !method.is_empty());
    named.unwrap_or_else(|| default.to_owned())
}

fn parameters(channel: &Node) -> Vec<Value> {
    let parameter = |(name, parameter): (&str, &Node)| {
        let schema = parameter.get("schema").map(value).unwrap_or_else(|| json!({"type": "string"}));
        json!({"in": "path", "name": name, "required": true, "schema": schema})
    };
    members(channel.get("parameters")).map(parameter).collect()
}

fn call(root: &Node, operation: &Node, message: Option<&Node>, default: &str) -> Value {
    let message = message.map(|message| resolved(root, message));
    let payload = message.and_then(|message| message.get("payload")).map(value);
    let content = payload.map(|schema| json!({"application/json": {"schema": schema}}));
    let mut written = json!({"summary": text(operation, "summary"), "responses": {"200": {"description": ""}}});
    match content {
        Some(content) if default == "post" => written["requestBody"] = json!({"content": content}),
        Some(content) => written["responses"]["200"]["content"] = content,
        None => {}
    }
    written
}

/// The message that a reference points to.
fn resolved<'n>(root: &'n Node, node: &'n Node) -> &'n Node {
    const STEPS_MAX: usize = 8;
    let mut at = node;
    for _ in 0..STEPS_MAX {
        let reference = text(at, "$ref");
        let Some(pointer) = reference.strip_prefix("#/") else { return at };
        let step = |node: Option<&'n Node>, name: &str| node?.get(&name.replace("~1", "/").replace("~0", "~"));
        match pointer.split('/').fold(Some(root), step) {
            Some(found) => at = found,
            None => return at,
        }
    }
    at
}
