//! The operations of a path item, and what else it holds.

use crate::tree::{Map, Node};

/// Members of a path item that are operations.
const METHODS: [&str; 9] = ["get", "put", "post", "delete", "options", "head", "patch", "trace", "query"];

/// The member of a path item that is an operation for each method that has none of its own.
pub(super) const ANY: &str = "x-amazon-apigateway-any-method";

/// Members of a path item that are no operations.
const OTHERS: [&str; 6] = ["$ref", "summary", "description", "servers", "parameters", "additionalOperations"];

/// The operations of a path item by their methods.
pub(super) fn operations(item: &Node) -> impl Iterator<Item = (&str, &Node)> {
    item.as_map().into_iter().flat_map(Map::iter).flat_map(|(name, node)| {
        let additional = if name == "additionalOperations" { node.as_map() } else { None };
        let own = match name {
            ANY => Some(("any", node)),
            _ if is_method(name) => Some((name, node)),
            _ => None,
        };
        own.into_iter().chain(additional.into_iter().flat_map(Map::iter))
    })
}

/// What a path item holds that is read as nothing, though it may be an operation.
pub(super) fn unknown(item: &Node) -> impl Iterator<Item = &str> {
    let members = item.as_map().into_iter().flat_map(Map::iter);
    members
        .filter(|(name, node)| {
            let is_known = match *name {
                "additionalOperations" => matches!(node, Node::Map(_) | Node::Null),
                name => OTHERS.contains(&name) || name == ANY || is_method(name),
            };
            !is_known && (!name.starts_with("x-") || looks_like_operations(node))
        })
        .map(|(name, _)| name)
}

fn is_method(name: &str) -> bool {
    METHODS.iter().any(|method| method.eq_ignore_ascii_case(name))
}

/// An extension may hold anything; one with what only operations have is one, or holds one.
fn looks_like_operations(node: &Node) -> bool {
    const MARKS: [&str; 4] = ["responses", "operationId", "requestBody", "callbacks"];
    match node {
        Node::Map(map) => {
            MARKS.iter().any(|mark| map.get(mark).is_some())
                || map.get("parameters").is_some_and(|node| node.as_list().is_some())
                || map.iter().any(|(_, node)| looks_like_operations(node))
        }
        Node::List(list) => list.iter().any(looks_like_operations),
        _ => false,
    }
}
