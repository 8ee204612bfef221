use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use portolan_api::common::v1::Carrier;
use serde::de::IgnoredAny;

use super::{
    plan::{FieldPlan, Kind, Label, MessageId, Plans},
    wire::{Malformed, Reader, WireType, WireValue},
};

/// Messages inside messages; what a protobuf library reads at most.
const DEPTH_MAX: usize = 100;

/// A message as JSON, with the values that travel beside the body.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub body: Vec<u8>,
    pub carriers: Vec<(Carrier, String)>,
}

/// Whether secret fields are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrets {
    Shown,
    LeftOut,
}

/// Writes the JSON form of a message, or of one of its fields when `only` names its index.
pub(crate) fn wire_to_json(
    plans: &Plans,
    id: MessageId,
    only: Option<usize>,
    wire: &[u8],
    secrets: Secrets,
) -> Result<Answer, Malformed> {
    if u32::try_from(wire.len()).is_err() {
        return Err(Malformed("larger than 4 GiB"));
    }
    let answer = Answer { body: Vec::with_capacity(wire.len() + wire.len() / 2 + 64), carriers: Vec::new() };
    let mut decoder = Decoder { plans, answer, slots: Vec::with_capacity(64), secrets };
    decoder.message(id, only, wire, 0)?;
    Ok(decoder.answer)
}

struct Decoder<'p> {
    plans: &'p Plans,
    answer: Answer,
    /// One slot a field of every message that is open now.
    slots: Vec<Slot>,
    secrets: Secrets,
}

/// Where the occurrences of a field begin, as offsets in its message.
#[derive(Clone, Copy, Default)]
struct Slot {
    first: u32,
    last: u32,
    count: u32,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum MapKey<'w> {
    Signed(i64),
    Unsigned(u64),
    Bool(bool),
    Text(&'w str),
}

impl Decoder<'_> {
    fn message(&mut self, id: MessageId, only: Option<usize>, wire: &[u8], depth: usize) -> Result<(), Malformed> {
        if depth > DEPTH_MAX {
            return Err(Malformed("nested too deep"));
        }
        let plan = self.plans.message(id);
        let base = self.slots.len();
        self.slots.resize(base + plan.fields.len(), Slot::default());
        let mut reader = Reader::new(wire);
        while !reader.is_done() {
            let start = reader.position() as u32;
            let (number, _) = reader.field()?;
            if let Some(index) = plan.by_number(number) {
                let slot = &mut self.slots[base + index];
                slot.last = start;
                slot.first = if slot.count == 0 { start } else { slot.first };
                slot.count += 1;
            }
        }

        if let Some(index) = only.or(plan.inline.then_some(0)) {
            self.field(&plan.fields[index], self.slots[base + index], wire, depth)?;
        } else {
            self.put(b"{");
            let mut separator: &[u8] = b"";
            for (index, field) in plan.fields.iter().enumerate() {
                let slot = self.slots[base + index];
                if self.is_left_out(field, slot, wire)? {
                    continue;
                }
                self.put(separator);
                separator = b",";
                self.put(&field.quoted);
                self.field(field, slot, wire, depth)?;
            }
            self.put(b"}");
        }
        self.slots.truncate(base);
        Ok(())
    }

    /// Decides whether a field is no member; the value of a carrier is kept beside the body.
    fn is_left_out(&mut self, field: &FieldPlan, slot: Slot, wire: &[u8]) -> Result<bool, Malformed> {
        let options = &field.options;
        if field.is_hidden() {
            return Ok(true);
        }
        if options.secret && self.secrets == Secrets::LeftOut {
            return Ok(true);
        }
        if options.carrier != Carrier::Unspecified {
            if slot.count > 0 {
                let value = text(value_at(field, slot.last, wire)?)?;
                self.answer.carriers.push((options.carrier, value.to_owned()));
            }
            return Ok(true);
        }
        Ok(slot.count == 0 && options.omit_unset)
    }

    fn field(&mut self, field: &FieldPlan, slot: Slot, wire: &[u8], depth: usize) -> Result<(), Malformed> {
        match field.label {
            Label::Repeated => self.list(field, slot, wire, depth),
            Label::Map(key) => self.map(field, key, slot, wire, depth),
            Label::Explicit if slot.count == 0 => {
                self.put(b"null");
                Ok(())
            }
            Label::Implicit if slot.count == 0 => {
                self.default(field);
                Ok(())
            }
            Label::Explicit | Label::Implicit if slot.count == 1 => {
                self.single(field, value_at(field, slot.last, wire)?, depth)
            }
            Label::Explicit | Label::Implicit => match field.kind {
                // Occurrences of one message are merged, which is what reading them in a row does.
                Kind::Message(_) => {
                    let mut merged = Vec::new();
                    each_value(field, slot, wire, |value| {
                        merged.extend_from_slice(bytes(value)?);
                        Ok(())
                    })?;
                    self.single(field, WireValue::Bytes(&merged), depth)
                }
                _ => self.single(field, value_at(field, slot.last, wire)?, depth),
            },
        }
    }

