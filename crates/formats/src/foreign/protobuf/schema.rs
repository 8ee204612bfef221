//! Messages as schemas of their JSON form.

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

/// Values of an enumeration that are listed.
const VALUES_MAX: usize = 100;

/// The schemas of all messages but those that have a form of their own.
pub(super) fn all(pool: &DescriptorPool) -> Map<String, Value> {
    let messages = pool.all_messages().filter(|message| !message.is_map_entry() && known(message).is_none());
    messages.map(|message| (message.full_name().to_owned(), of_message(&message))).collect()
}

pub(super) fn reference(message: &MessageDescriptor) -> Value {
    known(message).unwrap_or_else(|| json!({"$ref": format!("#/components/schemas/{}", message.full_name())}))
}

/// Whether a message is written as one value.
pub(super) fn is_plain(message: &MessageDescriptor) -> bool {
    known(message).is_some_and(|schema| schema["type"] != "object")
}

pub(super) fn of_field(field: &FieldDescriptor) -> Value {
    if field.is_map() {
        let value = field.kind().as_message().map(|entry| of_kind(&entry.map_entry_value_field().kind()));
        return json!({"type": "object", "additionalProperties": value.unwrap_or_else(|| json!({}))});
    }
    let own = of_kind(&field.kind());
    if field.is_list() { json!({"type": "array", "items": own}) } else { own }
}

fn of_message(message: &MessageDescriptor) -> Value {
    let properties: Map<String, Value> =
        message.fields().map(|field| (field.json_name().to_owned(), of_field(&field))).collect();
    json!({"type": "object", "properties": properties})
}

fn of_kind(kind: &Kind) -> Value {
    match kind {
        Kind::Double | Kind::Float => json!({"type": "number"}),
        Kind::Int32 | Kind::Uint32 | Kind::Sint32 | Kind::Fixed32 | Kind::Sfixed32 => {
            json!({"type": "integer", "format": "int32"})
        }
        Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64 => {
            json!({"type": "string", "format": "int64"})
        }
        Kind::Bool => json!({"type": "boolean"}),
        Kind::String => json!({"type": "string"}),
        Kind::Bytes => json!({"type": "string", "format": "byte"}),
        Kind::Enum(values) => {
            let names: Vec<_> = values.values().take(VALUES_MAX).map(|value| value.name().to_owned()).collect();
            json!({"type": "string", "enum": names})
        }
        Kind::Message(message) => reference(message),
    }
}

/// Messages whose JSON is not an object of their fields.
fn known(message: &MessageDescriptor) -> Option<Value> {
    let name = message.full_name().strip_prefix("google.protobuf.")?;
    Some(match name {
        "Timestamp" => json!({"type": "string", "format": "date-time"}),
        "Duration" | "FieldMask" | "StringValue" => json!({"type": "string"}),
        "Int64Value" | "UInt64Value" => json!({"type": "string", "format": "int64"}),
        "Int32Value" | "UInt32Value" => json!({"type": "integer", "format": "int32"}),
        "DoubleValue" | "FloatValue" => json!({"type": "number"}),
        "BoolValue" => json!({"type": "boolean"}),
        "BytesValue" => json!({"type": "string", "format": "byte"}),
        "ListValue" => json!({"type": "array", "items": {}}),
        "Any" | "Struct" | "Empty" => json!({"type": "object"}),
        "Value" => json!({}),
        _ => return None,
    })
}
