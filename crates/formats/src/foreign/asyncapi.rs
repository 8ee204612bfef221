//! AsyncAPI 2 and 3: each channel is an operation at its address. A channel that is written to is a POST, one that is
//! read a GET, unless its HTTP binding names the method.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::notes::{Calls, Notes, cut, listed};
use crate::tree::{self, Node};

use super::build::{Foreign, members, text, value};

const CALLS: Calls = Calls { noun: "operation", is_call: is_operation };

const ROOT: [&str; 10] = [
    "asyncapi",
    "id",
    "info",
    "servers",
    "defaultContentType",
    "channels",
    "operations",
    "components",
    "tags",
    "externalDocs",
];

const CHANNEL: [&str; 13] = [
    "$ref",
    "address",
    "messages",
    "title",
    "summary",
    "description",
    "servers",
    "subscribe",
    "publish",
    "parameters",
    "bindings",
    "tags",
    "externalDocs",
];

const COMPONENTS: [&str; 19] = [
    "schemas",
    "servers",
    "serverVariables",
    "channels",
    "operations",
    "messages",
    "securitySchemes",
    "parameters",
    "correlationIds",
    "replies",
    "replyAddresses",
    "externalDocs",
    "tags",
    "operationTraits",
    "messageTraits",
    "serverBindings",
    "channelBindings",
    "operationBindings",
    "messageBindings",
];

fn is_operation(map: &tree::Map) -> bool {
    const MARKS: [&str; 6] = ["action", "publish", "subscribe", "message", "messages", "payload"];
    MARKS.iter().any(|mark| map.get(mark).is_some())
}

pub(super) fn description(root: &Node) -> Option<Foreign> {
    let version = text(root, "asyncapi");
    if version.is_empty() {
        return None;
    }
    let mut reading = Reading { root, paths: Map::new(), notes: Notes::default(), without: Vec::new() };
    if let Some(map) = root.as_map() {
        reading.notes.unknown(map, &ROOT, "the document", &CALLS);
    }
    if let Some(components) = root.get("components").and_then(Node::as_map) {
        reading.notes.unknown(components, &COMPONENTS, "components", &CALLS);
    }
    if version.starts_with('2') {
        reading.read_v2()
    } else {
        reading.read_v3()
    }
    let Reading { paths, mut notes, without, .. } = reading;
    if !without.is_empty() {
        notes.warn(format!("{} channels have no operation, and are no endpoints: {}", without.len(), listed(&without)));
    }
    let info = root.get("info").map(value).unwrap_or_else(|| json!({"title": "", "version": ""}));
    let document = json!({
        "openapi": "3.1.0",
        "info": info,
        "servers": servers(root),
        "paths": paths,
        "components": root.get("components").map(value).unwrap_or_else(|| json!({})),
    });
    Some(Foreign::new(&document, notes))
}

struct Reading<'n> {
    root: &'n Node,
    paths: Map<String, Value>,
    notes: Notes,
    /// Channels without an operation.
    without: Vec<String>,
}

impl<'n> Reading<'n> {
    fn read_v2(&mut self) {
        for (name, node) in members(self.root.get("channels")) {
            let Some(channel) = self.channel(name, node) else { continue };
            let mut count = 0;
            for (kind, default) in [("publish", "post"), ("subscribe", "get")] {
                if let Some(operation) = channel.get(kind) {
                    count += 1;
                    self.add(
                        channel,
                        name,
                        &format!("{kind} of {}", cut(name)),
                        operation,
                        operation.get("message"),
                        default,
                    );
                }
            }
            if count == 0 {
                self.without.push(cut(name));
            }
        }
        self.note_components(&BTreeSet::new());
    }

