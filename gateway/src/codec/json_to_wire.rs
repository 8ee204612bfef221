use std::fmt;

use portolan_api::{Error, Reason};
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    plan::{FieldPlan, Kind, Label, MessageId, MessagePlan, Plans},
    text::{Refusal, Scalar, put_key, put_scalar},
    wire::{WireType, begin_nested, end_nested, put_tag, put_varint},
};

/// Lists and objects inside each other. serde_json holds the same limit for what it parses; this one is for raw JSON.
const DEPTH_MAX: usize = 128;

/// Which JSON values stand for a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Those of its type alone.
    Strict,
    /// Also a text of digits for a number, and `"true"` or `"false"` for a flag.
    TextsAsValues,
}

/// Appends the wire form of a JSON object to `out`. An empty body is an empty object.
///
/// With `only`, the object is the value of that field. Unknown members are ignored and null is the same as absent.
/// Errors: `BODY_NOT_JSON`, `MEMBER_TYPE` with the member's path, `TEXT_HAS_NUL`.
pub(crate) fn json_to_wire(
    plans: &Plans,
    id: MessageId,
    only: Option<usize>,
    json: &[u8],
    manner: Manner,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let not_json = |detail: &dyn fmt::Display| Error::new(Reason::BodyNotJson).with("detail", detail);
    let json = std::str::from_utf8(json).map_err(|_| not_json(&"it is not UTF-8"))?;
    let json = if json.is_empty() { "{}" } else { json };

    let mut encoder = Encoder { plans, manner, out: std::mem::take(out), refusal: None };
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let root = MessageSeed { encoder: &mut encoder, id, only };
    let parsed = root.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    *out = encoder.out;
    match (parsed, encoder.refusal) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(refusal)) => Err(refusal.into_error()),
        (Err(error), None) if error.is_data() => Err(not_json(&"it must be an object")),
        (Err(error), None) => Err(not_json(&error)),
    }
}

/// What the visitors share. A refusal waits here while serde's own error unwinds the stack.
struct Encoder<'p> {
    plans: &'p Plans,
    manner: Manner,
    out: Vec<u8>,
    refusal: Option<Refusal>,
}

impl<'p> Encoder<'p> {
    fn refuse<E: de::Error>(&mut self, refusal: Refusal) -> E {
        self.refusal = Some(refusal);
        E::custom("refused")
    }

    /// Names the place where an error happened, from the inside out.
    fn inside<E>(&mut self, error: E, place: impl FnOnce() -> String) -> E {
        if let Some(refusal) = &mut self.refusal {
            refusal.inside(place());
        }
        error
    }

    /// The members of an object as fields of a message.
    fn members<'de, A: MapAccess<'de>>(&mut self, plan: &'p MessagePlan, mut map: A) -> Result<(), A::Error> {
        let mut seen = 0u128;
        let mut hint = 0;
        while let Some(index) = map.next_key_seed(NameSeed { plan, hint })? {
            let Some(index) = index else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let field = &plan.fields[index];
            if seen & 1 << index != 0 {
                let refusal = Refusal::member_type("must not be given twice");
                let error = self.refuse(refusal);
                return Err(self.inside(error, || field.json_name.clone()));
            }
            seen |= 1 << index;
            hint = index + 1;
            let value = ValueSeed { encoder: self, field, position: Position::Member };
            map.next_value_seed(value).map_err(|error| self.inside(error, || field.json_name.clone()))?;
        }
        self.given(plan, seen);
        Ok(())
    }

    /// Tells the service which members were given, where it asks for that.
    fn given(&mut self, plan: &MessagePlan, seen: u128) {
        let Some(given) = plan.given.map(|index| &plan.fields[index]) else { return };
        for (_, field) in plan.fields.iter().enumerate().filter(|(index, _)| seen & 1 << index != 0) {
            put_tag(&mut self.out, given.number, WireType::Bytes);
            put_varint(&mut self.out, field.json_name.len() as u64);
            self.out.extend_from_slice(field.json_name.as_bytes());
        }
    }
}

