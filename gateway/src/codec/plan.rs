use std::collections::HashMap;

use portolan_api::options::{self, FieldOptions};
use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind as ProtoKind, MessageDescriptor};

use super::wire::WireType;

/// Members that one message may have: the members seen in a JSON object are counted in one word of this many bits.
const FIELDS_MAX: usize = 128;

/// The plans of every message that a route takes or answers.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    messages: Vec<MessagePlan>,
    enums: Vec<EnumPlan>,
    message_ids: HashMap<String, MessageId>,
    enum_ids: HashMap<String, EnumId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageId(usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EnumId(usize);

/// A message of the contract cannot be served as JSON.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct PlanError {
    name: String,
    problem: &'static str,
}

/// A message: its fields in the order of declaration.
#[derive(Debug)]
pub(crate) struct MessagePlan {
    pub fields: Vec<FieldPlan>,
    /// The JSON form is that of the only field.
    pub inline: bool,
    /// The field that takes the names of the members that were given, by index.
    pub given: Option<usize>,
}

#[derive(Clone, Debug)]
pub(crate) struct FieldPlan {
    pub number: u32,
    pub proto_name: String,
    pub json_name: String,
    /// `"name":`, ready to be written.
    pub quoted: Vec<u8>,
    pub kind: Kind,
    pub label: Label,
    pub packed: bool,
    pub options: FieldOptions,
    /// The request header that the field takes; empty for a member of the body.
    pub from_header: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    /// Unset and default are the same.
    Implicit,
    /// Unset is null.
    Explicit,
    Repeated,
    /// `kind` is that of the values, this that of the keys.
    Map(Kind),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    Enum(EnumId),
    Message(MessageId),
}

#[derive(Debug)]
pub(crate) struct EnumPlan {
    values: Vec<(i32, String)>,
}

impl Plans {
    /// Makes the plan of a message and of everything in it, or finds the one made before.
    pub fn add(&mut self, message: &MessageDescriptor) -> Result<MessageId, PlanError> {
        if let Some(id) = self.message_ids.get(message.full_name()) {
            return Ok(*id);
        }
        let id = MessageId(self.messages.len());
        self.message_ids.insert(message.full_name().to_owned(), id);
        self.messages.push(MessagePlan { fields: Vec::new(), inline: false, given: None });

        let mut described: Vec<_> = message.fields().collect();
        described.sort_by_key(|field| field.path().last().copied());
        let fields = described.iter().map(|field| self.field(field)).collect::<Result<Vec<_>, _>>()?;
        let refuse = |problem| PlanError { name: message.full_name().to_owned(), problem };
        let inline = options::inline(message);
        if inline && (fields.len() != 1 || fields[0].is_single()) {
            return Err(refuse("an inline message has exactly one field, a list or a map"));
        }
        if fields.len() > FIELDS_MAX {
            return Err(refuse("too many fields"));
        }
        let given = fields.iter().position(|field| field.options.given_members);
        self.messages[id.0] = MessagePlan { fields, inline, given };
        Ok(id)
    }

    pub fn message(&self, id: MessageId) -> &MessagePlan {
        &self.messages[id.0]
    }

    pub fn enumeration(&self, id: EnumId) -> &EnumPlan {
        &self.enums[id.0]
    }

    fn field(&mut self, field: &FieldDescriptor) -> Result<FieldPlan, PlanError> {
        let (kind, label) = match field.kind() {
            ProtoKind::Message(entry) if field.is_map() => {
                let key = self.kind(entry.map_entry_key_field().kind())?;
                (self.kind(entry.map_entry_value_field().kind())?, Label::Map(key))
            }
            kind if field.is_list() => (self.kind(kind)?, Label::Repeated),
            kind if field.supports_presence() => (self.kind(kind)?, Label::Explicit),
            kind => (self.kind(kind)?, Label::Implicit),
        };
        let plan = FieldPlan {
            number: field.number(),
            proto_name: field.name().to_owned(),
            json_name: field.json_name().to_owned(),
            quoted: format!("{}:", serde_json::Value::from(field.json_name())).into_bytes(),
            kind,
            label,
            packed: field.is_packed(),
            options: options::field(field),
            from_header: options::from_header(field),
        };
        let refuse = |problem| Err(PlanError { name: field.full_name().to_owned(), problem });
        let single_string = plan.kind == Kind::String && plan.is_single();
        if plan.options.raw_json && !single_string {
            return refuse("raw_json stands on a single string field only");
        }
        if plan.options.carrier != Default::default() && !single_string {
            return refuse("a carrier stands on a single string field only");
        }
        if plan.options.given_members && !(plan.kind == Kind::String && plan.label == Label::Repeated) {
            return refuse("given_members stands on a list of strings only");
        }
        if plan.options.raw_body && plan.kind != Kind::Bytes {
            return refuse("raw_body stands on a bytes field only");
        }
        Ok(plan)
    }

