//! Schemas as flat lists of leaves, in the naming of observed bodies.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};

use super::refs::{Refs, reference};
use crate::tree::{Map, Node};

/// Most leaves of one body: the inventory tracks no more.
pub(super) const LEAVES_MAX: usize = 1000;

/// Deepest nesting of schemas, references and alternatives counted.
const DEPTH_MAX: usize = 64;

/// Most schema nodes looked at for one body. The largest bodies of public descriptions take some ten thousand.
const BODY_VISITS_MAX: usize = 50_000;

/// Most schema nodes looked at for one document, so that many operations cannot share one costly schema.
const DOCUMENT_VISITS_MAX: usize = 4_000_000;

/// Most example values kept of one leaf, and the longest.
const EXAMPLES_MAX: usize = 5;
const EXAMPLE_BYTES_MAX: usize = 256;

/// One value of a body, or a parameter's only value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Leaf {
    /// Object levels joined by `#`, `$` for an array level; `json#$…` for an array as the whole body.
    pub(super) name: String,
    /// Empty when unknown.
    pub(super) schema_type: String,
    pub(super) format: Option<String>,
    pub(super) required: bool,
    pub(super) examples: Vec<String>,
}

/// Which way a body travels.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Request,
    Response,
}

/// Flattens schemas within the document's budget.
pub(super) struct Schemas<'d> {
    refs: Refs<'d>,
    left: Cell<usize>,
}

impl<'d> Schemas<'d> {
    pub(super) fn new(refs: Refs<'d>) -> Self {
        Self { refs, left: Cell::new(DOCUMENT_VISITS_MAX) }
    }

    /// Takes from the document's budget; false when it is used up.
    pub(super) fn spend(&self, visits: usize) -> bool {
        match self.left.get().checked_sub(visits) {
            Some(left) => {
                self.left.set(left);
                true
            }
            None => {
                self.left.set(0);
                false
            }
        }
    }

    /// The leaves of a body, and the first reference that does not resolve.
    pub(super) fn leaves(&self, schema: &'d Node, direction: Direction) -> (Vec<Leaf>, Option<String>) {
        let mut walk = Walk {
            schemas: self,
            direction,
            leaves: Vec::new(),
            positions: HashMap::new(),
            open: Vec::new(),
            seen: HashSet::new(),
            visits: 0,
            fault: None,
        };
        walk.schema(schema, "", &Names::default(), true, 0);
        drop_enclosing(&mut walk.leaves);
        (walk.leaves, walk.fault)
    }

    /// What a schema says of one value, without going into objects and arrays. References that do not resolve leave
    /// the type unknown.
    pub(super) fn scalar(&self, schema: &'d Node) -> Leaf {
        let mut leaf = Leaf::default();
        self.add_scalar(schema, &mut leaf, 0);
        leaf
    }

    fn add_scalar(&self, schema: &'d Node, leaf: &mut Leaf, depth: usize) {
        if depth > 4 || !self.spend(1) {
            return;
        }
        let Ok(schema) = self.refs.resolve(schema) else { return };
        if leaf.schema_type.is_empty() {
            leaf.schema_type = type_of(schema).to_owned();
        }
        if leaf.format.is_none() {
            leaf.format = format_of(schema);
        }
        add_examples(&mut leaf.examples, schema);
        for keyword in ["allOf", "oneOf", "anyOf"] {
            let parts = schema.get(keyword).and_then(Node::as_list).unwrap_or_default();
            for part in parts.iter().take(16).filter(|part| type_of(part) != "null") {
                self.add_scalar(part, leaf, depth + 1);
            }
        }
        if let Some(items) = schema.get("items")
            && leaf.schema_type == "array"
            && let Ok(items) = self.refs.resolve(items)
        {
            add_examples(&mut leaf.examples, items);
        }
    }
}

/// Names that are required here, or by what encloses this part of an `allOf`.
#[derive(Default)]
struct Names<'n, 'd> {
    own: HashSet<&'d str>,
    outer: Option<&'n Names<'n, 'd>>,
}

impl Names<'_, '_> {
    fn has(&self, name: &str) -> bool {
        self.own.contains(name) || self.outer.is_some_and(|outer| outer.has(name))
    }
}

