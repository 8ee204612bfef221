//! Whether arguments have the form that the contract gives them; what is left is what the contract knows.

use portolan_api::{Error, Reason, options};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

/// What is wrong with an argument.
#[derive(Clone, Copy)]
enum Issue {
    InvalidScalar,
    ParseError(&'static str),
    MissingLookupValue,
    AmbiguousLookupValues,
    ArrayExpected,
    ObjectExpected,
}

/// Where the check stands: the names down to here, and the item of the innermost list.
#[derive(Clone, Default)]
struct FieldPath {
    path: Vec<String>,
    index: Option<usize>,
}

/// Returns the known members of the root, each in its form.
pub(super) fn message(message: &MessageDescriptor, given: Map<String, Value>) -> Result<Map<String, Value>, Error> {
    members(message, given, &FieldPath::default())
}

fn members(
    message: &MessageDescriptor,
    mut given: Map<String, Value>,
    at: &FieldPath,
) -> Result<Map<String, Value>, Error> {
    let mut known = Map::new();
    let mut fields: Vec<_> = message.fields().collect();
    fields.sort_by_key(FieldDescriptor::number);
    for field in fields {
        let rule = options::field(&field);
        if rule.given_members {
            continue;
        }
        let name = field.json_name().to_owned();
        let mut here = at.clone();
        here.path.push(name.clone());
        here.index = None;
        match given.remove(&name) {
            None | Some(Value::Null) if rule.required => return Err(missing(&here)),
            None => {}
            Some(Value::Null) => {
                known.insert(name, Value::Null);
            }
            Some(value) => {
                known.insert(name, member(&field, value, &here)?);
            }
        }
    }
    Ok(known)
}

fn member(field: &FieldDescriptor, value: Value, at: &FieldPath) -> Result<Value, Error> {
    if !field.is_list() {
        return single(field, value, at);
    }
    let Value::Array(items) = value else { return Err(invalid(field, at, Issue::ArrayExpected)) };
    let items = items.into_iter().enumerate().map(|(index, item)| {
        let at = FieldPath { index: Some(index), ..at.clone() };
        single(field, item, &at)
    });
    Ok(Value::Array(items.collect::<Result<_, _>>()?))
}

fn single(field: &FieldDescriptor, value: Value, at: &FieldPath) -> Result<Value, Error> {
    let refuse = |issue| Err(invalid(field, at, issue));
    match field.kind() {
        Kind::Message(below) => {
            let Value::Object(given) = value else { return refuse(Issue::ObjectExpected) };
            let known = members(&below, given, at)?;
            if options::lookup(&below) {
                match known.values().filter(|value| !value.is_null()).count() {
                    0 => return refuse(Issue::MissingLookupValue),
                    1 => {}
                    _ => return refuse(Issue::AmbiguousLookupValues),
                }
            }
            Ok(Value::from(known))
        }
        Kind::String => match value {
            // No store keeps a NUL, so it is no text.
            Value::String(text) if !text.contains('\0') => Ok(Value::String(text)),
            _ => refuse(Issue::InvalidScalar),
        },
        Kind::Bool => match value {
            Value::Bool(_) => Ok(value),
            Value::String(text) if matches!(text.as_str(), "true" | "1") => Ok(true.into()),
            Value::String(text) if matches!(text.as_str(), "false" | "0") => Ok(false.into()),
            _ => refuse(Issue::InvalidScalar),
        },
        _ if options::field(field).unix_time => match value.as_i64() {
            Some(seconds) if seconds >= 0 => Ok(value),
            _ => refuse(Issue::ParseError("must be a whole number of seconds, 0 or more")),
        },
        _ => {
            let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
            number.map(Value::from).ok_or_else(|| {
                invalid(field, at, Issue::ParseError("must be a whole number, or a text of digits only"))
            })
        }
    }
}

fn missing(at: &FieldPath) -> Error {
    let name = at.path.last().cloned().unwrap_or_default();
    let detail = json!({"path": at.path, "argument": {"name": name, "description": null}});
    Error::new(Reason::MissingRequiredArgument)
        .with("argument_name", format!("`{}`", at.path.join(".")))
        .with("detail_json", detail)
}

fn invalid(field: &FieldDescriptor, at: &FieldPath, issue: Issue) -> Error {
    let (name, description, errors) = match issue {
        Issue::InvalidScalar => ("invalid_scalar", Some("The value is not of the type that the argument has"), vec![]),
        Issue::ParseError(text) => ("parse_error", Some("The value cannot be read"), vec![text]),
        Issue::MissingLookupValue => {
            ("missing_lookup_value", Some("One of the lookup's members must be given"), vec![])
        }
        Issue::AmbiguousLookupValues => {
            ("ambiguous_lookup_values", Some("Only one of the lookup's members may be given"), vec![])
        }
        Issue::ArrayExpected => ("array_expected", None, vec![]),
        Issue::ObjectExpected => ("object_expected", None, vec![]),
    };
    let detail = json!({
        "path": at.path,
        "index": at.index,
        "issue": name,
        "issue_description": description,
        "errors": errors,
        "argument": {
            "id": format!("{}/{}", field.parent_message().name(), field.name()),
            "name": field.json_name(),
            "description": null,
        },
    });
    Error::new(Reason::InvalidArgument)
        .with("argument_name", format!("`{}`", at.path.join(".")))
        .with("detail_json", detail)
}