    fn read_v3(&mut self) {
        let operations: Vec<_> = members(self.root.get("operations")).collect();
        let mut used = BTreeSet::new();
        let mut read = BTreeSet::new();
        for (name, node) in members(self.root.get("channels")) {
            let own = format!("#/channels/{}", name.replace('~', "~0").replace('/', "~1"));
            let Some(channel) = self.channel(name, node) else { continue };
            let same = |reference: &str| reference == own || reference == text(node, "$ref");
            let mut count = 0;
            for (operation_name, operation) in &operations {
                let target = resolved(self.root, operation);
                let reference = target.get("channel").map(|channel| text(channel, "$ref")).unwrap_or_default();
                if reference.is_empty() || !same(&reference) {
                    continue;
                }
                count += 1;
                read.insert(*operation_name);
                used.insert(text(operation, "$ref"));
                self.add_v3(channel, name, operation_name, target);
            }
            if count == 0 {
                self.without.push(cut(name));
            }
        }
        for (name, operation) in &operations {
            if read.contains(name) {
                continue;
            }
            let target = resolved(self.root, operation);
            used.insert(text(operation, "$ref"));
            let reference = target.get("channel").map(|channel| text(channel, "$ref")).unwrap_or_default();
            let channel = target.get("channel").map(|channel| resolved(self.root, channel));
            match channel.filter(|channel| channel.get("address").is_some()) {
                Some(channel) => self.add_v3(channel, &reference, name, target),
                None => self.notes.warn(format!(
                    "operation {} is left out: its channel {} is not in the document",
                    cut(name),
                    cut(&reference)
                )),
            }
        }
        self.note_components(&used);
    }

    fn add_v3(&mut self, channel: &'n Node, channel_name: &str, name: &str, operation: &'n Node) {
        let default = if text(operation, "action") == "receive" { "post" } else { "get" };
        let of_operation = operation.get("messages").and_then(Node::as_list).and_then(|list| list.first());
        let message = of_operation.or_else(|| members(channel.get("messages")).next().map(|(_, message)| message));
        self.add(channel, channel_name, &cut(name), operation, message, default);
    }

    /// The channel that a member of `channels` is or points at.
    fn channel(&mut self, name: &str, node: &'n Node) -> Option<&'n Node> {
        let channel = resolved(self.root, node);
        let name = cut(name);
        let Some(map) = channel.as_map() else {
            self.notes.warn(format!("channel {name} cannot be read: it is not an object"));
            return None;
        };
        let missing = cut(&text(channel, "$ref"));
        if !missing.is_empty() {
            self.notes.warn(format!("channel {name} cannot be read: `{missing}` points to nothing in the document"));
        }
        self.notes.unknown(map, &CHANNEL, &format!("channel {name}"), &CALLS);
        Some(channel)
    }

    fn add(
        &mut self,
        channel: &Node,
        channel_name: &str,
        name: &str,
        operation: &'n Node,
        message: Option<&'n Node>,
        default: &str,
    ) {
        let address = Some(text(channel, "address")).filter(|address| !address.is_empty());
        let address = address.unwrap_or_else(|| channel_name.to_owned());
        let path = format!("/{}", address.trim_start_matches('/'));
        let item = self.paths.entry(path).or_insert_with(|| json!({"parameters": parameters(channel)}));
        let method = method(operation, default);
        if item.get(&method).is_some() {
            let (method, address) = (method.to_ascii_uppercase(), cut(&address));
            self.notes.warn(format!("operation {name} shares the endpoint {method} {address} of another"));
            return;
        }
        item[method] = call(self.root, operation, message, default);
    }

    /// Channels and operations that stand among the components and nothing points at.
    fn note_components(&mut self, used: &BTreeSet<String>) {
        let components = self.root.get("components");
        for (kind, place) in [("channels", self.root.get("channels")), ("operations", self.root.get("operations"))] {
            let pointed: BTreeSet<String> = members(place).map(|(_, node)| text(node, "$ref")).collect();
            let shared = members(components.and_then(|components| components.get(kind)));
            let unused: Vec<String> = shared
                .filter(|(name, _)| {
                    let own = format!("#/components/{kind}/{}", name.replace('~', "~0").replace('/', "~1"));
                    !pointed.contains(&own) && !used.contains(&own)
                })
                .map(|(name, _)| cut(name))
                .collect();
            if !unused.is_empty() {
                let (count, names) = (unused.len(), listed(&unused));
                self.notes.warn(format!("{count} {kind} of components are used by nothing, and no endpoints: {names}"));
            }
        }
    }
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
        let url = url.replacen("ws", "http", usize::from(url.starts_with("ws")));
        let variables = server.get("variables").map(value).unwrap_or_else(|| json!({}));
        found.push(json!({"url": url, "variables": variables}));
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

/// The node that a reference points to.
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