    fn kind(&mut self, kind: ProtoKind) -> Result<Kind, PlanError> {
        Ok(match kind {
            ProtoKind::Double => Kind::Double,
            ProtoKind::Float => Kind::Float,
            ProtoKind::Int32 => Kind::Int32,
            ProtoKind::Int64 => Kind::Int64,
            ProtoKind::Uint32 => Kind::Uint32,
            ProtoKind::Uint64 => Kind::Uint64,
            ProtoKind::Sint32 => Kind::Sint32,
            ProtoKind::Sint64 => Kind::Sint64,
            ProtoKind::Fixed32 => Kind::Fixed32,
            ProtoKind::Fixed64 => Kind::Fixed64,
            ProtoKind::Sfixed32 => Kind::Sfixed32,
            ProtoKind::Sfixed64 => Kind::Sfixed64,
            ProtoKind::Bool => Kind::Bool,
            ProtoKind::String => Kind::String,
            ProtoKind::Bytes => Kind::Bytes,
            ProtoKind::Enum(described) => Kind::Enum(self.enum_id(&described)),
            ProtoKind::Message(described) => Kind::Message(self.add(&described)?),
        })
    }

    fn enum_id(&mut self, described: &EnumDescriptor) -> EnumId {
        if let Some(id) = self.enum_ids.get(described.full_name()) {
            return *id;
        }
        let id = EnumId(self.enums.len());
        self.enum_ids.insert(described.full_name().to_owned(), id);
        let values = described.values().map(|value| (value.number(), value.name().to_owned())).collect();
        self.enums.push(EnumPlan { values });
        id
    }
}

impl MessagePlan {
    /// The index of the member with this JSON name; `hint` is where it is likely to be.
    pub fn by_json_name(&self, name: &str, hint: usize) -> Option<usize> {
        let (before, after) = self.fields.split_at(hint.min(self.fields.len()));
        let is_it = |field: &FieldPlan| field.json_name == name && !field.is_hidden();
        let found = after.iter().position(is_it).map(|index| index + before.len());
        found.or_else(|| before.iter().position(is_it))
    }

    /// The index of the field with this proto or JSON name.
    pub fn by_any_name(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| (field.json_name == name || field.proto_name == name) && !field.is_hidden())
    }

    /// The index of the field with this number.
    pub fn by_number(&self, number: u32) -> Option<usize> {
        // Most messages number their fields 1, 2, 3 in the order of declaration.
        let guess = (number as usize).wrapping_sub(1);
        if self.fields.get(guess).is_some_and(|field| field.number == number) {
            return Some(guess);
        }
        self.fields.iter().position(|field| field.number == number)
    }
}

impl FieldPlan {
    pub fn is_single(&self) -> bool {
        matches!(self.label, Label::Implicit | Label::Explicit)
    }

    /// Whether the gateway fills it, so that no client may.
    pub fn is_hidden(&self) -> bool {
        self.options.given_members || !self.from_header.is_empty()
    }
}

impl EnumPlan {
    pub fn name(&self, number: i32) -> Option<&str> {
        self.values.iter().find(|value| value.0 == number).map(|value| value.1.as_str())
    }

    pub fn number(&self, name: &str) -> Option<i32> {
        self.values.iter().find(|value| value.1 == name).map(|value| value.0)
    }
}

impl Kind {
    pub fn wire_type(self) -> WireType {
        match self {
            Self::Double | Self::Fixed64 | Self::Sfixed64 => WireType::Fixed64,
            Self::Float | Self::Fixed32 | Self::Sfixed32 => WireType::Fixed32,
            Self::String | Self::Bytes | Self::Message(_) => WireType::Bytes,
            _ => WireType::Varint,
        }
    }
}
