//! A parsed JSON or YAML document, read under a budget.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};

use crate::FormatError;

/// Largest document. A parsed document takes several times its size in memory.
pub(crate) const DOCUMENT_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Most values and members of a document.
pub(crate) const NODES_MAX: usize = 5_000_000;

/// Deepest nesting of YAML, the same as the JSON parser's own limit; deeper text would exhaust the stack.
const DEPTH_MAX: usize = 128;

/// Most values that aliases may repeat. Real documents repeat thousands; the copies of an alias bomb stay below
/// 50 MB.
const ALIAS_NODES_MAX: usize = 250_000;

/// Most duplicate member names that are reported.
const DUPLICATES_MAX: usize = 20;

/// Member names that an object holds more than once.
#[derive(Debug, Default)]
pub(crate) struct Duplicates {
    pub(crate) names: Vec<String>,
    /// Further ones, of which only the number is kept.
    pub(crate) more: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(Box<str>),
    List(Box<[Node]>),
    Map(Map),
}

/// Members in document order; of members with the same name the last one counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Map {
    entries: Box<[(Box<str>, Node)]>,
    /// Positions by name, for maps that are worth it.
    order: Box<[u32]>,
}

/// Maps up to this size are searched from front to back.
const SCAN_MAX: usize = 12;

impl Map {
    fn new(mut entries: Vec<(Box<str>, Node)>, duplicate: &mut dyn FnMut(&str)) -> Self {
        let mut order: Vec<u32> = (0..entries.len() as u32).collect();
        order.sort_by(|&l, &r| entries[l as usize].0.cmp(&entries[r as usize].0));
        let mut dropped = Vec::new();
        for pair in order.windows(2) {
            if entries[pair[0] as usize].0 == entries[pair[1] as usize].0 {
                duplicate(&entries[pair[0] as usize].0);
                dropped.push(pair[0]);
            }
        }
        if !dropped.is_empty() {
            dropped.sort_unstable();
            let mut at = 0_u32;
            entries.retain(|_| {
                at += 1;
                dropped.binary_search(&(at - 1)).is_err()
            });
            return Self::new(entries, duplicate);
        }
        if entries.len() <= SCAN_MAX {
            order.clear();
        }
        Self { entries: entries.into(), order: order.into() }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        if self.order.is_empty() {
            return self.entries.iter().find(|(key, _)| **key == *name).map(|(_, node)| node);
        }
        let at = self.order.binary_search_by(|&at| (*self.entries[at as usize].0).cmp(name)).ok()?;
        Some(&self.entries[self.order[at] as usize].1)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.entries.iter().map(|(name, node)| (&**name, node))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Node)> {
        self.entries.iter_mut().map(|(name, node)| (&**name, node))
    }

    /// The map with one more member, which counts before one of its name.
    pub(crate) fn with(self, name: &str, node: Node) -> Self {
        let mut entries = self.entries.into_vec();
        entries.push((name.into(), node));
        Self::new(entries, &mut |_| {})
    }

    pub(crate) fn at(&self, position: usize) -> Option<(&str, &Node)> {
        self.entries.get(position).map(|(name, node)| (&**name, node))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Node {
    /// A value of JSON as a node.
    pub(crate) fn of_json(value: &serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(number), _) => Self::Int(number),
                (None, Some(number)) => Self::Uint(number),
                (None, None) => Self::Float(number.as_f64().unwrap_or_default()),
            },
            Value::String(text) => Self::Text(text.as_str().into()),
            Value::Array(list) => Self::List(list.iter().map(Self::of_json).collect()),
            Value::Object(map) => {
                let entries = map.iter().map(|(name, value)| (name.as_str().into(), Self::of_json(value))).collect();
                Self::Map(Map::new(entries, &mut |_| {}))
            }
        }
    }

    /// The member of that name, when the node is a map that has it.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        self.as_map()?.get(name)
    }

    pub(crate) fn as_map(&self) -> Option<&Map> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    pub(crate) fn as_list(&self) -> Option<&[Node]> {
        if let Self::List(list) = self { Some(list) } else { None }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(crate) fn is_true(&self) -> bool {
        matches!(self, Self::Bool(true))
    }

    /// A text, number or boolean as text.
    pub(crate) fn scalar(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.to_string()),
            Self::Bool(value) => Some(value.to_string()),
            Self::Int(number) => Some(number.to_string()),
            Self::Uint(number) => Some(number.to_string()),
            Self::Float(number) => Some(format!("{number:?}")),
            Self::Null | Self::List(_) | Self::Map(_) => None,
        }
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::Uint(number) => serializer.serialize_u64(*number),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(list) => serializer.collect_seq(list),
            Self::Map(map) => serializer.collect_map(map.iter()),
        }
    }
}