struct Walk<'s, 'd> {
    schemas: &'s Schemas<'d>,
    direction: Direction,
    leaves: Vec<Leaf>,
    positions: HashMap<String, usize>,
    /// The schemas that enclose the present one: meeting one again is a cycle.
    open: Vec<*const Node>,
    /// What was flattened already: parts that several alternatives share are flattened once a place.
    seen: HashSet<(*const Node, String)>,
    visits: usize,
    fault: Option<String>,
}

impl<'d> Walk<'_, 'd> {
    fn schema(&mut self, schema: &'d Node, name: &str, inherited: &Names<'_, 'd>, required: bool, depth: usize) {
        self.visits += 1;
        if self.visits > BODY_VISITS_MAX || self.leaves.len() >= LEAVES_MAX || !self.schemas.spend(1) {
            return;
        }
        if depth > DEPTH_MAX {
            return self.leaf(schema, name, required);
        }
        let referred = reference(schema);
        if let Some(reference) = referred {
            match self.schemas.refs.target(reference) {
                Ok(target) => self.referred(target, name, inherited, required, depth),
                Err(reason) => {
                    self.fault.get_or_insert(reason);
                    self.leaf(&Node::Null, name, required);
                }
            }
        }
        let own = schema.get("required").and_then(Node::as_list).unwrap_or_default();
        self.visits += own.len() / 8;
        let names =
            Names { own: own.iter().take(LEAVES_MAX).filter_map(Node::as_text).collect(), outer: Some(inherited) };
        let mut composed = referred.is_some();
        for (keyword, certain) in [("allOf", true), ("oneOf", false), ("anyOf", false)] {
            let parts = schema.get(keyword).and_then(Node::as_list).unwrap_or_default();
            let alone = parts.len() == 1;
            for part in parts.iter().filter(|part| alone || type_of(part) != "null") {
                composed = true;
                let none = Names::default();
                self.schema(
                    part,
                    name,
                    if certain { &names } else { &none },
                    required && (certain || alone),
                    depth + 1,
                );
            }
        }
        for keyword in ["if", "then", "else"] {
            if let Some(part) = schema.get(keyword).filter(|part| part.as_map().is_some()) {
                self.schema(part, name, &Names::default(), false, depth + 1);
            }
        }
        composed |= self.free_members(schema, name, depth);
        match type_of(schema) {
            "object" => {
                let properties = schema.get("properties").and_then(Node::as_map).filter(|map| !map.is_empty());
                match properties {
                    Some(properties) => {
                        for (property, part) in properties.iter() {
                            if self.leaves.len() >= LEAVES_MAX || self.visits > BODY_VISITS_MAX {
                                return;
                            }
                            if self.is_other_way(part) {
                                continue;
                            }
                            let path = if name.is_empty() { property.to_owned() } else { format!("{name}#{property}") };
                            if path.len() <= NAME_BYTES_MAX {
                                let required = required && names.has(property);
                                self.schema(part, &path, &Names::default(), required, depth + 1);
                            }
                        }
                    }
                    None if composed => {}
                    None => self.leaf(schema, name, required),
                }
            }
            "array" => {
                let path = if name.is_empty() { "json#$".to_owned() } else { format!("{name}#$") };
                let tuple = schema.get("prefixItems").and_then(Node::as_list).unwrap_or_default();
                let items = schema.get("items");
                let listed = items.and_then(Node::as_list).unwrap_or_default();
                let single = items.filter(|items| items.as_map().is_some_and(|map| !map.is_empty()));
                let mut any = false;
                for part in tuple.iter().chain(listed).chain(single) {
                    any = true;
                    self.schema(part, &path, &Names::default(), required, depth + 1);
                }
                if !any && !composed {
                    self.leaf(&Node::Null, &path, required);
                }
            }
            "" if composed => self.enrich(schema, name),
            _ => self.leaf(schema, name, required),
        }
    }

    /// Members whose names are data: each stands under `*`.
    fn free_members(&mut self, schema: &'d Node, name: &str, depth: usize) -> bool {
        let patterns = schema.get("patternProperties").and_then(Node::as_map).into_iter().flat_map(Map::iter);
        let free = ["additionalProperties", "unevaluatedProperties"].into_iter().filter_map(|name| schema.get(name));
        let parts: Vec<_> = patterns.map(|(_, part)| part).chain(free).collect();
        let path = if name.is_empty() { "*".to_owned() } else { format!("{name}#*") };
        let mut any = false;
        for part in parts.into_iter().filter(|part| part.as_map().is_some_and(|map| !map.is_empty())) {
            if path.len() <= NAME_BYTES_MAX {
                any = true;
                self.schema(part, &path, &Names::default(), false, depth + 1);
            }
        }
        any
    }

    fn referred(&mut self, target: &'d Node, name: &str, inherited: &Names<'_, 'd>, required: bool, depth: usize) {
        let identity = std::ptr::from_ref(target);
        if self.open.contains(&identity) {
            return self.leaf(target, name, required);
        }
        if !self.seen.insert((identity, name.to_owned())) {
            return;
        }
        self.open.push(identity);
        self.schema(target, name, inherited, required, depth + 1);
        self.open.pop();
    }

    /// Properties that only the other side sends.
    fn is_other_way(&self, property: &'d Node) -> bool {
        let marker = if self.direction == Direction::Request { "readOnly" } else { "writeOnly" };
        let marked = |node: &Node| node.get(marker).is_some_and(Node::is_true);
        marked(property) || self.schemas.refs.resolve(property).is_ok_and(marked)
    }

    fn leaf(&mut self, schema: &Node, name: &str, required: bool) {
        // A body that is one bare value has no parameters.
        if name.is_empty() {
            return;
        }
        let at = match self.positions.get(name) {
            Some(&at) => at,
            None if self.leaves.len() >= LEAVES_MAX => return,
            None => {
                self.leaves.push(Leaf { name: name.to_owned(), required, ..Leaf::default() });
                self.positions.insert(name.to_owned(), self.leaves.len() - 1);
                self.leaves.len() - 1
            }
        };
        let leaf = &mut self.leaves[at];
        leaf.required |= required;
        if matches!(&*leaf.schema_type, "" | "null") && !type_of(schema).is_empty() {
            leaf.schema_type = type_of(schema).to_owned();
        }
        self.enrich(schema, name);
    }

    /// Adds what a schema says beside its parts to the leaf of that name, when there is one.
    fn enrich(&mut self, schema: &Node, name: &str) {
        if let Some(leaf) = self.positions.get(name).and_then(|&at| self.leaves.get_mut(at)) {
            leaf.format = leaf.format.take().or_else(|| format_of(schema));
            add_examples(&mut leaf.examples, schema);
        }
    }
}