struct MessageSeed<'e, 'p> {
    encoder: &'e mut Encoder<'p>,
    id: MessageId,
    only: Option<usize>,
}

impl<'de> DeserializeSeed<'de> for MessageSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let plan = self.encoder.plans.message(self.id);
        match self.only {
            Some(index) => {
                let value = ValueSeed { encoder: self.encoder, field: &plan.fields[index], position: Position::Member };
                value.deserialize(deserializer).map(|_| ())
            }
            None => deserializer.deserialize_map(self),
        }
    }
}

impl<'de> Visitor<'de> for MessageSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let plan = self.encoder.plans.message(self.id);
        self.encoder.members(plan, map)
    }
}

/// Reads a member name; an unknown one is `None`.
struct NameSeed<'p> {
    plan: &'p MessagePlan,
    hint: usize,
}

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.plan.by_json_name(name, self.hint))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    /// The value of a member: null is absent, a list or map is taken as a whole.
    Member,
    /// One item of a list.
    Item,
    /// One item of a list whose tag and length are written already.
    PackedItem,
    /// The value of a map entry.
    Entry,
}

/// Writes a field from a JSON value. The result says whether there was one, that is, no null.
struct ValueSeed<'e, 'p> {
    encoder: &'e mut Encoder<'p>,
    field: &'p FieldPlan,
    position: Position,
}

