use std::collections::BTreeMap;

use portolan_engine::{Aggregate, SubType, SuperType};
use serde_json::{Map, Value, json};

/// Levels of a body that are rebuilt; a key may hold the separator, so a name alone sets no bound.
const DEPTH_MAX: usize = 70;

/// How a name says that the whole body is an array.
const WHOLE_ARRAY: &str = "json#$";

/// The types that one parameter was seen with, and one harmless value.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    counts: BTreeMap<SubType, u64>,
    example: Option<String>,
}

impl Seen {
    pub fn add(&mut self, sub_type: SubType, aggregate: &Aggregate) {
        *self.counts.entry(sub_type).or_default() += aggregate.count;
        if !aggregate.sensitive && self.example.is_none() {
            self.example = aggregate.values.list().next().map(str::to_owned);
        }
    }

    /// The schema of the type seen most; of equally frequent ones, of the first in the order of types.
    pub fn schema(&self) -> Value {
        let valued = self.counts.iter().filter(|(sub_type, _)| **sub_type != SubType::Null);
        let most = valued.max_by(|(a, a_count), (b, b_count)| a_count.cmp(b_count).then(b.cmp(a)));
        let Some((sub_type, _)) = most else { return json!({"type": "string", "nullable": true}) };
        let mut schema = schema_of(*sub_type);
        if self.counts.contains_key(&SubType::Null) {
            schema["nullable"] = Value::Bool(true);
        }
        schema
    }

    /// One value that was seen, of the type of the schema; none of sensitive parameters.
    pub fn example(&self) -> Option<Value> {
        let text = self.example.as_deref()?;
        match self.schema()["type"].as_str() {
            Some("integer" | "number" | "boolean") => {
                serde_json::from_str(text).ok().filter(|value: &Value| value.is_number() || value.is_boolean())
            }
            Some("string") => Some(Value::from(text)),
            _ => None,
        }
    }
}

/// The schema of one subtype.
fn schema_of(sub_type: SubType) -> Value {
    match sub_type {
        SubType::Integer32 => json!({"type": "integer", "format": "int32"}),
        SubType::Integer64 => json!({"type": "integer", "format": "int64"}),
        SubType::Float => json!({"type": "number"}),
        SubType::Email => json!({"type": "string", "format": "email"}),
        SubType::Uuid => json!({"type": "string", "format": "uuid"}),
        SubType::Url => json!({"type": "string", "format": "uri"}),
        SubType::Dict => json!({"type": "object"}),
        _ if sub_type.super_type() == SuperType::Boolean => json!({"type": "boolean"}),
        _ => json!({"type": "string"}),
    }
}

/// A body as it is rebuilt from the names of its leaves.
#[derive(Clone, Debug, Default)]
struct Node {
    seen: Option<Seen>,
    members: BTreeMap<String, Node>,
    items: Option<Box<Node>>,
}

/// The schema of a body from its leaves: levels are joined by `#`, with `$` for an array level.
pub fn body<'n>(leaves: impl IntoIterator<Item = (&'n str, Seen)>) -> Value {
    let leaves: Vec<_> = leaves.into_iter().collect();
    let is_array = leaves.iter().all(|(name, _)| name.starts_with(WHOLE_ARRAY));
    let mut root = Node::default();
    for (name, seen) in leaves {
        let path = if is_array { &name["json#".len()..] } else { name };
        let mut node = &mut root;
        for level in path.splitn(DEPTH_MAX, '#') {
            node = match level {
                "$" => &mut **node.items.get_or_insert_default(),
                member => node.members.entry(member.to_owned()).or_default(),
            };
        }
        node.seen = Some(seen);
    }
    root.schema()
}

impl Node {
    /// Where calls disagree, an object counts before a list, and a list before a value.
    fn schema(&self) -> Value {
        if !self.members.is_empty() {
            let properties: Map<String, Value> =
                self.members.iter().map(|(name, node)| (name.clone(), node.schema())).collect();
            return json!({"type": "object", "properties": properties});
        }
        match (&self.items, &self.seen) {
            (Some(items), _) => json!({"type": "array", "items": items.schema()}),
            (None, Some(seen)) => seen.schema(),
            (None, None) => json!({}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(sub_types: &[SubType]) -> Seen {
        Seen { counts: sub_types.iter().map(|sub_type| (*sub_type, 1)).collect(), example: None }
    }

    #[test]
    fn nested_names_become_nested_schemas() {
        let leaf = || seen(&[SubType::Integer32]);
        let schema = body([("a#$#b", leaf()), ("a#$#c#d", leaf()), ("e", seen(&[SubType::Email, SubType::Null]))]);
        assert_eq!(schema["properties"]["a"]["items"]["properties"]["c"]["properties"]["d"]["format"], "int32");
        assert_eq!(schema["properties"]["e"], json!({"type": "string", "format": "email", "nullable": true}));
        let schema = body([("json#$#id", leaf())]);
        assert_eq!(schema["type"], "array");
        assert_eq!(schema["items"]["properties"]["id"]["type"], "integer");
        assert_eq!(body([("json#$", leaf())])["items"]["type"], "integer");
    }

    #[test]
    fn disagreeing_calls_keep_the_richer_form() {
        let leaf = || seen(&[SubType::Generic]);
        assert_eq!(body([("a", leaf()), ("a#b", leaf()), ("a#$", leaf())])["properties"]["a"]["type"], "object");
    }

    #[test]
    fn a_name_of_many_levels_stays_shallow() {
        let name = "a#".repeat(100_000);
        let text = body([(name.as_str(), seen(&[SubType::True]))]).to_string();
        assert!(text.contains("boolean"));
        assert!(serde_json::from_str::<Value>(&text).is_err() || text.matches("properties").count() <= DEPTH_MAX);
    }
}