    fn list(&mut self, field: &FieldPlan, slot: Slot, wire: &[u8], depth: usize) -> Result<(), Malformed> {
        if slot.count == 0 && field.options.null_if_empty {
            self.put(b"null");
            return Ok(());
        }
        self.put(b"[");
        let mut separator: &[u8] = b"";
        each_value(field, slot, wire, |value| {
            self.put(separator);
            separator = b",";
            self.single(field, value, depth)
        })?;
        self.put(b"]");
        Ok(())
    }

    /// Writes a map with its keys in order, so that equal answers are equal bytes.
    fn map(
        &mut self,
        field: &FieldPlan,
        key_kind: Kind,
        slot: Slot,
        wire: &[u8],
        depth: usize,
    ) -> Result<(), Malformed> {
        if slot.count == 0 && field.options.null_if_empty {
            self.put(b"null");
            return Ok(());
        }
        let mut entries = BTreeMap::new();
        each_value(field, slot, wire, |entry| {
            let (key, value) = map_entry(field.kind, key_kind, bytes(entry)?)?;
            entries.insert(key, value);
            Ok(())
        })?;
        self.put(b"{");
        let mut separator: &[u8] = b"";
        for (key, value) in entries {
            self.put(separator);
            separator = b",";
            match key {
                MapKey::Text(key) => self.json(key),
                MapKey::Signed(key) => self.json(&key.to_string()),
                MapKey::Unsigned(key) => self.json(&key.to_string()),
                MapKey::Bool(key) => self.json(if key { "true" } else { "false" }),
            }
            self.put(b":");
            match value {
                Some(value) => self.single(field, value, depth)?,
                None => self.default(field),
            }
        }
        self.put(b"}");
        Ok(())
    }

    fn single(&mut self, field: &FieldPlan, value: WireValue, depth: usize) -> Result<(), Malformed> {
        match (field.kind, value) {
            (Kind::Double, WireValue::Fixed64(bits)) => self.json(&f64::from_bits(bits)),
            (Kind::Float, WireValue::Fixed32(bits)) => self.json(&f32::from_bits(bits)),
            (Kind::Int32, WireValue::Varint(value)) => self.json(&(value as i32)),
            (Kind::Int64, WireValue::Varint(value)) => self.json(&(value as i64)),
            (Kind::Uint32, WireValue::Varint(value)) => self.json(&(value as u32)),
            (Kind::Uint64, WireValue::Varint(value)) => self.json(&value),
            (Kind::Sint32, WireValue::Varint(value)) => self.json(&(zigzag(value) as i32)),
            (Kind::Sint64, WireValue::Varint(value)) => self.json(&zigzag(value)),
            (Kind::Fixed32, WireValue::Fixed32(value)) => self.json(&value),
            (Kind::Fixed64, WireValue::Fixed64(value)) => self.json(&value),
            (Kind::Sfixed32, WireValue::Fixed32(value)) => self.json(&(value as i32)),
            (Kind::Sfixed64, WireValue::Fixed64(value)) => self.json(&(value as i64)),
            (Kind::Bool, WireValue::Varint(value)) => self.json(&(value != 0)),
            (Kind::String, value) if field.options.raw_json => {
                let raw = text(value)?;
                if raw.is_empty() {
                    self.put(b"null");
                } else {
                    serde_json::from_str::<IgnoredAny>(raw).map_err(|_| Malformed("a raw JSON field is not JSON"))?;
                    self.put(raw.as_bytes());
                }
            }
            (Kind::String, value) => self.json(text(value)?),
            (Kind::Bytes, value) => self.json(&BASE64_STANDARD.encode(bytes(value)?)),
            (Kind::Enum(id), WireValue::Varint(value)) => match self.plans.enumeration(id).name(value as i32) {
                Some(name) => self.json(name),
                None => self.json(&(value as i32)),
            },
            (Kind::Message(id), value) => self.message(id, None, bytes(value)?, depth + 1)?,
            _ => return Err(Malformed("a field has the wrong wire type")),
        }
        Ok(())
    }

