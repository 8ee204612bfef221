//! What a document holds beside the operations that are read: looked for at every place where one could hide.

use std::collections::HashSet;

use super::methods;
use super::operation::Operation;
use super::refs::{Refs, reference};
use crate::bundle::FILES_MEMBER;
use crate::notes::{Calls, Notes, cut, listed};
use crate::tree::{Map, Node};

const CALLS: Calls = Calls { noun: "operation", is_call: is_operation };

/// Members of the outermost object, of versions 2.0 and 3.x.
const ROOT: [&str; 24] = [
    "openapi",
    "swagger",
    "$self",
    "$schema",
    "info",
    "jsonSchemaDialect",
    "servers",
    "host",
    "basePath",
    "schemes",
    "consumes",
    "produces",
    "paths",
    "webhooks",
    "x-webhooks",
    "components",
    "definitions",
    "parameters",
    "responses",
    "securityDefinitions",
    "security",
    "tags",
    "externalDocs",
    FILES_MEMBER,
];

const COMPONENTS: [&str; 11] = [
    "schemas",
    "responses",
    "parameters",
    "examples",
    "requestBodies",
    "headers",
    "securitySchemes",
    "links",
    "callbacks",
    "pathItems",
    "mediaTypes",
];

const OPERATION: [&str; 15] = [
    "tags",
    "summary",
    "description",
    "externalDocs",
    "operationId",
    "parameters",
    "requestBody",
    "responses",
    "callbacks",
    "deprecated",
    "security",
    "servers",
    "consumes",
    "produces",
    "schemes",
];

/// Members whose content describes data: what looks like an operation in it is none.
const DATA: [&str; 8] =
    ["schemas", "schema", "definitions", "properties", "example", "examples", "default", "securityDefinitions"];

fn is_operation(map: &Map) -> bool {
    map.get("responses").is_some_and(|node| node.as_map().is_some())
        || map.get("operationId").is_some_and(|node| node.scalar().is_some())
        || map.get("requestBody").is_some_and(|node| node.as_map().is_some())
}

/// Notes what is read as nothing, though it is or may hold an operation.
pub(super) fn note(root: &Node, operations: &[Operation<'_>], notes: &mut Notes) {
    let Some(map) = root.as_map() else { return };
    notes.unknown(map, &ROOT, "the document", &CALLS);
    for (path, item) in members(root.get("paths")).filter(|(path, _)| !path.starts_with("x-")) {
        note_path(root, path, item, notes);
    }
    for operation in operations {
        note_operation(operation.node, operation.method, operation.path, notes);
    }
    let components = root.get("components");
    if let Some(components) = components.and_then(Node::as_map) {
        notes.unknown(components, &COMPONENTS, "components", &CALLS);
    }
    for name in ["info", "servers", "paths", "webhooks", "components", "parameters", "responses", "security", "tags"] {
        if let Some(node) = root.get(name) {
            Extensions { notes, place: vec!["#".to_owned(), name.to_owned()] }.walk(node);
        }
    }
    note_path_items(root, components, notes);
    note_other_calls(root, operations, components, notes);
}

/// A path that cannot be read, and what its item holds beside methods.
fn note_path(root: &Node, path: &str, item: &Node, notes: &mut Notes) {
    let place = format!("path {}", cut(path));
    match Refs::new(root).resolve(item) {
        Ok(target @ (Node::Map(_) | Node::Null)) if std::ptr::eq(target, item) => note_item(&[item], &place, notes),
        Ok(target @ (Node::Map(_) | Node::Null)) => note_item(&[item, target], &place, notes),
        Ok(_) => notes.warn(format!("{place} cannot be read: it is not an object")),
        Err(reason) => {
            notes.warn(format!("{place} cannot be read: {reason}"));
            note_item(&[item], &place, notes);
        }
    }
}

/// Members of a path item that are no methods, and methods that it names twice.
fn note_item(items: &[&Node], place: &str, notes: &mut Notes) {
    let mut names: Vec<&str> = items.iter().flat_map(|item| methods::unknown(item)).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        notes.warn(format!("{place}: member `{}` is not understood and left out", cut(name)));
    }
    let mut seen: Vec<&str> = Vec::new();
    for (method, _) in items.iter().flat_map(|item| methods::operations(item)) {
        if seen.iter().any(|known| known.eq_ignore_ascii_case(method)) {
            let method = cut(&method.to_ascii_uppercase());
            notes.warn(format!("{place}: the method {method} stands twice, and the first one counts"));
        }
        seen.push(method);
    }
}

/// Members of an operation that might hold another. Extensions are looked for everywhere.
fn note_operation(operation: &Node, method: &str, place: &str, notes: &mut Notes) {
    for (name, node) in members(Some(operation)) {
        let is_known = OPERATION.contains(&name) || name.starts_with("x-");
        if !is_known && (matches!(node, Node::Map(_) | Node::List(_)) || name == "$ref") {
            let (method, place, name) = (method.to_ascii_uppercase(), cut(place), cut(name));
            notes.warn(format!("{method} {place}: member `{name}` is not understood and left out"));
        }
    }
}

/// Looks for operations in extensions, wherever they stand.
struct Extensions<'n> {
    notes: &'n mut Notes,
    place: Vec<String>,
}