/// A document and the member names that stand twice in one of its objects.
pub(crate) struct Tree {
    pub(crate) root: Node,
    pub(crate) duplicates: Duplicates,
}

/// Parses JSON, or YAML when the text is not JSON.
///
/// # Errors
/// [`FormatError::TooLarge`], or [`FormatError::Syntax`] with the line.
pub(crate) fn parse(text: &str) -> Result<Tree, FormatError> {
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(FormatError::TooLarge(format!("{} bytes of at most {DOCUMENT_BYTES_MAX}", text.len())));
    }
    if !text.trim_start().starts_with(['{', '[']) {
        return parse_yaml(text);
    }
    // Braces also start YAML written in its flow style.
    parse_json(text).or_else(|fault| match fault {
        FormatError::Syntax { .. } => parse_yaml(text).map_err(|_| fault),
        other => Err(other),
    })
}

/// Parses JSON alone.
///
/// # Errors
/// [`FormatError::TooLarge`], or [`FormatError::Syntax`] with the line.
pub(crate) fn parse_json(text: &str) -> Result<Tree, FormatError> {
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(FormatError::TooLarge(format!("{} bytes of at most {DOCUMENT_BYTES_MAX}", text.len())));
    }
    let budget = Budget::default();
    let mut json = serde_json::Deserializer::from_str(text);
    let parsed = Seed(&budget).deserialize(&mut json).and_then(|root| json.end().map(|()| root));
    budget.finish(parsed, |fault| FormatError::json(fault, 1, 1))
}

/// Stack for parsing YAML: its parser takes some 20 KB a level of nesting in an unoptimized build, more than a thread of
/// unknown size has for [`DEPTH_MAX`] levels.
const YAML_STACK_BYTES: usize = 32 * 1024 * 1024;

fn parse_yaml(text: &str) -> Result<Tree, FormatError> {
    std::thread::scope(|scope| {
        let parser = std::thread::Builder::new().name("yaml".to_owned()).stack_size(YAML_STACK_BYTES);
        let parsed = parser.spawn_scoped(scope, || parse_yaml_here(text))?.join();
        parsed.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn parse_yaml_here(text: &str) -> Result<Tree, FormatError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 3 * NODES_MAX,
            max_nodes: NODES_MAX,
            max_depth: DEPTH_MAX,
            max_documents: 1,
            max_total_scalar_bytes: DOCUMENT_BYTES_MAX,
            // How often one anchor is used says nothing; what the uses expand to is limited below.
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: ALIAS_NODES_MAX },
        emit_comments: false,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    };
    let budget = Budget::default();
    let parsed =
        serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| Seed(&budget).deserialize(yaml));
    budget.finish(parsed, |fault| {
        let place = fault.location();
        FormatError::Syntax {
            line: place.map_or(1, |place| place.line()),
            column: place.map_or(1, |place| place.column()),
            reason: yaml_reason(fault),
        }
    })
}

/// The parser's sentence, on one line and without the place, which is told apart.
fn yaml_reason(fault: &serde_saphyr::Error) -> String {
    let text = fault.without_snippet().to_string();
    let line = text.lines().next().unwrap_or_default();
    let line = line.split(" at line ").next().unwrap_or_default();
    line.chars().take(300).collect()
}

#[derive(Default)]
struct Budget {
    used: Cell<usize>,
    exhausted: Cell<bool>,
    duplicates: RefCell<Duplicates>,
}

impl Budget {
    fn take(&self) -> bool {
        let used = self.used.get() + 1;
        self.used.set(used);
        self.exhausted.set(used > NODES_MAX);
        used <= NODES_MAX
    }

    fn note_duplicate(&self, name: &str) {
        let mut duplicates = self.duplicates.borrow_mut();
        if duplicates.names.len() < DUPLICATES_MAX {
            duplicates.names.push(name.chars().take(100).collect());
        } else {
            duplicates.more += 1;
        }
    }