    fn default(&mut self, field: &FieldPlan) {
        match field.kind {
            Kind::Bool => self.put(b"false"),
            Kind::Double | Kind::Float => self.put(b"0.0"),
            Kind::String if field.options.raw_json => self.put(b"null"),
            Kind::String | Kind::Bytes => self.put(b"\"\""),
            Kind::Enum(id) => match self.plans.enumeration(id).name(0) {
                Some(name) => self.json(name),
                None => self.put(b"0"),
            },
            // Only as a map value without a value, since an unset field is null.
            Kind::Message(id) => match self.message(id, None, &[], 0) {
                Ok(()) => {}
                Err(_) => self.put(b"null"),
            },
            _ => self.put(b"0"),
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.answer.body.extend_from_slice(bytes);
    }

    fn json(&mut self, value: &(impl serde::Serialize + ?Sized)) {
        let mut written = Infallible(&mut self.answer.body);
        // A number or a text always has a JSON form, and the writer never fails.
        if serde_json::to_writer(&mut written, value).is_err() {
            self.put(b"null");
        }
    }
}

/// `Vec` as a writer without the reserve calls of `write_all` on each small piece.
struct Infallible<'b>(&'b mut Vec<u8>);

impl Write for Infallible<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Calls `visit` with every value of a list or map in the order of the wire, packed or not.
fn each_value<'w>(
    field: &FieldPlan,
    slot: Slot,
    wire: &'w [u8],
    mut visit: impl FnMut(WireValue<'w>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let wire_type = if matches!(field.label, Label::Map(_)) { WireType::Bytes } else { field.kind.wire_type() };
    let mut reader = Reader::at(wire, slot.first as usize);
    let mut left = slot.count;
    while left > 0 {
        let (number, value) = reader.field()?;
        if number != field.number {
            continue;
        }
        left -= 1;
        match value {
            WireValue::Bytes(packed) if wire_type != WireType::Bytes => {
                let mut values = Reader::new(packed);
                while !values.is_done() {
                    visit(values.value(wire_type)?)?;
                }
            }
            value => visit(value)?,
        }
    }
    Ok(())
}

fn value_at<'w>(field: &FieldPlan, offset: u32, wire: &'w [u8]) -> Result<WireValue<'w>, Malformed> {
    let (number, value) = Reader::at(wire, offset as usize).field()?;
    if number == field.number { Ok(value) } else { Err(Malformed("a field moved")) }
}

fn map_entry<'w>(
    kind: Kind,
    key_kind: Kind,
    entry: &'w [u8],
) -> Result<(MapKey<'w>, Option<WireValue<'w>>), Malformed> {
    let (mut key, mut value) = (None, None);
    let mut reader = Reader::new(entry);
    while !reader.is_done() {
        match reader.field()? {
            (1, found) => key = Some(found),
            (2, found) => value = Some(found),
            _ => {}
        }
    }
    let key = match (key_kind, key) {
        (Kind::String, None) => MapKey::Text(""),
        (Kind::String, Some(key)) => MapKey::Text(text(key)?),
        (Kind::Bool, key) => MapKey::Bool(!matches!(key, None | Some(WireValue::Varint(0)))),
        (Kind::Uint32 | Kind::Uint64 | Kind::Fixed32 | Kind::Fixed64, key) => MapKey::Unsigned(match key {
            None => 0,
            Some(WireValue::Varint(key) | WireValue::Fixed64(key)) => key,
            Some(WireValue::Fixed32(key)) => key.into(),
            Some(WireValue::Bytes(_)) => return Err(Malformed("a map key has the wrong wire type")),
        }),
        (key_kind, key) => MapKey::Signed(match key {
            None => 0,
            Some(WireValue::Varint(key)) if matches!(key_kind, Kind::Sint32 | Kind::Sint64) => zigzag(key),
            Some(WireValue::Varint(key)) if key_kind == Kind::Int32 => (key as i32).into(),
            Some(WireValue::Varint(key) | WireValue::Fixed64(key)) => key as i64,
            Some(WireValue::Fixed32(key)) => (key as i32).into(),
            Some(WireValue::Bytes(_)) => return Err(Malformed("a map key has the wrong wire type")),
        }),
    };
    let expected = kind.wire_type() == WireType::Bytes;
    if value.is_some_and(|value| matches!(value, WireValue::Bytes(_)) != expected) {
        return Err(Malformed("a map value has the wrong wire type"));
    }
    Ok((key, value))
}

fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

fn bytes(value: WireValue<'_>) -> Result<&[u8], Malformed> {
    match value {
        WireValue::Bytes(bytes) => Ok(bytes),
        _ => Err(Malformed("a field has the wrong wire type")),
    }
}

fn text(value: WireValue<'_>) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes(value)?).map_err(|_| Malformed("a text is not UTF-8"))
}
