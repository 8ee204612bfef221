//! Single values: a JSON scalar, a map key, or the text of a path or query parameter.

use base64::{Engine, prelude::BASE64_STANDARD};
use portolan_api::{Error, Reason};

use super::{
    plan::{FieldPlan, Kind, Plans},
    wire::{WireType, put_tag, put_varint},
};

/// Texts from here on are documents whose readers know what a NUL means to them; shorter ones are stored as they are,
/// and no store keeps a NUL.
const NUL_CHECKED_BYTES: usize = 64 * 1024;

/// Why a value cannot stand where it stands; the place is collected from the inside out.
#[derive(Debug)]
pub(super) struct Refusal {
    reason: Reason,
    detail: String,
    places: Vec<String>,
}

impl Refusal {
    pub fn member_type(detail: &str) -> Self {
        Self { reason: Reason::MemberType, detail: detail.to_owned(), places: Vec::new() }
    }

    fn has_nul() -> Self {
        Self { reason: Reason::TextHasNul, detail: String::new(), places: Vec::new() }
    }

    /// Adds the member or the index (`[0]`) around the places named so far.
    pub fn inside(&mut self, place: String) {
        self.places.push(place);
    }

    pub fn into_error(self) -> Error {
        let mut member = String::new();
        for place in self.places.iter().rev() {
            if !member.is_empty() && !place.starts_with('[') {
                member.push('.');
            }
            member.push_str(place);
        }
        let member = if member.is_empty() { "body" } else { &member };
        match self.reason {
            Reason::MemberType => Error::new(self.reason).with("member", member).with("detail", self.detail),
            reason => Error::new(reason).with("member", member),
        }
    }
}

/// A JSON value that is neither null, list nor object, or the text of any.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scalar<'j> {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Double(f64),
    Text(&'j str),
    Raw(&'j str),
}

impl Scalar<'_> {
    /// The number or flag that a text says, where one is wanted; anything else as it is.
    pub fn as_told(self, kind: Kind) -> Self {
        let Scalar::Text(text) = self else { return self };
        let is_number = matches!(kind.wire_type(), WireType::Varint | WireType::Fixed32 | WireType::Fixed64)
            && !matches!(kind, Kind::Bool | Kind::Enum(_));
        let told = match (kind, text) {
            (Kind::Bool, "true") => Some(Scalar::Bool(true)),
            (Kind::Bool, "false") => Some(Scalar::Bool(false)),
            _ if is_number && is_whole(text) => {
                text.parse().map(Scalar::Signed).or_else(|_| text.parse().map(Scalar::Unsigned)).ok()
            }
            _ => None,
        };
        told.unwrap_or(self)
    }
}

/// Digits, after a minus or nothing.
fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Writes one value, with a tag when `tag` has a number. `Err(None)` is a wrong type.
pub(super) fn put_scalar(
    plans: &Plans,
    field: &FieldPlan,
    tag: Option<u32>,
    skip_default: bool,
    value: Scalar,
    out: &mut Vec<u8>,
) -> Result<(), Option<Refusal>> {
    let start = out.len();
    if let Some(number) = tag {
        put_tag(out, number, field.kind.wire_type());
    }
    let is_default = match (field.kind, value) {
        (Kind::Bool, Scalar::Bool(value)) => {
            out.push(value.into());
            !value
        }
        (Kind::String, Scalar::Text(value)) => {
            if value.len() < NUL_CHECKED_BYTES && value.as_bytes().contains(&0) {
                return Err(Some(Refusal::has_nul()));
            }
            put_bytes(value.as_bytes(), out)
        }
        (Kind::String, Scalar::Raw(value)) => put_bytes(value.as_bytes(), out),
        (Kind::Bytes, Scalar::Text(value)) => {
            let refuse = |_| Some(Refusal::member_type("must be a text in base64"));
            put_bytes(&BASE64_STANDARD.decode(value).map_err(refuse)?, out)
        }
        (Kind::Enum(id), Scalar::Text(name)) => {
            let refuse = || Some(Refusal::member_type("is none of the documented values"));
            let number = plans.enumeration(id).number(name).ok_or_else(refuse)?;
            put_varint(out, i64::from(number) as u64);
            number == 0
        }
        (Kind::Double, value) => {
            let value = double(value).ok_or(None)?;
            out.extend_from_slice(&value.to_le_bytes());
            value.to_bits() == 0
        }
        (Kind::Float, value) => {
            let value = double(value).ok_or(None)? as f32;
            if !value.is_finite() {
                return Err(Some(Refusal::member_type("is out of range")));
            }
            out.extend_from_slice(&value.to_le_bytes());
            value.to_bits() == 0
        }
        (Kind::Bool | Kind::String | Kind::Bytes | Kind::Enum(_) | Kind::Message(_), _) => return Err(None),
        (kind, value) => put_integer(kind, integer(value).ok_or(None)?, out).map_err(Some)?,
    };
    if skip_default && is_default {
        out.truncate(start);
    }
    Ok(())
}