    fn finish<E>(self, parsed: Result<Node, E>, fault: impl FnOnce(&E) -> FormatError) -> Result<Tree, FormatError> {
        match parsed {
            Ok(root) => Ok(Tree { root, duplicates: self.duplicates.into_inner() }),
            Err(_) if self.exhausted.get() => {
                Err(FormatError::TooLarge(format!("it holds more than {NODES_MAX} values")))
            }
            Err(error) => Err(fault(&error)),
        }
    }
}

#[derive(Clone, Copy)]
struct Seed<'b>(&'b Budget);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        if !self.0.take() {
            return Err(D::Error::custom("too many values"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Int(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
        Ok(i64::try_from(number).map_or(Node::Uint(number), Node::Int))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Node, E> {
        Ok(Node::Text(number.to_string().into()))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Node, E> {
        Ok(Node::Text(number.to_string().into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Node, E> {
        Ok(Node::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.into()))
    }

    fn visit_string<E>(self, text: String) -> Result<Node, E> {
        Ok(Node::Text(text.into()))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Node, E> {
        Ok(Node::Text(String::from_utf8_lossy(bytes).into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Node::List(list.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(name) = members.next_key::<Box<str>>()? {
            entries.push((name, members.next_value_seed(self)?));
        }
        Ok(Node::Map(Map::new(entries, &mut |name| self.0.note_duplicate(name))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, path: &[&str], expected: &str) {
        let tree = parse(text).unwrap();
        let node = path.iter().try_fold(&tree.root, |node, name| node.get(name));
        assert_eq!(node.and_then(Node::scalar).as_deref(), Some(expected), "{text}");
    }

    #[test]
    fn yaml_scalars_keep_what_was_written() {
        check("responses:\n  200:\n    description: ok\n", &["responses", "200", "description"], "ok");
        check("on: yes\n", &["on"], "yes");
        check("y: no\n", &["y"], "no");
        check("a: true\n", &["a"], "true");
        check("date: 2024-01-01\n", &["date"], "2024-01-01");
        check("time: 2001-12-14t21:59:43.10-05:00\n", &["time"], "2001-12-14t21:59:43.10-05:00");
        check("a: 123456789012345678901234567890\n", &["a"], "1.2345678901234568e29");
        check("a: 18446744073709551615\n", &["a"], "18446744073709551615");
        check("a: 007\n", &["a"], "007");
        check("a: 1_000\n", &["a"], "1_000");
        check("openapi: 3.0\n", &["openapi"], "3.0");
        check("a: .inf\n", &["a"], ".inf");
        check("{a: {b: c}}", &["a", "b"], "c");
        check("? x\n: 1\n", &["x"], "1");
        check("{\"a\": 1e999}", &["a"], ".inf");
    }

    #[test]
    fn of_duplicate_names_the_last_counts() {
        for text in [r#"{"a": 1, "b": 2, "a": 3, "a": 4}"#, "a: 1\nb: 2\na: 3\na: 4\n"] {
            check(text, &["a"], "4");
            check(text, &["b"], "2");
            assert_eq!(parse(text).unwrap().duplicates.names, ["a", "a"]);
        }
        let many: String = (0..100).map(|n| format!("k{n}: {n}\n")).collect();
        check(&many, &["k57"], "57");
    }

    #[test]
    fn anchors_load_and_merge() {
        check("base: &b {x: 1}\nuse:\n  <<: *b\n  y: 2\n", &["use", "x"], "1");
        let mut many = String::from("base: &b {x: 1}\nuse:\n");
        for n in 0..5000 {
            many.push_str(&format!("  k{n}: *b\n"));
        }
        check(&many, &["use", "k4999", "x"], "1");
    }

    #[test]
    fn hostile_documents_are_refused() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
        for level in 1..9 {
            let aliases = vec![format!("*a{}", level - 1); 9].join(",");
            bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        let started = std::time::Instant::now();
        let refused = |text: &str, reason: &str| {
            let error = parse(text).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        };
        refused(&bomb, "alias");
        refused(&"[".repeat(100_000), "recursion limit");
        refused(&"{\"a\":".repeat(100_000), "recursion limit");
        refused(&"- ".repeat(100_000), "line 1");
        refused(&format!("a: {}", "[".repeat(100_000)), "line 1");
        refused("a: *nope\n", "line 1");
        refused("a:\n  - b\n c: [\n", "line 3");
        assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    }

    #[test]
    fn nodes_are_counted() {
        let text = format!("[{}0]", "0,".repeat(NODES_MAX));
        assert!(parse(&text).map(|_| ()).unwrap_err().to_string().contains("5000000 values"));
    }
}
