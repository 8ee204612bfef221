//! What the converters of other tools read by, and what they build of it.

use serde_json::{Value, json};

use crate::notes::{Calls, Notes};
use crate::tree::{Map, Node};

/// A document of another tool in the form that is read, with what was left out on the way.
pub(crate) struct Foreign {
    pub(super) root: Node,
    pub(super) notes: Notes,
}

impl Foreign {
    pub(super) fn new(value: &Value, notes: Notes) -> Self {
        Self { root: Node::of_json(value), notes }
    }

    pub(crate) fn unpack(self, notes: &mut Notes) -> Node {
        notes.extend(self.notes);
        self.root
    }
}

/// Requests in collections of any tool.
pub(crate) const REQUESTS: Calls = Calls { noun: "request", is_call: is_request };

fn is_request(map: &Map) -> bool {
    ["request", "url"].iter().any(|name| matches!(map.get(name), Some(Node::Map(_) | Node::Text(_))))
}

pub(super) fn text(node: &Node, name: &str) -> String {
    node.get(name).and_then(Node::scalar).unwrap_or_default()
}

pub(super) fn list<'n>(node: &'n Node, name: &str) -> &'n [Node] {
    node.get(name).and_then(Node::as_list).unwrap_or_default()
}

pub(super) fn members<'n>(node: Option<&'n Node>) -> impl Iterator<Item = (&'n str, &'n Node)> + use<'n> {
    node.and_then(Node::as_map).into_iter().flat_map(Map::iter)
}

/// What a node writes as JSON.
pub(super) fn value(node: &Node) -> Value {
    serde_json::to_value(node).unwrap_or_default()
}

/// The headers of a list of `name` and `value`, as Postman has them.
pub(super) fn headers(nodes: &[Node]) -> Value {
    let header = |node: &Node| {
        let is_off =
            node.get("disabled").is_some_and(Node::is_true) || matches!(node.get("enabled"), Some(Node::Bool(false)));
        json!({"key": text(node, "name"), "value": text(node, "value"), "disabled": is_off})
    };
    nodes.iter().map(header).collect()
}

pub(super) fn collection_of(name: &str, variables: Vec<Value>, items: Vec<Value>) -> Value {
    json!({
        "info": {"name": name, "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"},
        "variable": variables,
        "item": items,
    })
}