impl Extensions<'_> {
    /// The document is no deeper than its parser takes, so the stack is enough.
    fn walk(&mut self, node: &Node) {
        match node {
            Node::Map(map) => {
                for (name, node) in map.iter().filter(|(name, _)| !DATA.contains(name)) {
                    match name.starts_with("x-") {
                        true => self.note(name, node),
                        false => self.step(name.replace('~', "~0").replace('/', "~1"), node),
                    }
                }
            }
            Node::List(list) => list.iter().enumerate().for_each(|(at, node)| self.step(at.to_string(), node)),
            _ => {}
        }
    }

    fn step(&mut self, name: String, node: &Node) {
        if matches!(node, Node::Map(_) | Node::List(_)) {
            self.place.push(name);
            self.walk(node);
            self.place.pop();
        }
    }

    fn note(&mut self, name: &str, node: &Node) {
        // Members of a path item are looked at with the item.
        let is_of_item = self.place.len() == 3 && ["paths", "webhooks"].contains(&&*self.place[1]);
        let count = CALLS.count(node);
        if count > 0 && !is_of_item && name != methods::ANY {
            let (place, held) = (cut(&self.place.join("/")), CALLS.counted(count));
            self.notes.warn(format!("{place}: member `{}` is not understood and left out with {held}", cut(name)));
        }
    }
}

/// Path items that nothing points at.
fn note_path_items(root: &Node, components: Option<&Node>, notes: &mut Notes) {
    let items = components.and_then(|components| components.get("pathItems"));
    let Some(items) = items else { return };
    if !matches!(items, Node::Map(_) | Node::Null) {
        return notes.warn("components: `pathItems` is not an object and left out".to_owned());
    }
    let webhooks = members(root.get("webhooks")).chain(members(root.get("x-webhooks")));
    let used: HashSet<&str> = members(root.get("paths"))
        .chain(webhooks)
        .chain(members(Some(items)))
        .filter_map(|(_, item)| reference(item))
        .collect();
    let pointer = |name: &str| format!("#/components/pathItems/{}", name.replace('~', "~0").replace('/', "~1"));
    let mut unused = Vec::new();
    for (name, item) in members(Some(items)).filter(|(name, _)| !used.contains(&*pointer(name))) {
        note_item(&[item], &format!("path item {} of components", cut(name)), notes);
        unused.push(cut(name));
    }
    if !unused.is_empty() {
        let names = listed(&unused);
        notes.warn(format!("{} path items of components are used by no path, and no endpoints: {names}", unused.len()));
    }
}

/// Counts and names what describes calls that the API makes itself, which are no endpoints of it.
fn note_other_calls(root: &Node, operations: &[Operation<'_>], components: Option<&Node>, notes: &mut Notes) {
    for name in ["webhooks", "x-webhooks"] {
        if root.get(name).is_some_and(|node| !matches!(node, Node::Map(_) | Node::Null)) {
            notes.warn(format!("the document: `{name}` is not an object and left out"));
        }
    }
    let webhooks: Vec<_> = members(root.get("webhooks")).chain(members(root.get("x-webhooks"))).collect();
    let mut names: Vec<String> = webhooks.iter().map(|(name, _)| cut(name)).collect();
    let mut callbacks = Callbacks { root, notes: &mut *notes, names: Vec::new(), used: HashSet::new() };
    for operation in operations {
        callbacks.read(operation.node, &format!("{} {}", operation.method, cut(operation.path)), 0);
    }
    for (name, item) in webhooks {
        callbacks.read_item(item, &format!("webhook {}", cut(name)), 0);
    }
    for (name, _) in members(components.and_then(|components| components.get("callbacks"))) {
        let pointer = format!("#/components/callbacks/{}", name.replace('~', "~0").replace('/', "~1"));
        if !callbacks.used.contains(&*pointer) {
            callbacks.names.push(format!("{} of components", cut(name)));
        }
    }
    let mut of_callbacks = callbacks.names;
    if names.is_empty() && of_callbacks.is_empty() {
        return;
    }
    let (webhooks, count) = (names.len(), of_callbacks.len());
    names.append(&mut of_callbacks);
    notes.warn(format!(
        "{webhooks} webhooks and {count} callbacks are calls that the API makes, and no endpoints: {}",
        listed(&names)
    ));
}

/// The callbacks of operations, and of the operations in them.
struct Callbacks<'d, 'n> {
    root: &'d Node,
    notes: &'n mut Notes,
    names: Vec<String>,
    used: HashSet<&'d str>,
}

/// Callbacks of callbacks that are followed; references may lead in circles.
const CALLBACKS_DEPTH_MAX: usize = 8;

impl<'d> Callbacks<'d, '_> {
    fn read(&mut self, operation: &'d Node, place: &str, depth: usize) {
        let Some(callbacks) = operation.get("callbacks").filter(|_| depth < CALLBACKS_DEPTH_MAX) else { return };
        if !matches!(callbacks, Node::Map(_) | Node::Null) {
            self.names.push(format!("`callbacks` that is not an object of {place}"));
        }
        for (name, callback) in members(Some(callbacks)) {
            self.names.push(format!("{} of {place}", cut(name)));
            // What is shared is followed once.
            if reference(callback).is_some_and(|reference| !self.used.insert(reference)) {
                continue;
            }
            let Ok(callback) = Refs::new(self.root).resolve(callback) else { continue };
            for (_, item) in members(Some(callback)).filter(|(name, _)| !name.starts_with("x-")) {
                self.read_item(item, &format!("callback {}", cut(name)), depth + 1);
            }
        }
    }

    fn read_item(&mut self, item: &'d Node, place: &str, depth: usize) {
        let item = match Refs::new(self.root).resolve(item) {
            Ok(item) => item,
            Err(reason) => return self.notes.warn(format!("{place} cannot be read: {reason}")),
        };
        note_item(&[item], place, self.notes);
        for (method, node) in methods::operations(item) {
            note_operation(node, method, place, self.notes);
            self.read(node, &format!("{method} of {place}"), depth);
        }
    }
}

fn members(node: Option<&Node>) -> impl Iterator<Item = (&str, &Node)> {
    node.and_then(Node::as_map).into_iter().flat_map(Map::iter)
}