impl<'p> ValueSeed<'_, 'p> {
    /// The tag's number: the value of a map entry is field 2 of the entry.
    fn number(&self) -> u32 {
        if self.position == Position::Entry { 2 } else { self.field.number }
    }

    fn is_whole(&self) -> bool {
        self.position == Position::Member && !self.field.is_single()
    }

    /// The message to write when its JSON form is an object or that of its only field.
    fn nested(&self) -> Option<&'p MessagePlan> {
        match self.field.kind {
            Kind::Message(id) if !self.is_whole() => Some(self.encoder.plans.message(id)),
            _ => None,
        }
    }

    fn wrong_type<E: de::Error>(self) -> E {
        let detail = match (self.field.label, self.field.kind) {
            (Label::Repeated, _) if self.is_whole() => "must be a list",
            (Label::Map(_), _) if self.is_whole() => "must be an object",
            (_, Kind::Message(id)) => match self.encoder.plans.message(id) {
                plan if !plan.inline => "must be an object",
                plan if plan.fields[0].label == Label::Repeated => "must be a list",
                _ => "must be an object",
            },
            (_, Kind::Bool) => "must be true or false",
            (_, Kind::String | Kind::Enum(_)) => "must be a text",
            (_, Kind::Bytes) => "must be a text in base64",
            (_, Kind::Double | Kind::Float) => "must be a number",
            _ => "must be a whole number",
        };
        self.encoder.refuse(Refusal::member_type(detail))
    }

    fn scalar<E: de::Error>(self, value: Scalar) -> Result<bool, E> {
        if self.is_whole() || matches!(self.field.kind, Kind::Message(_)) {
            return Err(self.wrong_type());
        }
        let number = self.number();
        let tag = (self.position != Position::PackedItem).then_some(number);
        // A default without presence is not written, as in every protobuf encoder.
        let skip_default = self.position == Position::Member && self.field.label == Label::Implicit;
        let Encoder { plans, manner, out, .. } = &mut *self.encoder;
        let value = match manner {
            Manner::Strict => value,
            Manner::TextsAsValues => value.as_told(self.field.kind),
        };
        match put_scalar(plans, self.field, tag, skip_default, value, out) {
            Ok(()) => Ok(true),
            Err(Some(refusal)) => Err(self.encoder.refuse(refusal)),
            Err(None) => Err(self.wrong_type()),
        }
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        if self.field.options.raw_json {
            let raw = <&RawValue>::deserialize(deserializer)?.get();
            if is_too_deep(raw) {
                return Err(self.encoder.refuse(Refusal::member_type("is nested too deep")));
            }
            return if raw == "null" { Ok(false) } else { self.scalar(Scalar::Raw(raw)) };
        }
        match self.nested() {
            Some(plan) if plan.inline => {
                let number = self.number();
                let Self { encoder, position, .. } = self;
                let start = encoder.out.len();
                put_tag(&mut encoder.out, number, WireType::Bytes);
                let nested = begin_nested(&mut encoder.out);
                let inner = ValueSeed { encoder: &mut *encoder, field: &plan.fields[0], position: Position::Member };
                let given = inner.deserialize(deserializer)?;
                if given {
                    end_nested(&mut encoder.out, nested);
                } else if position == Position::Member {
                    encoder.out.truncate(start);
                } else {
                    return Err(encoder.refuse(Refusal::member_type("must not be null")));
                }
                Ok(given)
            }
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<bool, E> {
        match self.position {
            Position::Member => Ok(false),
            _ => Err(self.encoder.refuse(Refusal::member_type("must not be null"))),
        }
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<bool, E> {
        self.scalar(Scalar::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<bool, E> {
        self.scalar(Scalar::Signed(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<bool, E> {
        self.scalar(Scalar::Unsigned(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<bool, E> {
        self.scalar(Scalar::Double(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<bool, E> {
        self.scalar(Scalar::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        if !(self.is_whole() && self.field.label == Label::Repeated) {
            return Err(self.wrong_type());
        }
        let Self { encoder, field, .. } = self;
        let start = encoder.out.len();
        let packed = field.packed && field.kind.wire_type() != WireType::Bytes;
        let nested = packed.then(|| {
            put_tag(&mut encoder.out, field.number, WireType::Bytes);
            begin_nested(&mut encoder.out)
        });
        let position = if packed { Position::PackedItem } else { Position::Item };
        let mut index = 0usize;
        loop {
            match items.next_element_seed(ValueSeed { encoder: &mut *encoder, field, position }) {
                Ok(Some(_)) => index += 1,
                Ok(None) => break,
                Err(error) => return Err(encoder.inside(error, || format!("[{index}]"))),
            }
        }
        match nested {
            Some(nested) if encoder.out.len() > nested => end_nested(&mut encoder.out, nested),
            Some(_) => encoder.out.truncate(start),
            None => {}
        }
        Ok(true)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        if let Some(plan) = self.nested() {
            let number = self.number();
            put_tag(&mut self.encoder.out, number, WireType::Bytes);
            let nested = begin_nested(&mut self.encoder.out);
            self.encoder.members(plan, map)?;
            end_nested(&mut self.encoder.out, nested);
            return Ok(true);
        }
        let Label::Map(key_kind) = self.field.label else { return Err(self.wrong_type()) };
        if self.position != Position::Member {
            return Err(self.wrong_type());
        }
        let Self { encoder, field, .. } = self;
        while let Some(key) = map.next_key::<std::borrow::Cow<str>>()? {
            put_tag(&mut encoder.out, field.number, WireType::Bytes);
            let nested = begin_nested(&mut encoder.out);
            let written = match put_key(key_kind, &key, &mut encoder.out) {
                Ok(()) => map.next_value_seed(ValueSeed { encoder: &mut *encoder, field, position: Position::Entry }),
                Err(refusal) => Err(encoder.refuse(refusal)),
            };
            written.map_err(|error| encoder.inside(error, || key_place(&key)))?;
            end_nested(&mut encoder.out, nested);
        }
        Ok(true)
    }
}

/// A map key in an error, cut so that an answer stays small.
fn key_place(key: &str) -> String {
    key.chars().take(64).collect()
}

/// Whether valid JSON text nests deeper than the limit.
fn is_too_deep(raw: &str) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    for byte in raw.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return true;
        }
    }
    false
}
