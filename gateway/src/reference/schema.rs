//! JSON schemas of messages, under the naming rules that the codec follows.

use std::collections::BTreeMap;

use portolan_api::{common::v1::Carrier, options};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::comments::Comments;
use crate::dialect::example_text;

/// Whether null and absence are documented for requests or for answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Request,
    Answer,
}

/// Collects the schemas of messages under their names.
pub(crate) struct Schemas {
    comments: Comments,
    pub named: BTreeMap<String, Value>,
}

impl Schemas {
    pub fn new() -> Self {
        Self { comments: Comments::read(), named: BTreeMap::new() }
    }

    /// A reference to a message's schema, which is made on the way.
    pub fn reference(&mut self, message: &MessageDescriptor, direction: Direction) -> Value {
        let inner = message.fields().next();
        if let Some(field) = inner.filter(|_| options::inline(message)) {
            let schema = self.value(&field, direction);
            return if may_be_null(&field, direction) { nullable(schema) } else { schema };
        }
        // What answers always hold, requests may leave out or give as null: a message of both has two schemas.
        let name = match direction {
            Direction::Request if !message.name().ends_with("Request") => format!("{}Input", message.name()),
            _ => message.name().to_owned(),
        };
        if !self.named.contains_key(&name) {
            self.named.insert(name.clone(), Value::Null);
            let schema = self.object(message, direction);
            self.named.insert(name.clone(), schema);
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    /// The schema of one field, with its comment.
    pub fn field(&mut self, field: &FieldDescriptor, direction: Direction) -> Value {
        let mut schema = self.value(field, direction);
        if may_be_null(field, direction) {
            schema = nullable(schema);
        }
        let comment = self.comment(field);
        if !comment.is_empty() {
            if schema.get("$ref").is_some() {
                schema = json!({ "allOf": [schema] });
            }
            schema["description"] = comment.into();
        }
        schema
    }

    pub fn comment(&self, field: &FieldDescriptor) -> String {
        self.comments.at(field.parent_message().parent_file().name(), field.path()).to_owned()
    }

    fn object(&mut self, message: &MessageDescriptor, direction: Direction) -> Value {
        let mut properties = Map::new();
        let mut always = Vec::new();
        for field in message.fields() {
            let rule = options::field(&field);
            if rule.carrier != Carrier::Unspecified
                || rule.raw_body
                || rule.given_members
                || !options::from_header(&field).is_empty()
            {
                continue;
            }
            if direction == Direction::Answer && !rule.omit_unset && !rule.secret {
                always.push(Value::from(field.json_name()));
            }
            let mut schema = self.field(&field, direction);
            // A member that is null is the same as one that is absent.
            if direction == Direction::Request && !rule.raw_json {
                schema = nullable(schema);
            }
            properties.insert(field.json_name().to_owned(), schema);
        }
        let mut schema = json!({ "type": "object", "properties": properties });
        if !always.is_empty() {
            schema["required"] = always.into();
        }
        let comment = self.comments.at(message.parent_file().name(), message.path());
        if !comment.is_empty() {
            schema["description"] = comment.into();
        }
        schema
    }

    fn value(&mut self, field: &FieldDescriptor, direction: Direction) -> Value {
        match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let values = self.single(&entry.map_entry_value_field(), direction);
                json!({ "type": "object", "additionalProperties": values })
            }
            _ if field.is_list() => json!({ "type": "array", "items": self.single(field, direction) }),
            _ => self.single(field, direction),
        }
    }

    fn single(&mut self, field: &FieldDescriptor, direction: Direction) -> Value {
        match field.kind() {
            Kind::String if options::field(field).raw_json => json!({}),
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::Double | Kind::Float => json!({ "type": "number" }),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({ "type": "integer", "format": "int32" }),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => json!({ "type": "integer", "format": "int64" }),
            Kind::Uint32 | Kind::Fixed32 | Kind::Uint64 | Kind::Fixed64 => json!({ "type": "integer", "minimum": 0 }),
            Kind::Enum(kind) => {
                let names: Vec<_> = kind.values().map(|value| value.name().to_owned()).collect();
                json!({ "type": "string", "enum": names })
            }
            Kind::Message(message) => self.reference(&message, direction),
        }
    }
}

/// Whether answers write null for the field when it is unset or empty.
fn may_be_null(field: &FieldDescriptor, direction: Direction) -> bool {
    let rule = options::field(field);
    let has_null = field.supports_presence() && !rule.omit_unset || rule.null_if_empty;
    has_null && direction == Direction::Answer && !rule.raw_json
}

fn nullable(mut schema: Value) -> Value {
    if let Some(name) = schema.get("type").and_then(Value::as_str) {
        schema["type"] = json!([name, "null"]);
        if let Some(Value::Array(values)) = schema.get_mut("enum") {
            values.push(Value::Null);
        }
        return schema;
    }
    let description = schema.as_object_mut().and_then(|members| members.remove("description"));
    let mut either = json!({ "anyOf": [schema, { "type": "null" }] });
    if let Some(description) = description {
        either["description"] = description;
    }
    either
}

/// A value in the shape of a message, for readers: texts by their names, numbers and flags in their default.
pub(crate) fn example(message: &MessageDescriptor, direction: Direction, depth: usize) -> Value {
    /// Deeper examples say nothing new.
    const DEPTH_MAX: usize = 4;
    if depth > DEPTH_MAX {
        return json!({});
    }
    let mut members = Map::new();
    for field in message.fields() {
        let rule = options::field(&field);
        if rule.carrier != Carrier::Unspecified || rule.raw_body || rule.omit_unset && direction == Direction::Request {
            continue;
        }
        members.insert(field.json_name().to_owned(), example_of(&field, direction, depth));
    }
    match members.values().next() {
        Some(inner) if options::inline(message) => inner.clone(),
        _ => Value::Object(members),
    }
}

/// The example of one field.
pub(crate) fn example_of(field: &FieldDescriptor, direction: Direction, depth: usize) -> Value {
    let single = |field: &FieldDescriptor| match field.kind() {
        Kind::String if options::field(field).raw_json => json!({}),
        Kind::String => json!(example_text(field.json_name())),
        Kind::Bytes => json!("AAAA"),
        Kind::Bool => json!(false),
        Kind::Double | Kind::Float => json!(0.0),
        Kind::Enum(kind) => json!(kind.values().last().map(|value| value.name().to_owned())),
        Kind::Message(message) => example(&message, direction, depth + 1),
        _ if field.json_name().ends_with("Ts") || field.json_name().ends_with("At") => json!(1_760_000_000),
        _ => json!(1),
    };
    match field.kind() {
        Kind::Message(entry) if field.is_map() => {
            let name = match entry.map_entry_key_field().kind() {
                Kind::String => "name",
                _ => "1",
            };
            json!({ name: single(&entry.map_entry_value_field()) })
        }
        _ if field.is_list() => json!([single(field)]),
        _ => single(field),
    }
}