/// Writes a map key, field 1 of an entry.
pub(super) fn put_key(kind: Kind, key: &str, out: &mut Vec<u8>) -> Result<(), Refusal> {
    put_tag(out, 1, kind.wire_type());
    match kind {
        Kind::String if key.as_bytes().contains(&0) => return Err(Refusal::has_nul()),
        Kind::String => {
            put_bytes(key.as_bytes(), out);
        }
        Kind::Bool => match key {
            "true" => out.push(1),
            "false" => out.push(0),
            _ => return Err(Refusal::member_type("must be named true or false")),
        },
        kind => {
            let number = key.parse().map_err(|_| Refusal::member_type("must be named by a whole number"))?;
            put_integer(kind, number, out)?;
        }
    }
    Ok(())
}

/// Writes the field of a path or query parameter, whose values are texts.
pub(crate) fn text_to_wire(plans: &Plans, field: &FieldPlan, value: &str, out: &mut Vec<u8>) -> Result<(), Error> {
    let scalar = match field.kind {
        Kind::String | Kind::Bytes | Kind::Enum(_) => Some(Scalar::Text(value)),
        Kind::Bool => value.parse().ok().map(Scalar::Bool),
        Kind::Double | Kind::Float => value.parse().ok().filter(|value: &f64| value.is_finite()).map(Scalar::Double),
        Kind::Message(_) => None,
        _ => value.parse().map(Scalar::Signed).or_else(|_| value.parse().map(Scalar::Unsigned)).ok(),
    };
    let written = match scalar {
        Some(scalar) => put_scalar(plans, field, Some(field.number), false, scalar, out),
        None => Err(None),
    };
    written.map_err(|refusal| {
        let mut refusal = refusal.unwrap_or_else(|| {
            Refusal::member_type(match field.kind {
                Kind::Bool => "must be true or false",
                Kind::Double | Kind::Float => "must be a number",
                Kind::Message(_) => "cannot be a parameter",
                _ => "must be a whole number",
            })
        });
        refusal.inside(field.json_name.clone());
        refusal.into_error()
    })
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) -> bool {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
    bytes.is_empty()
}

fn put_integer(kind: Kind, value: i128, out: &mut Vec<u8>) -> Result<bool, Refusal> {
    let (min, max): (i128, i128) = match kind {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => (i32::MIN.into(), i32::MAX.into()),
        Kind::Uint32 | Kind::Fixed32 => (0, u32::MAX.into()),
        Kind::Uint64 | Kind::Fixed64 => (0, u64::MAX.into()),
        _ => (i64::MIN.into(), i64::MAX.into()),
    };
    if value < min || value > max {
        return Err(Refusal::member_type(&format!("must be a whole number from {min} to {max}")));
    }
    match kind.wire_type() {
        WireType::Fixed32 => out.extend_from_slice(&(value as u32).to_le_bytes()),
        WireType::Fixed64 => out.extend_from_slice(&(value as u64).to_le_bytes()),
        _ if matches!(kind, Kind::Sint32 | Kind::Sint64) => {
            let value = value as i64;
            put_varint(out, (value << 1 ^ value >> 63) as u64);
        }
        _ => put_varint(out, value as u64),
    }
    Ok(value == 0)
}

/// Whole numbers may be written as `1.0`; up to 2^63 such a number is exact.
fn integer(value: Scalar) -> Option<i128> {
    match value {
        Scalar::Signed(value) => Some(value.into()),
        Scalar::Unsigned(value) => Some(value.into()),
        Scalar::Double(value) if value.fract() == 0.0 && value.abs() <= 2f64.powi(64) => Some(value as i128),
        _ => None,
    }
}

fn double(value: Scalar) -> Option<f64> {
    match value {
        Scalar::Signed(value) => Some(value as f64),
        Scalar::Unsigned(value) => Some(value as f64),
        Scalar::Double(value) => Some(value),
        _ => None,
    }
}