/// Drops objects without properties where another part of the schema declares the properties.
fn drop_enclosing(leaves: &mut Vec<Leaf>) {
    let names = leaves.iter().map(|leaf| &*leaf.name);
    let enclosing = names.flat_map(|name| name.match_indices('#').map(|(at, _)| name[..at].to_owned()));
    let enclosing: HashSet<String> = enclosing.collect();
    leaves.retain(|leaf| !matches!(&*leaf.schema_type, "object" | "") || !enclosing.contains(&leaf.name));
}

/// Longest leaf name. Longer ones come from hostile nesting alone.
const NAME_BYTES_MAX: usize = 4096;

/// The JSON Schema type, declared or evident; empty when unknown.
pub(super) fn type_of(schema: &Node) -> &str {
    let evident = |value: &Node| match value {
        Node::Text(_) => "string",
        Node::Bool(_) => "boolean",
        Node::Int(_) | Node::Uint(_) => "integer",
        Node::Float(_) => "number",
        Node::List(_) => "array",
        Node::Map(_) => "object",
        Node::Null => "null",
    };
    let known = |name: &Node| match name.as_text().unwrap_or_default() {
        "string" | "file" => "string",
        "integer" => "integer",
        "number" => "number",
        "boolean" => "boolean",
        "object" => "object",
        "array" => "array",
        "null" => "null",
        _ => "",
    };
    let declared = match schema.get("type") {
        Some(Node::List(types)) => {
            let mut types = types.iter().map(known);
            let first = types.next().unwrap_or_default();
            if first == "null" { types.find(|name| *name != "null").unwrap_or(first) } else { first }
        }
        Some(name) => known(name),
        None => "",
    };
    if !declared.is_empty() {
        declared
    } else if schema.get("properties").is_some()
        || schema.get("additionalProperties").is_some_and(|part| part.as_map().is_some())
    {
        "object"
    } else if schema.get("items").is_some() || schema.get("prefixItems").is_some() {
        "array"
    } else if let Some(value) = schema.get("const") {
        evident(value)
    } else {
        let values = schema.get("enum").and_then(Node::as_list).unwrap_or_default();
        values.iter().find(|value| **value != Node::Null).map_or("", evident)
    }
}

