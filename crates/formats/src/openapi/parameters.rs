use std::collections::HashMap;

use portolan_record::{DeclaredParameter, Location};

use super::refs::Refs;
use super::schema::{Direction, Leaf, Schemas, add_examples};
use crate::tree::Node;

/// Most parameters of one operation; the inventory tracks no more.
const PARAMETERS_MAX: usize = 1000;

/// The response code that stands for the request.
pub(super) const REQUEST: i32 = -1;

/// The parameters in effect for one operation.
#[derive(Default)]
pub(super) struct Parameters<'d> {
    /// Query, header and cookie parameters.
    pub(super) plain: Vec<DeclaredParameter>,
    /// Path parameters by name.
    pub(super) path: HashMap<&'d str, Leaf>,
    /// The schema of a Swagger body parameter.
    pub(super) body: Option<&'d Node>,
    /// The fields of a Swagger form.
    pub(super) form: Vec<Leaf>,
    /// Why some items of the lists could not be read.
    pub(super) faults: Vec<String>,
}

impl<'d> Parameters<'d> {
    /// Reads the path item's list and the operation's, which replaces items of the same name and place.
    pub(super) fn read(item: &'d Node, operation: &'d Node, refs: Refs<'d>, schemas: &Schemas<'d>) -> Self {
        let mut parameters = Self::default();
        let mut positions: HashMap<(&str, &str), usize> = HashMap::new();
        let mut effective: Vec<&'d Node> = Vec::new();
        for holder in [item, operation] {
            let list = match holder.get("parameters") {
                Some(Node::List(list)) => list,
                Some(Node::Null) | None => continue,
                Some(_) => {
                    parameters.faults.push("the member `parameters` is not an array".to_owned());
                    continue;
                }
            };
            for node in list.iter().take(PARAMETERS_MAX) {
                if !schemas.spend(1) {
                    return parameters;
                }
                let node = match refs.resolve(node) {
                    Ok(node) => node,
                    Err(reason) => {
                        parameters.faults.push(reason);
                        continue;
                    }
                };
                let text = |name: &str| node.get(name).and_then(Node::as_text).unwrap_or_default();
                let key = (text("in"), text("name"));
                if key.1.is_empty() && key.0 != "body" || !PLACES.contains(&key.0) {
                    parameters.faults.push("a parameter has no name or no known place".to_owned());
                    continue;
                }
                match positions.get(&key) {
                    Some(&at) => effective[at] = node,
                    None => {
                        positions.insert(key, effective.len());
                        effective.push(node);
                    }
                }
            }
        }
        for node in effective.into_iter().take(PARAMETERS_MAX) {
            parameters.add(node, schemas);
        }
        parameters
    }

    fn add(&mut self, node: &'d Node, schemas: &Schemas<'d>) {
        let text = |name: &str| node.get(name).and_then(Node::as_text).unwrap_or_default();
        if text("in") == "body" {
            self.body = node.get("schema");
            return;
        }
        let mut leaf = value(node, schemas);
        leaf.required = node.get("required").is_some_and(Node::is_true);
        leaf.name = text("name").to_owned();
        match text("in") {
            "path" => {
                self.path.insert(text("name"), leaf);
            }
            "query" => {
                let members = members(node, schemas);
                match members.is_empty() {
                    true => self.plain.push(declared(leaf, Location::Query, REQUEST)),
                    false => {
                        self.plain.extend(members.into_iter().map(|leaf| declared(leaf, Location::Query, REQUEST)))
                    }
                }
            }
            "header" => {
                leaf.name.make_ascii_lowercase();
                self.plain.push(declared(leaf, Location::Header, REQUEST));
            }
            "cookie" => self.plain.push(declared(leaf, Location::Cookie, REQUEST)),
            _ => self.form.push(leaf),
        }
    }
}

/// The parameters that an object in the query is sent as: `name[member]` as a deep object, else one for each member.
/// None for an object in a text of its own, such as JSON.
fn members<'d>(node: &'d Node, schemas: &Schemas<'d>) -> Vec<Leaf> {
    let Some(schema) = node.get("schema") else { return Vec::new() };
    let style = node.get("style").and_then(Node::as_text).unwrap_or("form");
    let is_exploded = !matches!(node.get("explode"), Some(Node::Bool(false)));
    let is_deep = style == "deepObject";
    if schemas.scalar(schema).schema_type != "object" || !(is_deep || (style == "form" && is_exploded)) {
        return Vec::new();
    }
    let name = node.get("name").and_then(Node::as_text).unwrap_or_default();
    let (mut leaves, _) = schemas.leaves(schema, Direction::Request);
    leaves.retain(|leaf| !leaf.name.starts_with('*'));
    for leaf in &mut leaves {
        if is_deep {
            let path: String = leaf.name.split('#').map(|part| format!("[{part}]")).collect();
            leaf.name = format!("{name}{path}");
        }
    }
    leaves
}

const PLACES: [&str; 6] = ["path", "query", "header", "cookie", "body", "formData"];

/// What a parameter or header object says of its value: by its schema, the schema of its only media type, or, in
/// Swagger, by itself.
pub(super) fn value<'d>(node: &'d Node, schemas: &Schemas<'d>) -> Leaf {
    let media = node.get("content").and_then(Node::as_map).and_then(|content| content.at(0)).map(|(_, media)| media);
    let schema = node.get("schema").or_else(|| media?.get("schema"));
    let mut examples = Vec::new();
    add_examples(&mut examples, node);
    let mut leaf = schemas.scalar(schema.unwrap_or(node));
    for example in std::mem::take(&mut leaf.examples) {
        if examples.len() < 5 && !examples.contains(&example) {
            examples.push(example);
        }
    }
    leaf.examples = examples;
    leaf
}

pub(super) fn declared(leaf: Leaf, location: Location, response_code: i32) -> DeclaredParameter {
    DeclaredParameter {
        location,
        response_code,
        name: leaf.name,
        label: None,
        schema_type: leaf.schema_type,
        format: leaf.format,
        required: leaf.required,
        examples: leaf.examples,
    }
}