fn format_of(schema: &Node) -> Option<String> {
    let format = schema.get("format").and_then(Node::as_text).filter(|format| format.len() <= EXAMPLE_BYTES_MAX);
    let file = || schema.get("type").and_then(Node::as_text).filter(|name| *name == "file").map(|_| "binary");
    format.or_else(file).map(str::to_owned)
}

/// Adds the values that a schema, parameter or header gives as examples.
pub(super) fn add_examples(examples: &mut Vec<String>, holder: &Node) {
    for name in ["example", "x-example", "examples", "const", "enum", "default"] {
        match holder.get(name) {
            Some(Node::List(values)) => values.iter().take(EXAMPLES_MAX).for_each(|value| add_example(examples, value)),
            Some(Node::Map(named)) if name == "examples" => {
                for (_, example) in named.iter().take(EXAMPLES_MAX) {
                    example.get("value").into_iter().for_each(|value| add_example(examples, value));
                }
            }
            Some(value) => add_example(examples, value),
            None => {}
        }
    }
}

pub(super) fn add_example(examples: &mut Vec<String>, value: &Node) {
    if examples.len() < EXAMPLES_MAX
        && let Some(text) = value.scalar()
        && !text.is_empty()
        && text.len() <= EXAMPLE_BYTES_MAX
        && !examples.contains(&text)
    {
        examples.push(text);
    }
}

/// Adds to each leaf the value that an example of the whole body holds in its place.
pub(super) fn add_body_example(leaves: &mut [Leaf], example: &Node) {
    for leaf in leaves {
        let path = leaf.name.strip_prefix("json#$").map_or(&*leaf.name, |rest| rest);
        let found = if path.len() == leaf.name.len() { Some(example) } else { first_item(example) };
        let value = path.split('#').filter(|part| !part.is_empty()).try_fold(found, |node, part| {
            let node = node?;
            Some(if part == "$" { first_item(node) } else { node.get(part) })
        });
        if let Some(Some(value)) = value {
            add_example(&mut leaf.examples, value);
        }
    }
}

fn first_item(node: &Node) -> Option<&Node> {
    node.as_list()?.first()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    /// Flattens the member `s` of a document written in YAML; one line a leaf: name, type, `!` when required.
    fn flat(text: &str) -> Vec<String> {
        let root = tree::parse(text).unwrap().root;
        let schemas = Schemas::new(Refs::new(&root));
        let (leaves, _) = schemas.leaves(root.get("s").unwrap(), Direction::Request);
        leaves
            .into_iter()
            .map(|leaf| {
                let examples = if leaf.examples.is_empty() { String::new() } else { format!(" {:?}", leaf.examples) };
                let format = leaf.format.map(|format| format!("/{format}")).unwrap_or_default();
                format!("{}:{}{format}{}{examples}", leaf.name, leaf.schema_type, if leaf.required { "!" } else { "" })
            })
            .collect()
    }

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(flat(text), expected, "{text}");
    }

    #[test]
    fn objects_and_arrays_flatten() {
        check(
            "s: {required: [a], properties: {a: {type: string, format: uuid}, b: {type: array, items: {properties: {c: {type: integer}}}}, d: {type: object}}}",
            &["a:string/uuid!", "b#$#c:integer", "d:object"],
        );
        check("s: {type: array, items: {type: object, properties: {x: {type: boolean}}}}", &["json#$#x:boolean"]);
        check("s: {type: array, items: {type: string}}", &["json#$:string!"]);
        check("s: {properties: {a: {type: array}}}", &["a#$:"]);
        check("s: {properties: {a: {type: array, items: {type: array, items: {type: number}}}}}", &["a#$#$:number"]);
        check("s: {type: string}", &[]);
        check(
            "s: {properties: {a: {type: [string, 'null']}, b: {type: ['null', integer]}, c: {}}}",
            &["a:string", "b:integer", "c:"],
        );
        check(
            "s: {properties: {a: {enum: [null, 1, 2]}, b: {const: x}}}",
            &["a:integer [\"1\", \"2\"]", "b:string [\"x\"]"],
        );
        check(
            "s: {properties: {a: {type: string, readOnly: true}, b: {type: string, writeOnly: true}}}",
            &["b:string"],
        );
    }

    #[test]
    fn compositions_merge() {
        check(
            "s: {allOf: [{$ref: '#/b'}, {required: [y], properties: {y: {type: string}}}], required: [x]}\nb: {properties: {x: {type: integer}}}",
            &["x:integer!", "y:string!"],
        );
        check(
            "s: {properties: {a: {oneOf: [{type: string}, {properties: {b: {type: integer}}}, {type: 'null'}]}}}",
            &["a:string", "a#b:integer"],
        );
        check(
            "s: {properties: {a: {anyOf: [{type: 'null'}, {$ref: '#/b'}], example: z}}}\nb: {type: string}",
            &["a:string [\"z\"]"],
        );
        check("s: {properties: {a: {$ref: '#/none'}}}", &["a:"]);
        check(
            "s: {allOf: [{properties: {a: {type: object}}}, {properties: {a: {properties: {b: {type: string}}}}}]}",
            &["a#b:string"],
        );
    }

    #[test]
    fn cycles_are_cut() {
        check(
            "s: {$ref: '#/n'}\nn: {properties: {id: {type: integer}, children: {type: array, items: {$ref: '#/n'}}}}",
            &["id:integer", "children#$:object"],
        );
        check("s: {$ref: '#/s'}", &[]);
        check("s: {properties: {a: {$ref: '#/b'}}}\nb: {$ref: '#/c'}\nc: {$ref: '#/b'}", &["a:"]);
        check("s: {allOf: [{$ref: '#/s'}, {properties: {a: {type: string}}}]}", &["a:string!"].map(|_| "a:string"));
    }

    #[test]
    fn growth_is_bounded() {
        let mut text = String::from("s: {$ref: '#/l0'}\n");
        for level in 0..60 {
            let next = format!("{{$ref: '#/l{}'}}", level + 1);
            text.push_str(&format!("l{level}: {{properties: {{a: {next}, b: {next}}}, allOf: [{next}, {next}]}}\n"));
        }
        text.push_str("l60: {type: string}\n");
        assert!(flat(&text).len() <= LEAVES_MAX);
        let mut chain = String::from("s: {$ref: '#/c0'}\n");
        for link in 0..10_000 {
            chain.push_str(&format!("c{link}: {{$ref: '#/c{}'}}\n", link + 1));
        }
        chain.push_str("c10000: {properties: {deep: {type: string}}}\n");
        assert!(flat(&chain).len() <= 1);
        let wide: String = (0..5000).map(|n| format!("p{n}: {{type: string}}, ")).collect();
        assert_eq!(flat(&format!("s: {{properties: {{{wide}}}}}")).len(), LEAVES_MAX);
    }

    #[test]
    fn examples_of_a_body_reach_its_leaves() {
        let root = tree::parse("s: {properties: {a: {properties: {b: {type: string}}}, c: {type: array, items: {type: integer}}}}\ne: {a: {b: x}, c: [7, 8]}").unwrap().root;
        let (mut leaves, _) = Schemas::new(Refs::new(&root)).leaves(root.get("s").unwrap(), Direction::Request);
        add_body_example(&mut leaves, root.get("e").unwrap());
        let found: Vec<_> = leaves.iter().map(|leaf| (&*leaf.name, leaf.examples.concat())).collect();
        assert_eq!(found, [("a#b", "x".to_owned()), ("c#$", "7".to_owned())]);
    }
}
